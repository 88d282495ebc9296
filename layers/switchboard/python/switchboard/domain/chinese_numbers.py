"""Numbers for voice notices: Chinese ones as people write them there, any other in E.164.

The Chinese plan as far as digits tell: a mobile number is 1, a digit from 3 to 9, and nine more; a land line is 0
and an area code (2 or 3 digits, Beijing's is 10) with a number of 7 or 8 digits. Area codes are not looked up.
"""

from __future__ import annotations

import re
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import PhoneNumber, plain_digits

CHINA: Final = "+86"

_MOBILE: Final = re.compile(r"1[3-9][0-9]{9}")
_LAND_LINE: Final = re.compile(r"10[0-9]{8}|[2-9][0-9]{8,10}")
_SERVICE: Final = re.compile(r"[48]00[0-9]{7}")


def parse_chinese_number(raw: str, *, field: str = "to") -> PhoneNumber:
    """Read a Chinese number in national form or after `+86` or `0086`, or one with `+` and another country code.

    Spaces, hyphens and parentheses of the usual shapes and full-width digits are accepted; a trunk `0` before a
    mobile number or after the country code is dropped. Raises InvalidRequestError naming `field`, never repeating
    what was written.
    """
    written = plain_digits(raw, field=field)
    if written.startswith("0086"):
        written = CHINA + written[4:]
    if written.startswith(CHINA):
        significant = written.removeprefix(CHINA).removeprefix("0")
    elif written.startswith("+"):
        return _number(written, field=field)
    elif written.startswith("00"):
        raise _refused(field, "begins with a dialling prefix: write + and the country code")
    elif written.startswith("0") or _MOBILE.fullmatch(written):
        significant = written.removeprefix("0")
    else:
        raise _refused(field, "is neither a Chinese mobile number nor a land line that begins with 0")
    if not is_chinese_subscriber(significant):
        raise _refused(field, "is no Chinese mobile number or land line")
    return PhoneNumber(e164=CHINA + significant)


def chinese_national_form(number: PhoneNumber) -> str:
    """A number of China as it is dialled there: mobile ones as they are, land lines with a 0 before the area code.

    Raises InvalidRequestError for a number that is not Chinese.
    """
    significant = number.e164.removeprefix(CHINA)
    if significant == number.e164 or not is_chinese_subscriber(significant):
        raise _refused("to", "is no Chinese mobile number or land line")
    return significant if _MOBILE.fullmatch(significant) else "0" + significant


def is_chinese_subscriber(significant: str) -> bool:
    """Whether these digits (no country code, no trunk 0) are a mobile number or a land line. 400 and 800 numbers
    belong to services, which one does not notify."""
    if _SERVICE.fullmatch(significant):
        return False
    return bool(_MOBILE.fullmatch(significant) or _LAND_LINE.fullmatch(significant))


def _number(e164: str, *, field: str) -> PhoneNumber:
    try:
        return PhoneNumber(e164=e164)
    except InvalidRequestError as error:
        raise InvalidRequestError(
            *(FieldProblem(field=field, message=each.message, code=each.code) for each in error.problems)
        ) from None


def _refused(field: str, message: str) -> InvalidRequestError:
    return InvalidRequestError(FieldProblem(field=field, message=message, code="invalid_phone_number"))
