"""The gate keeps every sender inside the provider's rate, and away from its lock-out. (I11, I13, I14)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count, pairwise

import pytest

from switchboard.domain.errors import (
    LockedOutError,
    NoSlotError,
    ProviderError,
    StoreUnavailableError,
    SubmissionFailedError,
)
from switchboard.domain.rate_limits import CircuitRule, LaneMove, LaneState, Permit, SlotRequest
from switchboard.guard.provider.rate_limiter import GateLimits, PacedGate
from switchboard.ports.provider_limits import LaneStore
from tests.builders import a_command
from tests.fakes import (
    START,
    Ending,
    FixedClock,
    InMemoryLaneStore,
    InMemoryMessageStore,
    ScriptedProvider,
    down,
    provider_error,
)
from tests.harness.schedules import Schedule, every_schedule, random_schedules
from tests.harness.stepping import Actor, Crashed, History, play, step, stepped
from tests.systems import assembled

LANE = "mediasms"
IN_FLIGHT = 7
LIMITS = GateLimits(requests_per_s=80, in_flight=IN_FLIGHT)
STEP = timedelta(microseconds=13_438)
BUDGET = timedelta(seconds=2)
UNAUTHENTICATED = provider_error(Ending.UNAUTHENTICATED)
WINDOW = timedelta(seconds=1) + LIMITS.jitter
_WORKERS = count(1)


@dataclass(slots=True)
class _Worker:
    """One sender behind the address, with its own clock and its own copy of the credentials."""

    lanes: LaneStore
    clock: FixedClock = field(default_factory=FixedClock)
    version: str = "v1"
    stored_version: str | None = None
    name: str = field(default_factory=lambda: f"worker{next(_WORKERS)}")
    gate: PacedGate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = PacedGate(
            lanes=self.lanes,
            lane=LANE,
            worker=self.name,
            limits=LIMITS,
            clock=self.clock,
            version=lambda: self.version,
            forget_credentials=self._read_again,
        )

    def _read_again(self) -> None:
        self.version = self.stored_version or self.version

    def reserve(self, *, within: timedelta = BUDGET) -> datetime:
        return self.gate.reserve(latest=self.clock.now() + within)

    def sends(self, answer: ProviderError | None = None) -> None:
        """One whole request: a slot, the wait for it, and what the provider said."""
        self.clock.sleep_until(self.reserve())
        self.gate.heard(answer)


class _Switch(InMemoryLaneStore):
    """Hands every call on to the store that it is switched to."""

    to: LaneStore

    def __init__(self, to: LaneStore) -> None:
        super().__init__()
        self.to = to

    def __getattribute__(self, name: str) -> object:
        if name == "to":
            return super().__getattribute__(name)
        return getattr(super().__getattribute__("to"), name)


@pytest.fixture
def lanes() -> InMemoryLaneStore:
    return InMemoryLaneStore()


def test_an_idle_lane_gives_a_slot_at_once(lanes: InMemoryLaneStore) -> None:
    assert _Worker(lanes).reserve() == START


def test_slots_of_all_workers_are_a_step_apart(lanes: InMemoryLaneStore) -> None:
    workers = [_Worker(lanes) for _ in range(3)]
    slots = [worker.reserve() for _ in range(4) for worker in workers]
    assert slots == [START + number * STEP for number in range(12)]


def test_no_window_holds_more_than_the_limit_even_if_requests_arrive_late(lanes: InMemoryLaneStore) -> None:
    worker = _Worker(lanes)
    slots = [worker.reserve(within=timedelta(minutes=1)) for _ in range(400)]
    assert max(sum(first <= slot < first + WINDOW for slot in slots) for first in slots) <= LIMITS.requests_per_s


def test_an_idle_time_saves_up_no_slots(lanes: InMemoryLaneStore) -> None:
    worker = _Worker(lanes)
    worker.reserve()
    worker.clock.advance(timedelta(hours=1))
    assert [worker.reserve() for _ in range(2)] == [worker.clock.now(), worker.clock.now() + STEP]


def test_a_full_lane_says_when_to_come_again(lanes: InMemoryLaneStore) -> None:
    worker = _Worker(lanes)
    while True:
        try:
            assert worker.reserve() <= START + BUDGET
        except NoSlotError as full:
            assert 0 < full.retry_after_s <= STEP.total_seconds()
            break
    worker.clock.advance(STEP)
    worker.reserve()


def test_a_budget_that_has_run_out_costs_no_call() -> None:
    worker = _Worker(down(InMemoryLaneStore))
    for within in (timedelta(0), timedelta(seconds=-1)):
        with pytest.raises(NoSlotError):
            worker.reserve(within=within)


def test_a_slot_is_stale_once_it_is_missed_by_more_than_the_jitter(lanes: InMemoryLaneStore) -> None:
    worker = _Worker(lanes)
    slot = worker.reserve()
    worker.clock.advance(LIMITS.jitter)
    assert not worker.gate.is_stale(slot)
    worker.clock.advance(timedelta(microseconds=1))
    assert worker.gate.is_stale(slot)


def test_three_refusals_in_a_row_open_the_circuit_for_every_worker(lanes: InMemoryLaneStore) -> None:
    workers = [_Worker(lanes), _Worker(lanes)]
    for worker in (*workers, workers[0]):
        worker.sends(UNAUTHENTICATED)
    for worker in workers:
        with pytest.raises(LockedOutError) as locked:
            worker.reserve()
        assert locked.value.reason == "authentication"


@pytest.mark.parametrize("answer", [None, provider_error(Ending.REFUSED), provider_error(Ending.RATE_LIMITED)])
def test_any_readable_answer_between_refusals_ends_the_streak(
    lanes: InMemoryLaneStore, answer: ProviderError | None
) -> None:
    worker = _Worker(lanes)
    for _ in range(3):
        worker.sends(UNAUTHENTICATED)
        worker.sends(UNAUTHENTICATED)
        worker.sends(answer)
    assert lanes.lanes[LANE].streak == 0


@pytest.mark.parametrize("ending", [Ending.NOT_SENT, Ending.LOST_BUT_TAKEN, Ending.UNREADABLE])
def test_no_answer_does_not_end_the_streak(lanes: InMemoryLaneStore, ending: Ending) -> None:
    worker = _Worker(lanes)
    for answer in (UNAUTHENTICATED, UNAUTHENTICATED, provider_error(ending), UNAUTHENTICATED):
        worker.sends(answer)
    with pytest.raises(LockedOutError):
        worker.reserve()


def test_a_streak_of_the_same_length_as_another_is_not_taken_for_it(lanes: InMemoryLaneStore) -> None:
    slow, quick = _Worker(lanes), _Worker(lanes)
    quick.sends(UNAUTHENTICATED)
    slow.reserve()
    quick.sends(None)
    quick.sends(UNAUTHENTICATED)
    slow.gate.heard(None)
    assert lanes.lanes[LANE].streak == 1


def test_a_refusal_that_could_not_be_written_is_written_before_the_next_slot(lanes: InMemoryLaneStore) -> None:
    dead = down(InMemoryLaneStore)
    switch = _Switch(lanes)
    worker = _Worker(switch)
    worker.reserve()
    switch.to = dead
    with pytest.raises(StoreUnavailableError):
        worker.gate.heard(UNAUTHENTICATED)
    with pytest.raises(StoreUnavailableError):
        worker.reserve()
    switch.to = lanes
    worker.reserve()
    assert lanes.lanes[LANE].streak == 1


def test_a_streak_that_grew_while_an_answer_was_awaited_has_not_ended(lanes: InMemoryLaneStore) -> None:
    slow, quick = _Worker(lanes), _Worker(lanes)
    quick.sends(UNAUTHENTICATED)
    slow.reserve()
    quick.sends(UNAUTHENTICATED)
    slow.gate.heard(None)
    assert lanes.lanes[LANE].streak == 2


def _locked_out(lanes: LaneStore) -> _Worker:
    worker = _Worker(lanes)
    for _ in range(LIMITS.streak_limit):
        worker.sends(UNAUTHENTICATED)
    return worker


def test_other_credentials_get_one_try_at_a_time(lanes: InMemoryLaneStore) -> None:
    _locked_out(lanes)
    _Worker(lanes, version="v2").reserve()
    with pytest.raises(LockedOutError):
        _Worker(lanes, version="v2").reserve()


def test_other_credentials_that_are_right_close_the_circuit(lanes: InMemoryLaneStore) -> None:
    _locked_out(lanes)
    _Worker(lanes, version="v2").sends(None)
    for _ in range(5):
        _Worker(lanes, version="v2").sends(None)


def test_old_and_new_credentials_do_not_take_turns(lanes: InMemoryLaneStore) -> None:
    old = _locked_out(lanes)
    _Worker(lanes, version="v2").reserve()
    with pytest.raises(LockedOutError):
        old.reserve()


def test_wrong_credentials_are_tried_up_to_the_ceiling_and_never_beyond(lanes: InMemoryLaneStore) -> None:
    _locked_out(lanes)
    refused = LIMITS.streak_limit
    for number in range(2, 50):
        worker = _Worker(lanes, version=f"v{number}")
        try:
            worker.sends(UNAUTHENTICATED)
        except LockedOutError:
            continue
        refused += 1
    assert refused == LIMITS.streak_ceiling


def test_credentials_that_change_for_years_leave_no_more_than_a_few_versions(lanes: InMemoryLaneStore) -> None:
    worker = _Worker(lanes)
    for number in range(500):
        worker.version = worker.stored_version = f"v{number}"
        worker.sends(None)
        assert len(lanes.lanes[LANE].tried) <= 17
    # Few extra writes, and none for an ordinary answer.
    assert lanes.writes < 500 * 1.1


def test_while_the_circuit_is_open_a_worker_looks_for_new_credentials_itself(lanes: InMemoryLaneStore) -> None:
    worker = _locked_out(lanes)
    worker.stored_version = "v2"
    worker.sends(None)
    assert worker.version == "v2"
    worker.sends(None)


def _seven_in_flight(lanes: LaneStore) -> list[_Worker]:
    workers = [_Worker(lanes) for _ in range(IN_FLIGHT)]
    for worker in workers:
        worker.reserve()
    return workers


def test_no_more_workers_get_slots_than_may_be_in_flight(lanes: InMemoryLaneStore) -> None:
    workers = _seven_in_flight(lanes)
    with pytest.raises(NoSlotError) as full:
        _Worker(lanes).reserve()
    assert full.value.retry_after_s == LIMITS.lease.total_seconds()
    for worker in workers:
        worker.reserve()


def test_the_place_of_a_worker_that_is_gone_is_free_after_its_lease(lanes: InMemoryLaneStore) -> None:
    stays, *_ = _seven_in_flight(lanes)
    stays.clock.advance(LIMITS.lease)
    stays.reserve()
    late = FixedClock(START + LIMITS.lease)
    with pytest.raises(NoSlotError):
        _Worker(lanes, clock=late).reserve()
    late.advance(timedelta(microseconds=1))
    newcomers = [_Worker(lanes, clock=late) for _ in range(IN_FLIGHT - 1)]
    for worker in newcomers:
        worker.reserve()
    with pytest.raises(NoSlotError):
        _Worker(lanes, clock=late).reserve()
    assert set(lanes.lanes[LANE].permits) == {stays.name, *(worker.name for worker in newcomers)}


@pytest.mark.parametrize("answer", [None, provider_error(Ending.REFUSED), provider_error(Ending.NOT_SENT)])
def test_idle_workers_keep_three_places_and_leave_the_others_free(
    lanes: InMemoryLaneStore, answer: ProviderError | None
) -> None:
    for worker in [_Worker(lanes) for _ in range(20)]:
        worker.sends(answer)
    assert len(lanes.lanes[LANE].permits) == 3


def test_a_worker_whose_request_may_still_be_under_way_keeps_its_place(lanes: InMemoryLaneStore) -> None:
    for _ in range(IN_FLIGHT):
        _Worker(lanes).sends(provider_error(Ending.LOST_BUT_TAKEN))
    with pytest.raises(NoSlotError):
        _Worker(lanes).reserve()


def test_a_worker_that_was_refused_gives_its_place_back(lanes: InMemoryLaneStore) -> None:
    refused, *_ = _seven_in_flight(lanes)
    refused.gate.heard(UNAUTHENTICATED)
    _Worker(lanes).reserve()
    with pytest.raises(NoSlotError):
        refused.reserve()


def test_other_credentials_are_tried_alone(lanes: InMemoryLaneStore) -> None:
    """Whoever is in flight when the circuit opens may be refused, too."""
    workers = _seven_in_flight(lanes)
    for worker in workers[:3]:
        worker.gate.heard(UNAUTHENTICATED)
    with pytest.raises(NoSlotError):
        _Worker(lanes, version="v2").reserve()
    for worker in workers[3:]:
        worker.gate.heard(provider_error(Ending.LOST_BUT_TAKEN))
    late = FixedClock(START + LIMITS.lease + STEP)
    _Worker(lanes, clock=late, version="v2").reserve()
    with pytest.raises(NoSlotError):
        _Worker(lanes, clock=late, version="v3").reserve()


def test_a_day_of_idleness_opens_nothing(lanes: InMemoryLaneStore) -> None:
    worker = _locked_out(lanes)
    worker.clock.advance(timedelta(days=1))
    with pytest.raises(LockedOutError):
        worker.reserve()


def test_a_blocked_address_is_blocked_at_once_and_for_all_credentials(lanes: InMemoryLaneStore) -> None:
    _Worker(lanes).sends(provider_error(Ending.BLOCKED))
    for version in ("v1", "v2"):
        with pytest.raises(LockedOutError) as locked:
            _Worker(lanes, version=version).reserve()
        assert locked.value.reason == "555"


def test_without_its_store_the_gate_lets_nothing_through() -> None:
    provider = ScriptedProvider()
    worker = _Worker(down(InMemoryLaneStore))
    with pytest.raises(StoreUnavailableError):
        worker.reserve()
    messages = InMemoryMessageStore()
    system = assembled(messages=messages, provider=provider, gate=worker.gate)
    with pytest.raises(SubmissionFailedError) as raised:
        system.send(a_command())
    assert isinstance(raised.value.cause, StoreUnavailableError)
    assert not provider.submissions


@pytest.mark.parametrize("answer", [None, provider_error(Ending.REFUSED)])
def test_an_ordinary_answer_costs_no_write(answer: ProviderError | None) -> None:
    _Worker(down(InMemoryLaneStore)).gate.heard(answer)


def _play(
    kind: type[InMemoryLaneStore], schedule: Schedule, *, skews: Sequence[timedelta], each: int, faults: int
) -> list[datetime]:
    """The slots that workers with clocks so far ahead got, `each` trying so often, however they were interleaved."""
    lanes = stepped(kind(), "lanes")
    slots: list[datetime] = []

    def works(skew: timedelta) -> None:
        worker = _Worker(lanes, clock=FixedClock(START + skew))
        for _ in range(each):
            try:
                slots.append(worker.reserve())
            except (NoSlotError, LockedOutError, StoreUnavailableError):
                worker.clock.advance(3 * STEP)
            except Crashed:
                return

    actors = [Actor(str(skew), partial(works, skew)) for skew in skews]
    play(actors, schedule, History(), faults=faults)
    return sorted(slots)


def _are_apart(slots: Sequence[datetime]) -> bool:
    return all(later - earlier >= STEP for earlier, later in pairwise(slots))


HOUR = timedelta(hours=1)


@pytest.mark.parametrize("skews", [(timedelta(0), timedelta(0)), (timedelta(0), HOUR)], ids=["one time", "an hour"])
def test_slots_are_unique_and_a_step_apart_over_every_order_and_break(skews: Sequence[timedelta]) -> None:
    histories = 0
    for schedule in every_schedule():
        assert _are_apart(_play(InMemoryLaneStore, schedule, skews=skews, each=3, faults=1))
        histories += 1
    assert histories >= 300


@pytest.mark.parametrize("seed", [1, 2])
def test_slots_of_many_workers_are_unique_and_a_step_apart(seed: int) -> None:
    skews = [timedelta(0), timedelta(milliseconds=10), STEP, -STEP, HOUR]
    for schedule in random_schedules(seed=seed, count=500):
        assert _are_apart(_play(InMemoryLaneStore, schedule, skews=skews, each=4, faults=4))


class _RestartsUnconditionally(InMemoryLaneStore):
    """Whoever believes the lane idle begins it anew."""

    def restart(self, lane: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        return self._moved(lane, self._lane(lane), slots.now_us + slots.length_us, rule, permit)


class _GivesASlotTwice(InMemoryLaneStore):
    """The slot is given, and the cursor stays where it was."""

    def append(self, lane: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        before = self.lanes.get(lane)
        move = super().append(lane, slots, rule=rule, permit=permit)
        if before is not None:
            self.lanes[lane] = before
        return move


@pytest.mark.parametrize("mutant", [_RestartsUnconditionally, _GivesASlotTwice])
def test_the_explorer_catches_the_lane_mutant(mutant: type[InMemoryLaneStore]) -> None:
    skews = (timedelta(0), timedelta(milliseconds=1))
    histories = (_play(mutant, schedule, skews=skews, each=2, faults=0) for schedule in every_schedule())
    assert not all(map(_are_apart, histories))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("versions", [["v1"], ["v1"] * 4, ["v1"] * 9, ["v1", "v2"] * 5], ids=str)
def test_wrong_credentials_reach_the_provider_fewer_times_than_lock_the_address_out(
    versions: Sequence[str], seed: int
) -> None:
    """More workers than may be in flight, some with newer credentials, every request refused, in any order. (I13)"""
    for schedule in random_schedules(seed=seed, count=300):
        lanes = stepped(InMemoryLaneStore(), "lanes")
        refused: list[int] = []

        def works(version: str, lanes: LaneStore = lanes, refused: list[int] = refused) -> None:
            worker = _Worker(lanes, version=version)
            try:
                for _ in range(5):
                    worker.clock.sleep_until(worker.reserve())
                    refused.append(1)
                    step("the request is under way")
                    worker.gate.heard(UNAUTHENTICATED)
            except (LockedOutError, NoSlotError):
                return

        play([Actor(version, partial(works, version)) for version in versions], schedule, History(), faults=0)
        assert LIMITS.streak_limit <= len(refused) < 10


class _SlowLaneStore(InMemoryLaneStore):
    """Each answer takes a while to come."""

    def __init__(self, clock: FixedClock, takes: timedelta) -> None:
        super().__init__()
        self._clock, self._takes = clock, takes

    def _moved(self, lane: str, old: LaneState, cursor_us: int, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        self._clock.sleep_until(self._clock.now() + self._takes)
        return super()._moved(lane, old, cursor_us, rule, permit)


def test_a_slot_is_as_far_ahead_as_the_store_was_slow() -> None:
    clock = FixedClock()
    worker = _Worker(_SlowLaneStore(clock, takes=timedelta(milliseconds=400)), clock=clock)

    assert worker.gate.is_stale(worker.reserve())
    assert not worker.gate.is_stale(worker.reserve())
