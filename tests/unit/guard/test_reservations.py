"""One write reserves for a batch; rotated credentials, astray clocks and slow providers are seen. (I10, I11, I13)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count, pairwise

import pytest

from switchboard.bootstrap.components.provider_guards import biztel_guard_settings, mediasms_guard_settings
from switchboard.domain.errors import ConcurrencyLimitError, LockedOutError, ProviderError, SlotUnavailableError
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from switchboard.ports.provider_limits import ProviderGuard
from tests.fakes import START, Ending, FixedClock, InMemoryProviderLimitStore, provider_error

KEY = "mediasms"
LIMITS = GuardSettings(requests_per_s=80)
STEP = timedelta(microseconds=LIMITS.interval_us)
BUDGET = timedelta(seconds=2)
UNAUTHENTICATED = provider_error(Ending.UNAUTHENTICATED)
RATE_LIMITED = provider_error(Ending.RATE_LIMITED)
_NAMES = count(1)


@dataclass(slots=True)
class _Account:
    """The secret, and how often it was read."""

    version: str = "v1"
    reads: int = 0

    def read(self) -> str:
        self.reads += 1
        return self.version


class _Container:
    """Its threads' guards, its clock and its copy of the secret."""

    def __init__(
        self,
        store: InMemoryProviderLimitStore,
        *,
        workers: int = 1,
        limits: GuardSettings = LIMITS,
        account: _Account | None = None,
    ) -> None:
        self.store = store
        self.clock = FixedClock()
        self.account = account or _Account()
        self._copy: str | None = None
        self.guards = ProviderGuards(
            store=store,
            key=KEY,
            container_id=f"container{next(_NAMES)}",
            settings=limits,
            clock=self.clock,
            version=self._version,
            forget_credentials=self._forget,
            workers=workers,
        )

    def _version(self) -> str:
        self._copy = self._copy or self.account.read()
        return self._copy

    def _forget(self) -> None:
        self._copy = None

    def sends(self, answer: ProviderError | None = None, *, worker: int = 0) -> timedelta:
        """One whole request. Returns when its slot was, after the start."""
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
        container.sends()
        assert store.writes == number


def test_ten_queued_sends_cost_one_write_and_each_has_its_slot(store: InMemoryProviderLimitStore) -> None:
    container = _Container(store, workers=3)
    for batches in range(1, 6):
        with container.guards.batch(10):
            slots = [container.sends(worker=number % 3) for number in range(10)]
        assert store.writes == batches
        assert all(later - earlier == STEP for earlier, later in pairwise(slots))


def test_two_containers_blocks_do_not_overlap(store: InMemoryProviderLimitStore) -> None:
    containers = [_Container(store, workers=3) for _ in range(2)]
    slots = []
    for container in containers:
        with container.guards.batch(10):
            slots += [container.sends(worker=number % 3) for number in range(10)]
    assert sorted(slots) == [number * STEP for number in range(20)]


def test_a_block_takes_a_place_in_flight_for_each_thread(store: InMemoryProviderLimitStore) -> None:
    for container in [_Container(store, workers=3) for _ in range(2)]:
        with container.guards.batch(10):
            container.sends()
    assert len(store.states[KEY].permits) == 6
    third = _Container(store, workers=3)
    with third.guards.batch(10):
        third.sends()
        with pytest.raises(ConcurrencyLimitError):
            third.sends(worker=1)
    assert len(store.states[KEY].permits) == LIMITS.in_flight


def test_a_batch_that_was_not_full_gives_its_places_back_where_they_are_wanted(
    store: InMemoryProviderLimitStore,
) -> None:
    for size, places in ((10, 3), (10, 6), (4, 6)):
        container = _Container(store, workers=3)
        with container.guards.batch(size):
            container.sends()
        assert len(store.states[KEY].permits) == places


def test_bulk_threads_leave_places_to_others(store: InMemoryProviderLimitStore) -> None:
    holders = [_Container(store) for _ in range(3)]
    for holder in holders:
        holder.guards.workers[0].acquire(latest=START + BUDGET)
    bulk = _Container(store)
    with pytest.raises(SlotUnavailableError):
        bulk.guards.with_concurrency_limit(3)[0].acquire(latest=START + BUDGET)
    bulk.sends()


@pytest.mark.parametrize("bulk_in_flight", [1, 2, 3, 7])
@pytest.mark.parametrize("in_flight", [1, 2, 7])
def test_containers_that_take_turns_leave_bulk_a_place_whenever_nothing_is_in_flight(
    store: InMemoryProviderLimitStore, in_flight: int, bulk_in_flight: int
) -> None:
    limits = mediasms_guard_settings(
        requests_per_s=80,
        jitter=LIMITS.jitter,
        in_flight=in_flight,
        policy="lockout_safe",
        bulk_in_flight=bulk_in_flight,
    )
    for container in [_Container(store, limits=limits) for _ in range(8)] * 3:
        container.sends()

    _Container(store, limits=limits).guards.with_concurrency_limit(bulk_in_flight)[0].acquire(latest=START + BUDGET)


def test_a_refusal_gives_up_the_rest_of_the_block(store: InMemoryProviderLimitStore) -> None:
    container = _Container(store, workers=3)
    with container.guards.batch(10):
        container.sends()
        container.sends(UNAUTHENTICATED, worker=1)
        writes = store.writes
        container.sends(worker=2)
    assert store.writes > writes


def test_what_a_batch_leaves_over_is_not_used_by_the_next(store: InMemoryProviderLimitStore) -> None:
    container = _Container(store, workers=2)
    with container.guards.batch(10):
        first = container.sends()
    with container.guards.batch(2):
        assert container.sends() == first + 10 * STEP


def test_a_block_is_no_longer_than_the_time_there_is_for_it(store: InMemoryProviderLimitStore) -> None:
    slow = replace(LIMITS, requests_per_s=1)
    container = _Container(store, workers=3, limits=slow)
    with container.guards.batch(10):
        container.sends()
        container.sends(worker=1)
        assert store.writes == 1
        assert container.sends(worker=2) == 2 * timedelta(microseconds=slow.interval_us)
    assert store.writes > 1


def test_a_rotation_costs_one_counted_refusal_for_all_warm_containers_together(
    store: InMemoryProviderLimitStore,
) -> None:
    account = _Account()
    containers = [_Container(store, account=account) for _ in range(50)]
    for container in containers:
        container.sends()
    account.version = "v2"
    containers[0].sends(UNAUTHENTICATED)
    for container in containers:
        container.sends()
    state = store.states[KEY]
    assert (state.total_401s, state.consecutive_401s, state.rejected_versions) == (1, 0, frozenset({"v1"}))
    assert account.reads == 2 * len(containers)


def test_credentials_that_were_read_again_are_used_though_they_were_refused_once(
    store: InMemoryProviderLimitStore,
) -> None:
    account = _Account()
    containers = [_Container(store, account=account) for _ in range(3)]
    containers[0].sends()
    containers[0].sends(UNAUTHENTICATED)
    containers[1].sends()
    assert store.states[KEY].rejected_versions == frozenset()
    reads = account.reads
    containers[2].sends()
    containers[2].sends()
    assert account.reads == reads + 1


def test_refused_versions_are_not_kept_for_ever(store: InMemoryProviderLimitStore) -> None:
    account = _Account()
    container = _Container(store, account=account)
    for number in range(40):
        container.sends(UNAUTHENTICATED)
        account.version = f"v{number + 2}"
        container.sends()
    assert len(store.states[KEY].rejected_versions) <= 20


@pytest.mark.parametrize("ahead_s", [3600.0, 2.5, -2.5, -3600.0])
def test_a_clock_that_is_off_moves_no_cursor(store: InMemoryProviderLimitStore, ahead_s: float) -> None:
    store.ahead_s = ahead_s
    astray = _Container(store)
    astray.clock.advance(timedelta(seconds=ahead_s))
    with pytest.raises(SlotUnavailableError, match="clock"):
        astray.sends()
    assert store.writes == 0
    store.ahead_s = 1.9
    assert _Container(store).sends() == timedelta(0)


def test_a_clock_that_was_never_compared_is_before_it_sets_a_cursor(store: InMemoryProviderLimitStore) -> None:
    """The first answer tells the store's time, whatever it answers."""

    class Telling(InMemoryProviderLimitStore):
        def reserve_next(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # only counts
            self.ahead_s = 3600.0
            return super().reserve_next(*args, **kwargs)  # type: ignore[arg-type]  # as above

    telling = Telling()
    telling.ahead_s = None
    with pytest.raises(SlotUnavailableError, match="clock"):
        _Container(telling).sends()
    assert KEY not in telling.states


def test_a_cursor_that_nobody_can_have_moved_so_far_is_called_by_its_name(store: InMemoryProviderLimitStore) -> None:
    ahead = _Container(store)
    ahead.clock.advance(timedelta(hours=1))
    ahead.sends()
    with pytest.raises(LockedOutError) as locked:
        _Container(store).sends()
    assert locked.value.reason == "next_slot"


def _spacing(container: _Container) -> float:
    """How wide a step is, as a multiple of the full pace's."""
    first = container.sends()
    return (container.sends() - first) / STEP


def test_a_provider_that_finds_us_too_fast_gets_wider_steps_and_they_wear_off(
    store: InMemoryProviderLimitStore,
) -> None:
    container = _Container(store)
    assert _spacing(container) == 1
    container.sends(RATE_LIMITED)
    assert _spacing(container) == pytest.approx(1.2, abs=0.01)
    container.clock.advance(LIMITS.backoff_recovery / 2)
    assert _spacing(container) == pytest.approx(1.1, abs=0.02)
    container.clock.advance(LIMITS.backoff_recovery)
    writes = store.writes
    assert _spacing(container) == 1
    assert store.writes == writes + 2


def test_refusals_of_one_moment_slow_down_once_and_later_ones_again(store: InMemoryProviderLimitStore) -> None:
    containers = [_Container(store) for _ in range(3)]
    guards: list[ProviderGuard] = [container.guards.workers[0] for container in containers]
    for container, guard in zip(containers, guards, strict=True):
        container.clock.sleep_until(guard.acquire(latest=START + BUDGET))
    for container, guard in zip(containers, guards, strict=True):
        container.clock.sleep_until(START + 3 * STEP)
        guard.record_result(RATE_LIMITED)
    assert store.states[KEY].backoff_percent == 120
    containers[0].clock.advance(STEP)
    containers[0].sends(RATE_LIMITED)
    assert store.states[KEY].backoff_percent == pytest.approx(144, abs=2)


def test_whoever_has_not_seen_the_slowing_does_not_reserve_at_the_old_pace(store: InMemoryProviderLimitStore) -> None:
    knows, _other = _Container(store), _Container(store)
    _other.sends()
    knows.sends(RATE_LIMITED)
    before = _other.sends()
    assert (_other.sends() - before) / STEP == pytest.approx(1.2, abs=0.01)


@pytest.mark.parametrize("limits", [biztel_guard_settings(requests_per_s=10), LIMITS], ids=["BIZTEL", "MediaSMS"])
def test_one_refusal_for_speed_costs_less_than_three_seconds(
    store: InMemoryProviderLimitStore, limits: GuardSettings
) -> None:
    """What is sent in a minute after it, less than what would have been."""
    container = _Container(store, limits=replace(limits, in_flight=None))
    first = container.sends()
    assert container.sends(RATE_LIMITED) > first
    sent, ends = 0, container.clock.now() + timedelta(minutes=1)
    while container.clock.now() < ends:
        container.sends()
        sent += 1
    full_pace = timedelta(minutes=1) / timedelta(microseconds=limits.interval_us)
    assert 0 < full_pace - sent < 3 * limits.requests_per_s


def test_at_full_rate_nobody_holds_a_place_and_the_circuit_opens_all_the_same(
    store: InMemoryProviderLimitStore,
) -> None:
    full_rate = replace(LIMITS, in_flight=None)
    containers = [_Container(store, limits=full_rate) for _ in range(30)]
    for container in containers:
        container.guards.workers[0].acquire(latest=START + BUDGET)
    assert store.states[KEY].permits == {}
    for container in containers[: LIMITS.open_after_401s]:
        container.guards.workers[0].record_result(UNAUTHENTICATED)
    with pytest.raises(LockedOutError):
        containers[-1].sends()


def _crowd(size: int, make: Callable[[], _Container]) -> list[_Container]:
    return [make() for _ in range(size)]


def test_new_credentials_cost_one_request_and_then_everybody_goes_on(store: InMemoryProviderLimitStore) -> None:
    account = _Account()
    containers = _crowd(10, lambda: _Container(store, account=account))
    for _ in range(LIMITS.open_after_401s):
        containers[0].sends(UNAUTHENTICATED)
    with pytest.raises(LockedOutError):
        containers[1].sends()
    account.version = "v2"
    containers[2].guards.workers[0].acquire(latest=START + BUDGET)
    with pytest.raises(LockedOutError):
        containers[3].sends()
    containers[2].guards.workers[0].record_result(None)
    for container in containers:
        container.sends()
    assert store.states[KEY].total_401s == LIMITS.open_after_401s
