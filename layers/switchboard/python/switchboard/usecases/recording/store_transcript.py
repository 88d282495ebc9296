"""Ask the recogniser for a recording's jobs, and store the transcripts of those that have ended."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from switchboard.domain.errors import (
    ForbiddenError,
    LockedOutError,
    ProviderError,
    RateLimitedError,
    SlotUnavailableError,
    StoreUnavailableError,
    UnreadableResultError,
)
from switchboard.domain.recording.facts import Recording
from switchboard.domain.recording.object_keys import transcript_key
from switchboard.domain.recording.transcript_facts import (
    FailureReason,
    StoredTranscript,
    TranscriptionAttempt,
    TranscriptionEnd,
    TranscriptionOutcome,
)
from switchboard.domain.recording.transcription_policy import LONGEST_PAUSE, LOST_AFTER, next_look
from switchboard.domain.recording.transcripts import (
    Progress,
    SourceStatus,
    TranscriptState,
    files_of,
    sources_of,
    status_of_transcript,
)
from switchboard.ports.clock import Clock
from switchboard.ports.transcripts import (
    JobState,
    Recognizer,
    RecognizerGuard,
    TranscriptFiles,
    TranscriptionQueues,
    TranscriptionStore,
)
from switchboard.usecases.recording.prepare_transcript import PrepareTranscript
from switchboard.usecases.submission.wait_for_slot import wait_for_slot

_WAIT_BUDGET: Final = timedelta(seconds=5)
_RETRY_AFTER: Final = timedelta(minutes=1)
_QUEUE_GRACE: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreResult:
    """The result of one look: the ends that it recorded, with the reason of each, and the words that it stored.

    `account_refused` is True if the recogniser refused our account.
    """

    recording_id: str
    state: TranscriptState | None = None
    ends: tuple[tuple[TranscriptionEnd, FailureReason | None], ...] = ()
    words: int = 0
    account_refused: bool = False


class StoreTranscript:
    """The use case behind the recogniser's events and the sweep's looks.

    An event is a hint: the recogniser is asked in any case. A job of which no Start is recorded is asked for too, since
    its event may come first.
    """

    def __init__(
        self,
        *,
        recordings: TranscriptionStore,
        recognizer: Recognizer,
        guard: RecognizerGuard,
        transcripts: TranscriptFiles,
        queues: TranscriptionQueues,
        prepare: PrepareTranscript,
        clock: Clock,
    ) -> None:
        self._recordings = recordings
        self._recognizer = recognizer
        self._guard = guard
        self._transcripts = transcripts
        self._queues = queues
        self._prepare = prepare
        self._clock = clock

    def __call__(self, recording_id: str) -> StoreResult:
        """Look at every job of the recording that has not ended, and schedule the next look.

        Raises:
            StoreUnavailableError: it is not certain what is durable. The queue must deliver the entry again.
        """
        recording = self._recordings.get(recording_id)
        if recording is None:
            return StoreResult(recording_id=recording_id)
        ends: list[tuple[TranscriptionEnd, FailureReason | None]] = []
        words, account_refused, unanswered = 0, False, list[TranscriptionAttempt]()
        for source in sources_of(recording):
            if source.attempt is None or source.progress.final:
                continue
            try:
                outcome, transcript = self._look(recording, source, source.attempt)
            except (SlotUnavailableError, LockedOutError, ProviderError) as error:
                account_refused |= isinstance(error, ForbiddenError)
                unanswered.append(source.attempt)
                continue
            if outcome is None:
                continue
            recording = self._recordings.record(recording_id, outcome, transcript=transcript)
            ends.append((outcome.end, outcome.reason))
            words += transcript.words if transcript else 0
            with suppress(StoreUnavailableError):
                self._guard.release(outcome.job)
        self._schedule_next(recording, unanswered=unanswered)
        return StoreResult(
            recording_id=recording_id,
            state=status_of_transcript(recording, wanted=True).state,
            ends=tuple(ends),
            words=words,
            account_refused=account_refused,
        )

    def _look(
        self, recording: Recording, source: SourceStatus, attempt: TranscriptionAttempt
    ) -> tuple[TranscriptionOutcome | None, StoredTranscript | None]:
        """Look at one job. Return its end, or None if it goes on, and its transcript."""
        guard = self._guard.for_look()
        wait_for_slot(guard, self._clock, connect=_do_nothing, latest=self._clock.now() + _WAIT_BUDGET)
        now = self._clock.now()
        is_late = now >= attempt.at + LOST_AFTER

        def end_with(
            end: TranscriptionEnd, reason: FailureReason | None = None, words: str | None = None
        ) -> TranscriptionOutcome:
            return TranscriptionOutcome(job=attempt.job, end=end, at=now, reason=reason, words=words)

        try:
            look = self._recognizer.look(attempt.job)
            if look.state is JobState.COMPLETED:
                return end_with(TranscriptionEnd.COMPLETED), self._store(recording, source, attempt)
        except UnreadableResultError:
            self._recognizer.quarantine(attempt.job, at=now)
            return end_with(TranscriptionEnd.FAILED, FailureReason.UNREADABLE), None
        except RateLimitedError as error:
            with suppress(StoreUnavailableError):
                guard.record_result(error)
            raise
        except ProviderError:
            if not is_late:
                raise
            return end_with(TranscriptionEnd.LOST, FailureReason.LOST), None
        if look.state is JobState.FAILED:
            return end_with(TranscriptionEnd.FAILED, look.reason or FailureReason.INTERNAL, look.words), None
        is_lost = look.state is JobState.NOT_FOUND and source.progress is Progress.RUNNING
        if is_lost or is_late:
            return end_with(TranscriptionEnd.LOST, FailureReason.LOST), None
        return None, None

    def _store(self, recording: Recording, source: SourceStatus, attempt: TranscriptionAttempt) -> StoredTranscript:
        """Write the transcript once, and return the fact about what is stored.

        Raises:
            UnreadableResultError: the recogniser's result cannot be read.
        """
        words = self._recognizer.result(attempt.job, attempt.source)
        transcript = self._prepare(source, words, files=files_of(recording))
        key = transcript_key(recording.recording_id, attempt.job, at=recording.called_at or recording.announced_at)
        content = self._transcripts.write(key, transcript.content)
        return StoredTranscript(
            job=attempt.job,
            key=key,
            sha256=hashlib.sha256(content).hexdigest(),
            words=transcript.words,
            removed=tuple(sorted(transcript.removed.items())),
            rules=transcript.rules,
            at=self._clock.now(),
        )

    def _schedule_next(self, recording: Recording, *, unanswered: list[TranscriptionAttempt]) -> None:
        """Record when to look again, and let a worker start what is to be started."""
        now = self._clock.now()
        sources = sources_of(recording)
        running = [s.attempt for s in sources if s.progress is Progress.RUNNING and s.attempt]
        looks = [next_look(attempt, now=now) for attempt in running]
        to_start = [source.reason for source in sources if source.progress is Progress.TO_START]
        if to_start and all(reason is FailureReason.NOT_ACCESSIBLE for reason in to_start):
            # An operator has to give the recogniser the right to read first.
            self._recordings.schedule(recording, due=min([now + LONGEST_PAUSE, *looks]), waits_for="configuration")
            return
        # A recogniser that does not answer is asked after a minute, and then after as long as the job has run.
        pauses = [min(max(now - attempt.at, _RETRY_AFTER), LONGEST_PAUSE) for attempt in unanswered]
        if to_start:
            looks.append(now + _RETRY_AFTER + _QUEUE_GRACE)
        looks += [now + pause for pause in pauses]
        if recording.transcription_due is None and not looks:
            return
        self._recordings.schedule(recording, due=min(looks, default=None))
        if to_start:
            self._queues.put_start(recording.recording_id)


def _do_nothing() -> None:
    """Open no connection ahead: AWS's client keeps its own."""
