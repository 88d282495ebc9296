"""Ask the recogniser for the jobs that a recording's transcript needs."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from switchboard.domain.errors import (
    ForbiddenError,
    LockedOutError,
    MonthlyQuotaExhaustedError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    SlotUnavailableError,
    StoreUnavailableError,
)
from switchboard.domain.recording.facts import Recording
from switchboard.domain.recording.loudness import measure_loudness
from switchboard.domain.recording.mp3_join import NotJoinableError, join
from switchboard.domain.recording.transcript_facts import (
    FailureReason,
    Source,
    TranscriptionAttempt,
    TranscriptionEnd,
    TranscriptionOutcome,
)
from switchboard.domain.recording.transcription_policy import (
    LONGEST_PAUSE,
    TranscriptionPolicy,
    decide_unasked,
    next_look,
)
from switchboard.domain.recording.transcripts import (
    Progress,
    SourceStatus,
    TranscriptState,
    sources_of,
    status_of_transcript,
)
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.transcripts import (
    AudioFiles,
    Media,
    Recognizer,
    RecognizerGuard,
    TranscriptionQueues,
    TranscriptionStore,
)
from switchboard.ports.usage_limits import MonthlyQuota
from switchboard.usecases.submission.wait_for_slot import wait_for_slot

_WAIT_BUDGET: Final = timedelta(seconds=5)
_RETRY_AFTER: Final = timedelta(minutes=1)
_LOOK_AT_MONTH_AFTER: Final = timedelta(hours=6)
"""The longest pause of a recording that waits for the next month: an operator may raise the limit before."""
_MAX_QUEUE_DELAY_S: Final = 900
_QUEUE_GRACE: Final = timedelta(minutes=15)
"""The time by which an entry may be late before the sweep puts the recording into the queue again."""
_MP3: Final = "audio/mpeg"
_MAX_STEPS: Final = 8
"""More than the jobs that one recording can need in one invocation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartResult:
    """The result of one look at a recording.

    `ends` are the steps that this look recorded, with the reason of each. `waits_for` says for what the rest waits.
    `account_refused` is True if the recogniser refused our account or may not read the audio.
    """

    recording_id: str
    state: TranscriptState | None = None
    ends: tuple[tuple[TranscriptionEnd, FailureReason | None], ...] = ()
    billed_seconds: int = 0
    waits_for: str | None = None
    account_refused: bool = False


@dataclass(frozen=True, slots=True)
class _Wait:
    """The reason why a job was not asked for now, and the delay until the next try."""

    reason: str
    delay: timedelta


@dataclass(slots=True)
class _Steps:
    """The steps of one look so far."""

    ends: list[tuple[TranscriptionEnd, FailureReason | None]] = field(default_factory=list)
    billed_seconds: int = 0


class _AnotherWorkerError(Exception):
    """Another worker decided on a job of this recording in the same moment."""


class StartTranscription:
    """The use case behind the transcription queue.

    An entry may come twice, late, or after everything is done. The attempt is recorded before the recogniser is asked,
    and each further try has the same job name, which the recogniser takes once.
    """

    def __init__(
        self,
        *,
        recordings: TranscriptionStore,
        audio: AudioFiles,
        recognizer: Recognizer,
        guard: RecognizerGuard,
        quota: MonthlyQuota,
        queues: TranscriptionQueues,
        policy: TranscriptionPolicy,
        clock: Clock,
    ) -> None:
        self._recordings = recordings
        self._audio = audio
        self._recognizer = recognizer
        self._guard = guard
        self._quota = quota
        self._queues = queues
        self._policy = policy
        self._clock = clock

    def __call__(self, recording_id: str) -> StartResult:
        """Request the jobs that are missing, and schedule the next look.

        Raises:
            StoreUnavailableError: it is not certain what is durable. The queue must deliver the entry again.
        """
        recording = self._recordings.get(recording_id)
        if recording is None or recording.closed_at is None:
            # The worker that closes the recording puts it into this queue.
            return StartResult(recording_id=recording_id)
        steps, wait = _Steps(), None
        if self._policy.enabled:
            for _ in range(_MAX_STEPS):
                source = next((s for s in sources_of(recording) if s.progress is Progress.TO_START), None)
                if source is None:
                    break
                try:
                    recording = self._start(recording, source, steps)
                except _AnotherWorkerError:
                    wait = _Wait("another_worker", _RETRY_AFTER)
                except (SlotUnavailableError, LockedOutError, MonthlyQuotaExhaustedError, ProviderError) as error:
                    wait = _wait_after(error, tried_for=self._age_of(source.attempt))
                if wait is not None:
                    recording = self._recordings.get(recording_id) or recording
                    break
        self._schedule_next(recording, wait)
        return StartResult(
            recording_id=recording_id,
            state=status_of_transcript(recording, wanted=self._policy.enabled).state,
            ends=tuple(steps.ends),
            billed_seconds=steps.billed_seconds,
            waits_for=wait.reason if wait else None,
            account_refused=wait is not None and wait.reason == "configuration",
        )

    def _start(self, recording: Recording, source: SourceStatus, steps: _Steps) -> Recording:
        """Take one source one step further, and return the recording after it."""
        now = self._clock.now()
        attempt = source.attempt or self._plan(recording, source)
        if source.attempt is None:
            unasked = decide_unasked(source) or self._listen(source)
            if unasked is not None:
                return self._record_unasked(recording, attempt, unasked, steps)
        media = self._find_media(recording, source, attempt)
        if media is None:
            unasked = (TranscriptionEnd.FAILED, FailureReason.NOT_JOINABLE)
            return self._record_unasked(recording, attempt, unasked, steps)
        guard, begun = self._guard.for_start(attempt.job), [recording]

        def count_and_begin() -> bool:
            if source.attempt is None:
                self._quota.take(self._clock.now(), urgent=False, weight=attempt.billed_seconds)
                begun.append(self._begin(recording, attempt))
                steps.billed_seconds += attempt.billed_seconds
            return True

        try:
            wait_for_slot(
                guard, self._clock, connect=_do_nothing, latest=now + _WAIT_BUDGET, still_wanted=count_and_begin
            )
        except (MonthlyQuotaExhaustedError, _AnotherWorkerError):
            self._release(attempt.job)
            raise
        return self._ask(attempt, media, guard, begun[-1], steps)

    def _age_of(self, attempt: TranscriptionAttempt | None) -> timedelta:
        return self._clock.now() - attempt.at if attempt else timedelta()

    def _plan(self, recording: Recording, source: SourceStatus) -> TranscriptionAttempt:
        return self._policy.plan_attempt(recording.recording_id, source, at=self._clock.now())

    def _ask(
        self, attempt: TranscriptionAttempt, media: Media, guard: ProviderGuard, recording: Recording, steps: _Steps
    ) -> Recording:
        """Request the job, and record the answer of the recogniser.

        Raises:
            ProviderError: the recogniser did not take the job, or it is unknown if it did.
        """
        try:
            end = self._recognizer.start(attempt, media)
        except RefusedError as error:
            self._release(attempt.job)
            reason = FailureReason.REFUSED
            return self._record(recording, attempt, TranscriptionEnd.REFUSED, steps, reason=reason, words=str(error))
        except RateLimitedError as error:
            with suppress(StoreUnavailableError):
                guard.record_result(error)
            self._release(attempt.job)
            raise
        return self._record(recording, attempt, end, steps)

    def _listen(self, source: SourceStatus) -> tuple[TranscriptionEnd, FailureReason] | None:
        """Return the end of a source in which nothing is said, or None if the recogniser has to be asked."""
        for file in source.files:
            if file.content_type != _MP3:
                return None
            with self._audio.open(file) as chunks:
                loudness = measure_loudness(chunks)
            if loudness is None or not loudness.is_silent:
                return None
        return TranscriptionEnd.EMPTY, FailureReason.SILENT

    def _find_media(self, recording: Recording, source: SourceStatus, attempt: TranscriptionAttempt) -> Media | None:
        """Return the audio of a job, joined first if it has two channels, or None if it cannot be joined."""
        if source.source is not Source.JOINED:
            return self._audio.media(source.files[0])
        joined = self._audio.find_joined(recording.recording_id, attempt.digest)
        if joined is not None:
            return joined
        left, right = source.files
        with self._audio.open(left) as left_chunks, self._audio.open(right) as right_chunks:
            try:
                return self._audio.put_joined(recording.recording_id, attempt.digest, join(left_chunks, right_chunks))
            except NotJoinableError:
                return None

    def _begin(self, recording: Recording, attempt: TranscriptionAttempt) -> Recording:
        begun = self._recordings.begin(recording, attempt, due=attempt.at + _QUEUE_GRACE)
        if begun is None:
            raise _AnotherWorkerError
        return begun

    def _record_unasked(
        self,
        recording: Recording,
        attempt: TranscriptionAttempt,
        unasked: tuple[TranscriptionEnd, FailureReason],
        steps: _Steps,
    ) -> Recording:
        """Record an attempt that the recogniser is not asked for, with its end."""
        end, reason = unasked
        return self._record(
            self._begin(recording, replace(attempt, billed_seconds=0)), attempt, end, steps, reason=reason
        )

    def _record(
        self,
        recording: Recording,
        attempt: TranscriptionAttempt,
        end: TranscriptionEnd,
        steps: _Steps,
        *,
        reason: FailureReason | None = None,
        words: str | None = None,
    ) -> Recording:
        outcome = TranscriptionOutcome(job=attempt.job, end=end, at=self._clock.now(), reason=reason, words=words)
        recorded = self._recordings.record(recording.recording_id, outcome)
        steps.ends.append((end, reason))
        return recorded

    def _release(self, job: str) -> None:
        with suppress(StoreUnavailableError):
            self._guard.release(job)

    def _schedule_next(self, recording: Recording, wait: _Wait | None) -> None:
        """Record when to look again, and put an entry into the queue if that is soon."""
        now = self._clock.now()
        sources = sources_of(recording) if self._policy.enabled else ()
        running = [source.attempt for source in sources if source.progress is Progress.RUNNING and source.attempt]
        looks = [next_look(attempt, now=now) for attempt in running]
        if wait is None:
            self._recordings.schedule(recording, due=min(looks, default=None))
            return
        delay_s = math.ceil(wait.delay.total_seconds())
        fits_queue = delay_s <= _MAX_QUEUE_DELAY_S
        again = now + wait.delay + (_QUEUE_GRACE if fits_queue else timedelta())
        self._recordings.schedule(recording, due=min([again, *looks]), waits_for=wait.reason)
        if fits_queue:
            self._queues.put_start(recording.recording_id, delay_s=delay_s)


def _wait_after(
    error: SlotUnavailableError | LockedOutError | MonthlyQuotaExhaustedError | ProviderError, *, tried_for: timedelta
) -> _Wait:
    """Return the reason and the delay for an error after which the job is asked for again, under the same name.

    A recogniser that does not take the job is asked after a minute, and then after as long as it has not taken it.
    """
    if isinstance(error, MonthlyQuotaExhaustedError):
        return _Wait("month", min(timedelta(seconds=error.retry_after_s), _LOOK_AT_MONTH_AFTER))
    if isinstance(error, SlotUnavailableError | LockedOutError):
        return _Wait("permits", _RETRY_AFTER)
    if isinstance(error, ForbiddenError):
        return _Wait("configuration", LONGEST_PAUSE)
    return _Wait("recognizer", min(max(tried_for, _RETRY_AFTER), LONGEST_PAUSE))


def _do_nothing() -> None:
    """Open no connection ahead: AWS's client keeps its own."""
