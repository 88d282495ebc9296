"""A recording that is ready is stored once, or given up with a reason, over every crash, lost answer and retry.

(I12, I22, I24, I25)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from switchboard.domain.errors import (
    AuthenticationFailedError,
    ConcurrencyLimitError,
    DownloadFailedError,
    DownloadTooLargeError,
    ForbiddenError,
    LockedOutError,
    NotSentError,
    ProviderError,
    ProviderNotFoundError,
    RateLimitedError,
    RateLimitTimeoutError,
    SlotUnavailableError,
    StoreUnavailableError,
)
from switchboard.domain.recording.facts import Channel, FetchEnd, RecordingReady
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.status import ChannelState, RecordingState
from switchboard.storage.retrying import retrying
from switchboard.usecases.operations.reconcile_overdue import SweepReport
from switchboard.usecases.recording.close import CloseRecording
from switchboard.usecases.recording.fetch import FetchRecording, FetchResult
from switchboard.usecases.recording.requeue_overdue import RequeueOverdueRecordings
from tests.fakes import (
    START,
    Answer,
    CountingAnnouncementLimits,
    CountingIds,
    CountingQuota,
    FixedClock,
    InMemoryJobStore,
    InMemoryRecordingFiles,
    InMemoryRecordingQueue,
    InMemoryRecordingStore,
    OpenGuard,
    ScriptedGuard,
    ScriptedSource,
    WholeDownload,
    flaky,
)
from tests.fakes.transcripts import InMemoryTranscriptionQueues

ID = "1563433858.66"
BOTH = frozenset({Channel.LEFT, Channel.RIGHT})
DAY = timedelta(days=1)


def an_error(kind: type[ProviderError], **members: Any) -> ProviderError:
    return kind("scripted", provider="biztel", operation="download_recording", **members)


class CrashedError(BaseException):
    """The end of the container."""


@dataclass
class Breaker:
    """A break at one of all steps: before it, after it, or by losing its answer."""

    at: int | None = None
    how: str = "before"
    steps: list[str] = field(default_factory=list)

    def wrap(self, port: object, name: str) -> Any:
        breaker = self

        class Stepped:
            def __getattr__(self, operation: str) -> Callable[..., Any]:
                call = getattr(port, operation)
                return lambda *args, **kwargs: breaker.step(f"{name}.{operation}", lambda: call(*args, **kwargs))

        return Stepped()

    def step(self, label: str, call: Callable[[], Any]) -> Any:
        self.steps.append(label)
        breaks = self.at == len(self.steps) - 1
        if breaks and self.how == "before":
            raise CrashedError
        if breaks and self.how == "refused":
            raise StoreUnavailableError(label)
        result = call()
        if breaks and self.how == "after":
            raise CrashedError
        if breaks and self.how == "answer lost":
            raise StoreUnavailableError(label)
        return result


class SteppedSource(ScriptedSource):
    """A source whose request is a step that can break before and after."""

    def __init__(self, breaker: Breaker) -> None:
        super().__init__()
        self._breaker = breaker

    @contextmanager
    def download(
        self, recording_id: str, channel: Channel, *, deadline_s: float | None = None
    ) -> Iterator[WholeDownload]:
        if self._breaker.how in ("before", "after"):
            self._breaker.step("source.download", lambda: None)
        with super().download(recording_id, channel, deadline_s=deadline_s) as download:
            yield download


class World:
    """One deployment with one recording that is ready."""

    def __init__(
        self,
        *,
        source: ScriptedSource | None = None,
        clock: FixedClock | None = None,
        guard: OpenGuard | None = None,
        quota: CountingQuota | None = None,
        limits: CountingAnnouncementLimits | None = None,
        channels: frozenset[Channel] = BOTH,
        monaural_as_fallback: bool = True,
        breaker: Breaker | None = None,
    ) -> None:
        self.clock = clock or FixedClock()
        self.jobs = InMemoryJobStore()
        self.recordings = InMemoryRecordingStore()
        self.files = InMemoryRecordingFiles()
        self.queue = InMemoryRecordingQueue()
        self.source = source or ScriptedSource()
        self.guard = guard or OpenGuard(self.clock)
        self.quota = quota or CountingQuota()
        self.limits = limits or CountingAnnouncementLimits()
        self.policy = RecordingPolicy(channels=channels, monaural_as_fallback=monaural_as_fallback)
        self.closed = 0
        wrap = (breaker or Breaker()).wrap
        recordings = retrying(
            wrap(self.recordings, "recordings"),
            "get",
            "announce",
            "begin",
            "withdraw",
            "record_outcome",
            "schedule",
        )
        self.fetch = FetchRecording(
            jobs=wrap(self.jobs, "jobs"),
            recordings=recordings,
            files=wrap(self.files, "files"),
            queue=wrap(self.queue, "queue"),
            close=CloseRecording(recordings=recordings, queues=None),
            source=self.source,
            guard=self.guard,
            backlog_guard=self.guard,
            quota=wrap(self.quota, "quota"),
            limits=self.limits,
            policy=self.policy,
            clock=self.clock,
            new_id=CountingIds(),
        )
        self.sweep = RequeueOverdueRecordings(
            recordings=self.recordings, queue=self.queue, clock=self.clock, look_again_after=timedelta(minutes=15)
        )
        self.jobs.put(RecordingReady(recording_id=ID, tel="anonymous", called_at=START), at=START)

    def deliver(self, *, seconds_left: float = 900) -> FetchResult | None:
        """Deliver an entry once. Return None if its container died or the queue must deliver it again."""
        try:
            result = self.fetch(ID, seconds_left=lambda: seconds_left)
        except (CrashedError, StoreUnavailableError):
            return None
        self.closed += result.closed
        return result

    def reconcile(self, *, days: float = 40) -> None:
        """Deliver all entries of the queue and sweep, until nothing is pending."""
        if ID not in self.recordings.rows and not self.queue.entries:
            self.queue.entries.append((ID, 0))
        for _ in range(2_000):
            if self.queue.entries:
                _, delay_s = self.queue.entries.pop(0)
                self.clock.advance(timedelta(seconds=delay_s))
                self.deliver()
            elif self.recordings.due and self.clock.now() < START + days * DAY:
                self.clock.sleep_until(min(self.recordings.due.values()))
                self.sweep(SweepReport(), limit=10)
            else:
                return
        raise AssertionError("it never ends")

    def states(self) -> dict[Channel, ChannelState]:
        """Return the present state of each channel."""
        status = self.policy.status(self.recordings.rows[ID], now=self.clock.now())
        return {channel: channel_status.state for channel, channel_status in status.channels.items()}


def test_a_ready_recording_is_stored_with_one_request_per_channel() -> None:
    world = World()

    result = world.deliver()

    assert result is not None
    assert (result.status and result.status.state, result.closed) == (RecordingState.STORED, True)
    assert world.source.requests == [(ID, Channel.LEFT), (ID, Channel.RIGHT)]
    assert world.quota.used == 2
    assert world.queue.entries == []
    assert world.recordings.due == {}


def test_a_repeated_entry_requests_nothing_and_closes_only_once() -> None:
    world = World()
    for _ in range(3):
        world.deliver()

    assert (len(world.source.requests), world.quota.used, world.closed) == (2, 2, 1)


def test_an_entry_for_an_unknown_id_does_nothing() -> None:
    result = World().fetch("never", seconds_left=lambda: 900)

    assert (result.status, result.ends, result.requeue_reason) == (None, {}, None)


@pytest.mark.parametrize("kind", [DownloadFailedError, RateLimitedError], ids=["failed", "too fast"])
def test_a_failed_download_is_repeated_after_about_5_15_and_45_seconds(kind: type[ProviderError]) -> None:
    world = World(source=ScriptedSource(*[an_error(kind)] * 3), channels=frozenset({Channel.LEFT}))
    delays = []
    for _ in range(3):
        world.deliver()
        [(_, delay_s)] = world.queue.entries
        world.queue.entries.clear()
        delays.append(delay_s)
        world.clock.advance(timedelta(seconds=delay_s))
    world.deliver()

    assert [expected * 0.8 <= delay <= expected * 1.2 + 1 for expected, delay in zip((5, 15, 45), delays, strict=True)]
    assert world.states() == {Channel.LEFT: ChannelState.STORED}


def test_a_delay_that_the_provider_requires_is_observed() -> None:
    world = World(source=ScriptedSource(an_error(RateLimitedError, retry_after_s=120.0)))
    world.deliver()

    assert [delay >= 120 for _, delay in world.queue.entries] == [True]


def test_the_sweep_requeues_an_entry_only_after_the_grace() -> None:
    class Unreachable(ScriptedSource):
        def open(self) -> None:
            raise an_error(NotSentError)

    world = World(source=Unreachable())
    world.deliver()
    assert world.queue.entries == [(ID, 10)]

    world.clock.advance(timedelta(minutes=25))
    world.sweep(SweepReport(), limit=10)
    assert world.queue.entries == [(ID, 10)]
    world.clock.advance(timedelta(minutes=10))
    world.sweep(SweepReport(), limit=10)
    assert world.queue.entries == [(ID, 10), (ID, 0)]


@pytest.mark.parametrize("queue_answers", [True, False], ids=["queue answers", "queue is down"])
def test_a_fetched_recording_waits_for_its_transcript(queue_answers: bool) -> None:
    world = World()
    queues = InMemoryTranscriptionQueues()
    failing = flaky(queues, put_start=[] if queue_answers else [Answer.NOT_APPLIED])
    world.fetch._close = CloseRecording(recordings=world.recordings, queues=failing)

    result = world.deliver()

    assert result is not None
    assert (result.requeue_reason, result.closed) == (None, True)
    assert world.recordings.rows[ID].transcription_due is not None
    assert queues.entries == ([("start", ID, 0)] if queue_answers else [])


def test_a_store_error_while_scheduling_keeps_the_ends_and_requeues() -> None:
    world = World()
    recordings = flaky(world.recordings, schedule=[Answer.NOT_APPLIED])
    world.fetch._close = CloseRecording(recordings=recordings, queues=None)

    result = world.deliver()

    assert result is not None
    assert (result.requeue_reason, result.closed) == ("store", False)
    assert result.ends == dict.fromkeys(BOTH, FetchEnd.STORED)
    assert world.queue.entries == [(ID, 10)]


def test_an_entry_before_its_time_requests_nothing() -> None:
    world = World(source=ScriptedSource(an_error(DownloadFailedError)), channels=frozenset({Channel.LEFT}))
    world.deliver()
    world.deliver()

    assert len(world.source.requests) == 1


def test_split_channels_that_never_succeed_are_replaced_by_monaural() -> None:
    class Broken(ScriptedSource):
        @contextmanager
        def download(
            self, recording_id: str, channel: Channel, *, deadline_s: float | None = None
        ) -> Iterator[WholeDownload]:
            if channel is not Channel.MONAURAL:
                self.requests.append((recording_id, channel))
                raise an_error(DownloadFailedError)
            with super().download(recording_id, channel) as download:
                yield download

    world = World(source=Broken())
    world.reconcile()

    assert world.states() == {
        Channel.LEFT: ChannelState.LOST,
        Channel.RIGHT: ChannelState.LOST,
        Channel.MONAURAL: ChannelState.STORED,
    }
    assert timedelta(days=6) < world.clock.now() - START < timedelta(days=7)
    assert world.closed == 1
    assert 30 < len(world.source.requests) == world.quota.used < 120


def test_a_failing_monaural_file_is_attempted_only_when_it_is_due() -> None:
    """Left and right are lost by then. Their deadlines have passed and are no reason to look at once."""
    world = World(source=ScriptedSource(*[an_error(DownloadFailedError)] * 1_000))
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.LOST}
    assert timedelta(days=29) < world.clock.now() - START < timedelta(days=31)
    assert 100 < len(world.source.requests) < 300


def test_a_forbidden_channel_stays_so_without_the_fallback() -> None:
    world = World(source=ScriptedSource(*[an_error(ForbiddenError)] * 2), monaural_as_fallback=False)
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.FORBIDDEN}
    assert len(world.source.requests) == 2


def test_a_missing_file_is_requested_until_it_counts_as_lost() -> None:
    world = World(source=ScriptedSource(*[an_error(ProviderNotFoundError)] * 100), monaural_as_fallback=False)
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.LOST}
    assert timedelta(hours=1) <= world.clock.now() - START < timedelta(hours=6)


def test_a_file_that_is_too_large_is_requested_once() -> None:
    world = World(source=ScriptedSource(*[an_error(DownloadTooLargeError)] * 100), monaural_as_fallback=False)
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.LOST}
    assert len(world.source.requests) == 2
    assert world.clock.now() - START < timedelta(hours=1)


@pytest.mark.parametrize(
    ("answers", "expected", "requests"),
    [
        pytest.param([b"noise"] * 100, ChannelState.QUARANTINED, 2, id="the same bytes again"),
        pytest.param([b"noise", b"", None], ChannelState.STORED, 3, id="other bytes, then the recording"),
        pytest.param([b"<page>"] * 9 + [None], ChannelState.STORED, 10, id="a page nine times, then the recording"),
    ],
)
def test_unrecognised_bytes_are_requested_again_only_if_that_can_help(
    answers: list[bytes | None], expected: ChannelState, requests: int
) -> None:
    channels = frozenset({Channel.LEFT})
    world = World(source=ScriptedSource(*answers), channels=channels, monaural_as_fallback=False)
    world.reconcile()

    assert world.states() == {Channel.LEFT: expected}
    assert len(world.source.requests) == requests
    assert world.closed == 1


CUT = WholeDownload(is_cut=True)


@pytest.mark.parametrize(
    ("answers", "expected", "kept"),
    [
        pytest.param([CUT], ChannelState.STORED, 0, id="once"),
        pytest.param([CUT] * 3, ChannelState.STORED, 2, id="three times, then the recording"),
        pytest.param([CUT] * 1_000, ChannelState.QUARANTINED, 39, id="until the deadline"),
        pytest.param([an_error(DownloadFailedError)] * 1_000, ChannelState.LOST, 0, id="no byte until the deadline"),
        pytest.param([an_error(DownloadFailedError), CUT], ChannelState.STORED, 1, id="after another failure"),
    ],
)
def test_what_came_of_transfers_that_keep_failing_is_kept(
    answers: list[WholeDownload | ProviderError], expected: ChannelState, kept: int
) -> None:
    channels = frozenset({Channel.LEFT})
    world = World(source=ScriptedSource(*answers), channels=channels, monaural_as_fallback=False)
    world.reconcile()

    outcomes = world.recordings.rows[ID].outcomes
    assert world.states() == {Channel.LEFT: expected}
    assert sum(outcome.unrecognised is not None for outcome in outcomes) == kept
    assert all(outcome.end is FetchEnd.FAILED for outcome in outcomes if outcome.unrecognised)


def test_a_page_until_the_deadline_leaves_the_channel_quarantined() -> None:
    world = World(source=ScriptedSource(*[b"<page>"] * 1_000), monaural_as_fallback=False)
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.QUARANTINED}
    assert timedelta(days=6) < world.clock.now() - START < timedelta(days=7)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RateLimitTimeoutError("full"), id="no slot in time"),
        pytest.param(LockedOutError("open", reason="authentication"), id="locked out"),
    ],
)
def test_a_look_without_a_slot_requests_counts_and_loses_nothing(error: SlotUnavailableError | LockedOutError) -> None:
    world = World()
    world.guard = ScriptedGuard(world.clock, error)
    world.fetch._guard = world.fetch._backlog_guard = world.guard

    result = world.deliver()

    assert result is not None
    assert result.requeue_reason is not None
    assert (world.source.requests, world.quota.used) == ([], 0)
    assert world.recordings.rows[ID].attempts == frozenset()
    world.reconcile()
    assert set(world.states().values()) == {ChannelState.STORED}


def test_the_request_after_a_wait_uses_a_fresh_connection() -> None:
    """The provider counts a request when it arrives, so connecting after the slot would make it late."""
    clock = FixedClock()
    ages: list[timedelta] = []

    class Ageing(ScriptedSource):
        opened_at = START

        def open(self) -> None:
            self.opened_at = clock.now()

        @contextmanager
        def download(
            self, recording_id: str, channel: Channel, *, deadline_s: float | None = None
        ) -> Iterator[WholeDownload]:
            ages.append(clock.now() - self.opened_at)
            with super().download(recording_id, channel, deadline_s=deadline_s) as download:
                yield download

    refusals = [ConcurrencyLimitError("no permit") for _ in range(20)]
    World(source=Ageing(), clock=clock, guard=ScriptedGuard(clock, *refusals)).deliver()

    assert clock.now() - START == timedelta(seconds=2)
    assert ages == [timedelta(), timedelta()]


def test_a_provider_unreachable_after_a_wait_gets_no_request() -> None:
    clock = FixedClock()

    class Unreachable(ScriptedSource):
        def open(self) -> None:
            if clock.now() > START:
                raise an_error(NotSentError)

    guard = ScriptedGuard(clock, ConcurrencyLimitError("no permit"))
    world = World(source=Unreachable(), clock=clock, guard=guard)
    result = world.deliver()

    assert result is not None
    assert result.requeue_reason == "not_reached"
    assert (world.source.requests, world.quota.used) == ([], 0)
    assert world.recordings.rows[ID].attempts == frozenset()


def test_a_refused_token_is_recorded_by_the_guard_and_ends_the_look() -> None:
    world = World(source=ScriptedSource(an_error(AuthenticationFailedError)))
    result = world.deliver()

    assert result is not None
    assert result.account_rejected
    assert [type(error) for error in world.guard.results] == [AuthenticationFailedError]
    assert len(world.source.requests) == 1


def test_an_invocation_without_time_for_a_download_starts_none() -> None:
    world = World()
    result = world.deliver(seconds_left=30)

    assert result is not None
    assert (result.requeue_reason, world.source.requests) == ("time", [])
    world.reconcile()
    assert set(world.states().values()) == {ChannelState.STORED}


def test_a_month_that_ends_before_the_deadline_is_waited_for() -> None:
    quota = CountingQuota(limit=1, ends=START + DAY)
    world = World(quota=quota)
    world.deliver()
    assert len(world.source.requests) == 1
    quota.limit = 10
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.STORED}
    assert DAY <= world.clock.now() - START < 2 * DAY


def test_a_month_that_ends_after_the_deadline_leaves_monaural_for_the_next() -> None:
    quota = CountingQuota(limit=0, ends=START + 20 * DAY)
    world = World(quota=quota)
    world.deliver()
    assert (world.states()[Channel.LEFT], world.source.requests) == (ChannelState.LOST, [])
    world.clock.advance(20 * DAY)
    quota.limit = 10
    world.reconcile()

    assert world.states()[Channel.MONAURAL] is ChannelState.STORED
    assert world.source.requests == [(ID, Channel.MONAURAL)]


def test_the_reserve_of_the_month_is_used_without_the_fallback() -> None:
    world = World(quota=CountingQuota(limit=2, reserve=2, ends=START + 20 * DAY), monaural_as_fallback=False)
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.STORED}
    assert world.quota.used == 2


def _count_steps() -> int:
    breaker = Breaker()
    World(source=SteppedSource(breaker), breaker=breaker).reconcile()
    World.deliver(World(breaker=breaker))
    return len(breaker.steps)


@pytest.mark.parametrize("how", ["before", "after", "refused", "answer lost"])
@pytest.mark.parametrize("entries", [1, 2], ids=["one entry", "two entries"])
def test_a_break_at_any_step_stores_nothing_twice_and_loses_nothing(how: str, entries: int) -> None:
    for at in range(_count_steps()):
        breaker = Breaker(at=at, how=how)
        world = World(source=SteppedSource(breaker), breaker=breaker)
        world.queue.entries += [(ID, 0)] * entries
        for _ in range(entries):
            if world.deliver() is None:
                # SQS delivers the entry again once it is visible again.
                world.queue.entries.append((ID, 900))
        world.reconcile()

        broken_step = breaker.steps[at] if at < len(breaker.steps) else None
        context = (at, broken_step)
        assert world.states() == dict.fromkeys(BOTH, ChannelState.STORED), context
        assert world.files.writes == 2, context
        assert world.recordings.due == {}, context
        # Every request was counted before it was made.
        assert len(world.source.requests) <= world.quota.used <= len(world.source.requests) + 2, context
        assert len(world.source.requests) <= 3, context
        if broken_step == "files.store" and how in ("after", "answer lost"):
            # The stored file is found and not requested again.
            assert len(world.source.requests) == 2, context


def test_two_workers_on_one_recording_request_each_channel_once() -> None:
    world = World()
    other = World()
    for name in ("jobs", "recordings", "files", "queue"):
        setattr(other.fetch, f"_{name}", getattr(world.fetch, f"_{name}"))
    original = world.source.download

    @contextmanager
    def meanwhile(recording_id: str, channel: Channel, *, deadline_s: float | None = None) -> Iterator[WholeDownload]:
        other.deliver()
        with original(recording_id, channel) as download:
            yield download

    cast("Any", world.source).download = meanwhile
    world.deliver()
    world.reconcile()

    assert sorted(world.source.requests + other.source.requests) == [(ID, Channel.LEFT), (ID, Channel.RIGHT)]
    assert world.files.writes == 2


def test_the_second_worker_to_claim_a_channel_requests_nothing() -> None:
    world, other = World(), World()
    for name in ("jobs", "recordings", "files", "queue"):
        setattr(other.fetch, f"_{name}", getattr(world.fetch, f"_{name}"))
    begin = world.recordings.begin

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        cast("Any", world.recordings).begin = begin
        other.deliver()
        return begin(*args, **kwargs)

    cast("Any", world.recordings).begin = overtaken
    world.deliver()

    assert sorted(world.source.requests + other.source.requests) == [(ID, Channel.LEFT), (ID, Channel.RIGHT)]
    assert world.files.writes == 2
