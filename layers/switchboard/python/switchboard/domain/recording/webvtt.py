"""Write turns as WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format"), one voice span a cue."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from switchboard.domain.recording.plain_text import name_speaker
from switchboard.domain.recording.turns import MAX_PAUSE_MS, Turn, join_words
from switchboard.domain.recording.words import Word

MAX_CUE_MS: Final = 7_000
"""The longest cue, unless a single word is longer."""

MAX_CUE_COLUMNS: Final = 80
"""The widest text of a cue: a full-width character takes two columns. A single word may be wider."""

_ENDS: Final = tuple("。！？、，；：.!?,;:")
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def to_webvtt(turns: Sequence[Turn], *, language: str) -> str:
    """Write the turns as a WebVTT file: cues in the order of their start, lines ended by LF, no byte order mark.

    A turn that is too long for one cue is cut behind punctuation or at a pause, or between two words without either.
    `language` decides the names of the speakers, as in `name_speaker`.
    """
    cues = []
    for turn in turns:
        name = _escape(name_speaker(turn, language=language))
        for words in _cut_into_cues(turn.words):
            start_ms = words[0].start_ms
            end_ms = max(start_ms + 1, *(word.end_ms for word in words))
            cues.append((start_ms, end_ms, f"<v {name}>{_escape(join_words(words))}"))
    cues.sort(key=lambda cue: cue[:2])
    blocks = [f"{_write_time(start)} --> {_write_time(end)}\n{text}\n" for start, end, text in cues]
    return "\n".join(["WEBVTT\n", *blocks])


def _cut_into_cues(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Yield the words of each cue. A turn has at least one word, and so has each cue."""
    start = end = 0  # the words of the cue so far, and the place of its last good cut
    columns = columns_at_end = 0
    for at, word in enumerate(words):
        width = _count_columns(word.text)
        while at > start and (columns + width > MAX_CUE_COLUMNS or word.end_ms - words[start].start_ms > MAX_CUE_MS):
            if end == start:
                end, columns_at_end = at, columns
            yield words[start:end]
            columns -= columns_at_end
            start, columns_at_end = end, 0
        columns += width
        pauses = at + 1 < len(words) and words[at + 1].start_ms - word.end_ms > MAX_PAUSE_MS
        if pauses or word.text.endswith(_ENDS):
            end, columns_at_end = at + 1, columns
    yield words[start:]


@lru_cache(maxsize=4096)
def _count_columns(text: str) -> int:
    """Return the columns of a word, with one for a blank behind a word that may need it."""
    return sum(2 if unicodedata.east_asian_width(character) in "WFA" else 1 for character in text) + text.isascii()


def _escape(text: str) -> str:
    return " ".join(text.split()).translate(_ESCAPES)


def _write_time(time_ms: int) -> str:
    seconds, milliseconds = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{milliseconds:03}"
