"""One write reserves for a batch; rotated credentials, astray clocks and slow providers are seen. (I10, I11, I13)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count, pairwise

import pytest

from switchboard.bootstrap.components.provider_guards import biztel_limits, mediasms_limits
from switchboard.domain.errors import LockedOutError, NoSlotError, ProviderError
from switchboard.guard.provider.rate_limiter import GateLimits, PacedGates
from switchboard.ports.provider_limits import SendGate
from tests.fakes import START, Ending, FixedClock, InMemoryLaneStore, provider_error

LANE = "mediasms"
LIMITS = GateLimits(requests_per_s=80)
STEP = timedelta(microseconds=LIMITS.step_us)
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
    """Its threads' gates, its clock and its copy of the secret."""

    def __init__(
        self, lanes: InMemoryLaneStore, *, seats: int = 1, limits: GateLimits = LIMITS, account: _Account | None = None
    ) -> None:
        self.lanes = lanes
        self.clock = FixedClock()
        self.account = account or _Account()
        self._copy: str | None = None
        self.gates = PacedGates(
            lanes=lanes,
            lane=LANE,
            worker=f"container{next(_NAMES)}",
            limits=limits,
            clock=self.clock,
            version=self._version,
            forget_credentials=self._forget,
            seats=seats,
        )

    def _version(self) -> str:
        self._copy = self._copy or self.account.read()
        return self._copy

    def _forget(self) -> None:
        self._copy = None

    def sends(self, answer: ProviderError | None = None, *, seat: int = 0) -> timedelta:
        """One whole request. Returns when its slot was, after the start."""
        gate = self.gates.seats[seat]
        slot = gate.reserve(latest=self.clock.now() + BUDGET)
        self.clock.sleep_until(slot)
        gate.heard(answer)
        return slot - START


@pytest.fixture
def lanes() -> InMemoryLaneStore:
    return InMemoryLaneStore()


def test_a_synchronous_send_costs_one_write(lanes: InMemoryLaneStore) -> None:
    container = _Container(lanes)
    for number in range(1, 50):
        container.sends()
        assert lanes.writes == number


def test_ten_queued_sends_cost_one_write_and_each_has_its_slot(lanes: InMemoryLaneStore) -> None:
    container = _Container(lanes, seats=3)
    for batches in range(1, 6):
        with container.gates.batch(10):
            slots = [container.sends(seat=number % 3) for number in range(10)]
        assert lanes.writes == batches
        assert all(later - earlier == STEP for earlier, later in pairwise(slots))


def test_two_containers_blocks_do_not_overlap(lanes: InMemoryLaneStore) -> None:
    containers = [_Container(lanes, seats=3) for _ in range(2)]
    slots = []
    for container in containers:
        with container.gates.batch(10):
            slots += [container.sends(seat=number % 3) for number in range(10)]
    assert sorted(slots) == [number * STEP for number in range(20)]


def test_a_block_takes_a_place_in_flight_for_each_thread(lanes: InMemoryLaneStore) -> None:
    for container in [_Container(lanes, seats=3) for _ in range(2)]:
        with container.gates.batch(10):
            container.sends()
    assert len(lanes.lanes[LANE].permits) == 6
    third = _Container(lanes, seats=3)
    with third.gates.batch(10):
        third.sends()
        with pytest.raises(NoSlotError) as full:
            third.sends(seat=1)
    assert full.value.crowded
    assert len(lanes.lanes[LANE].permits) == LIMITS.in_flight


def test_a_batch_that_was_not_full_gives_its_places_back_where_they_are_wanted(lanes: InMemoryLaneStore) -> None:
    for size, places in ((10, 3), (10, 6), (4, 6)):
        container = _Container(lanes, seats=3)
        with container.gates.batch(size):
            container.sends()
        assert len(lanes.lanes[LANE].permits) == places


def test_bulk_threads_leave_places_to_others(lanes: InMemoryLaneStore) -> None:
    holders = [_Container(lanes) for _ in range(3)]
    for holder in holders:
        holder.gates.seats[0].reserve(latest=START + BUDGET)
    bulk = _Container(lanes)
    with pytest.raises(NoSlotError):
        bulk.gates.narrowed(3)[0].reserve(latest=START + BUDGET)
    bulk.sends()


@pytest.mark.parametrize("bulk_in_flight", [1, 2, 3, 7])
@pytest.mark.parametrize("in_flight", [1, 2, 7])
def test_containers_that_take_turns_leave_bulk_a_place_whenever_nothing_is_in_flight(
    lanes: InMemoryLaneStore, in_flight: int, bulk_in_flight: int
) -> None:
    limits = mediasms_limits(
        requests_per_s=80,
        jitter=LIMITS.jitter,
        in_flight=in_flight,
        policy="lockout_safe",
        bulk_in_flight=bulk_in_flight,
    )
    for container in [_Container(lanes, limits=limits) for _ in range(8)] * 3:
        container.sends()

    _Container(lanes, limits=limits).gates.narrowed(bulk_in_flight)[0].reserve(latest=START + BUDGET)


def test_a_refusal_gives_up_the_rest_of_the_block(lanes: InMemoryLaneStore) -> None:
    container = _Container(lanes, seats=3)
    with container.gates.batch(10):
        container.sends()
        container.sends(UNAUTHENTICATED, seat=1)
        writes = lanes.writes
        container.sends(seat=2)
    assert lanes.writes > writes


def test_what_a_batch_leaves_over_is_not_used_by_the_next(lanes: InMemoryLaneStore) -> None:
    container = _Container(lanes, seats=2)
    with container.gates.batch(10):
        first = container.sends()
    with container.gates.batch(2):
        assert container.sends() == first + 10 * STEP


def test_a_block_is_no_longer_than_the_time_there_is_for_it(lanes: InMemoryLaneStore) -> None:
    slow = replace(LIMITS, requests_per_s=1)
    container = _Container(lanes, seats=3, limits=slow)
    with container.gates.batch(10):
        container.sends()
        container.sends(seat=1)
        assert lanes.writes == 1
        assert container.sends(seat=2) == 2 * timedelta(microseconds=slow.step_us)
    assert lanes.writes > 1


def test_a_rotation_costs_one_counted_refusal_for_all_warm_containers_together(lanes: InMemoryLaneStore) -> None:
    account = _Account()
    containers = [_Container(lanes, account=account) for _ in range(50)]
    for container in containers:
        container.sends()
    account.version = "v2"
    containers[0].sends(UNAUTHENTICATED)
    for container in containers:
        container.sends()
    state = lanes.lanes[LANE]
    assert (state.refusals, state.streak, state.refused) == (1, 0, frozenset({"v1"}))
    assert account.reads == 2 * len(containers)


def test_credentials_that_were_read_again_are_used_though_they_were_refused_once(lanes: InMemoryLaneStore) -> None:
    account = _Account()
    containers = [_Container(lanes, account=account) for _ in range(3)]
    containers[0].sends()
    containers[0].sends(UNAUTHENTICATED)
    containers[1].sends()
    assert lanes.lanes[LANE].refused == frozenset()
    reads = account.reads
    containers[2].sends()
    containers[2].sends()
    assert account.reads == reads + 1


def test_refused_versions_are_not_kept_for_ever(lanes: InMemoryLaneStore) -> None:
    account = _Account()
    container = _Container(lanes, account=account)
    for number in range(40):
        container.sends(UNAUTHENTICATED)
        account.version = f"v{number + 2}"
        container.sends()
    assert len(lanes.lanes[LANE].refused) <= 20


@pytest.mark.parametrize("ahead_s", [3600.0, 2.5, -2.5, -3600.0])
def test_a_clock_that_is_off_moves_no_cursor(lanes: InMemoryLaneStore, ahead_s: float) -> None:
    lanes.ahead_s = ahead_s
    astray = _Container(lanes)
    astray.clock.advance(timedelta(seconds=ahead_s))
    with pytest.raises(NoSlotError, match="clock"):
        astray.sends()
    assert lanes.writes == 0
    lanes.ahead_s = 1.9
    assert _Container(lanes).sends() == timedelta(0)


def test_a_clock_that_was_never_compared_is_before_it_sets_a_cursor(lanes: InMemoryLaneStore) -> None:
    """The first answer tells the store's time, whatever it answers."""

    class Telling(InMemoryLaneStore):
        def append(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # only counts
            self.ahead_s = 3600.0
            return super().append(*args, **kwargs)  # type: ignore[arg-type]  # as above

    telling = Telling()
    telling.ahead_s = None
    with pytest.raises(NoSlotError, match="clock"):
        _Container(telling).sends()
    assert LANE not in telling.lanes


def test_a_cursor_that_nobody_can_have_moved_so_far_is_called_by_its_name(lanes: InMemoryLaneStore) -> None:
    ahead = _Container(lanes)
    ahead.clock.advance(timedelta(hours=1))
    ahead.sends()
    with pytest.raises(LockedOutError) as locked:
        _Container(lanes).sends()
    assert locked.value.reason == "cursor"


def _spacing(container: _Container) -> float:
    """How wide a step is, as a multiple of the full pace's."""
    first = container.sends()
    return (container.sends() - first) / STEP


def test_a_provider_that_finds_us_too_fast_gets_wider_steps_and_they_wear_off(lanes: InMemoryLaneStore) -> None:
    container = _Container(lanes)
    assert _spacing(container) == 1
    container.sends(RATE_LIMITED)
    assert _spacing(container) == pytest.approx(1.2, abs=0.01)
    container.clock.advance(LIMITS.recovery / 2)
    assert _spacing(container) == pytest.approx(1.1, abs=0.02)
    container.clock.advance(LIMITS.recovery)
    writes = lanes.writes
    assert _spacing(container) == 1
    assert lanes.writes == writes + 2


def test_refusals_of_one_moment_slow_down_once_and_later_ones_again(lanes: InMemoryLaneStore) -> None:
    containers = [_Container(lanes) for _ in range(3)]
    gates: list[SendGate] = [container.gates.seats[0] for container in containers]
    for container, gate in zip(containers, gates, strict=True):
        container.clock.sleep_until(gate.reserve(latest=START + BUDGET))
    for container, gate in zip(containers, gates, strict=True):
        container.clock.sleep_until(START + 3 * STEP)
        gate.heard(RATE_LIMITED)
    assert lanes.lanes[LANE].slow_pct == 120
    containers[0].clock.advance(STEP)
    containers[0].sends(RATE_LIMITED)
    assert lanes.lanes[LANE].slow_pct == pytest.approx(144, abs=2)


def test_whoever_has_not_seen_the_slowing_does_not_reserve_at_the_old_pace(lanes: InMemoryLaneStore) -> None:
    knows, _other = _Container(lanes), _Container(lanes)
    _other.sends()
    knows.sends(RATE_LIMITED)
    before = _other.sends()
    assert (_other.sends() - before) / STEP == pytest.approx(1.2, abs=0.01)


@pytest.mark.parametrize("limits", [biztel_limits(requests_per_s=10), LIMITS], ids=["BIZTEL", "MediaSMS"])
def test_one_refusal_for_speed_costs_less_than_three_seconds(lanes: InMemoryLaneStore, limits: GateLimits) -> None:
    """What is sent in a minute after it, less than what would have been."""
    container = _Container(lanes, limits=replace(limits, in_flight=None))
    first = container.sends()
    assert container.sends(RATE_LIMITED) > first
    sent, ends = 0, container.clock.now() + timedelta(minutes=1)
    while container.clock.now() < ends:
        container.sends()
        sent += 1
    full_pace = timedelta(minutes=1) / timedelta(microseconds=limits.step_us)
    assert 0 < full_pace - sent < 3 * limits.requests_per_s


def test_at_full_rate_nobody_holds_a_place_and_the_circuit_opens_all_the_same(lanes: InMemoryLaneStore) -> None:
    full_rate = replace(LIMITS, in_flight=None)
    containers = [_Container(lanes, limits=full_rate) for _ in range(30)]
    for container in containers:
        container.gates.seats[0].reserve(latest=START + BUDGET)
    assert lanes.lanes[LANE].permits == {}
    for container in containers[: LIMITS.streak_limit]:
        container.gates.seats[0].heard(UNAUTHENTICATED)
    with pytest.raises(LockedOutError):
        containers[-1].sends()


def _crowd(size: int, make: Callable[[], _Container]) -> list[_Container]:
    return [make() for _ in range(size)]


def test_new_credentials_cost_one_request_and_then_everybody_goes_on(lanes: InMemoryLaneStore) -> None:
    account = _Account()
    containers = _crowd(10, lambda: _Container(lanes, account=account))
    for _ in range(LIMITS.streak_limit):
        containers[0].sends(UNAUTHENTICATED)
    with pytest.raises(LockedOutError):
        containers[1].sends()
    account.version = "v2"
    containers[2].gates.seats[0].reserve(latest=START + BUDGET)
    with pytest.raises(LockedOutError):
        containers[3].sends()
    containers[2].gates.seats[0].heard(None)
    for container in containers:
        container.sends()
    assert lanes.lanes[LANE].refusals == LIMITS.streak_limit
