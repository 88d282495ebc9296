"""Which characters an SMS may hold (JIS X 0208 in Shift_JIS), and the lossless spelling that we send.

MediaSMS takes UTF-8, counts Shift_JIS bytes and forbids 環境依存文字 (environment-dependent characters)
without listing them. Here they are what Python's strict `shift_jis` codec lacks, after normalisation, and the two
characters (U+00A5, U+203E) that the codec would turn into other ones.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError

MAX_CODE_POINTS: Final = 10_000
"""No text near this length can be sent; anything longer is refused before it costs work."""

# Look-alikes that differ only in which table a conversion used, plus white space in its plain form.
_NORMAL_FORM: Final = str.maketrans(
    {
        "\uff5e": "\u301c",  # FULLWIDTH TILDE -> WAVE DASH
        "\uff0d": "\u2212",  # FULLWIDTH HYPHEN-MINUS -> MINUS SIGN
        "\u2225": "\u2016",  # PARALLEL TO -> DOUBLE VERTICAL LINE
        "\uffe0": "\u00a2",  # FULLWIDTH CENT SIGN -> CENT SIGN
        "\uffe1": "\u00a3",  # FULLWIDTH POUND SIGN -> POUND SIGN
        "\uffe2": "\u00ac",  # FULLWIDTH NOT SIGN -> NOT SIGN
        "\u2014": "\u2015",  # EM DASH -> HORIZONTAL BAR
        "\u00a5": "\uffe5",  # YEN SIGN -> FULLWIDTH YEN SIGN: Shift_JIS would make a backslash of it
        "\u00c5": "\u212b",  # NFC prefers the letter, and JIS X 0208 has it as ANGSTROM SIGN only
        "\u00a0": " ",
    }
)
_LOSSY: Final = frozenset("\u00a5\u203e")  # encoded by the codec, and as something else

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


class RefusalCode(StrEnum):
    """Why a character cannot be sent."""

    CONTROL_CHARACTER = "control_character"
    NEC_SPECIAL_CHARACTER = "nec_special_character"
    IBM_EXTENSION_CHARACTER = "ibm_extension_character"
    GAIJI = "gaiji"
    EMOJI = "emoji"
    LONE_SURROGATE = "lone_surrogate"
    NOT_IN_SHIFT_JIS = "not_in_shift_jis"


_CODES_BY_CATEGORY: Final = {  # of Unicode's general categories
    "Cc": RefusalCode.CONTROL_CHARACTER,
    "Cs": RefusalCode.LONE_SURROGATE,
    "Co": RefusalCode.GAIJI,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedCharacter:
    """One character that cannot be sent. `position` is its 0-based code point index in the text as given."""

    character: str
    position: int
    code: RefusalCode


def normalise(text: str) -> str:
    """The text as it is counted and sent: NFC, `\\n` for every newline, one spelling for each look-alike.

    Nothing is dropped and no reading changes; a tab becomes a space. Raises InvalidRequestError when the text
    is longer than MAX_CODE_POINTS, because NFC takes quadratic time on hostile input.
    """
    if len(text) > MAX_CODE_POINTS:
        raise InvalidRequestError(
            FieldProblem(field="text", message=f"is longer than {MAX_CODE_POINTS} characters", code="too_long")
        )
    composed = text if text.isascii() else unicodedata.normalize("NFC", text).translate(_NORMAL_FORM)
    return composed.replace("\t", " ").replace("\r\n", "\n").replace("\r", "\n")


def encoded_length(clean: str) -> int:
    """Bytes of a normalised text in Shift_JIS; a newline counts two, and so does what Shift_JIS lacks."""
    encodable = len(clean.encode("shift_jis", "ignore"))
    lacking = len(clean.encode("shift_jis", "replace")) - encodable
    return encodable + 2 * lacking + clean.count("\n")


def refusal_code(character: str) -> RefusalCode | None:
    """Why this one normalised character cannot be sent, or None."""
    if character == "\n" or (character.isascii() and character.isprintable()):
        return None
    by_category = _CODES_BY_CATEGORY.get(unicodedata.category(character))
    if by_category or (_encoded(character, "shift_jis") and character not in _LOSSY):
        return by_category
    return _environment_dependence(character)


def _environment_dependence(character: str) -> RefusalCode:
    if character in _EMOJI_JOINERS or any(low <= character <= high for low, high in _EMOJI_RANGES):
        return RefusalCode.EMOJI
    lead = _encoded(character, "cp932")[:1]
    if lead and lead[0] == _NEC_SPECIAL_LEAD:
        return RefusalCode.NEC_SPECIAL_CHARACTER
    if lead and lead[0] in _IBM_EXTENSION_LEADS:
        return RefusalCode.IBM_EXTENSION_CHARACTER
    return RefusalCode.NOT_IN_SHIFT_JIS


def refused_characters(text: str) -> Iterator[RefusedCharacter]:
    """What cannot be sent of a text as given (MAX_CODE_POINTS at most), in order.

    Works through the text a base character with its combining marks at a time, since normalisation never
    reaches across those bounds for anything that can be sent. A refused character that only came about by
    composing (e + acute accent) has the position of its base.
    """
    if not any(map(refusal_code, set(normalise(text)))):  # the usual text, at the cost of its repertoire
        return
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        yield from _refused_in(text[start:end], start)
        start = end


def _refused_in(cluster: str, start: int) -> list[RefusedCharacter]:
    clean = normalise(cluster)
    if len(cluster) == 1:  # report what the caller wrote, and once, even where NFC takes it apart
        code = next(filter(None, map(refusal_code, clean)), None)
        return [RefusedCharacter(character=cluster, position=start, code=code)] if code else []
    places: dict[str, list[int]] = {}
    for index, character in enumerate(cluster, start):
        places.setdefault(character, []).append(index)
    found = []
    for character in reversed(clean):  # from the end: where a mark is repeated, the first one was composed away
        where = places.get(character)
        position = where.pop() if where else start
        if code := refusal_code(character):
            found.append(RefusedCharacter(character=character, position=position, code=code))
    return found[::-1]


def _encoded(character: str, encoding: str) -> bytes:
    try:
        return character.encode(encoding)
    except UnicodeEncodeError:
        return b""
