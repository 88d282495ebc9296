"""Telephone numbers as people write them, turned into E.164 or refused, and never shown whole.

The rules are the Japanese numbering plan in the form that MediaSMS' parameter `mobilenumber` takes: 11 digits
that begin with 090, 080, 070, 060 or 020, 10 digits only for verification, overseas numbers with their country
code. Two liberties, both towards numbers that nobody holds: the plan hands out 1-9 as the fourth digit of a
mobile or 050 number, which the document does not ask for, hence 090-0000-0001 is well-formed here and can stand
in examples (0800 is toll-free all the same); and area codes are not looked up one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError

MAX_WRITTEN_LENGTH: Final = 64
"""More characters than any telephone number is written with; longer input is refused unread."""

MIN_OVERSEAS_SMS_DIGITS: Final = 11
"""MediaSMS, `mobilenumber`: an overseas number has at least this many digits, its country code included."""

_HYPHENS: Final = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u2500\u30fc\ufe58\ufe63\uff0d\uff70"
_BLANKS: Final = " \u00a0\u3000"
_PARENTHESES: Final = "()\uff08\uff09"
_WRITTEN: Final = str.maketrans(
    "\uff0b\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19",
    "+0123456789",
    _HYPHENS + _BLANKS + _PARENTHESES,
)

_MOBILE_PREFIXES: Final = frozenset({"060", "070", "080", "090"})
# Ten digits that begin like this are a longer number with one missing (or 010, the international prefix).
_NEVER_FIXED_PREFIXES: Final = _MOBILE_PREFIXES | {"010", "020", "050"}
_SERVICE_PREFIXES: Final = frozenset({"0120", "0170", "0180", "0190", "0570", "0800", "0910", "0990"})


class NumberKind(StrEnum):
    """What sort of subscription a number belongs to, as far as its digits tell."""

    MOBILE = "mobile"
    M2M = "m2m"
    """020: machines. MediaSMS takes it, and most such subscriptions do not receive SMS from people."""
    IP_PHONE = "ip_phone"
    """050: no SMS; the lines that MediaSMS' verification is called on are of this kind."""
    FIXED = "fixed"
    OVERSEAS = "overseas"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PhoneNumber:
    """A well-formed number in E.164 (`+` and digits). It prints masked, so that no log or traceback shows it.

    Raises InvalidRequestError when `e164` is not a number that `parse_phone_number` would give.
    """

    e164: str

    def __post_init__(self) -> None:
        digits = self.e164[1:]
        if not self.e164.startswith("+") or not _all_digits(digits):
            raise _refused("e164", "invalid_phone_number", "is not an E.164 number")
        if self.is_japanese:
            _require_japanese(self.national, field="e164")
        else:
            _require_overseas(digits, field="e164")

    @property
    def is_japanese(self) -> bool:
        return self.e164.startswith("+81")

    @property
    def national(self) -> str:
        """Digits only: the national form with its leading 0 for Japan, else country code and number."""
        return "0" + self.e164[3:] if self.is_japanese else self.e164[1:]

    @property
    def kind(self) -> NumberKind:
        if not self.is_japanese:
            return NumberKind.OVERSEAS
        return _require_japanese(self.national, field="e164")

    @property
    def masked(self) -> str:
        """For people and logs: the last three digits only, and no hint of the length."""
        return "***" + self.e164[-3:]

    def __repr__(self) -> str:
        return f"PhoneNumber({self.masked})"


def parse_phone_number(raw: str, *, field: str = "to") -> PhoneNumber:
    """Read a number written in national form, `+81…`, `81…` or `+` and another country code.

    Spaces, hyphens and parentheses of the usual shapes and full-width digits are accepted; a trunk `0` kept
    after `+81` is dropped. Raises InvalidRequestError naming `field`, never repeating what was written.
    """
    written = plain_digits(raw, field=field)
    digits = written.removeprefix("+")
    if digits.startswith("81"):  # with or without +: no national number begins with 8
        national = "0" + digits[2:].removeprefix("0")
    elif written.startswith("+"):
        _require_overseas(digits, field=field)
        return PhoneNumber(e164="+" + digits)
    else:
        national = digits
    _require_japanese(national, field=field)
    return PhoneNumber(e164="+81" + national[1:])


def plain_digits(raw: str, *, field: str = "to") -> str:
    """What was written as ASCII digits, after a `+` where one came first.

    Spaces, hyphens and parentheses of the usual shapes and full-width digits are read. Raises InvalidRequestError
    naming `field`, never repeating what was written.
    """
    if len(raw) > MAX_WRITTEN_LENGTH:
        raise _refused(field, "invalid_phone_number", "is too long to be a telephone number")
    written = raw.translate(_WRITTEN)
    digits = written.removeprefix("+")
    if not digits:
        raise _refused(field, "invalid_phone_number", "is empty")
    if not _all_digits(digits):
        raise _refused(field, "invalid_phone_number", "may hold digits, spaces, hyphens, parentheses and a leading +")
    return written


def check_sms_recipient(number: PhoneNumber, *, overseas_prefixes: tuple[str, ...], field: str = "to") -> None:
    """Raise InvalidRequestError unless MediaSMS' document takes this number as the recipient of an SMS.

    A number outside Japan has to begin with one of `overseas_prefixes` (`+` and digits), so that none may by default.
    """
    match number.kind:
        case NumberKind.MOBILE | NumberKind.M2M:
            return
        case NumberKind.FIXED:
            raise _refused(field, "not_sms_capable", "is a fixed line, which cannot receive SMS")
        case NumberKind.IP_PHONE:
            raise _refused(field, "not_sms_capable", "is an IP telephone (050), which cannot receive SMS")
        case NumberKind.OVERSEAS if not number.e164.startswith(overseas_prefixes):
            raise _refused(
                field, "overseas_not_allowed", "is outside Japan, in a country that this service is not set up for"
            )
        case NumberKind.OVERSEAS if len(number.national) < MIN_OVERSEAS_SMS_DIGITS:
            message = f"needs at least {MIN_OVERSEAS_SMS_DIGITS} digits with its country code to receive SMS"
            raise _refused(field, "invalid_phone_number", message)


def _all_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _require_overseas(digits: str, *, field: str) -> None:
    """E.164: a country code that does not begin with 0, 15 digits at most; 8 is the shortest in real use."""
    if digits.startswith("0"):
        raise _refused(field, "invalid_phone_number", "needs a country code after the +")
    if not 8 <= len(digits) <= 15:
        raise _refused(field, "invalid_phone_number", "needs 8 to 15 digits with its country code")


def _require_japanese(national: str, *, field: str) -> NumberKind:
    """The kind of a number in national form (digits only), or InvalidRequestError with what is wrong."""
    prefix, length = national[:3], len(national)
    if not national.startswith("0"):
        if length == 3:
            raise _refused(field, "number_not_supported", "is an emergency or service number")
        raise _refused(field, "invalid_phone_number", "must begin with 0, or with + and a country code")
    if prefix == "010" or national.startswith("00"):
        raise _refused(field, "invalid_phone_number", "begins with a dialling prefix: write + and the country code")
    if national[:4] in _SERVICE_PREFIXES:
        raise _refused(field, "number_not_supported", "is a toll-free or service number")
    if national.startswith("0204"):
        raise _refused(field, "number_not_supported", "is a pager")
    if national.startswith("0200"):
        raise _refused(field, "number_not_supported", "begins like a 14-digit machine number, which takes no SMS here")
    if length == 11 and prefix in _MOBILE_PREFIXES:
        return NumberKind.MOBILE
    if length == 11 and prefix == "020":
        return NumberKind.M2M
    if length == 11 and prefix == "050":
        return NumberKind.IP_PHONE
    if length == 10 and prefix not in _NEVER_FIXED_PREFIXES:
        return NumberKind.FIXED
    expected = 11 if prefix in _NEVER_FIXED_PREFIXES else 10
    raise _refused(field, "invalid_phone_number", f"has {length} digits where such a number has {expected}")


def _refused(field: str, code: str, message: str) -> InvalidRequestError:
    return InvalidRequestError(FieldProblem(field=field, message=message, code=code))


def canonical_tel(tel: str) -> str:
    """E.164 where it is a telephone number; else as it is: an extension, masked digits, `anonymous`, nothing."""
    try:
        return parse_phone_number(tel).e164
    except InvalidRequestError:
        return tel
