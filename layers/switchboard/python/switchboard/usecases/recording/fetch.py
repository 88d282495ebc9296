"""Fetch the files of a recording that are still missing, and schedule the next look at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from switchboard.domain.errors import (
    AuthenticationFailedError,
    ConfigurationError,
    DownloadTooLargeError,
    ForbiddenError,
    LockedOutError,
    MonthlyQuotaExhaustedError,
    NotFoundRetriesError,
    NotSentError,
    ProviderError,
    ProviderNotFoundError,
    RateLimitedError,
    RefusedError,
    SlotUnavailableError,
    StoreUnavailableError,
    SwitchboardError,
    UnreadableJobError,
)
from switchboard.domain.recording.facts import (
    SPLIT,
    Channel,
    FetchAttempt,
    FetchEnd,
    FetchOutcome,
    ParkingReason,
    QuarantinedFile,
    Recording,
    StoredFile,
)
from switchboard.domain.recording.object_keys import recording_key, unrecognised_key
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.priority import is_dated_near, is_likely, parking_reason
from switchboard.domain.recording.status import RecordingStatus, fetch_deadline
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.recordings import JobStore, RecordingFiles, RecordingQueue, RecordingSource, RecordingStore
from switchboard.ports.usage_limits import AnnouncementLimits, MonthlyQuota
from switchboard.usecases.recording.close import CloseRecording
from switchboard.usecases.submission.wait_for_slot import wait_for_slot

_MAX_QUEUE_DELAY_S: Final = 900
"""SQS's limit for the delay of one entry. The sweep requeues a recording that has to wait longer."""
_QUEUE_GRACE: Final = timedelta(minutes=30)
"""The time by which an entry may be late before the sweep requeues its recording.

A queue loses no entry, but it may be long. While the provider cannot be reached, a thousand entries take minutes to
come round, and every further entry makes the queue longer.
"""
_MIN_DELAY: Final = timedelta(seconds=1)
_ACCOUNT_REJECTED: Final = "account_rejected"
"""Our own code for a refused account. The provider's error types are not used, since a success may carry one too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPace:
    """The waits and limits of one invocation.

    It waits for a slot for up to `wait_budget`. A recording that has to wait is requeued after `requeue_delay`, or
    after `locked_out_delay` if the provider refuses our account or our address. No download starts with less than
    `min_download_time_s` left in the invocation. A download lasts at most `max_download_s` and ends
    `reserved_for_writes_s` before the invocation does, so that its outcome can still be recorded.
    """

    wait_budget: timedelta = timedelta(seconds=3)
    requeue_delay: timedelta = timedelta(seconds=10)
    locked_out_delay: timedelta = timedelta(minutes=10)
    max_download_s: float = 400.0
    min_download_time_s: float = 60.0
    reserved_for_writes_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    """The result of one look at a recording.

    `ends` are the ends of the attempts that this look made. `closed` is True if this look was the recording's last.
    `requeue_reason` says why the look ended early, and `account_rejected` that the provider refused our account.
    `parked` is the reason if this look parked the recording. With `job_quarantined` the object of its report holds
    none and is in quarantine.
    """

    recording_id: str
    status: RecordingStatus | None = None
    ends: Mapping[Channel, FetchEnd] = field(default_factory=dict)
    closed: bool = False
    requeue_reason: str | None = None
    account_rejected: bool = False
    parked: ParkingReason | None = None
    job_quarantined: bool = False


@dataclass(frozen=True, slots=True)
class _Interruption:
    """The reason why a look ended before all channels were tried, and the delay until the next look."""

    reason: str
    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """The effect of one look: the recording after it, and the ends of its attempts.

    The provider may require `min_delay` before the next look. With `park` the recording waits for the sweep.
    """

    recording: Recording
    ends: Mapping[Channel, FetchEnd]
    park: bool = False
    interruption: _Interruption | None
    min_delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """The effect of one attempt at a channel: the recording after it, and the outcome.

    `outcome` is None if another worker has the channel. The provider may require `min_delay` before the next request.
    """

    recording: Recording
    outcome: FetchOutcome | None = None
    min_delay: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChannelResult:
    """The end of one attempt, with the file if one came, or else with the code and the delay that were given."""

    end: FetchEnd
    file: StoredFile | None = None
    unrecognised: QuarantinedFile | None = None
    code: str | None = None
    min_delay: timedelta = timedelta()


class FetchRecording:
    """The use case behind the recording queue.

    An entry may come twice, late, or after everything is done. An attempt's claim lets only one worker request a
    channel, and a stored file is never requested again. Recordings that may not exist use the `backlog_guard`, which
    leaves permits to the others, and are parked beyond the `limits`.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        recordings: RecordingStore,
        files: RecordingFiles,
        queue: RecordingQueue,
        close: CloseRecording,
        source: RecordingSource,
        guard: ProviderGuard,
        backlog_guard: ProviderGuard,
        quota: MonthlyQuota,
        limits: AnnouncementLimits,
        policy: RecordingPolicy,
        clock: Clock,
        new_id: ClaimIds,
        pace: FetchPace | None = None,
    ) -> None:
        self._jobs = jobs
        self._recordings = recordings
        self._files = files
        self._queue = queue
        self._close = close
        self._source = source
        self._guard = guard
        self._backlog_guard = backlog_guard
        self._quota = quota
        self._limits = limits
        self._policy = policy
        self._clock = clock
        self._new_id = new_id
        self._pace = pace or FetchPace()

    def __call__(
        self, recording_id: str, *, seconds_left: Callable[[], float], job_key: str | None = None
    ) -> FetchResult:
        """Look at a recording, and fetch the channels that may be fetched now.

        The object under `job_key` is a report of this recording that has come, perhaps not for the first time.

        A recording that has to wait goes back into the queue as a new entry. Waiting therefore never uses up the
        deliveries after which SQS moves an entry to the dead-letter queue. `seconds_left` returns the time that this
        invocation has left.

        Returns:
            The result, once the look's effect or an entry that comes later is durable.

        Raises:
            StoreUnavailableError: neither is durable. The queue must deliver the entry again.
        """
        try:
            recording = self._recordings.get(recording_id)
            is_new = recording is None
            try:
                recording = self._add_reports(recording_id, recording, job_key)
            except UnreadableJobError as error:
                self._jobs.quarantine(error.key, at=self._clock.now())
                return FetchResult(recording_id=recording_id, job_quarantined=True)
            if recording is None:
                return FetchResult(recording_id=recording_id)
            status = self._policy.status(recording, now=self._clock.now())
            if recording.parked is not None:
                # Only the sweep brings it out, so that repeated entries do not.
                return FetchResult(
                    recording_id=recording_id, status=status, parked=recording.parked if is_new else None
                )
            if recording.closed_at is not None and status.final:
                return FetchResult(recording_id=recording_id, status=status)
            look = self._fetch_channels(recording, seconds_left)
        except StoreUnavailableError:
            backlog = not is_dated_near(recording_id, self._clock.now())
            return self._requeue_after_store_error(
                FetchResult(recording_id=recording_id), backlog=backlog, job_key=job_key
            )
        now = self._clock.now()
        status = self._policy.status(look.recording, now=now)
        reason = look.interruption.reason if look.interruption else None
        result = FetchResult(
            recording_id=recording_id,
            status=status,
            ends=look.ends,
            requeue_reason=reason,
            account_rejected=reason == _ACCOUNT_REJECTED,
            parked=ParkingReason.NOT_FOUND if look.park else None,
        )
        try:
            self._schedule_next(look, status, now=now)
        except StoreUnavailableError:
            return self._requeue_after_store_error(result, backlog=not is_likely(look.recording))
        return replace(result, closed=status.final and look.recording.closed_at is None)

    def _requeue_after_store_error(
        self, result: FetchResult, *, backlog: bool, job_key: str | None = None
    ) -> FetchResult:
        delay_s = _whole_seconds(self._pace.requeue_delay)
        self._queue.put(result.recording_id, delay_s=delay_s, backlog=backlog, job_key=job_key)
        return replace(result, requeue_reason="store", parked=None)

    def _add_reports(self, recording_id: str, recording: Recording | None, job_key: str | None) -> Recording | None:
        """Return the recording with the report under `job_key`.

        It is created from its job if only the job or only files exist. Returns None if nothing exists.
        """
        if recording is not None and not recording.came_as_files and job_key is None:
            return recording
        ready_fact = self._jobs.get(recording_id) if job_key is None else self._jobs.read(job_key)
        if ready_fact is None:
            return recording
        now = self._clock.now()
        parked = None
        if recording is None and not self._has_waited(ready_fact.at, now) and not self._limits.admit(now):
            parked = parking_reason(recording_id, ready_fact.at)
        due = now + self._policy.deadlines.attempt_timeout
        return self._recordings.announce(recording_id, ready_fact, due=due, parked=parked)

    def _has_waited(self, announced_at: datetime, now: datetime) -> bool:
        """Return whether a recording announced then may be parked no longer."""
        return now - announced_at >= self._policy.deadlines.longest_parking

    def _reload(self, recording: Recording) -> Recording:
        return self._recordings.get(recording.recording_id) or recording

    def _fetch_channels(self, recording: Recording, seconds_left: Callable[[], float]) -> _Look:
        ends: dict[Channel, FetchEnd] = {}
        interruption: _Interruption | None = None
        park = False
        min_delay = timedelta()
        # Monaural comes last, because the policy may fetch it only if another channel failed.
        for channel in (Channel.LEFT, Channel.RIGHT, Channel.MONAURAL):
            if not self._policy.may_attempt(recording, channel, now=self._clock.now()):
                continue
            if seconds_left() < self._pace.min_download_time_s:
                interruption = _Interruption("time", timedelta())
                break
            try:
                attempt = self._attempt(recording, channel, seconds_left)
            except (SlotUnavailableError, LockedOutError, MonthlyQuotaExhaustedError, NotSentError) as error:
                interruption = self._interruption_by(error)
                recording = self._reload(recording)
                break
            except NotFoundRetriesError:
                park = True
                recording = self._reload(recording)
                break
            recording = attempt.recording
            min_delay = max(min_delay, attempt.min_delay)
            if attempt.outcome is None:
                continue
            ends[channel] = attempt.outcome.end
            if attempt.outcome.provider_code == _ACCOUNT_REJECTED:
                interruption = _Interruption(_ACCOUNT_REJECTED, self._pace.locked_out_delay)
                break
        return _Look(recording=recording, ends=ends, park=park, interruption=interruption, min_delay=min_delay)

    def _interruption_by(
        self, error: SlotUnavailableError | LockedOutError | MonthlyQuotaExhaustedError | NotSentError
    ) -> _Interruption:
        """Return the reason and the delay for an error before which no request was made."""
        if isinstance(error, SlotUnavailableError):
            retry_after = timedelta(seconds=min(error.retry_after_s, _MAX_QUEUE_DELAY_S))
            return _Interruption("no_slot", max(self._pace.requeue_delay, retry_after))
        if isinstance(error, LockedOutError):
            return _Interruption("locked_out", self._pace.locked_out_delay)
        if isinstance(error, MonthlyQuotaExhaustedError):
            return _Interruption("quota_exhausted", timedelta(seconds=error.retry_after_s))
        return _Interruption("not_reached", self._pace.requeue_delay)

    def _schedule_next(self, look: _Look, status: RecordingStatus, *, now: datetime) -> None:
        """Record when the next look is due, and put an entry into the queue if that is soon."""
        recording = look.recording
        if look.park:
            self._recordings.park(recording, reason=ParkingReason.NOT_FOUND, at=now)
            return
        if status.final:
            self._close(recording, at=now)
            return
        due = self._policy.next_due(recording, now=now) or now
        if look.interruption is not None:
            # No wait goes past a deadline at which a channel is decided.
            deadlines = [channel.fetch_deadline for channel in status.channels.values() if not channel.state.final]
            due = min(now + look.interruption.delay, *deadlines)
        due = max(due, now + look.min_delay, now + _MIN_DELAY)
        delay_s = _whole_seconds(due - now)
        fits_queue = delay_s <= _MAX_QUEUE_DELAY_S
        self._recordings.schedule(recording, due=due + _QUEUE_GRACE if fits_queue else due, at=now)
        if fits_queue:
            self._queue.put(recording.recording_id, delay_s=delay_s, backlog=not is_likely(recording))

    def _attempt(self, recording: Recording, channel: Channel, seconds_left: Callable[[], float]) -> _Attempt:
        """Make one attempt at one channel.

        Raises:
            SwitchboardError: no request was made. The attempt is withdrawn.
        """
        self._source.open()
        now = self._clock.now()
        attempt = FetchAttempt(id=self._new_id(), channel=channel, at=now)
        due = now + self._policy.deadlines.attempt_timeout
        claimed = self._recordings.begin(recording, attempt, due=due)
        if claimed is None:
            return _Attempt(recording=self._reload(recording))
        key = recording_key(recording.recording_id, channel, at=recording.called_at or recording.announced_at)
        guard = self._guard if is_likely(recording) else self._backlog_guard
        has_earlier_attempt = any(earlier.channel is channel for earlier in recording.attempts)
        # One failure is often followed by success. After a second one, what came might be all that ever comes.
        has_failed = any(
            earlier.channel is channel and earlier.end is FetchEnd.FAILED for earlier in recording.outcomes
        )
        try:
            # A worker may have stored the file and died before it recorded the outcome.
            existing = self._files.find(key) if has_earlier_attempt else None
            may_request = existing is None and self._wait_for_slot(guard, claimed, channel)
        except (SwitchboardError, ConfigurationError):
            # No request was made. If the withdrawal fails too, the attempt counts as one that never ended.
            self._recordings.withdraw(recording.recording_id, attempt)
            raise
        if existing is not None:
            result = _ChannelResult(end=FetchEnd.STORED, file=existing)
        elif may_request:
            limit_s = min(self._pace.max_download_s, seconds_left() - self._pace.reserved_for_writes_s)
            result = self._download(guard, recording.recording_id, attempt, key, limit_s=limit_s, keep_cut=has_failed)
        else:
            result = _ChannelResult(end=FetchEnd.QUOTA_EXHAUSTED)
        outcome = FetchOutcome(
            id=attempt.id,
            channel=channel,
            at=self._clock.now(),
            end=result.end,
            file=result.file,
            unrecognised=result.unrecognised,
            provider_code=result.code,
        )
        recorded = self._recordings.record_outcome(recording.recording_id, outcome)
        return _Attempt(recording=recorded, outcome=outcome, min_delay=result.min_delay)

    def _wait_for_slot(self, guard: ProviderGuard, recording: Recording, channel: Channel) -> bool:
        """Wait for a slot and count the request in the monthly quota. Return False if the channel is given up."""
        return wait_for_slot(
            guard,
            self._clock,
            connect=self._source.open,
            latest=self._clock.now() + self._pace.wait_budget,
            still_wanted=lambda: self._count_request(recording, channel),
        )

    def _count_request(self, recording: Recording, channel: Channel) -> bool:
        """Count one request in the monthly quota.

        Returns:
            False if the quota is exhausted until the channel is deleted and the policy has another file to fetch.

        Raises:
            MonthlyQuotaExhaustedError: the channel can wait for the next month, or there is no other way.
            NotFoundRetriesError: the recording answered 404 before, and the day's limit of such requests is reached.
        """
        now = self._clock.now()
        may_be_parked = recording.is_doubtful and not self._has_waited(recording.announced_at, now)
        if may_be_parked and not self._limits.admit_retry(now):
            raise NotFoundRetriesError("The day's retries after a 404 are used")
        try:
            self._quota.take(now, urgent=False)
        except MonthlyQuotaExhaustedError as error:
            deadline = fetch_deadline(recording, channel, deadlines=self._policy.deadlines)
            if channel not in SPLIT or error.retry_after < deadline:
                raise
            if self._policy.monaural_as_fallback:
                return False
            self._quota.take(now, urgent=True)
        return True

    def _download(
        self,
        guard: ProviderGuard,
        recording_id: str,
        attempt: FetchAttempt,
        key: str,
        *,
        limit_s: float,
        keep_cut: bool,
    ) -> _ChannelResult:
        response_recorded = False
        quarantine_key = unrecognised_key(recording_id, attempt.channel, attempt.id, at=attempt.at)
        try:
            with self._source.download(recording_id, attempt.channel, deadline_s=limit_s) as download:
                _record_response(guard, None)
                response_recorded = True
                file = self._files.store(key, download, quarantine_key=quarantine_key, keep_cut=keep_cut)
            if isinstance(file, QuarantinedFile):
                return _ChannelResult(end=FetchEnd.FAILED if file.is_cut else FetchEnd.QUARANTINED, unrecognised=file)
            return _ChannelResult(end=FetchEnd.STORED, file=file)
        except ProviderError as error:
            if not response_recorded:
                _record_response(guard, error)
            return _ChannelResult(
                end=_fetch_end_of(error), code=_outcome_code_of(error), min_delay=_required_delay_of(error)
            )
        except StoreUnavailableError:
            return _ChannelResult(end=FetchEnd.FAILED, code="store")


def _record_response(guard: ProviderGuard, error: ProviderError | None) -> None:
    try:
        guard.record_result(error)
    except StoreUnavailableError:
        # The file matters more than the circuit's count, and the next reservation is refused anyway.
        return


def _fetch_end_of(error: ProviderError) -> FetchEnd:
    if isinstance(error, ProviderNotFoundError):
        return FetchEnd.NOT_FOUND
    if isinstance(error, ForbiddenError):
        return FetchEnd.FORBIDDEN
    if isinstance(error, DownloadTooLargeError):
        return FetchEnd.TOO_LARGE
    return FetchEnd.REFUSED if isinstance(error, RefusedError) else FetchEnd.FAILED


def _outcome_code_of(error: ProviderError) -> str | None:
    return _ACCOUNT_REJECTED if isinstance(error, AuthenticationFailedError) else error.provider_code


def _required_delay_of(error: ProviderError) -> timedelta:
    """Return the delay before the next request that the provider requires."""
    if isinstance(error, RateLimitedError):
        return timedelta(seconds=error.retry_after_s or 1.0)
    return timedelta()


def _whole_seconds(delay: timedelta) -> int:
    return math.ceil(delay.total_seconds())
