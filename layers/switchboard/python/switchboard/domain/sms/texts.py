"""Count an SMS text, find the characters that it cannot carry, and apply each carrier's limit to it.

Characters: an SMS carries JIS X 0208 in Shift_JIS. MediaSMS takes UTF-8, counts Shift_JIS bytes and forbids
環境依存文字 (environment-dependent characters) without listing them. Here these are the characters that Python's strict
`shift_jis` codec lacks after normalisation, and two characters (U+00A5, U+203E) that the codec turns into other ones.
The others are normalised to the lossless spelling that is sent.

Lengths: MediaSMS cuts a longer text off without an error. The document (parameters `smstext` and `smstext2`) allows at
most 140 bytes counted in Shift_JIS. On every carrier but au one 2-byte character lowers the limit to 70 characters in
all. The long-text option allows 670 characters (1340 bytes). If the document is silent, this module takes the reading
that cuts nothing:

- A newline counts as two characters and two bytes (the provider's newer manual).
- Half-width kana, one byte in Shift_JIS, count like any other Japanese character outside au's byte rule.
- Long texts end at 660, the figure published for docomo, except on au (670). This holds for ASCII too, because 1340
  is the number of bytes of 670 two-byte units.
- The document says nothing about long texts overseas. The limit there is one SMS: 140 characters of the GSM alphabet,
  in which ^{}[]~| and the backslash count twice, else 70.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from switchboard.domain.errors import FieldProblem, InvalidRequestError

MAX_CODE_POINTS: Final = 10_000
"""The length of the longest text that is examined. No text near this length can be sent."""

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

# Look-alikes that differ only in the conversion table that made them, and white space in its plain form.
_NORMAL_FORM: Final = str.maketrans(
    {
        "\uff5e": "\u301c",  # FULLWIDTH TILDE -> WAVE DASH
        "\uff0d": "\u2212",  # FULLWIDTH HYPHEN-MINUS -> MINUS SIGN
        "\u2225": "\u2016",  # PARALLEL TO -> DOUBLE VERTICAL LINE
        "\uffe0": "\u00a2",  # FULLWIDTH CENT SIGN -> CENT SIGN
        "\uffe1": "\u00a3",  # FULLWIDTH POUND SIGN -> POUND SIGN
        "\uffe2": "\u00ac",  # FULLWIDTH NOT SIGN -> NOT SIGN
        "\u2014": "\u2015",  # EM DASH -> HORIZONTAL BAR
        "\u00a5": "\uffe5",  # YEN SIGN -> FULLWIDTH YEN SIGN: Shift_JIS turns the first into a backslash
        "\u00c5": "\u212b",  # NFC prefers the letter, and JIS X 0208 has it as ANGSTROM SIGN only
        "\u00a0": " ",
    }
)
_LOSSY: Final = frozenset("\u00a5\u203e")  # the codec encodes them as other characters

_NEC_SPECIAL_LEAD: Final = 0x87
_IBM_EXTENSION_LEADS: Final = frozenset({0xED, 0xEE})
_EMOJI_RANGES: Final = (
    ("\u2300", "\u23ff"),
    ("\u2600", "\u27bf"),
    ("\u2b00", "\u2bff"),
    ("\U0001f000", "\U0001faff"),
    ("\U000e0020", "\U000e007f"),
)
_EMOJI_JOINERS: Final = frozenset("\u200d\u20e3\ufe0f")


class Carrier(StrEnum):
    """The carrier that delivers an SMS to the phone. `OVERSEAS` stands for every carrier outside Japan.

    The spelling is our own. A provider's digits for the carriers stay with the provider.
    """

    DOCOMO = "docomo"
    SOFTBANK = "softbank"
    AU = "au"
    YMOBILE = "ymobile"
    OVERSEAS = "overseas"


DOMESTIC_CARRIERS: Final = (Carrier.DOCOMO, Carrier.SOFTBANK, Carrier.AU, Carrier.YMOBILE)


class RefusalCode(StrEnum):
    """The reasons for which a character cannot be sent."""

    CONTROL_CHARACTER = "control_character"
    NEC_SPECIAL_CHARACTER = "nec_special_character"
    IBM_EXTENSION_CHARACTER = "ibm_extension_character"
    GAIJI = "gaiji"
    EMOJI = "emoji"
    LONE_SURROGATE = "lone_surrogate"
    NOT_IN_SHIFT_JIS = "not_in_shift_jis"


_CODES_BY_CATEGORY: Final = {  # by Unicode's general category
    "Cc": RefusalCode.CONTROL_CHARACTER,
    "Cs": RefusalCode.LONE_SURROGATE,
    "Co": RefusalCode.GAIJI,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedCharacter:
    """One character that cannot be sent. `position` is its 0-based code point index in the caller's text."""

    character: str
    position: int
    code: RefusalCode


def normalise(text: str) -> str:
    r"""Return the text as it is counted and sent: NFC, `\n` for every newline, one spelling for each look-alike.

    No character is dropped and no reading changes. A tab becomes a space.

    Raises:
        InvalidRequestError: if the text is longer than MAX_CODE_POINTS. NFC takes quadratic time on hostile input.
    """
    if len(text) > MAX_CODE_POINTS:
        raise InvalidRequestError(
            FieldProblem(field="text", message=f"is longer than {MAX_CODE_POINTS} characters", code="too_long")
        )
    composed = text if text.isascii() else unicodedata.normalize("NFC", text).translate(_NORMAL_FORM)
    return composed.replace("\t", " ").replace("\r\n", "\n").replace("\r", "\n")


def encoded_length(clean: str) -> int:
    """Count the Shift_JIS bytes of a normalised text: two for a newline and for each character that it lacks."""
    encodable = len(clean.encode("shift_jis", "ignore"))
    lacking = len(clean.encode("shift_jis", "replace")) - encodable
    return encodable + 2 * lacking + clean.count("\n")


def refusal_code(character: str) -> RefusalCode | None:
    """Return the reason why one normalised character cannot be sent, or None if it can."""
    if character == "\n" or (character.isascii() and character.isprintable()):
        return None
    by_category = _CODES_BY_CATEGORY.get(unicodedata.category(character))
    if by_category or (_encode_or_empty(character, "shift_jis") and character not in _LOSSY):
        return by_category
    return _classify_unencodable(character)


def _classify_unencodable(character: str) -> RefusalCode:
    if character in _EMOJI_JOINERS or any(low <= character <= high for low, high in _EMOJI_RANGES):
        return RefusalCode.EMOJI
    lead = _encode_or_empty(character, "cp932")[:1]
    if lead and lead[0] == _NEC_SPECIAL_LEAD:
        return RefusalCode.NEC_SPECIAL_CHARACTER
    if lead and lead[0] in _IBM_EXTENSION_LEADS:
        return RefusalCode.IBM_EXTENSION_CHARACTER
    return RefusalCode.NOT_IN_SHIFT_JIS


def refused_characters(text: str) -> Iterator[RefusedCharacter]:
    """Yield the characters of the caller's text (MAX_CODE_POINTS at most) that cannot be sent, in order.

    The text is examined in clusters, each a base character with its combining marks: for everything that can be sent,
    normalisation never reaches across the bounds of a cluster. A refused character that normalisation composed (e +
    acute accent) has the position of its base.
    """
    if not any(map(refusal_code, set(normalise(text)))):  # the usual case, and fast: each distinct character once
        return
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        yield from _find_refused(text[start:end], start)
        start = end


def _find_refused(cluster: str, start: int) -> list[RefusedCharacter]:
    clean = normalise(cluster)
    if len(cluster) == 1:  # report the caller's character once, even if NFC takes it apart
        code = next(filter(None, map(refusal_code, clean)), None)
        return [RefusedCharacter(character=cluster, position=start, code=code)] if code else []
    positions: dict[str, list[int]] = {}
    for index, character in enumerate(cluster, start):
        positions.setdefault(character, []).append(index)
    refused = []
    for character in reversed(clean):  # from the end: if a mark is repeated, the first one was composed away
        unused = positions.get(character)
        position = unused.pop() if unused else start
        if code := refusal_code(character):
            refused.append(RefusedCharacter(character=character, position=position, code=code))
    return refused[::-1]


def _encode_or_empty(character: str, encoding: str) -> bytes:
    try:
        return character.encode(encoding)
    except UnicodeEncodeError:
        return b""


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
    """Count a text that `normalise` returned."""
    characters = len(clean.encode("utf-16-le", "surrogatepass")) // 2 + clean.count("\n")
    is_ascii = clean.isascii()
    in_gsm = is_ascii and "`" not in clean
    return Measure(
        characters=characters,
        bytes_sjis=encoded_length(clean),
        is_ascii=is_ascii,
        gsm_characters=characters + sum(map(clean.count, _GSM_ESCAPED)) if in_gsm else None,
    )


def apply_carrier_rules(
    carriers: Iterable[Carrier], text: Measure, *, long_sms: bool, sendable: bool
) -> dict[Carrier, CarrierView]:
    """Apply each carrier's rule to a text.

    `sendable` means that the text is not blank and that every character of it can be sent.
    """
    return {carrier: _apply_rule(carrier, text, long_sms=long_sms, sendable=sendable) for carrier in carriers}


def _apply_rule(carrier: Carrier, text: Measure, *, long_sms: bool, sendable: bool) -> CarrierView:
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
