"""What is announced is stored once, whole, or given up with a reason: over every crash, lost answer and retry_delay.

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
from switchboard.domain.recording.facts import Channel, RecordingReady
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.status import ChannelState, RecordingState
from switchboard.storage.retrying import retrying
from switchboard.usecases.recording.fetch import FetchRecording, FetchResult
from switchboard.usecases.recording.requeue_overdue import RequeueOverdueRecordings
from tests.fakes import (
    START,
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
)

ID = "1563433858.66"
BOTH = frozenset({Channel.LEFT, Channel.RIGHT})
DAY = timedelta(days=1)


def failure(kind: type[ProviderError], **more: Any) -> ProviderError:
    return kind("scripted", provider="biztel", operation="download_recording", **more)


class CrashedError(BaseException):
    """The container is gone."""


@dataclass
class Breaker:
    """Breaks one step of all that are made: before it, after it, or by losing its answer."""

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
        here = self.at == len(self.steps) - 1
        if here and self.how == "before":
            raise CrashedError
        if here and self.how == "refused":
            raise StoreUnavailableError(label)
        result = call()
        if here and self.how == "after":
            raise CrashedError
        if here and self.how == "answer lost":
            raise StoreUnavailableError(label)
        return result


class SteppedSource(ScriptedSource):
    """A source whose request is a step, before and after."""

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
    """One deployment with one announced recording."""

    def __init__(
        self,
        *,
        source: ScriptedSource | None = None,
        clock: FixedClock | None = None,
        guard: OpenGuard | None = None,
        quota: CountingQuota | None = None,
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
        self.policy = RecordingPolicy(channels=channels, monaural_as_fallback=monaural_as_fallback)
        self.closed = 0
        breaker = breaker or Breaker()
        stepped = breaker.wrap
        self.fetch = FetchRecording(
            jobs=stepped(self.jobs, "jobs"),
            recordings=retrying(
                stepped(self.recordings, "recordings"),
                "get",
                "announce",
                "begin",
                "withdraw",
                "record_outcome",
                "schedule",
            ),
            files=stepped(self.files, "files"),
            queue=stepped(self.queue, "queue"),
            source=self.source,
            guard=self.guard,
            quota=stepped(self.quota, "quota"),
            policy=self.policy,
            clock=self.clock,
            new_id=CountingIds(),
        )
        self.sweep = RequeueOverdueRecordings(
            recordings=self.recordings, queue=self.queue, clock=self.clock, look_again_after=timedelta(minutes=15)
        )
        self.jobs.put(RecordingReady(recording_id=ID, tel="anonymous", called_at=START), at=START)

    def deliver(self, *, seconds_left: float = 900) -> FetchResult | None:
        """One delivery of an entry; None where its container died, or it is to come again."""
        try:
            done = self.fetch(ID, seconds_left=lambda: seconds_left)
        except (CrashedError, StoreUnavailableError):
            return None
        self.closed += done.closed
        return done

    def reconcile(self, *, days: float = 40) -> None:
        """Delivers whatever is in the queue and sweeps, until nothing is awaited."""
        if ID not in self.recordings.rows and not self.queue.entries:
            self.queue.entries.append((ID, 0))
        for _ in range(2_000):
            if self.queue.entries:
                _, delay_s = self.queue.entries.pop(0)
                self.clock.advance(timedelta(seconds=delay_s))
                self.deliver()
            elif self.recordings.due and self.clock.now() < START + days * DAY:
                self.clock.sleep_until(min(self.recordings.due.values()))
                self.sweep(limit=10)
            else:
                return
        raise AssertionError("it never ends")

    def states(self) -> dict[Channel, ChannelState]:
        status = self.policy.status(self.recordings.rows[ID], now=self.clock.now())
        return {channel: each.state for channel, each in status.channels.items()}


def test_an_announced_recording_is_stored_with_a_request_a_channel() -> None:
    world = World()

    done = world.deliver()

    assert done is not None
    assert (done.status and done.status.state, done.closed) == (RecordingState.STORED, True)
    assert world.source.asked == [(ID, Channel.LEFT), (ID, Channel.RIGHT)]
    assert world.quota.used == 2
    assert world.queue.entries == []
    assert world.recordings.due == {}


def test_an_entry_that_comes_again_asks_for_nothing_and_ends_only_once() -> None:
    world = World()
    for _ in range(3):
        world.deliver()

    assert (len(world.source.asked), world.quota.used, world.closed) == (2, 2, 1)


def test_an_id_that_was_never_announced_is_let_go() -> None:
    done = World().fetch("never", seconds_left=lambda: 900)

    assert (done.status, done.ends, done.requeue_reason) == (None, {}, None)


@pytest.mark.parametrize("kind", [DownloadFailedError, RateLimitedError])
def test_what_failed_is_tried_again_after_about_five_fifteen_and_forty_five_seconds(kind: type[ProviderError]) -> None:
    world = World(source=ScriptedSource(*[failure(kind)] * 3), channels=frozenset({Channel.LEFT}))
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


def test_a_pause_that_the_provider_asks_for_is_kept() -> None:
    world = World(source=ScriptedSource(failure(RateLimitedError, retry_after_s=120.0)))
    world.deliver()

    assert [delay >= 120 for _, delay in world.queue.entries] == [True]


def test_an_entry_that_waits_in_a_long_queue_is_not_doubled_and_one_that_is_lost_comes_again() -> None:
    class Unreachable(ScriptedSource):
        def open(self) -> None:
            raise failure(NotSentError)

    world = World(source=Unreachable())
    world.deliver()
    assert world.queue.entries == [(ID, 10)]

    world.clock.advance(timedelta(minutes=25))
    world.sweep(limit=10)
    assert world.queue.entries == [(ID, 10)]
    world.clock.advance(timedelta(minutes=10))
    world.sweep(limit=10)
    assert world.queue.entries == [(ID, 10), (ID, 0)]


def test_an_entry_before_its_time_asks_for_nothing() -> None:
    world = World(source=ScriptedSource(failure(DownloadFailedError)), channels=frozenset({Channel.LEFT}))
    world.deliver()
    world.deliver()

    assert len(world.source.asked) == 1


def test_what_never_succeeds_is_lost_shortly_before_the_seventh_day_and_the_monaural_file_is_fetched() -> None:
    class Broken(ScriptedSource):
        @contextmanager
        def download(
            self, recording_id: str, channel: Channel, *, deadline_s: float | None = None
        ) -> Iterator[WholeDownload]:
            if channel is not Channel.MONAURAL:
                self.asked.append((recording_id, channel))
                raise failure(DownloadFailedError)
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
    assert 30 < len(world.source.asked) == world.quota.used < 120


def test_a_monaural_file_that_fails_as_well_is_looked_at_only_when_it_is_due() -> None:
    """Left and right are over by then: their moment has passed, and is nobody's reason to look at once."""
    world = World(source=ScriptedSource(*[failure(DownloadFailedError)] * 1_000))
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.LOST}
    assert timedelta(days=29) < world.clock.now() - START < timedelta(days=31)
    assert 100 < len(world.source.asked) < 300


def test_without_the_policy_what_is_lost_stays_lost() -> None:
    world = World(source=ScriptedSource(*[failure(ForbiddenError)] * 2), monaural_as_fallback=False)
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.FORBIDDEN}
    assert len(world.source.asked) == 2


def test_a_missing_file_is_asked_for_until_it_can_only_be_lost() -> None:
    world = World(source=ScriptedSource(*[failure(ProviderNotFoundError)] * 100), monaural_as_fallback=False)
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.LOST}
    assert timedelta(hours=1) <= world.clock.now() - START < timedelta(hours=6)


@pytest.mark.parametrize("error", [RateLimitTimeoutError("full"), LockedOutError("open", reason="authentication")])
def test_without_a_slot_nothing_is_asked_counted_or_lost(error: SlotUnavailableError | LockedOutError) -> None:
    world = World()
    world.guard = ScriptedGuard(world.clock, error)
    world.fetch._guard = world.guard

    done = world.deliver()

    assert done is not None
    assert done.requeue_reason is not None
    assert (world.source.asked, world.quota.used) == ([], 0)
    assert world.recordings.rows[ID].attempts == frozenset()
    world.reconcile()
    assert set(world.states().values()) == {ChannelState.STORED}


def test_a_place_that_was_waited_for_finds_a_connection_that_is_new() -> None:
    """The provider counts a request when it arrives: connecting after the slot would make it late."""
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

    crowd = [ConcurrencyLimitError("crowded") for _ in range(20)]
    World(source=Ageing(), clock=clock, guard=ScriptedGuard(clock, *crowd)).deliver()

    assert clock.now() - START == timedelta(seconds=2)
    assert ages == [timedelta(), timedelta()]


def test_a_place_that_was_waited_for_is_lost_where_the_provider_cannot_be_reached_any_more() -> None:
    clock = FixedClock()

    class Unreachable(ScriptedSource):
        def open(self) -> None:
            if clock.now() > START:
                raise failure(NotSentError)

    guard = ScriptedGuard(clock, ConcurrencyLimitError("crowded"))
    world = World(source=Unreachable(), clock=clock, guard=guard)
    done = world.deliver()

    assert done is not None
    assert done.requeue_reason == "not_reached"
    assert (world.source.asked, world.quota.used) == ([], 0)
    assert world.recordings.rows[ID].attempts == frozenset()


def test_a_refused_token_is_told_to_the_gate_and_ends_the_look() -> None:
    world = World(source=ScriptedSource(failure(AuthenticationFailedError)))
    done = world.deliver()

    assert done is not None
    assert done.account_rejected
    assert [type(each) for each in world.guard.results] == [AuthenticationFailedError]
    assert len(world.source.asked) == 1


def test_an_invocation_without_time_for_a_download_begins_none() -> None:
    world = World()
    done = world.deliver(seconds_left=30)

    assert done is not None
    assert (done.requeue_reason, world.source.asked) == ("time", [])
    world.reconcile()
    assert set(world.states().values()) == {ChannelState.STORED}


def test_a_month_that_ends_in_time_is_waited_for() -> None:
    quota = CountingQuota(limit=1, ends=START + DAY)
    world = World(quota=quota)
    world.deliver()
    assert len(world.source.asked) == 1
    quota.limit = 10
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.STORED}
    assert DAY <= world.clock.now() - START < 2 * DAY


def test_a_month_that_ends_too_late_leaves_the_monaural_file_for_the_next_one() -> None:
    quota = CountingQuota(limit=0, ends=START + 20 * DAY)
    world = World(quota=quota)
    world.deliver()
    assert (world.states()[Channel.LEFT], world.source.asked) == (ChannelState.LOST, [])
    world.clock.advance(20 * DAY)
    quota.limit = 10
    world.reconcile()

    assert world.states()[Channel.MONAURAL] is ChannelState.STORED
    assert world.source.asked == [(ID, Channel.MONAURAL)]


def test_without_the_policy_the_months_reserve_is_for_what_would_be_gone() -> None:
    world = World(quota=CountingQuota(limit=2, reserve=2, ends=START + 20 * DAY), monaural_as_fallback=False)
    world.reconcile()

    assert set(world.states().values()) == {ChannelState.STORED}
    assert world.quota.used == 2


def _steps() -> int:
    breaker = Breaker()
    World(source=SteppedSource(breaker), breaker=breaker).reconcile()
    World.deliver(World(breaker=breaker))
    return len(breaker.steps)


@pytest.mark.parametrize("how", ["before", "after", "refused", "answer lost"])
@pytest.mark.parametrize("entries", [1, 2])
def test_a_break_at_any_step_stores_nothing_twice_and_loses_nothing(how: str, entries: int) -> None:
    for at in range(_steps()):
        breaker = Breaker(at=at, how=how)
        world = World(source=SteppedSource(breaker), breaker=breaker)
        world.queue.entries += [(ID, 0)] * entries
        for _ in range(entries):
            if world.deliver() is None:
                # SQS delivers again what nobody was done with, once it is visible again.
                world.queue.entries.append((ID, 900))
        world.reconcile()

        told = (at, breaker.steps[at] if at < len(breaker.steps) else None)
        assert world.states() == dict.fromkeys(BOTH, ChannelState.STORED), told
        assert world.files.writes == 2, told
        assert world.recordings.due == {}, told
        # Whatever was asked for had been counted.
        assert len(world.source.asked) <= world.quota.used <= len(world.source.asked) + 2, told
        assert len(world.source.asked) <= 3, told
        if told[1] == "files.store" and how in ("after", "answer lost"):
            # A file that is there is found, and not asked for again.
            assert len(world.source.asked) == 2, told


def test_two_workers_at_the_same_recording_ask_once_for_each_channel() -> None:
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

    asked = world.source.asked + other.source.asked
    assert sorted(asked) == [(ID, Channel.LEFT), (ID, Channel.RIGHT)]
    assert world.files.writes == 2


def test_whoever_comes_second_to_the_claim_asks_for_nothing() -> None:
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

    assert sorted(world.source.asked + other.source.asked) == [(ID, Channel.LEFT), (ID, Channel.RIGHT)]
    assert world.files.writes == 2
