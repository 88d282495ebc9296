"""Find the characters that an SMS cannot carry, and normalise the others to the lossless spelling that is sent.

An SMS carries JIS X 0208 in Shift_JIS. MediaSMS takes UTF-8, counts Shift_JIS bytes and forbids 環境依存文字
(environment-dependent characters) without listing them. Here these are the characters that Python's strict `shift_jis`
codec lacks after normalisation, and two characters (U+00A5, U+203E) that the codec turns into other ones.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError

MAX_CODE_POINTS: Final = 10_000
"""The length of the longest text that is examined. No text near this length can be sent."""

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
