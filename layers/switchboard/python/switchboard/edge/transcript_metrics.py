"""Counts and logs the results of the work on transcripts. Nothing that was said stands in either."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from switchboard.domain.recording.transcript_facts import FailureReason, TranscriptionEnd
from switchboard.domain.recording.transcripts import TranscriptState
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count
from switchboard.usecases.recording.start_transcription import StartResult
from switchboard.usecases.recording.store_transcript import StoreResult

_END_METRICS: Final[dict[TranscriptionEnd, Metric]] = {
    TranscriptionEnd.STARTED: Metric.TRANSCRIPTIONS_STARTED,
    TranscriptionEnd.ALREADY_STARTED: Metric.TRANSCRIPTIONS_STARTED,
    TranscriptionEnd.EMPTY: Metric.TRANSCRIPTIONS_EMPTY,
    TranscriptionEnd.COMPLETED: Metric.TRANSCRIPTS_STORED,
    TranscriptionEnd.REFUSED: Metric.TRANSCRIPTIONS_FAILED,
    TranscriptionEnd.FAILED: Metric.TRANSCRIPTIONS_FAILED,
    TranscriptionEnd.LOST: Metric.TRANSCRIPTIONS_FAILED,
}
_Ends = Iterable[tuple[TranscriptionEnd, FailureReason | None]]


def start_fields(result: StartResult) -> dict[str, object]:
    """Return the members of the log line of one look at what is to be started."""
    return {
        "recording_id": _show_id(result),
        "state": result.state,
        "ends": _name(result.ends),
        "waits_for": result.waits_for,
    }


def store_fields(result: StoreResult) -> dict[str, object]:
    """Return the members of the log line of one look at running jobs."""
    return {
        "recording_id": _show_id(result),
        "state": result.state,
        "ends": _name(result.ends),
        "words": result.words,
    }


def count_start(result: StartResult) -> None:
    """Count the jobs that were asked for, the seconds that they cost, and what waits."""
    _count_ends(result.ends)
    if result.billed_seconds:
        count(Metric.TRANSCRIPTION_SECONDS, result.billed_seconds)
    if result.waits_for is not None:
        count(Metric.TRANSCRIPTIONS_POSTPONED)
    if result.account_refused:
        count(Metric.PROVIDER_CONFIGURATION_REFUSED)


def count_store(result: StoreResult) -> None:
    """Count how each job ended."""
    _count_ends(result.ends)
    if result.account_refused or any(reason is FailureReason.NOT_ACCESSIBLE for _, reason in result.ends):
        count(Metric.PROVIDER_CONFIGURATION_REFUSED)


def _show_id(result: StartResult | StoreResult) -> str | None:
    """Return the id of a recording with audio. Until BIZTEL has given us a file of it, the id may be invented."""
    return None if result.state in (None, TranscriptState.NONE) else result.recording_id


def _count_ends(ends: _Ends) -> None:
    for end, _ in ends:
        count(_END_METRICS[end])


def _name(ends: _Ends) -> list[str]:
    return [end.value if reason is None else f"{end.value}: {reason.value}" for end, reason in ends]
