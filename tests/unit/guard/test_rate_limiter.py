"""The guard keeps every sender inside the provider's rate, and away from its lock-out. (I11, I13, I14)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count, pairwise

import pytest

from switchboard.domain.errors import (
    LockedOutError,
    ProviderError,
    SlotUnavailableError,
    StoreUnavailableError,
    SubmissionFailedError,
)
from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from switchboard.ports.provider_limits import ProviderGuard, ProviderLimitStore
from tests.builders import a_command
from tests.fakes import (
    START,
    Ending,
    FixedClock,
    InMemoryMessageStore,
    InMemoryProviderLimitStore,
    ScriptedProvider,
    down,
    provider_error,
)
from tests.harness.schedules import Schedule, every_schedule, random_schedules
from tests.harness.stepping import Actor, Crashed, History, play, step, stepped
from tests.systems import assembled

KEY = "mediasms"
IN_FLIGHT = 7
LIMITS = GuardSettings(requests_per_s=80, in_flight=IN_FLIGHT)
STEP = timedelta(microseconds=13_438)
BUDGET = timedelta(seconds=2)
UNAUTHENTICATED = provider_error(Ending.UNAUTHENTICATED)
WINDOW = timedelta(seconds=1) + LIMITS.jitter
_WORKERS = count(1)


@dataclass(slots=True)
class _Worker:
    """One sender behind the address, with its own clock and its own copy of the credentials."""

    store: ProviderLimitStore
    clock: FixedClock = field(default_factory=FixedClock)
    version: str = "v1"
    stored_version: str | None = None
    name: str = field(default_factory=lambda: f"worker{next(_WORKERS)}")
    guard: ProviderGuard = field(init=False)

    def __post_init__(self) -> None:
        self.guard = ProviderGuards(
            store=self.store,
            key=KEY,
            container_id=self.name,
            settings=LIMITS,
            clock=self.clock,
            version=lambda: self.version,
            forget_credentials=self._read_again,
        ).workers[0]

    def _read_again(self) -> None:
        self.version = self.stored_version or self.version

    def reserve(self, *, within: timedelta = BUDGET) -> datetime:
        return self.guard.acquire(latest=self.clock.now() + within)

    def sends(self, answer: ProviderError | None = None) -> None:
        """One whole request: a slot, the wait for it, and what the provider said."""
        self.clock.sleep_until(self.reserve())
        self.guard.record_result(answer)


class _Switch(InMemoryProviderLimitStore):
    """Hands every call on to the store that it is switched to."""

    to: ProviderLimitStore

    def __init__(self, to: ProviderLimitStore) -> None:
        super().__init__()
        self.to = to

    def __getattribute__(self, name: str) -> object:
        if name == "to":
            return super().__getattribute__(name)
        return getattr(super().__getattribute__("to"), name)


@pytest.fixture
def store() -> InMemoryProviderLimitStore:
    return InMemoryProviderLimitStore()


def test_an_idle_lane_gives_a_slot_at_once(store: InMemoryProviderLimitStore) -> None:
    assert _Worker(store).reserve() == START


def test_slots_of_all_workers_are_a_step_apart(store: InMemoryProviderLimitStore) -> None:
    workers = [_Worker(store) for _ in range(3)]
    slots = [worker.reserve() for _ in range(4) for worker in workers]
    assert slots == [START + number * STEP for number in range(12)]


def test_no_window_holds_more_than_the_limit_even_if_requests_arrive_late(store: InMemoryProviderLimitStore) -> None:
    worker = _Worker(store)
    slots = [worker.reserve(within=timedelta(minutes=1)) for _ in range(400)]
    assert max(sum(first <= slot < first + WINDOW for slot in slots) for first in slots) <= LIMITS.requests_per_s


def test_an_idle_time_saves_up_no_slots(store: InMemoryProviderLimitStore) -> None:
    worker = _Worker(store)
    worker.reserve()
    worker.clock.advance(timedelta(hours=1))
    assert [worker.reserve() for _ in range(2)] == [worker.clock.now(), worker.clock.now() + STEP]


def test_a_full_lane_says_when_to_come_again(store: InMemoryProviderLimitStore) -> None:
    worker = _Worker(store)
    while True:
        try:
            assert worker.reserve() <= START + BUDGET
        except SlotUnavailableError as full:
            assert 0 < full.retry_after_s <= STEP.total_seconds()
            break
    worker.clock.advance(STEP)
    worker.reserve()


def test_a_budget_that_has_run_out_costs_no_call() -> None:
    worker = _Worker(down(InMemoryProviderLimitStore))
    for within in (timedelta(0), timedelta(seconds=-1)):
        with pytest.raises(SlotUnavailableError):
            worker.reserve(within=within)


def test_a_slot_is_stale_once_it_is_missed_by_more_than_the_jitter(store: InMemoryProviderLimitStore) -> None:
    worker = _Worker(store)
    slot = worker.reserve()
    worker.clock.advance(LIMITS.jitter)
    assert not worker.guard.is_stale(slot)
    worker.clock.advance(timedelta(microseconds=1))
    assert worker.guard.is_stale(slot)


def test_three_refusals_in_a_row_open_the_circuit_for_every_worker(store: InMemoryProviderLimitStore) -> None:
    workers = [_Worker(store), _Worker(store)]
    for worker in (*workers, workers[0]):
        worker.sends(UNAUTHENTICATED)
    for worker in workers:
        with pytest.raises(LockedOutError) as locked:
            worker.reserve()
        assert locked.value.reason == "authentication"


@pytest.mark.parametrize("answer", [None, provider_error(Ending.REFUSED), provider_error(Ending.RATE_LIMITED)])
def test_any_readable_answer_between_refusals_ends_the_streak(
    store: InMemoryProviderLimitStore, answer: ProviderError | None
) -> None:
    worker = _Worker(store)
    for _ in range(3):
        worker.sends(UNAUTHENTICATED)
        worker.sends(UNAUTHENTICATED)
        worker.sends(answer)
    assert store.states[KEY].consecutive_401s == 0


@pytest.mark.parametrize("ending", [Ending.NOT_SENT, Ending.LOST_BUT_TAKEN, Ending.UNREADABLE])
def test_no_answer_does_not_end_the_streak(store: InMemoryProviderLimitStore, ending: Ending) -> None:
    worker = _Worker(store)
    for answer in (UNAUTHENTICATED, UNAUTHENTICATED, provider_error(ending), UNAUTHENTICATED):
        worker.sends(answer)
    with pytest.raises(LockedOutError):
        worker.reserve()


def test_a_streak_of_the_same_length_as_another_is_not_taken_for_it(store: InMemoryProviderLimitStore) -> None:
    slow, quick = _Worker(store), _Worker(store)
    quick.sends(UNAUTHENTICATED)
    slow.reserve()
    quick.sends(None)
    quick.sends(UNAUTHENTICATED)
    slow.guard.record_result(None)
    assert store.states[KEY].consecutive_401s == 1


def test_a_refusal_that_could_not_be_written_is_written_before_the_next_slot(store: InMemoryProviderLimitStore) -> None:
    dead = down(InMemoryProviderLimitStore)
    switch = _Switch(store)
    worker = _Worker(switch)
    worker.reserve()
    switch.to = dead
    with pytest.raises(StoreUnavailableError):
        worker.guard.record_result(UNAUTHENTICATED)
    with pytest.raises(StoreUnavailableError):
        worker.reserve()
    switch.to = store
    worker.reserve()
    assert store.states[KEY].consecutive_401s == 1


def test_a_streak_that_grew_while_an_answer_was_awaited_has_not_ended(store: InMemoryProviderLimitStore) -> None:
    slow, quick = _Worker(store), _Worker(store)
    quick.sends(UNAUTHENTICATED)
    slow.reserve()
    quick.sends(UNAUTHENTICATED)
    slow.guard.record_result(None)
    assert store.states[KEY].consecutive_401s == 2


def _locked_out(store: ProviderLimitStore) -> _Worker:
    worker = _Worker(store)
    for _ in range(LIMITS.open_after_401s):
        worker.sends(UNAUTHENTICATED)
    return worker


def test_other_credentials_get_one_try_at_a_time(store: InMemoryProviderLimitStore) -> None:
    _locked_out(store)
    _Worker(store, version="v2").reserve()
    with pytest.raises(LockedOutError):
        _Worker(store, version="v2").reserve()


def test_other_credentials_that_are_right_close_the_circuit(store: InMemoryProviderLimitStore) -> None:
    _locked_out(store)
    _Worker(store, version="v2").sends(None)
    for _ in range(5):
        _Worker(store, version="v2").sends(None)


def test_old_and_new_credentials_do_not_take_turns(store: InMemoryProviderLimitStore) -> None:
    old = _locked_out(store)
    _Worker(store, version="v2").reserve()
    with pytest.raises(LockedOutError):
        old.reserve()


def test_wrong_credentials_are_tried_up_to_the_ceiling_and_never_beyond(store: InMemoryProviderLimitStore) -> None:
    _locked_out(store)
    refused = LIMITS.open_after_401s
    for number in range(2, 50):
        worker = _Worker(store, version=f"v{number}")
        try:
            worker.sends(UNAUTHENTICATED)
        except LockedOutError:
            continue
        refused += 1
    assert refused == LIMITS.max_consecutive_401s


def test_credentials_that_change_for_years_leave_no_more_than_a_few_versions(store: InMemoryProviderLimitStore) -> None:
    worker = _Worker(store)
    for number in range(500):
        worker.version = worker.stored_version = f"v{number}"
        worker.sends(None)
        assert len(store.states[KEY].probed_versions) <= 17
    # Few extra writes, and none for an ordinary answer.
    assert store.writes < 500 * 1.1


def test_while_the_circuit_is_open_a_worker_looks_for_new_credentials_itself(store: InMemoryProviderLimitStore) -> None:
    worker = _locked_out(store)
    worker.stored_version = "v2"
    worker.sends(None)
    assert worker.version == "v2"
    worker.sends(None)


def _seven_in_flight(store: ProviderLimitStore) -> list[_Worker]:
    workers = [_Worker(store) for _ in range(IN_FLIGHT)]
    for worker in workers:
        worker.reserve()
    return workers


def test_no_more_workers_get_slots_than_may_be_in_flight(store: InMemoryProviderLimitStore) -> None:
    workers = _seven_in_flight(store)
    with pytest.raises(SlotUnavailableError) as full:
        _Worker(store).reserve()
    assert full.value.retry_after_s == LIMITS.lease.total_seconds()
    for worker in workers:
        worker.reserve()


def test_the_place_of_a_worker_that_is_gone_is_free_after_its_lease(store: InMemoryProviderLimitStore) -> None:
    stays, *_ = _seven_in_flight(store)
    stays.clock.advance(LIMITS.lease)
    stays.reserve()
    late = FixedClock(START + LIMITS.lease)
    with pytest.raises(SlotUnavailableError):
        _Worker(store, clock=late).reserve()
    late.advance(timedelta(microseconds=1))
    newcomers = [_Worker(store, clock=late) for _ in range(IN_FLIGHT - 1)]
    for worker in newcomers:
        worker.reserve()
    with pytest.raises(SlotUnavailableError):
        _Worker(store, clock=late).reserve()
    assert set(store.states[KEY].permits) == {stays.name, *(worker.name for worker in newcomers)}


@pytest.mark.parametrize("answer", [None, provider_error(Ending.REFUSED), provider_error(Ending.NOT_SENT)])
def test_idle_workers_keep_three_places_and_leave_the_others_free(
    store: InMemoryProviderLimitStore, answer: ProviderError | None
) -> None:
    for worker in [_Worker(store) for _ in range(20)]:
        worker.sends(answer)
    assert len(store.states[KEY].permits) == 3


def test_a_worker_whose_request_may_still_be_under_way_keeps_its_place(store: InMemoryProviderLimitStore) -> None:
    for _ in range(IN_FLIGHT):
        _Worker(store).sends(provider_error(Ending.LOST_BUT_TAKEN))
    with pytest.raises(SlotUnavailableError):
        _Worker(store).reserve()


def test_a_worker_that_was_refused_gives_its_place_back(store: InMemoryProviderLimitStore) -> None:
    refused, *_ = _seven_in_flight(store)
    refused.guard.record_result(UNAUTHENTICATED)
    _Worker(store).reserve()
    with pytest.raises(SlotUnavailableError):
        refused.reserve()


def test_other_credentials_are_tried_alone(store: InMemoryProviderLimitStore) -> None:
    """Whoever is in flight when the circuit opens may be refused, too."""
    workers = _seven_in_flight(store)
    for worker in workers[:3]:
        worker.guard.record_result(UNAUTHENTICATED)
    with pytest.raises(SlotUnavailableError):
        _Worker(store, version="v2").reserve()
    for worker in workers[3:]:
        worker.guard.record_result(provider_error(Ending.LOST_BUT_TAKEN))
    late = FixedClock(START + LIMITS.lease + STEP)
    _Worker(store, clock=late, version="v2").reserve()
    with pytest.raises(SlotUnavailableError):
        _Worker(store, clock=late, version="v3").reserve()


def test_a_day_of_idleness_opens_nothing(store: InMemoryProviderLimitStore) -> None:
    worker = _locked_out(store)
    worker.clock.advance(timedelta(days=1))
    with pytest.raises(LockedOutError):
        worker.reserve()


def test_a_blocked_address_is_blocked_at_once_and_for_all_credentials(store: InMemoryProviderLimitStore) -> None:
    _Worker(store).sends(provider_error(Ending.BLOCKED))
    for version in ("v1", "v2"):
        with pytest.raises(LockedOutError) as locked:
            _Worker(store, version=version).reserve()
        assert locked.value.reason == "555"


def test_without_its_store_the_gate_lets_nothing_through() -> None:
    provider = ScriptedProvider()
    worker = _Worker(down(InMemoryProviderLimitStore))
    with pytest.raises(StoreUnavailableError):
        worker.reserve()
    messages = InMemoryMessageStore()
    system = assembled(messages=messages, provider=provider, guard=worker.guard)
    with pytest.raises(SubmissionFailedError) as raised:
        system.send(a_command())
    assert isinstance(raised.value.cause, StoreUnavailableError)
    assert not provider.submissions


@pytest.mark.parametrize("answer", [None, provider_error(Ending.REFUSED)])
def test_an_ordinary_answer_costs_no_write(answer: ProviderError | None) -> None:
    _Worker(down(InMemoryProviderLimitStore)).guard.record_result(answer)


def _play(
    kind: type[InMemoryProviderLimitStore], schedule: Schedule, *, skews: Sequence[timedelta], each: int, faults: int
) -> list[datetime]:
    """The slots that workers with clocks so far ahead got, `each` trying so often, however they were interleaved."""
    store = stepped(kind(), "store")
    slots: list[datetime] = []

    def works(skew: timedelta) -> None:
        worker = _Worker(store, clock=FixedClock(START + skew))
        for _ in range(each):
            try:
                slots.append(worker.reserve())
            except (SlotUnavailableError, LockedOutError, StoreUnavailableError):
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
        assert _are_apart(_play(InMemoryProviderLimitStore, schedule, skews=skews, each=3, faults=1))
        histories += 1
    assert histories >= 300


@pytest.mark.parametrize("seed", [1, 2])
def test_slots_of_many_workers_are_unique_and_a_step_apart(seed: int) -> None:
    skews = [timedelta(0), timedelta(milliseconds=10), STEP, -STEP, HOUR]
    for schedule in random_schedules(seed=seed, count=500):
        assert _are_apart(_play(InMemoryProviderLimitStore, schedule, skews=skews, each=4, faults=4))


class _RestartsUnconditionally(InMemoryProviderLimitStore):
    """Whoever believes the state idle begins it anew."""

    def reserve_now(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        return self._moved(key, self._state(key), slots.now_us + slots.length_us, rule, permit)


class _GivesASlotTwice(InMemoryProviderLimitStore):
    """The slot is given, and the next_slot stays where it was."""

    def reserve_next(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        before = self.states.get(key)
        move = super().reserve_next(key, slots, rule=rule, permit=permit)
        if before is not None:
            self.states[key] = before
        return move


@pytest.mark.parametrize("mutant", [_RestartsUnconditionally, _GivesASlotTwice])
def test_the_explorer_catches_the_lane_mutant(mutant: type[InMemoryProviderLimitStore]) -> None:
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
        store = stepped(InMemoryProviderLimitStore(), "store")
        refused: list[int] = []

        def works(version: str, store: ProviderLimitStore = store, refused: list[int] = refused) -> None:
            worker = _Worker(store, version=version)
            try:
                for _ in range(5):
                    worker.clock.sleep_until(worker.reserve())
                    refused.append(1)
                    step("the request is under way")
                    worker.guard.record_result(UNAUTHENTICATED)
            except (LockedOutError, SlotUnavailableError):
                return

        play([Actor(version, partial(works, version)) for version in versions], schedule, History(), faults=0)
        assert LIMITS.open_after_401s <= len(refused) < 10


class _SlowLaneStore(InMemoryProviderLimitStore):
    """Each answer takes a while to come."""

    def __init__(self, clock: FixedClock, takes: timedelta) -> None:
        super().__init__()
        self._clock, self._takes = clock, takes

    def _moved(
        self, state: str, old: ProviderLimitState, next_slot_us: int, rule: CircuitRule, permit: Permit | None
    ) -> LimitUpdate:
        self._clock.sleep_until(self._clock.now() + self._takes)
        return super()._moved(state, old, next_slot_us, rule, permit)


def test_a_slot_is_as_far_ahead_as_the_store_was_slow() -> None:
    clock = FixedClock()
    worker = _Worker(_SlowLaneStore(clock, takes=timedelta(milliseconds=400)), clock=clock)

    assert worker.guard.is_stale(worker.reserve())
    assert not worker.guard.is_stale(worker.reserve())
