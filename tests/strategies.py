"""Build the hypothesis strategies that several test files use."""

from __future__ import annotations

from hypothesis import strategies as st

_HYPHENS = ["", "-", "\u2010", "\u2013", "\u2212", "\uff0d", "\u30fc", " ", "\u3000"]
_FULL_WIDTH = str.maketrans(
    "0123456789+()", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff0b\uff08\uff09"
)


def any_text(*, max_size: int = 200) -> st.SearchStrategy[str]:
    """Draw any Python string: astral, combining, NUL and lone surrogates, and Japanese more often than by chance."""
    any_character = st.characters(exclude_categories=())
    japanese = st.characters(min_codepoint=0x3000, max_codepoint=0x30FF)
    # Composing pairs, newlines, look-alikes and characters that two encodings disagree on: chance never picks them.
    awkward = st.sampled_from("\r\n\t \u3000か\u3099e\u0301A\u030a\u00c5\u212b～－∥￠￡￢—¥‾①㈱髙ｶﾞ😀❤\ufe0f\u200d~\\`^")
    ascii_text = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
    return st.text(st.one_of(ascii_text, japanese, awkward, any_character), max_size=max_size)


def sendable_text(*, max_size: int = 200) -> st.SearchStrategy[str]:
    """Draw a text of one or more characters that can be sent. Only its length may be wrong."""
    alphabet = st.sampled_from("aZ09 ~\\\n.:/日本語漢字あアｱﾞ、。〜−“”☆ＡЖΩ")
    return st.builds("{}{}".format, st.sampled_from("aあｱ"), st.text(alphabet, max_size=max_size))


def mobile_numbers() -> st.SearchStrategy[str]:
    """Draw a Japanese mobile number in national form. Its fourth digit is 0, so no subscriber holds it."""
    subscriber = st.integers(min_value=0, max_value=9_999_999).map("{:07d}".format)
    return st.builds("{}0{}".format, st.sampled_from(["060", "070", "090"]), subscriber)


@st.composite
def written_forms(draw: st.DrawFn, national: str) -> str:
    """Draw a way in which people write one Japanese number (given in national form). It reads as the same number."""
    separator = st.sampled_from(_HYPHENS)
    prefix = draw(st.sampled_from(["0", "+81", "81", "+81(0)", "(+81)"]))
    blocks = [prefix + national[1:3], national[3:7], national[7:]]
    written = blocks[0] + draw(separator) + blocks[1] + draw(separator) + blocks[2]
    written = written.translate(_FULL_WIDTH) if draw(st.booleans()) else written
    return draw(st.sampled_from(["", " ", "\u3000"])) + written
