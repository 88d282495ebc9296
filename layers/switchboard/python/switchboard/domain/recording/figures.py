"""Measure a conversation for supervisors: who spoke how long, silence, overlap, interruptions and speed.

Talk, silence and overlap need only intervals of speech, which the loudness of the files also gives. All times are in
milliseconds from the start of the recording, and every share is between 0 and 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from switchboard.domain.recording.facts import Channel, Role
from switchboard.domain.recording.transcript_document import Intervals, TranscriptDocument
from switchboard.domain.recording.turns import Turn, Utterance, build_turns

MIN_HOLD_MS: Final = 20_000
"""A silence of both sides that is longer is a hold."""

MIN_INTERRUPTION_MS: Final = 300
"""An interruption begins this long after the other speaker's start and before the end."""

_MS_PER_MINUTE: Final = 60_000
_PLACEHOLDER: Final = re.compile(r"\[[a-z_]+\]")
_UNSPACED_LANGUAGES: Final = frozenset({"ja", "zh"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of the recording."""

    start_ms: int
    end_ms: int

    @property
    def duration_ms(self) -> int:
        """The length."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """The time that a role spoke, and its share of the time that all roles spoke."""

    duration_ms: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """The figures that follow from intervals of speech alone.

    `silence_share` is the share of the recording in which no role spoke. A hold is a silence beyond MIN_HOLD_MS.
    """

    talk: Mapping[Role, Talk]
    silence_ms: int
    silence_share: float
    longest_silence: Span | None
    overlap_ms: int
    holds: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Monologue:
    """A turn and its role."""

    role: Role
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a transcript.

    `interruptions` counts for each role how often it began to speak during the other's speech and spoke on.
    `per_minute` is the number of characters (Japanese, Chinese) or words that a role speaks in a minute of its talk;
    placeholders do not count. `echo_share` is the share of echo in all words. `redacted` counts removed parts by kind.
    """

    activity: Activity
    interruptions: Mapping[Role, int]
    longest_monologue: Monologue | None
    per_minute: Mapping[Role, float]
    unit: str
    echo_share: float
    redacted: Mapping[str, int] = field(default_factory=dict)


def measure_activity(
    speech: Mapping[Channel, Iterable[tuple[int, int]]], *, roles: Mapping[Channel, Role], duration_ms: int
) -> Activity:
    """Measure talk, silence and overlap from each channel's intervals of speech, which may touch or overlap."""
    merged = {channel: tuple(_merge(intervals)) for channel, intervals in speech.items()}
    talk_ms = {roles[channel]: _total(intervals) for channel, intervals in merged.items()}
    spoken = tuple(_merge(interval for intervals in merged.values() for interval in intervals))
    # The time before the first and behind the last interval is silence, too.
    end_ms = max([duration_ms, *(end for _, end in spoken)])
    edges = [(0, 0), *spoken, (end_ms, end_ms)]
    silent_spans = [
        Span(start_ms=before[1], end_ms=after[0]) for before, after in pairwise(edges) if after[0] > before[1]
    ]
    silence_ms = sum(silence.duration_ms for silence in silent_spans)
    all_talk_ms = sum(talk_ms.values())
    return Activity(
        talk={role: Talk(duration_ms=ms, share=_ratio(ms, all_talk_ms)) for role, ms in talk_ms.items()},
        silence_ms=silence_ms,
        silence_share=_ratio(silence_ms, end_ms),
        longest_silence=max(silent_spans, key=lambda silence: silence.duration_ms, default=None),
        overlap_ms=all_talk_ms - _total(spoken),
        holds=tuple(silence for silence in silent_spans if silence.duration_ms > MIN_HOLD_MS),
    )


def measure_figures(document: TranscriptDocument, *, roles: Mapping[Channel, Role]) -> Figures:
    """Measure a transcript. An utterance is an interval of speech, and echo is not counted."""
    turns = build_turns(document.words, roles=roles)
    speech: dict[Channel, list[tuple[int, int]]] = {channel: [] for channel in document.words}
    for turn in turns:
        speech[turn.channel] += ((utterance.start_ms, utterance.end_ms) for utterance in turn.utterances)
    activity = measure_activity(speech, roles=roles, duration_ms=document.duration_ms)
    is_unspaced = document.language.partition("-")[0].lower() in _UNSPACED_LANGUAGES
    counts: Counter[Role] = Counter()
    for turn in turns:
        counts[turn.role] += _count_characters(turn) if is_unspaced else _count_words(turn)
    words = [word for channel_words in document.words.values() for word in channel_words]
    longest = max(turns, key=lambda turn: turn.end_ms - turn.start_ms, default=None)
    return Figures(
        activity=activity,
        interruptions=_count_interruptions(turns, roles=[roles[channel] for channel in document.words]),
        longest_monologue=None if longest is None else _build_monologue(longest),
        per_minute={
            role: round(counts[role] * _MS_PER_MINUTE / talk.duration_ms, 1) if talk.duration_ms else 0.0
            for role, talk in activity.talk.items()
        },
        unit="characters" if is_unspaced else "words",
        echo_share=_ratio(sum(word.echo for word in words), len(words)),
        redacted=document.removed,
    )


def _build_monologue(turn: Turn) -> Monologue:
    return Monologue(role=turn.role, span=Span(start_ms=turn.start_ms, end_ms=turn.end_ms))


def _merge(intervals: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the intervals in their order, with those that touch or overlap as one."""
    current: tuple[int, int] | None = None
    for start, end in sorted(intervals):
        if current is None or start > current[1]:
            if current is not None:
                yield current
            current = (start, end)
        else:
            current = (current[0], max(current[1], end))
    if current is not None:
        yield current


def _total(intervals: Intervals) -> int:
    return sum(end - start for start, end in intervals)


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _count_characters(turn: Turn) -> int:
    return sum(character.isalnum() for character in _PLACEHOLDER.sub("", turn.text))


def _count_words(turn: Turn) -> int:
    return sum(any(map(str.isalnum, _PLACEHOLDER.sub("", word.text))) for word in turn.words)


def _count_interruptions(turns: Sequence[Turn], *, roles: Iterable[Role]) -> dict[Role, int]:
    """Count for each role the utterances that begin during another speaker's utterance and outlast it."""
    counts = dict.fromkeys(roles, 0)
    utterances = sorted(
        ((utterance, turn.role) for turn in turns if not turn.backchannel for utterance in turn.utterances),
        key=lambda pair: (pair[0].start_ms, pair[0].end_ms),
    )
    latest: dict[tuple[Channel, str], Utterance] = {}
    for utterance, role in utterances:
        others = (other for speaker, other in latest.items() if speaker != utterance.speaker)
        counts[role] += any(_interrupts(utterance, other) for other in others)
        latest[utterance.speaker] = utterance
    return counts


def _interrupts(utterance: Utterance, other: Utterance) -> bool:
    begins_inside = other.start_ms + MIN_INTERRUPTION_MS <= utterance.start_ms <= other.end_ms - MIN_INTERRUPTION_MS
    return begins_inside and utterance.end_ms > other.end_ms
