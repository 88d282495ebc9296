"""Fetch what is still missing of one recording, as far as may be now, and see to it that somebody looks again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from switchboard.domain.errors import (
    AuthenticationFailedError,
    ConfigurationError,
    ForbiddenError,
    LockedOutError,
    MonthlyQuotaExhaustedError,
    NotSentError,
    ProviderError,
    ProviderNotFoundError,
    RateLimitedError,
    RefusedError,
    SlotUnavailableError,
    StoreUnavailableError,
    SwitchboardError,
)
from switchboard.domain.recording.facts import (
    SPLIT,
    Channel,
    FetchAttempt,
    FetchEnd,
    FetchOutcome,
    Recording,
    StoredFile,
)
from switchboard.domain.recording.object_keys import recording_key
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.status import RecordingStatus, fetch_deadline
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.recordings import JobStore, RecordingFiles, RecordingQueue, RecordingSource, RecordingStore
from switchboard.ports.usage_limits import MonthlyQuota
from switchboard.usecases.insistence import insist
from switchboard.usecases.submission.wait_for_slot import wait_for_slot

LONGEST_DELAY_S: Final = 900
"""SQS' own limit for one entry. Whoever waits longer waits in the table, for the sweep."""

# The sweep puts an entry into the queue again that should have come by then. A queue loses nothing, and may be long:
# where each look waits for a provider that cannot be reached, a thousand entries take minutes to come round, and every
# one that the sweep adds while the first is still on its way makes it longer.
_GRACE: Final = timedelta(minutes=30)
_SOON: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPace:
    """How long to wait for what. An invocation with less than `least_s` left begins no download; one download lasts
    `longest_s` at most, and `margin_s` is kept for writing down how it ended."""

    wait_budget: timedelta = timedelta(seconds=3)
    requeue_delay: timedelta = timedelta(seconds=10)
    closed_for: timedelta = timedelta(minutes=10)
    longest_s: float = 400.0
    least_s: float = 60.0
    margin_s: float = 20.0


@dataclass(slots=True, kw_only=True)
class FetchResult:
    """What one look came to. `ends` are the attempts made now; `closed` says that this look was the last one;
    `requeue_reason` names why it ended before its time."""

    recording_id: str
    status: RecordingStatus | None = None
    ends: Mapping[Channel, FetchEnd] = field(default_factory=dict)
    closed: bool = False
    requeue_reason: str | None = None
    account_rejected: bool = False


class FetchRecording:
    """The queue's verb. An entry may come twice, late, or after everything is done: the attempt's claim lets one
    worker ask for a channel, and what is stored is never asked for again."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        recordings: RecordingStore,
        files: RecordingFiles,
        queue: RecordingQueue,
        source: RecordingSource,
        guard: ProviderGuard,
        quota: MonthlyQuota,
        policy: RecordingPolicy,
        clock: Clock,
        new_id: ClaimIds,
        pace: FetchPace | None = None,
    ) -> None:
        self._jobs = jobs
        self._recordings = recordings
        self._files = files
        self._queue = queue
        self._source = source
        self._guard = guard
        self._quota = quota
        self._policy = policy
        self._clock = clock
        self._new_id = new_id
        self._pace = pace or FetchPace()

    def __call__(self, recording_id: str, *, seconds_left: Callable[[], float]) -> FetchResult:
        """Returns once its effect, or an entry that comes later, is durable. Raises StoreUnavailableError where
        neither is: deliver it again.

        Whatever has to wait goes back as a new entry, so that waiting never uses up the deliveries after which an
        entry counts as poison. `seconds_left` is what this invocation has.
        """
        done = FetchResult(recording_id=recording_id)
        try:
            recording = insist(lambda: self._recordings.get(recording_id))
            if recording is None or all(each.by_file for each in recording.ready_facts):
                recording = self._load_job(recording_id) or recording
            if recording is not None:
                self._process(recording, done, seconds_left)
        except StoreUnavailableError:
            self._queue.put(recording_id, delay_s=_whole_seconds(self._pace.requeue_delay))
            done.requeue_reason = "store"
        return done

    def _load_job(self, recording_id: str) -> Recording | None:
        ready_fact = self._jobs.get(recording_id)
        if ready_fact is None:
            return None
        due = self._clock.now() + self._policy.deadlines.attempt_lasts
        return insist(lambda: self._recordings.announce(recording_id, ready_fact, due=due))

    def _process(self, recording: Recording, done: FetchResult, seconds_left: Callable[[], float]) -> None:
        if recording.closed_at is not None and self._policy.status(recording, now=self._clock.now()).final:
            done.status = self._policy.status(recording, now=self._clock.now())
            return
        pause: timedelta | None = None
        at_least = timedelta()
        ends: dict[Channel, FetchEnd] = {}
        # Monaural comes last: whether it is wanted may depend on what became of the others.
        for channel in (Channel.LEFT, Channel.RIGHT, Channel.MONAURAL):
            if not self._policy.may_attempt(recording, channel, now=self._clock.now()):
                continue
            if seconds_left() < self._pace.least_s:
                pause, done.requeue_reason = timedelta(), "time"
                break
            try:
                recording, outcome, wait = self._fetch(recording, channel, seconds_left)
            except (SlotUnavailableError, LockedOutError, MonthlyQuotaExhaustedError, NotSentError) as error:
                pause, done.requeue_reason = self._pause_after(error), _requeue_reason(error)
                recording = self._reload(recording)
                break
            at_least = max(at_least, wait)
            if outcome is None:
                continue
            ends[channel] = outcome.end
            if outcome.provider_code == _ACCOUNT_REJECTED:
                pause, done.requeue_reason, done.account_rejected = self._pace.closed_for, "account_rejected", True
                break
        done.ends = ends
        self._schedule_next(recording, done, pause=pause, at_least=at_least)

    def _reload(self, recording: Recording) -> Recording:
        return insist(lambda: self._recordings.get(recording.recording_id)) or recording

    def _pause_after(self, error: Exception) -> timedelta:
        if isinstance(error, SlotUnavailableError):
            return max(self._pace.requeue_delay, timedelta(seconds=min(error.retry_after_s, LONGEST_DELAY_S)))
        if isinstance(error, MonthlyQuotaExhaustedError):
            return timedelta(seconds=error.retry_after_s)
        return self._pace.closed_for if isinstance(error, LockedOutError) else self._pace.requeue_delay

    def _schedule_next(
        self, recording: Recording, done: FetchResult, *, pause: timedelta | None, at_least: timedelta
    ) -> None:
        """Writes down when to look again, and puts an entry into the queue where that is soon."""
        now = self._clock.now()
        done.status = status = self._policy.status(recording, now=now)
        if status.final:
            insist(lambda: self._recordings.schedule(recording, due=None, at=now))
            done.closed = recording.closed_at is None
            return
        due = self._policy.next_due(recording, now=now) or now
        if pause is not None:
            # Not past the moment at which something about it is decided, whatever it is waiting for.
            open_until = [each.fetch_deadline for each in status.channels.values() if not each.state.final]
            due = min(now + pause, *open_until)
        due = max(due, now + at_least, now + _SOON)
        delay_s = _whole_seconds(due - now)
        soon = delay_s <= LONGEST_DELAY_S
        looked_at = due + _GRACE if soon else due
        insist(lambda: self._recordings.schedule(recording, due=looked_at, at=now))
        if soon:
            self._queue.put(recording.recording_id, delay_s=delay_s)

    def _fetch(
        self, recording: Recording, channel: Channel, seconds_left: Callable[[], float]
    ) -> tuple[Recording, FetchOutcome | None, timedelta]:
        """One attempt at one channel: the recording as it is then, how the attempt ended (None: another worker has
        it), and how long the provider wants to be left alone. Raises where nothing was asked for."""
        self._source.open()
        now = self._clock.now()
        attempt = FetchAttempt(id=self._new_id(), channel=channel, at=now)
        unheard = any(each.channel is channel for each in recording.attempts)
        due = now + self._policy.deadlines.attempt_lasts
        claimed = insist(lambda: self._recordings.begin(recording, attempt, due=due))
        if claimed is None:
            return self._reload(recording), None, timedelta()
        key = recording_key(recording.recording_id, channel, at=recording.called_at or recording.announced_at)
        try:
            # A worker that died may have stored it and not have said so.
            found = self._files.find(key) if unheard else None
            end = FetchEnd.STORED if found else self._admit(claimed, channel)
        except (SwitchboardError, ConfigurationError):
            # Nothing was asked for. Where this cannot be written either, the attempt counts as one that never ended.
            insist(lambda: self._recordings.withdraw(recording.recording_id, attempt))
            raise
        wait = timedelta()
        code: str | None = None
        if end is None:
            limit_s = min(self._pace.longest_s, seconds_left() - self._pace.margin_s)
            found, end, code, wait = self._download(recording.recording_id, channel, key, limit_s=limit_s)
        outcome = FetchOutcome(
            id=attempt.id, channel=channel, at=self._clock.now(), end=end, file=found, provider_code=code
        )
        return insist(lambda: self._recordings.record_outcome(recording.recording_id, outcome)), outcome, wait

    def _admit(self, recording: Recording, channel: Channel) -> FetchEnd | None:
        """Waits for a slot and counts the request; None where it may be made now. An end where it never may."""
        admitted = wait_for_slot(
            self._guard,
            self._clock,
            connect=self._source.open,
            latest=self._clock.now() + self._pace.wait_budget,
            still_wanted=lambda: self._count(recording, channel),
        )
        return None if admitted else FetchEnd.QUOTA_EXHAUSTED

    def _count(self, recording: Recording, channel: Channel) -> bool:
        """Counts one request in the month. False where the month will not do and the policy has another file to
        fetch. Raises MonthlyQuotaExhaustedError where it is worth waiting for the next month, or nothing else can be
        done."""
        now = self._clock.now()
        try:
            self._quota.take(now, urgent=False)
        except MonthlyQuotaExhaustedError as spent:
            deadline = fetch_deadline(recording, channel, deadlines=self._policy.deadlines)
            if channel not in SPLIT or spent.retry_after < deadline:
                raise
            if self._policy.monaural_instead:
                return False
            self._quota.take(now, urgent=True)
        return True

    def _download(
        self, recording_id: str, channel: Channel, key: str, *, limit_s: float
    ) -> tuple[StoredFile | None, FetchEnd, str | None, timedelta]:
        told = False
        try:
            with self._source.download(recording_id, channel, deadline_s=limit_s) as download:
                self._record_result(None)
                told = True
                return self._files.store(key, download), FetchEnd.STORED, None, timedelta()
        except ProviderError as error:
            if not told:
                self._record_result(error)
            return None, _end_of(error), _code_of(error), _pause_asked_for(error)
        except StoreUnavailableError:
            return None, FetchEnd.FAILED, "store", timedelta()

    def _record_result(self, error: ProviderError | None) -> None:
        try:
            insist(lambda: self._guard.record_result(error))
        except StoreUnavailableError:
            # The file matters more than the circuit's count, and the next reservation fails closed anyway.
            return


_ACCOUNT_REJECTED: Final = "account_rejected"
"""A type that stands in a success's body decides nothing, so this is none of them."""
_REQUEUE_REASONS: Final[Mapping[type[Exception], str]] = {
    SlotUnavailableError: "no_slot",
    LockedOutError: "locked_out",
    MonthlyQuotaExhaustedError: "quota_exhausted",
    NotSentError: "not_reached",
}


def _requeue_reason(error: Exception) -> str:
    return next(reason for kind, reason in _REQUEUE_REASONS.items() if isinstance(error, kind))


def _end_of(error: ProviderError) -> FetchEnd:
    if isinstance(error, ProviderNotFoundError):
        return FetchEnd.NOT_FOUND
    if isinstance(error, ForbiddenError):
        return FetchEnd.FORBIDDEN
    return FetchEnd.REFUSED if isinstance(error, RefusedError) else FetchEnd.FAILED


def _code_of(error: ProviderError) -> str | None:
    return _ACCOUNT_REJECTED if isinstance(error, AuthenticationFailedError) else error.provider_code


def _pause_asked_for(error: ProviderError) -> timedelta:
    if isinstance(error, RateLimitedError):
        return timedelta(seconds=error.retry_after_s or 1.0)
    return timedelta()


def _whole_seconds(pause: timedelta) -> int:
    return math.ceil(pause.total_seconds())
