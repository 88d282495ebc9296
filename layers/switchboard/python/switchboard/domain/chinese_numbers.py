"""Read telephone numbers for voice notices: Chinese ones as people in China write them, any other in E.164.

The Chinese plan, as far as digits tell: a mobile number is 1, a digit from 3 to 9, and nine more. A landline is 0
and an area code (2 or 3 digits, Beijing's is 10) with a number of 7 or 8 digits. Area codes are not looked up.
"""

from __future__ import annotations

import re
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import PhoneNumber, build_number_error, plain_digits

CHINA: Final = "+86"

_MOBILE: Final = re.compile(r"1[3-9][0-9]{9}")
_LANDLINE: Final = re.compile(r"10[0-9]{8}|[2-9][0-9]{8,10}")
_SERVICE: Final = re.compile(r"[48]00[0-9]{7}")
_NOT_A_SUBSCRIBER: Final = "is not a Chinese mobile number or landline"


def parse_chinese_number(raw: str, *, field: str = "to") -> PhoneNumber:
    """Read a Chinese number in national form or after `+86` or `0086`, or one with `+` and another country code.

    All that `plain_digits` reads is accepted. A trunk `0` before a mobile number or after the country code is dropped.

    Raises:
        InvalidRequestError: naming `field`, never repeating the text of `raw`.
    """
    written = plain_digits(raw, field=field)
    if written.startswith("0086"):
        written = CHINA + written[4:]
    if written.startswith(CHINA):
        significant = written.removeprefix(CHINA).removeprefix("0")
    elif written.startswith("+"):
        return _parse_other_country(written, field=field)
    elif written.startswith("00"):
        raise build_number_error("begins with a dialling prefix: write + and the country code", field=field)
    elif written.startswith("0") or _MOBILE.fullmatch(written):
        significant = written.removeprefix("0")
    else:
        raise build_number_error("is neither a Chinese mobile number nor a landline that begins with 0", field=field)
    if not is_chinese_subscriber(significant):
        raise build_number_error(_NOT_A_SUBSCRIBER, field=field)
    return PhoneNumber(e164=CHINA + significant)


def chinese_national_form(number: PhoneNumber) -> str:
    """Return a Chinese number as it is dialled in China.

    A landline has a 0 before its area code. A mobile number has no 0.

    Raises:
        InvalidRequestError: naming `to`, if the number is not Chinese.
    """
    significant = number.e164.removeprefix(CHINA)
    if significant == number.e164 or not is_chinese_subscriber(significant):
        raise build_number_error(_NOT_A_SUBSCRIBER, field="to")
    return significant if _MOBILE.fullmatch(significant) else "0" + significant


def is_chinese_subscriber(significant: str) -> bool:
    """Return whether these digits (no country code, no trunk 0) are a mobile number or a landline.

    400 and 800 numbers belong to services, which get no voice notices.
    """
    if _SERVICE.fullmatch(significant):
        return False
    return bool(_MOBILE.fullmatch(significant) or _LANDLINE.fullmatch(significant))


def _parse_other_country(e164: str, *, field: str) -> PhoneNumber:
    """Build the number, and name `field` instead of `e164` in its error."""
    try:
        return PhoneNumber(e164=e164)
    except InvalidRequestError as error:
        raise InvalidRequestError(
            *(FieldProblem(field=field, message=problem.message, code=problem.code) for problem in error.problems)
        ) from None
