"""Reservations for batches, and with rotated credentials, wrong clocks and back-offs. (I10, I11, I13)"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count, pairwise

import pytest

from switchboard.bootstrap.components.guards import biztel_guard_settings, mediasms_guard_settings
from switchboard.domain.errors import (
    ConcurrencyExhaustedError,
    ConcurrencyLimitError,
    LockedOutError,
    ProviderError,
    SlotUnavailableError,
    StoreThrottledError,
)
from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, SlotRequest
from switchboard.domain.timestamps import to_unix_us
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from switchboard.ports.provider_limits import ProviderGuard
from tests.fakes import START, Ending, FixedClock, InMemoryProviderLimitStore, provider_error

KEY = "mediasms#shared"
SETTINGS = GuardSettings(requests_per_s=80)
INTERVAL = timedelta(microseconds=SETTINGS.interval_us)
BUDGET = timedelta(seconds=2)
UNAUTHENTICATED = provider_error(Ending.UNAUTHENTICATED)
RATE_LIMITED = provider_error(Ending.RATE_LIMITED)
_NAMES = count(1)


@dataclass(slots=True)
class _Account:
    """The provider's secret, and the number of its reads."""

    version: str = "v1"
    reads: int = 0

    def read(self) -> str:
        self.reads += 1
        return self.version


class _Container:
    """A container: the guards of its threads, its clock and its copy of the secret."""

    def __init__(
        self,
        store: InMemoryProviderLimitStore,
        *,
        workers: int = 1,
        settings: GuardSettings = SETTINGS,
        account: _Account | None = None,
        answered_at: Callable[[str], datetime | None] | None = None,
    ) -> None:
        self.store = store
        self.clock = FixedClock()
        self.account = account or _Account()
        self._copy: str | None = None
        self.guards = ProviderGuards(
            store=store,
            key=KEY,
            new_container_id=lambda: f"container{next(_NAMES)}",
            settings=settings,
            clock=self.clock,
            version=self._version,
            forget_credentials=self._forget,
            workers=workers,
            answered_at=answered_at,
        )

    def _version(self) -> str:
        self._copy = self._copy or self.account.read()
        return self._copy

    def _forget(self) -> None:
        self._copy = None

    def send(self, answer: ProviderError | None = None, *, worker: int = 0) -> timedelta:
        """Send one request, record `answer` as the provider's, and return the time from the start to its slot."""
        guard = self.guards.workers[worker]
        slot = guard.acquire(latest=self.clock.now() + BUDGET)
        self.clock.sleep_until(slot)
        guard.record_result(answer)
        return slot - START


@pytest.fixture
def store() -> InMemoryProviderLimitStore:
    return InMemoryProviderLimitStore()


def test_a_synchronous_send_costs_one_write(store: InMemoryProviderLimitStore) -> None:
    container = _Container(store)
    for number in range(1, 50):
        container.send()
        assert store.writes == number


def test_ten_queued_sends_cost_two_writes_and_get_a_slot_each(store: InMemoryProviderLimitStore) -> None:
    container = _Container(store, workers=3)
    for batches in range(1, 6):
        with container.guards.batch(10):
            slots = [container.send(worker=number % 3) for number in range(10)]
        # The block with its permits, and their return.
        assert store.writes == 2 * batches
        assert all(later - earlier == INTERVAL for earlier, later in pairwise(slots))


def test_the_blocks_of_two_containers_do_not_overlap(store: InMemoryProviderLimitStore) -> None:
    containers = [_Container(store, workers=3) for _ in range(2)]
    slots = []
    for container in containers:
        with container.guards.batch(10):
            slots += [container.send(worker=number % 3) for number in range(10)]
    assert sorted(slots) == [number * INTERVAL for number in range(20)]


def test_a_block_takes_a_permit_for_each_thread(store: InMemoryProviderLimitStore) -> None:
    with ExitStack() as batches:
        for container in [_Container(store, workers=3) for _ in range(2)]:
            batches.enter_context(container.guards.batch(10))
            container.send()
        assert len(store.states[KEY].permits) == 6
        third = _Container(store, workers=3)
        batches.enter_context(third.guards.batch(10))
        third.guards.workers[0].acquire(latest=START + BUDGET)
        with pytest.raises(ConcurrencyLimitError):
            third.send(worker=1)
        assert len(store.states[KEY].permits) == SETTINGS.in_flight
    assert not store.states[KEY].permits


def test_workers_of_a_batch_share_fewer_permits_than_they_are(store: InMemoryProviderLimitStore) -> None:
    container = _Container(store, workers=4)
    with container.guards.batch(10, permits=2):
        for guard in container.guards.workers[:2]:
            guard.acquire(latest=START + BUDGET)
        writes = store.writes
        with pytest.raises(ConcurrencyLimitError) as raised:
            container.guards.workers[2].acquire(latest=START + BUDGET)
        assert (store.writes, raised.value.look_after_s < 0.01) == (writes, True)
        container.guards.workers[0].record_result(None)
        container.guards.workers[2].acquire(latest=START + BUDGET)
        assert (store.writes, len(store.states[KEY].permits)) == (writes, 2)


def test_a_slow_batch_reserves_no_slots_that_would_lapse(store: InMemoryProviderLimitStore) -> None:
    """With answers that take longer than the next slots are ahead, a block would waste slots that others need."""
    container = _Container(store, workers=2)

    def send() -> None:
        slot = container.guards.single.acquire(latest=container.clock.now() + BUDGET)
        container.clock.sleep_until(slot)
        assert not container.guards.single.is_stale(slot)
        container.clock.advance(timedelta(milliseconds=200))
        container.guards.single.record_result(None)

    with container.guards.batch(10, permits=2):
        send()
    with container.guards.batch(10, permits=2):
        before = store.states[KEY].next_slot_us
        container.guards.single.acquire(latest=container.clock.now() + BUDGET)
        now_us = to_unix_us(container.clock.now())
        assert store.states[KEY].next_slot_us - max(before, now_us) <= 2 * SETTINGS.interval_us


def _single(store: InMemoryProviderLimitStore, answers: dict[str, datetime]) -> _Container:
    return _Container(store, answered_at=answers.get)


def _send_order(container: _Container, order_id: str) -> None:
    guard = container.guards.single
    container.clock.sleep_until(guard.acquire(latest=container.clock.now() + BUDGET, order_id=order_id))
    guard.record_result(None)


def test_a_permit_of_an_answered_order_is_taken(store: InMemoryProviderLimitStore) -> None:
    answers: dict[str, datetime] = {}
    holders = [_single(store, answers) for _ in range(7)]
    for number, holder in enumerate(holders):
        _send_order(holder, f"order{number}")
    assert len(store.states[KEY].permits) == 7
    late = _single(store, answers)
    late.clock.advance(timedelta(seconds=1))
    with pytest.raises(ConcurrencyLimitError):
        _send_order(late, "refused")
    writes = store.writes
    late.clock.advance(timedelta(milliseconds=50))
    with pytest.raises(ConcurrencyLimitError):
        _send_order(late, "refused")
    assert store.writes == writes

    answers["order3"] = START + timedelta(milliseconds=500)
    for _ in range(4):
        # A look reads two orders at the most, and the next one reads others.
        late.clock.advance(timedelta(milliseconds=50))
        with suppress(ConcurrencyLimitError):
            _send_order(late, "late")
            break
    orders = {name.partition("/")[2] for name in store.states[KEY].permits}
    assert orders == {"order0", "order1", "order2", "late", "order4", "order5", "order6"}
    with pytest.raises(ConcurrencyLimitError):
        _send_order(holders[3], "next")


def test_a_busy_containers_permit_is_left_to_it_for_a_moment(store: InMemoryProviderLimitStore) -> None:
    answers: dict[str, datetime] = {}
    late = _single(store, answers)
    late.clock.advance(timedelta(seconds=1))
    for number in range(7):
        _send_order(_single(store, answers), f"order{number}")
        answers[f"order{number}"] = late.clock.now() - timedelta(milliseconds=40)
    with pytest.raises(ConcurrencyLimitError):
        _send_order(late, "late")
    with late.guards.batch(1):
        late.send()


def test_a_batch_finds_room_after_a_burst_of_single_sends(store: InMemoryProviderLimitStore) -> None:
    answers: dict[str, datetime] = {}
    for number in range(7):
        _send_order(_single(store, answers), f"order{number}")
        answers[f"order{number}"] = START
    bulk = _Container(store, workers=4, answered_at=answers.get)
    bulk.clock.advance(timedelta(seconds=1))
    with bulk.guards.batch(10, permits=2):
        bulk.guards.with_concurrency_limit(3)[0].acquire(latest=bulk.clock.now() + BUDGET)
    assert len(store.states[KEY].permits) == 1


def test_a_container_without_a_permit_soon_answers_at_once(store: InMemoryProviderLimitStore) -> None:
    """After its first reservation it writes nothing, and after half a second in vain it does not even read."""
    for _ in range(7):
        _Container(store).guards.single.acquire(latest=START + BUDGET)
    late, writes = _Container(store), store.writes + 1
    for _ in range(5):
        with pytest.raises(ConcurrencyLimitError):
            late.send()
        late.clock.advance(timedelta(milliseconds=101))
    with pytest.raises(ConcurrencyExhaustedError):
        late.send()
    reads = store.reads
    late.clock.advance(timedelta(milliseconds=200))
    with pytest.raises(ConcurrencyExhaustedError) as raised:
        late.send()
    assert raised.value.retry_after_s >= 1
    assert (store.writes, store.reads) == (writes, reads)
    late.clock.advance(SETTINGS.lease)
    late.send()


class _ThrottlingStore(InMemoryProviderLimitStore):
    """A store that refuses writes while too many come."""

    throttles = False

    def reserve_next(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        if self.throttles:
            raise StoreThrottledError("reserve slot")
        return super().reserve_next(key, slots, rule=rule, permit=permit)

    def reserve_now(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        if self.throttles:
            raise StoreThrottledError("reserve slot")
        return super().reserve_now(key, slots, rule=rule, permit=permit)


def test_a_throttled_container_with_a_permit_tries_again_soon() -> None:
    store = _ThrottlingStore()
    holder, other = _Container(store), _Container(store)
    holder.send()
    store.throttles = True
    with pytest.raises(ConcurrencyLimitError) as raised:
        holder.send()
    assert raised.value.look_after_s < 0.1
    with pytest.raises(ConcurrencyExhaustedError):
        other.send()
    store.throttles = False
    holder.send()


def test_bulk_threads_leave_permits_to_other_messages(store: InMemoryProviderLimitStore) -> None:
    for container in [_Container(store) for _ in range(3)]:
        container.guards.single.acquire(latest=START + BUDGET)
    bulk = _Container(store)
    with pytest.raises(SlotUnavailableError):
        bulk.guards.with_concurrency_limit(3)[0].acquire(latest=START + BUDGET)
    bulk.send()


@pytest.mark.parametrize("bulk_in_flight", [1, 2, 3, 7], ids=lambda limit: f"{limit} for bulk")
@pytest.mark.parametrize("in_flight", [1, 2, 7], ids=lambda limit: f"{limit} in flight")
def test_idle_containers_leave_a_permit_to_bulk_messages(
    store: InMemoryProviderLimitStore, in_flight: int, bulk_in_flight: int
) -> None:
    settings = mediasms_guard_settings(
        requests_per_s=80,
        jitter=SETTINGS.jitter,
        in_flight=in_flight,
        policy="lockout_safe",
        bulk_in_flight=bulk_in_flight,
    )
    for container in [_Container(store, settings=settings) for _ in range(8)] * 3:
        container.send()

    _Container(store, settings=settings).guards.with_concurrency_limit(bulk_in_flight)[0].acquire(latest=START + BUDGET)


def test_a_401_drops_the_rest_of_the_block(store: InMemoryProviderLimitStore) -> None:
    container = _Container(store, workers=3)
    with container.guards.batch(10):
        container.send()
        container.send(UNAUTHENTICATED, worker=1)
        writes = store.writes
        container.send(worker=2)
    assert store.writes > writes


def test_the_next_batch_does_not_use_slots_left_by_the_last(store: InMemoryProviderLimitStore) -> None:
    container = _Container(store, workers=2)
    with container.guards.batch(10):
        first = container.send()
    with container.guards.batch(2):
        assert container.send() == first + 10 * INTERVAL


def test_a_block_ends_within_the_waiting_budget(store: InMemoryProviderLimitStore) -> None:
    slow = replace(SETTINGS, requests_per_s=1)
    container = _Container(store, workers=3, settings=slow)
    with container.guards.batch(10):
        container.send()
        container.send(worker=1)
        assert store.writes == 1
        assert container.send(worker=2) == 2 * timedelta(microseconds=slow.interval_us)
    assert store.writes > 1


def test_a_rotation_costs_all_warm_containers_one_401_together(store: InMemoryProviderLimitStore) -> None:
    account = _Account()
    containers = [_Container(store, account=account) for _ in range(50)]
    for container in containers:
        container.send()
    account.version = "v2"
    containers[0].send(UNAUTHENTICATED)
    for container in containers:
        container.send()
    state = store.states[KEY]
    assert (state.total_401s, state.consecutive_401s, state.rejected_versions) == (1, 0, frozenset({"v1"}))
    assert account.reads == 2 * len(containers)


def test_rejected_credentials_are_used_once_they_were_read_again(store: InMemoryProviderLimitStore) -> None:
    account = _Account()
    containers = [_Container(store, account=account) for _ in range(3)]
    containers[0].send()
    containers[0].send(UNAUTHENTICATED)
    containers[1].send()
    assert store.states[KEY].rejected_versions == frozenset()
    reads = account.reads
    containers[2].send()
    containers[2].send()
    assert account.reads == reads + 1


def test_forty_rotations_leave_at_most_twenty_rejected_versions(store: InMemoryProviderLimitStore) -> None:
    account = _Account()
    container = _Container(store, account=account)
    for number in range(40):
        container.send(UNAUTHENTICATED)
        account.version = f"v{number + 2}"
        container.send()
    assert len(store.states[KEY].rejected_versions) <= 20


@pytest.mark.parametrize("ahead_s", [3600.0, 2.5, -2.5, -3600.0], ids=lambda ahead_s: f"{ahead_s:+g} s")
def test_a_container_with_a_wrong_clock_reserves_nothing(store: InMemoryProviderLimitStore, ahead_s: float) -> None:
    store.ahead_s = ahead_s
    container = _Container(store)
    container.clock.advance(timedelta(seconds=ahead_s))
    with pytest.raises(SlotUnavailableError, match="clock"):
        container.send()
    assert store.writes == 0
    store.ahead_s = 1.9
    assert _Container(store).send() == timedelta(0)


def test_a_new_clock_is_compared_before_it_sets_the_next_slot() -> None:
    """The store's first answer has its time, even if it refuses."""

    class StoreWithDate(InMemoryProviderLimitStore):
        def reserve_next(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # adds the date
            self.ahead_s = 3600.0
            return super().reserve_next(*args, **kwargs)  # type: ignore[arg-type]  # as above

    store = StoreWithDate()
    store.ahead_s = None
    with pytest.raises(SlotUnavailableError, match="clock"):
        _Container(store).send()
    assert KEY not in store.states


def test_a_next_slot_far_ahead_is_reported_as_a_wrong_clock(store: InMemoryProviderLimitStore) -> None:
    container = _Container(store)
    container.clock.advance(timedelta(hours=1))
    container.send()
    with pytest.raises(LockedOutError, match=r"^The next slot is more than 60 s ahead: a clock was wrong") as raised:
        _Container(store).send()
    assert raised.value.reason == "next_slot"


def _measure_interval(container: _Container) -> float:
    """Measure the interval between two slots, as a multiple of the full pace's."""
    first = container.send()
    return (container.send() - first) / INTERVAL


def test_a_rate_limited_answer_widens_the_interval_for_a_while(store: InMemoryProviderLimitStore) -> None:
    container = _Container(store)
    assert _measure_interval(container) == 1
    container.send(RATE_LIMITED)
    assert _measure_interval(container) == pytest.approx(1.2, abs=0.01)
    container.clock.advance(SETTINGS.backoff_recovery / 2)
    assert _measure_interval(container) == pytest.approx(1.1, abs=0.02)
    container.clock.advance(SETTINGS.backoff_recovery)
    writes = store.writes
    assert _measure_interval(container) == 1
    assert store.writes == writes + 2


def test_rate_limited_answers_of_one_moment_back_off_once(store: InMemoryProviderLimitStore) -> None:
    containers = [_Container(store) for _ in range(3)]
    guards: list[ProviderGuard] = [container.guards.single for container in containers]
    for container, guard in zip(containers, guards, strict=True):
        container.clock.sleep_until(guard.acquire(latest=START + BUDGET))
    for container, guard in zip(containers, guards, strict=True):
        container.clock.sleep_until(START + 3 * INTERVAL)
        guard.record_result(RATE_LIMITED)
    assert store.states[KEY].backoff_percent == 120
    containers[0].clock.advance(INTERVAL)
    containers[0].send(RATE_LIMITED)
    assert store.states[KEY].backoff_percent == pytest.approx(144, abs=2)


def test_another_container_adopts_the_back_off(store: InMemoryProviderLimitStore) -> None:
    rate_limited, other = _Container(store), _Container(store)
    other.send()
    rate_limited.send(RATE_LIMITED)
    before = other.send()
    assert (other.send() - before) / INTERVAL == pytest.approx(1.2, abs=0.01)


@pytest.mark.parametrize(
    "settings",
    [pytest.param(biztel_guard_settings(requests_per_s=10), id="BIZTEL"), pytest.param(SETTINGS, id="MediaSMS")],
)
def test_one_rate_limited_answer_costs_less_than_three_seconds(
    store: InMemoryProviderLimitStore, settings: GuardSettings
) -> None:
    """The cost is the requests at full pace in the minute after it, less those that are sent."""
    container = _Container(store, settings=replace(settings, in_flight=None))
    first = container.send()
    assert container.send(RATE_LIMITED) > first
    sent, ends = 0, container.clock.now() + timedelta(minutes=1)
    while container.clock.now() < ends:
        container.send()
        sent += 1
    full_pace = timedelta(minutes=1) / timedelta(microseconds=settings.interval_us)
    assert 0 < full_pace - sent < 3 * settings.requests_per_s


def test_at_full_rate_the_circuit_opens_without_permits(store: InMemoryProviderLimitStore) -> None:
    full_rate = replace(SETTINGS, in_flight=None)
    containers = [_Container(store, settings=full_rate) for _ in range(30)]
    for container in containers:
        container.guards.single.acquire(latest=START + BUDGET)
    assert store.states[KEY].permits == {}
    for container in containers[: SETTINGS.open_after_401s]:
        container.guards.single.record_result(UNAUTHENTICATED)
    with pytest.raises(LockedOutError):
        containers[-1].send()


def test_an_accepted_probe_lets_all_containers_send_again(store: InMemoryProviderLimitStore) -> None:
    account = _Account()
    containers = [_Container(store, account=account) for _ in range(10)]
    for _ in range(SETTINGS.open_after_401s):
        containers[0].send(UNAUTHENTICATED)
    with pytest.raises(LockedOutError):
        containers[1].send()
    account.version = "v2"
    containers[2].guards.single.acquire(latest=START + BUDGET)
    with pytest.raises(LockedOutError):
        containers[3].send()
    containers[2].guards.single.record_result(None)
    for container in containers:
        container.send()
    assert store.states[KEY].total_401s == SETTINGS.open_after_401s
