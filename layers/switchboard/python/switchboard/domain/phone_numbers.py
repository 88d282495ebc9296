"""Read telephone numbers as people write them, and hold them in E.164, masked wherever they are printed.

The rules are those of MediaSMS' parameter `mobilenumber`. A mobile number has 11 digits and begins with 090, 080, 070,
060 or 020. A number of 10 digits is for verification only. An overseas number begins with its country code. Two rules
are more liberal than the Japanese numbering plan. Both concern only numbers that no subscriber holds:

- The plan hands out 1-9 as the fourth digit of a mobile or 050 number. The document does not require that, so
  090-0000-0001 is well-formed here and can stand in examples. 0800 is refused all the same: it is toll-free.
- Area codes are not looked up one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError

MAX_WRITTEN_LENGTH: Final = 64
"""More characters than any telephone number is written with. Longer input is refused unread."""

MIN_OVERSEAS_SMS_DIGITS: Final = 11
"""MediaSMS, `mobilenumber`: an overseas number has at least this many digits, its country code included."""

_HYPHENS: Final = "\\-\u2010-\u2015\u2043\u2212\u2500\u30fc\ufe58\ufe63\uff0d\uff70"
_DOTS: Final = ".\u00b7\u2022\u2024\u2027\u22c5\u30fb\uff0e\uff65"
_PARENTHESES: Final = "()\uff08\uff09"
# Address books and web pages add these unseen: soft hyphens, joiners, directions of writing, byte order marks, fillers
# and the selectors that make emoji.
_INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
_MARKS: Final = re.compile(f"[\\s{re.escape(_PARENTHESES + _DOTS)}{_HYPHENS}{_INVISIBLE}]")
_URI: Final = re.compile("(?:tel|\uff54\uff45\uff4c):(?://)?", re.IGNORECASE)
# A spreadsheet adds a point and zeros, which are no digits of the number. No such group of digits is that short.
_DECIMAL: Final = re.compile(r"\.[^0-9]*[0-9][^0-9]*\Z|\A[^.]*\.[^0-9]*[0-9]{2}[^0-9]*\Z")
_TO_ASCII: Final = str.maketrans(
    "\uff0b\uff0e\uff1a\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19", "+.:0123456789"
)

_MOBILE_PREFIXES: Final = frozenset({"060", "070", "080", "090"})
# Ten digits with such a prefix are a longer number with one digit missing (010 is the international prefix).
_NEVER_FIXED_PREFIXES: Final = _MOBILE_PREFIXES | {"010", "020", "050"}
_SERVICE_PREFIXES: Final = frozenset({"0120", "0170", "0180", "0190", "0570", "0800", "0910", "0990"})


class NumberKind(StrEnum):
    """The sort of subscription that a number belongs to, as far as its digits tell."""

    MOBILE = "mobile"
    M2M = "m2m"
    """020: machines. MediaSMS takes it, and most such subscriptions do not receive SMS from people."""
    IP_PHONE = "ip_phone"
    """050: no SMS. The lines that MediaSMS' verification is called on are of this kind."""
    FIXED = "fixed"
    OVERSEAS = "overseas"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PhoneNumber:
    """A well-formed number in E.164 (`+` and digits). It prints masked, so that no log or traceback shows it.

    Raises:
        InvalidRequestError: if `e164` is not a number that `parse_phone_number` returns.
    """

    e164: str

    def __post_init__(self) -> None:
        digits = self.e164[1:]
        if not self.e164.startswith("+") or not _is_ascii_digits(digits):
            raise build_number_error("is not an E.164 number", field="e164")
        if self.is_japanese:
            _require_japanese(self.national, field="e164")
        else:
            _require_overseas(digits, field="e164")

    @property
    def is_japanese(self) -> bool:
        """True for a number with Japan's country code."""
        return self.e164.startswith("+81")

    @property
    def national(self) -> str:
        """The digits only: for Japan the national form with its leading 0, else country code and number."""
        return "0" + self.e164[3:] if self.is_japanese else self.e164[1:]

    @property
    def kind(self) -> NumberKind:
        """The sort of subscription."""
        if not self.is_japanese:
            return NumberKind.OVERSEAS
        return _require_japanese(self.national, field="e164")

    @property
    def masked(self) -> str:
        """The last three digits only, for people and logs, without a hint of the length."""
        return "***" + self.e164[-3:]

    def __repr__(self) -> str:
        return f"PhoneNumber({self.masked})"


def parse_phone_number(raw: str, *, field: str = "to") -> PhoneNumber:
    """Read a number written in national form, `+81…`, `81…` or `+` and another country code.

    All that `plain_digits` reads is accepted. A trunk `0` after `+81` is dropped.

    Raises:
        InvalidRequestError: naming `field`, never repeating the text of `raw`.
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
    """Reduce a written number to ASCII digits, with a leading `+` if it has one.

    Spaces, line ends, hyphens, dots and parentheses of the usual shapes are dropped, and so are invisible marks and a
    leading `tel:`. Full-width digits are read. Parameters of a `tel:` URI are refused: they may change the number.

    Raises:
        InvalidRequestError: naming `field`, never repeating the text of `raw`.
    """
    if len(raw) > MAX_WRITTEN_LENGTH:
        raise build_number_error("is too long to be a telephone number", field=field)
    ascii_text = raw.translate(_TO_ASCII)
    written = _MARKS.sub("", ascii_text)
    uri = _URI.match(written)
    written = written[uri.end() :] if uri else written
    digits = written.removeprefix("+")
    if not digits:
        raise build_number_error("is empty", field=field)
    if not _is_ascii_digits(digits) or _DECIMAL.search(ascii_text):
        message = "may hold only digits, spaces, hyphens, dots, parentheses, a leading + and tel:"
        raise build_number_error(message, field=field)
    return written


def check_sms_recipient(number: PhoneNumber, *, overseas_prefixes: tuple[str, ...], field: str = "to") -> None:
    """Check that MediaSMS' document takes this number as the recipient of an SMS.

    A number outside Japan must begin with one of `overseas_prefixes` (`+` and digits). Without prefixes no number
    outside Japan is taken.

    Raises:
        InvalidRequestError: naming `field`, if the number cannot receive SMS.
    """
    match number.kind:
        case NumberKind.MOBILE | NumberKind.M2M:
            return
        case NumberKind.FIXED:
            raise build_number_error("is a fixed line, which cannot receive SMS", field=field, code="not_sms_capable")
        case NumberKind.IP_PHONE:
            message = "is an IP telephone (050), which cannot receive SMS"
            raise build_number_error(message, field=field, code="not_sms_capable")
        case NumberKind.OVERSEAS if not number.e164.startswith(overseas_prefixes):
            message = "is outside Japan, in a country that this deployment does not send to"
            raise build_number_error(message, field=field, code="overseas_not_allowed")
        case NumberKind.OVERSEAS if len(number.national) < MIN_OVERSEAS_SMS_DIGITS:
            message = f"needs at least {MIN_OVERSEAS_SMS_DIGITS} digits with its country code to receive SMS"
            raise build_number_error(message, field=field)


def canonical_tel(tel: str) -> str:
    """Convert a telephone number to E.164, and return any other text unchanged.

    Other texts are an extension, masked digits, `anonymous` or the empty text.
    """
    try:
        return parse_phone_number(tel).e164
    except InvalidRequestError:
        return tel


def build_number_error(message: str, *, field: str, code: str = "invalid_phone_number") -> InvalidRequestError:
    """Build the error for a number that is refused. `message` must not repeat the number."""
    return InvalidRequestError(FieldProblem(field=field, message=message, code=code))


def _is_ascii_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _require_overseas(digits: str, *, field: str) -> None:
    """Require a country code that does not begin with 0, and 8 to 15 digits.

    E.164 allows 15 digits at most. 8 is the shortest length in real use.
    """
    if digits.startswith("0"):
        raise build_number_error("needs a country code after the +", field=field)
    if not 8 <= len(digits) <= 15:
        raise build_number_error("needs 8 to 15 digits with its country code", field=field)


def _require_japanese(national: str, *, field: str) -> NumberKind:
    """Return the kind of a number in national form (digits only).

    Raises:
        InvalidRequestError: naming `field` and the reason, if the plan has no such number or it is not supported.
    """
    prefix, length = national[:3], len(national)
    if not national.startswith("0"):
        if length == 3:
            raise _build_unsupported_error("is an emergency or service number", field=field)
        raise build_number_error("must begin with 0, or with + and a country code", field=field)
    if prefix == "010" or national.startswith("00"):
        raise build_number_error("begins with a dialling prefix: write + and the country code", field=field)
    if national[:4] in _SERVICE_PREFIXES:
        raise _build_unsupported_error("is a toll-free or service number", field=field)
    if national.startswith("0204"):
        raise _build_unsupported_error("is a pager number", field=field)
    if national.startswith("0200"):
        raise _build_unsupported_error("begins like a 14-digit machine number, which receives no SMS", field=field)
    if length == 11 and prefix in _MOBILE_PREFIXES:
        return NumberKind.MOBILE
    if length == 11 and prefix == "020":
        return NumberKind.M2M
    if length == 11 and prefix == "050":
        return NumberKind.IP_PHONE
    if length == 10 and prefix not in _NEVER_FIXED_PREFIXES:
        return NumberKind.FIXED
    expected_length = 11 if prefix in _NEVER_FIXED_PREFIXES else 10
    raise build_number_error(f"has {length} digits, and such a number has {expected_length}", field=field)


def _build_unsupported_error(message: str, *, field: str) -> InvalidRequestError:
    return build_number_error(message, field=field, code="number_not_supported")
