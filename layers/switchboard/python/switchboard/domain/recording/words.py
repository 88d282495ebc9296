"""Hold the words that a recogniser found on each channel of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from switchboard.domain.recording.facts import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One recognised word with its times in milliseconds from the start of the recording.

    Punctuation is part of the word before it. `confidence` is between 0 and 1, or None if the recogniser gives none.
    `speaker` is the recogniser's label if one channel holds several speakers, otherwise empty. An `echo` is the speech
    of the other channel: it is kept, but left out of texts and figures.
    """

    start_ms: int
    end_ms: int
    text: str
    confidence: float | None = None
    speaker: str = ""
    echo: bool = False


ChannelWords: TypeAlias = Mapping[Channel, tuple[Word, ...]]
"""The words of each recognised channel, in the order of their start."""
