"""Count an SMS text and apply each carrier's limit to it: MediaSMS cuts a longer text off without an error.

The document (parameters `smstext` and `smstext2`) allows at most 140 bytes counted in Shift_JIS. On every carrier but
au one 2-byte character lowers the limit to 70 characters in all. The long-text option allows 670 characters (1340
bytes). If the document is silent, this module takes the reading that cuts nothing:

- A newline counts as two characters and two bytes (the provider's newer manual).
- Half-width kana, one byte in Shift_JIS, count like any other Japanese character outside au's byte rule.
- Long texts end at 660, the figure published for docomo, except on au (670). This holds for ASCII too, because 1340
  is the number of bytes of 670 two-byte units.
- The document says nothing about long texts overseas. The limit there is one SMS: 140 characters of the GSM alphabet,
  in which ^{}[]~| and the backslash count twice, else 70.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from switchboard.domain.sms.carriers import Carrier
from switchboard.domain.sms.shift_jis import encoded_length

SHORT_ASCII_LIMIT: Final = 140
SHORT_LIMIT: Final = 70
AU_SHORT_BYTES: Final = 140
LONG_LIMIT: Final = 660
AU_LONG_LIMIT: Final = 670
LONG_SEGMENT: Final = 67
"""UTF-16 units in each part of a long text: 670 is ten parts.

docomo's 660 suggests 66 units there, which is only an inference. If it is right, some docomo texts take one part more
than `parts` says.
"""

_GSM_ESCAPED: Final = "^{}\\[~]|"

Unit = Literal["characters", "bytes_sjis", "gsm_characters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The counts of a normalised text. `characters` are UTF-16 units. In every count a newline is two."""

    characters: int
    bytes_sjis: int
    is_ascii: bool
    gsm_characters: int | None
    """The characters counted in the GSM alphabet, or None for a text outside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierView:
    """One carrier's count of a text: `used` of `limit`, both in `unit`.

    `fits` also means that the text is not blank and that every character of it can be sent.
    """

    characters: int
    bytes_sjis: int
    used: int
    limit: int
    unit: Unit
    parts: int
    fits: bool


def measure(clean: str) -> Measure:
    """Count a text that `shift_jis.normalise` returned."""
    characters = len(clean.encode("utf-16-le", "surrogatepass")) // 2 + clean.count("\n")
    is_ascii = clean.isascii()
    in_gsm = is_ascii and "`" not in clean
    return Measure(
        characters=characters,
        bytes_sjis=encoded_length(clean),
        is_ascii=is_ascii,
        gsm_characters=characters + sum(map(clean.count, _GSM_ESCAPED)) if in_gsm else None,
    )


def apply_carrier_rule(carrier: Carrier, text: Measure, *, long_sms: bool, sendable: bool) -> CarrierView:
    """Apply one carrier's rule to a text.

    `sendable` means that the text is not blank and that every character of it can be sent.
    """
    used, limit, unit = _select_rule(carrier, text, long_sms=long_sms)
    return CarrierView(
        characters=text.characters,
        bytes_sjis=text.bytes_sjis,
        used=used,
        limit=limit,
        unit=unit,
        parts=_count_measured_parts(text) if long_sms and carrier is not Carrier.OVERSEAS else 1,
        fits=sendable and used <= limit,
    )


def _select_rule(carrier: Carrier, text: Measure, *, long_sms: bool) -> tuple[int, int, Unit]:
    """Return the used amount, the limit and the unit of both."""
    match carrier:
        case Carrier.OVERSEAS if text.gsm_characters is not None:
            return text.gsm_characters, SHORT_ASCII_LIMIT, "gsm_characters"
        case Carrier.OVERSEAS:
            return text.characters, SHORT_LIMIT, "characters"
        case Carrier.AU if long_sms:
            return text.characters, AU_LONG_LIMIT, "characters"
        case Carrier.AU:
            return text.bytes_sjis, AU_SHORT_BYTES, "bytes_sjis"
        case _ if long_sms:
            return text.characters, LONG_LIMIT, "characters"
        case _:
            return text.characters, SHORT_ASCII_LIMIT if text.is_ascii else SHORT_LIMIT, "characters"


def count_parts(clean: str) -> int:
    """Count the parts in which a text that `shift_jis.normalise` returned arrives."""
    return _count_measured_parts(measure(clean))


def _count_measured_parts(text: Measure) -> int:
    """Count one part for a text that fits a short SMS on any carrier, else segments (an upper estimate for ASCII)."""
    if text.characters <= (SHORT_ASCII_LIMIT if text.is_ascii else SHORT_LIMIT):
        return 1
    return -(-text.characters // LONG_SEGMENT)
