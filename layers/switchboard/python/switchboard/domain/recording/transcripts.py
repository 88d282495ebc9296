"""Derive the state of a recording's transcript from its facts.

Facts are kept in sets, as those of `facts.py` are: repeated, late and reordered ones change nothing. None holds a text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from switchboard.domain.recording.facts import Channel, FetchEnd, Recording, StoredFile
from switchboard.domain.recording.transcript_facts import (
    FailureReason,
    Source,
    StoredTranscript,
    TranscriptionAttempt,
    TranscriptionEnd,
    TranscriptionOutcome,
)

MAX_GENERATIONS: Final = 3
"""The jobs for the same audio, if they fail for a reason that may go away."""
_MAX_UNREADABLE: Final = 2
_MP3: Final = "audio/mpeg"


_RETRIED: Final = frozenset(
    {FailureReason.NOT_ACCESSIBLE, FailureReason.INTERNAL, FailureReason.UNREADABLE, FailureReason.LOST}
)
_TWO_JOBS_INSTEAD: Final = frozenset({FailureReason.NOT_JOINABLE, FailureReason.MEDIA})


def channels_of(source: Source) -> tuple[Channel, ...]:
    """Return the channels in the order in which the audio of a source has them."""
    return (Channel.LEFT, Channel.RIGHT) if source is Source.JOINED else (Channel(source.value),)


class TranscriptState(StrEnum):
    """The contract's states of a transcript."""

    NONE = "none"
    WAITING = "waiting"
    RECOGNIZING = "recognizing"
    READY = "ready"
    PARTIAL = "partial"
    EMPTY = "empty"
    FAILED = "failed"

    @property
    def readable(self) -> bool:
        """True if there is a transcript to read, be it without a word."""
        return self in (TranscriptState.READY, TranscriptState.PARTIAL, TranscriptState.EMPTY)


class Progress(StrEnum):
    """The states of one source."""

    TO_START = "to_start"
    RUNNING = "running"
    READY = "ready"
    EMPTY = "empty"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """True if no request about the source follows."""
        return self not in (Progress.TO_START, Progress.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """The status of one source.

    `attempt` is its present job, or None if the next one has the number `generation` and is not decided on yet.
    `digest` and `language` are those of the earlier jobs, or None if there was none.
    """

    source: Source
    files: tuple[StoredFile, ...]
    progress: Progress
    generation: int = 1
    attempt: TranscriptionAttempt | None = None
    digest: str | None = None
    language: str | None = None
    transcript: StoredTranscript | None = None
    reason: FailureReason | None = None
    words: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The SHA-256 of the files."""
        return tuple(file.sha256 for file in self.files)

    @property
    def seconds(self) -> float | None:
        """The length of the longest file, or None if a file does not tell its length."""
        lengths = [file.seconds for file in self.files if file.seconds is not None]
        return max(lengths) if len(lengths) == len(self.files) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptStatus:
    """The status of a recording's transcript.

    `reason` says what it waits for or why it failed. `transcripts` are the stored parts to read.
    """

    state: TranscriptState
    reason: str | None = None
    language: str | None = None
    transcripts: tuple[StoredTranscript, ...] = ()


def files_of(recording: Recording) -> Mapping[Channel, StoredFile]:
    """Return the stored file of each channel: the first one that was stored."""
    outcomes = sorted(
        (outcome for outcome in recording.outcomes if outcome.end is FetchEnd.STORED and outcome.file),
        key=lambda outcome: (outcome.at, outcome.id),
        reverse=True,
    )
    return {outcome.channel: outcome.file for outcome in outcomes if outcome.file}


def sources_of(recording: Recording) -> tuple[SourceStatus, ...]:
    """Return the status of each source that the transcript is made of.

    Both channels are one job if their files can be joined, and else two. Monaural goes before one channel alone.
    """
    files = files_of(recording)
    if Channel.LEFT in files and Channel.RIGHT in files:
        if all(files[channel].content_type == _MP3 for channel in channels_of(Source.JOINED)):
            joined = _status_of_source(recording, Source.JOINED, files)
            if joined.progress is not Progress.FAILED or joined.reason not in _TWO_JOBS_INSTEAD:
                return (joined,)
        return tuple(_status_of_source(recording, source, files) for source in (Source.LEFT, Source.RIGHT))
    for source in (Source.MONAURAL, Source.LEFT, Source.RIGHT):
        if channels_of(source)[0] in files:
            return (_status_of_source(recording, source, files),)
    return ()


def status_of_transcript(recording: Recording, *, wanted: bool) -> TranscriptStatus:
    """Derive the status of the transcript. `wanted` is the policy's: True if this deployment makes transcripts.

    A recording is recognised after its last channel is decided.
    """
    sources = sources_of(recording)
    if not sources or not _is_begun(recording, sources):
        is_open = wanted and recording.closed_at is None
        return TranscriptStatus(
            state=TranscriptState.WAITING if is_open else TranscriptState.NONE,
            reason="recording_open" if is_open else None,
        )
    language = _language_of(recording)
    unfinished = [source for source in sources if not source.progress.final]
    if not unfinished:
        return _combine(recording, sources, language)
    is_running = any(source.progress is Progress.RUNNING for source in unfinished)
    state = TranscriptState.RECOGNIZING if is_running else TranscriptState.WAITING
    reason = None if is_running else recording.transcription_waits_for
    earlier = _read_before(recording, unfinished)
    if earlier is None:
        return TranscriptStatus(state=state, reason=reason, language=language)
    return TranscriptStatus(
        state=TranscriptState.PARTIAL, reason=reason or state.value, language=language, transcripts=(earlier,)
    )


def _read_before(recording: Recording, unfinished: Collection[SourceStatus]) -> StoredTranscript | None:
    """Return the newest transcript that was stored before a late channel's jobs began, or None if there is none."""
    begun = [source.attempt.at for source in unfinished if source.attempt is not None]
    stored = [t for t in recording.transcripts if t.words and all(t.at < at for at in begun)]
    return max(stored, key=lambda transcript: (transcript.at, transcript.job), default=None)


def _combine(recording: Recording, sources: Collection[SourceStatus], language: str | None) -> TranscriptStatus:
    """Return the status of sources that are all final."""
    progress = {source.progress for source in sources}
    ready = tuple(source.transcript for source in sources if source.transcript is not None)
    failed = next((source for source in sources if source.progress is Progress.FAILED), None)
    reason = None if failed is None else failed.words or failed.reason
    if Progress.READY in progress:
        is_whole = failed is None and sum(len(channels_of(source.source)) for source in sources) == 2
        state = TranscriptState.READY if is_whole else TranscriptState.PARTIAL
        return TranscriptStatus(state=state, reason=reason, language=language, transcripts=ready)
    if failed is None:
        return TranscriptStatus(state=TranscriptState.EMPTY, language=language, transcripts=ready)
    # A channel that came late may have failed: what was stored before it came is still true.
    earlier = tuple(sorted((stored for stored in recording.transcripts if stored.words), key=lambda stored: stored.at))
    if earlier:
        return TranscriptStatus(
            state=TranscriptState.PARTIAL, reason=reason, language=language, transcripts=earlier[-1:]
        )
    return TranscriptStatus(state=TranscriptState.FAILED, reason=reason, language=language)


def _is_begun(recording: Recording, sources: Collection[SourceStatus]) -> bool:
    """Return whether the transcript is awaited, or any job was decided on."""
    return recording.transcription_due is not None or any(source.digest is not None for source in sources)


def _language_of(recording: Recording) -> str | None:
    newest = max(recording.transcription_attempts, key=lambda attempt: (attempt.at, attempt.job), default=None)
    return None if newest is None else newest.language


def _status_of_source(recording: Recording, source: Source, files: Mapping[Channel, StoredFile]) -> SourceStatus:
    """Derive the status of a source from the jobs for exactly its files.

    The first job's settings count for all that follow: another language or vocabulary asks for nothing again.
    """
    its_files = tuple(files[channel] for channel in channels_of(source))
    inputs = tuple(file.sha256 for file in its_files)
    attempts = [
        attempt for attempt in recording.transcription_attempts if attempt.source is source and attempt.inputs == inputs
    ]
    if not attempts:
        return SourceStatus(source=source, files=its_files, progress=Progress.TO_START)
    newest = max(attempts, key=lambda attempt: (attempt.at, attempt.job))
    digest = newest.digest
    attempt = max((a for a in attempts if a.digest == digest), key=lambda a: a.generation)
    status = SourceStatus(
        source=source,
        files=its_files,
        progress=Progress.TO_START,
        generation=attempt.generation,
        attempt=attempt,
        digest=digest,
        language=newest.language,
    )
    jobs = {attempt.job for attempt in attempts}
    stored = min((t for t in recording.transcripts if t.job in jobs), key=lambda t: (t.at, t.job), default=None)
    if stored is not None:
        return replace(status, progress=Progress.READY if stored.words else Progress.EMPTY, transcript=stored)
    outcomes = [outcome for outcome in recording.transcription_outcomes if outcome.job == attempt.job]
    last = min((outcome for outcome in outcomes if outcome.end.final), key=_by_time, default=None)
    if last is None:
        return replace(status, progress=Progress.RUNNING) if outcomes else status
    if last.end is TranscriptionEnd.EMPTY:
        return replace(status, progress=Progress.EMPTY, reason=last.reason)
    status = replace(status, progress=Progress.FAILED, reason=last.reason, words=last.words)
    if not _may_try_again(recording, attempts, digest, last.reason):
        return status
    return replace(status, progress=Progress.TO_START, generation=attempt.generation + 1, attempt=None)


def _may_try_again(
    recording: Recording, attempts: Collection[TranscriptionAttempt], digest: str, reason: FailureReason | None
) -> bool:
    jobs = {attempt.job for attempt in attempts if attempt.digest == digest}
    unreadable = sum(
        outcome.job in jobs and outcome.reason is FailureReason.UNREADABLE
        for outcome in recording.transcription_outcomes
    )
    return reason in _RETRIED and len(jobs) < MAX_GENERATIONS and unreadable < _MAX_UNREADABLE


def _by_time(outcome: TranscriptionOutcome) -> tuple[datetime, str]:
    return outcome.at, outcome.end.value
