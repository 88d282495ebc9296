"""The guard keeps every sender inside the provider's rate and away from its lock-out. (I11, I13, I14)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count, pairwise

import pytest

from switchboard.domain.errors import (
    ConcurrencyLimitError,
    LockedOutError,
    ProviderError,
    SlotUnavailableError,
    StoreUnavailableError,
    SubmissionFailedError,
    SuspectedAuthenticationFailureError,
)
from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from switchboard.ports.provider_limits import ProviderGuard, ProviderLimitStore
from tests.builders import a_command
from tests.depth import at_depth
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

KEY = "mediasms#shared"
IN_FLIGHT = 7
SETTINGS = GuardSettings(requests_per_s=80, in_flight=IN_FLIGHT)
INTERVAL = timedelta(microseconds=13_438)
BUDGET = timedelta(seconds=2)
UNAUTHENTICATED = provider_error(Ending.UNAUTHENTICATED)
WINDOW = timedelta(seconds=1) + SETTINGS.jitter
_WORKERS = count(1)


@dataclass(slots=True)
class _Worker:
    """One sender behind the address, with a clock and a copy of the credentials of its own."""

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
            new_container_id=lambda: self.name,
            settings=SETTINGS,
            clock=self.clock,
            version=lambda: self.version,
            forget_credentials=self._read_credentials,
        ).single

    def _read_credentials(self) -> None:
        self.version = self.stored_version or self.version

    def reserve(self, *, within: timedelta = BUDGET) -> datetime:
        return self.guard.acquire(latest=self.clock.now() + within)

    def send(self, answer: ProviderError | None = None) -> None:
        """Send one request: reserve a slot, wait for it, and record `answer` as the provider's."""
        self.clock.sleep_until(self.reserve())
        self.guard.record_result(answer)


class _SwitchedStore(InMemoryProviderLimitStore):
    """A store that hands every call on to the store `to`."""

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


def test_an_idle_limiter_grants_a_slot_at_once(store: InMemoryProviderLimitStore) -> None:
    assert _Worker(store).reserve() == START


def test_slots_of_all_workers_are_an_interval_apart(store: InMemoryProviderLimitStore) -> None:
    workers = [_Worker(store) for _ in range(3)]
    slots = [worker.reserve() for _ in range(4) for worker in workers]
    assert slots == [START + number * INTERVAL for number in range(12)]


def test_no_window_has_more_slots_than_the_limit_despite_late_requests(store: InMemoryProviderLimitStore) -> None:
    worker = _Worker(store)
    slots = [worker.reserve(within=timedelta(minutes=1)) for _ in range(400)]
    assert max(sum(first <= slot < first + WINDOW for slot in slots) for first in slots) <= SETTINGS.requests_per_s


def test_an_idle_limiter_saves_up_no_slots(store: InMemoryProviderLimitStore) -> None:
    worker = _Worker(store)
    worker.reserve()
    worker.clock.advance(timedelta(hours=1))
    assert [worker.reserve() for _ in range(2)] == [worker.clock.now(), worker.clock.now() + INTERVAL]


def test_a_full_limiter_returns_the_time_to_the_next_slot(store: InMemoryProviderLimitStore) -> None:
    worker = _Worker(store)
    while True:
        try:
            assert worker.reserve() <= START + BUDGET
        except SlotUnavailableError as error:
            assert 0 < error.retry_after_s <= INTERVAL.total_seconds()
            break
    worker.clock.advance(INTERVAL)
    worker.reserve()


def test_a_used_up_waiting_budget_costs_no_call() -> None:
    worker = _Worker(down(InMemoryProviderLimitStore))
    for within in (timedelta(0), timedelta(seconds=-1)):
        with pytest.raises(SlotUnavailableError):
            worker.reserve(within=within)


def test_a_slot_is_stale_if_missed_by_more_than_the_jitter(store: InMemoryProviderLimitStore) -> None:
    worker = _Worker(store)
    slot = worker.reserve()
    worker.clock.advance(SETTINGS.jitter)
    assert not worker.guard.is_stale(slot)
    worker.clock.advance(timedelta(microseconds=1))
    assert worker.guard.is_stale(slot)


def test_three_401s_in_a_row_open_the_circuit_for_every_worker(store: InMemoryProviderLimitStore) -> None:
    workers = [_Worker(store), _Worker(store)]
    for worker in (*workers, workers[0]):
        worker.send(UNAUTHENTICATED)
    for worker in workers:
        with pytest.raises(LockedOutError) as raised:
            worker.reserve()
        assert raised.value.reason == "authentication"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="accepted"),
        pytest.param(provider_error(Ending.REFUSED), id="refused"),
        pytest.param(provider_error(Ending.RATE_LIMITED), id="rate limited"),
    ],
)
def test_any_other_readable_answer_resets_the_consecutive_401s(
    store: InMemoryProviderLimitStore, answer: ProviderError | None
) -> None:
    worker = _Worker(store)
    for _ in range(3):
        worker.send(UNAUTHENTICATED)
        worker.send(UNAUTHENTICATED)
        worker.send(answer)
    assert store.states[KEY].consecutive_401s == 0


@pytest.mark.parametrize("ending", [Ending.NOT_SENT, Ending.LOST_BUT_TAKEN, Ending.UNREADABLE], ids=str)
def test_without_an_answer_the_consecutive_401s_remain(store: InMemoryProviderLimitStore, ending: Ending) -> None:
    worker = _Worker(store)
    for answer in (UNAUTHENTICATED, UNAUTHENTICATED, provider_error(ending), UNAUTHENTICATED):
        worker.send(answer)
    with pytest.raises(LockedOutError):
        worker.reserve()


def test_a_suspected_401_counts_and_returns_the_permit_of_its_worker(store: InMemoryProviderLimitStore) -> None:
    worker = _Worker(store)
    suspected = SuspectedAuthenticationFailureError("unclear", provider="mediasms", operation="send_sms")
    for answer in (UNAUTHENTICATED, suspected, suspected):
        worker.send(answer)
    assert store.states[KEY].consecutive_401s == 3
    with pytest.raises(LockedOutError):
        worker.reserve()


def test_an_older_answer_does_not_reset_as_many_newer_401s(store: InMemoryProviderLimitStore) -> None:
    slow, quick = _Worker(store), _Worker(store)
    quick.send(UNAUTHENTICATED)
    slow.reserve()
    quick.send(None)
    quick.send(UNAUTHENTICATED)
    slow.guard.record_result(None)
    assert store.states[KEY].consecutive_401s == 1


def test_an_unwritten_401_is_written_before_the_next_slot(store: InMemoryProviderLimitStore) -> None:
    switched = _SwitchedStore(store)
    worker = _Worker(switched)
    worker.reserve()
    switched.to = down(InMemoryProviderLimitStore)
    with pytest.raises(StoreUnavailableError):
        worker.guard.record_result(UNAUTHENTICATED)
    with pytest.raises(StoreUnavailableError):
        worker.reserve()
    switched.to = store
    worker.reserve()
    assert store.states[KEY].consecutive_401s == 1


def test_an_older_answer_does_not_reset_a_newer_401(store: InMemoryProviderLimitStore) -> None:
    slow, quick = _Worker(store), _Worker(store)
    quick.send(UNAUTHENTICATED)
    slow.reserve()
    quick.send(UNAUTHENTICATED)
    slow.guard.record_result(None)
    assert store.states[KEY].consecutive_401s == 2


def _lock_out(store: ProviderLimitStore) -> _Worker:
    worker = _Worker(store)
    for _ in range(SETTINGS.open_after_401s):
        worker.send(UNAUTHENTICATED)
    return worker


def test_new_credentials_get_one_half_open_probe_at_a_time(store: InMemoryProviderLimitStore) -> None:
    _lock_out(store)
    _Worker(store, version="v2").reserve()
    with pytest.raises(LockedOutError):
        _Worker(store, version="v2").reserve()


def test_an_accepted_half_open_probe_closes_the_circuit(store: InMemoryProviderLimitStore) -> None:
    _lock_out(store)
    _Worker(store, version="v2").send(None)
    for _ in range(5):
        _Worker(store, version="v2").send(None)


def test_rejected_credentials_get_no_slot_after_the_half_open_probe(store: InMemoryProviderLimitStore) -> None:
    old = _lock_out(store)
    _Worker(store, version="v2").reserve()
    with pytest.raises(LockedOutError):
        old.reserve()


def test_wrong_credentials_are_probed_up_to_the_maximum_of_401s(store: InMemoryProviderLimitStore) -> None:
    _lock_out(store)
    rejected = SETTINGS.open_after_401s
    for number in range(2, 50):
        worker = _Worker(store, version=f"v{number}")
        try:
            worker.send(UNAUTHENTICATED)
        except LockedOutError:
            continue
        rejected += 1
    assert rejected == SETTINGS.max_consecutive_401s


def test_years_of_rotations_leave_only_a_few_probed_versions(store: InMemoryProviderLimitStore) -> None:
    worker = _Worker(store)
    for number in range(500):
        worker.version = worker.stored_version = f"v{number}"
        worker.send(None)
        assert len(store.states[KEY].probed_versions) <= 17
    # Pruning costs few writes, and an ordinary answer none.
    assert store.writes < 500 * 1.1


def test_an_open_circuit_makes_a_worker_read_the_credentials_again(store: InMemoryProviderLimitStore) -> None:
    worker = _lock_out(store)
    worker.stored_version = "v2"
    worker.send(None)
    assert worker.version == "v2"
    worker.send(None)


def _reserve_all_permits(store: ProviderLimitStore) -> list[_Worker]:
    workers = [_Worker(store) for _ in range(IN_FLIGHT)]
    for worker in workers:
        worker.reserve()
    return workers


def test_at_most_seven_workers_get_a_permit(store: InMemoryProviderLimitStore) -> None:
    workers = _reserve_all_permits(store)
    with pytest.raises(ConcurrencyLimitError) as raised:
        _Worker(store).reserve()
    assert raised.value.retry_after_s == SETTINGS.lease.total_seconds()
    for worker in workers:
        worker.reserve()


def test_a_permit_is_free_after_the_lease_of_its_worker(store: InMemoryProviderLimitStore) -> None:
    remaining, *_ = _reserve_all_permits(store)
    remaining.clock.advance(SETTINGS.lease)
    remaining.reserve()
    late = FixedClock(START + SETTINGS.lease)
    with pytest.raises(SlotUnavailableError):
        _Worker(store, clock=late).reserve()
    late.advance(timedelta(microseconds=1))
    newcomers = [_Worker(store, clock=late) for _ in range(IN_FLIGHT - 1)]
    for worker in newcomers:
        worker.reserve()
    with pytest.raises(SlotUnavailableError):
        _Worker(store, clock=late).reserve()
    assert set(store.states[KEY].permits) == {f"{worker.name}.0" for worker in (remaining, *newcomers)}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="accepted"),
        pytest.param(provider_error(Ending.REFUSED), id="refused"),
        pytest.param(provider_error(Ending.NOT_SENT), id="not sent"),
    ],
)
def test_idle_workers_keep_three_permits_and_return_the_others(
    store: InMemoryProviderLimitStore, answer: ProviderError | None
) -> None:
    for worker in [_Worker(store) for _ in range(20)]:
        worker.send(answer)
    assert len(store.states[KEY].permits) == 3


def test_a_request_that_may_be_in_flight_keeps_its_permit(store: InMemoryProviderLimitStore) -> None:
    for _ in range(IN_FLIGHT):
        _Worker(store).send(provider_error(Ending.LOST_BUT_TAKEN))
    with pytest.raises(SlotUnavailableError):
        _Worker(store).reserve()


def test_a_401_returns_the_permit_of_its_worker(store: InMemoryProviderLimitStore) -> None:
    rejected, *_ = _reserve_all_permits(store)
    rejected.guard.record_result(UNAUTHENTICATED)
    _Worker(store).reserve()
    with pytest.raises(SlotUnavailableError):
        rejected.reserve()


def test_a_half_open_probe_waits_until_nothing_is_in_flight(store: InMemoryProviderLimitStore) -> None:
    """A request in flight when the circuit opens may get a 401, too."""
    workers = _reserve_all_permits(store)
    for worker in workers[:3]:
        worker.guard.record_result(UNAUTHENTICATED)
    with pytest.raises(SlotUnavailableError):
        _Worker(store, version="v2").reserve()
    for worker in workers[3:]:
        worker.guard.record_result(provider_error(Ending.LOST_BUT_TAKEN))
    late = FixedClock(START + SETTINGS.lease + INTERVAL)
    _Worker(store, clock=late, version="v2").reserve()
    with pytest.raises(SlotUnavailableError):
        _Worker(store, clock=late, version="v3").reserve()


def test_a_day_without_requests_does_not_close_the_circuit(store: InMemoryProviderLimitStore) -> None:
    worker = _lock_out(store)
    worker.clock.advance(timedelta(days=1))
    with pytest.raises(LockedOutError):
        worker.reserve()


def test_a_blocked_address_opens_the_circuit_for_all_credentials(store: InMemoryProviderLimitStore) -> None:
    _Worker(store).send(provider_error(Ending.BLOCKED))
    for version in ("v1", "v2"):
        with pytest.raises(LockedOutError) as raised:
            _Worker(store, version=version).reserve()
        assert raised.value.reason == "555"


def test_a_store_that_is_down_lets_nothing_through() -> None:
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


@pytest.mark.parametrize(
    "answer", [pytest.param(None, id="accepted"), pytest.param(provider_error(Ending.REFUSED), id="refused")]
)
def test_an_ordinary_answer_costs_no_write(answer: ProviderError | None) -> None:
    _Worker(down(InMemoryProviderLimitStore)).guard.record_result(answer)


def _play_reservations(
    store_class: type[InMemoryProviderLimitStore],
    schedule: Schedule,
    *,
    skews: Sequence[timedelta],
    tries: int,
    faults: int,
) -> list[datetime]:
    """Play one worker for each clock skew, and return the slots that they got in `tries` reservations each."""
    store = stepped(store_class(), "store")
    slots: list[datetime] = []

    def run_worker(skew: timedelta) -> None:
        worker = _Worker(store, clock=FixedClock(START + skew))
        for _ in range(tries):
            try:
                slots.append(worker.reserve())
            except (SlotUnavailableError, LockedOutError, StoreUnavailableError):
                worker.clock.advance(3 * INTERVAL)
            except Crashed:
                return

    actors = [Actor(str(skew), partial(run_worker, skew)) for skew in skews]
    play(actors, schedule, History(), faults=faults)
    return sorted(slots)


def _are_apart(slots: Sequence[datetime]) -> bool:
    return all(later - earlier >= INTERVAL for earlier, later in pairwise(slots))


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    "skews",
    [
        pytest.param((timedelta(0), timedelta(0)), id="equal clocks"),
        pytest.param((timedelta(0), HOUR), id="one clock an hour ahead"),
    ],
)
def test_slots_stay_an_interval_apart_over_every_order_and_fault(skews: Sequence[timedelta]) -> None:
    histories = 0
    for schedule in every_schedule():
        slots = _play_reservations(InMemoryProviderLimitStore, schedule, skews=skews, tries=3, faults=1)
        assert _are_apart(slots)
        histories += 1
    assert histories >= 300


@pytest.mark.parametrize("seed", at_depth(usual=[1], proof=[1, 2]), ids=lambda seed: f"seed {seed}")
def test_slots_of_many_workers_stay_an_interval_apart(seed: int) -> None:
    skews = [timedelta(0), timedelta(milliseconds=10), INTERVAL, -INTERVAL, HOUR]
    for schedule in random_schedules(seed=seed, count=at_depth(usual=200, proof=500)):
        slots = _play_reservations(InMemoryProviderLimitStore, schedule, skews=skews, tries=4, faults=4)
        assert _are_apart(slots)


class _StoreThatAlwaysReservesNow(InMemoryProviderLimitStore):
    """A mutant that reserves from now on even if slots are reserved ahead."""

    def reserve_now(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        return self._moved(key, self._state(key), slots.now_us + slots.length_us, rule, permit)


class _StoreThatGrantsASlotTwice(InMemoryProviderLimitStore):
    """A mutant that grants a slot and leaves `next_slot_us` as it was."""

    def reserve_next(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        before = self.states.get(key)
        update = super().reserve_next(key, slots, rule=rule, permit=permit)
        if before is not None:
            self.states[key] = before
        return update


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(_StoreThatAlwaysReservesNow, id="always reserves now"),
        pytest.param(_StoreThatGrantsASlotTwice, id="grants a slot twice"),
    ],
)
def test_the_explorer_catches_the_limiter_mutant(mutant: type[InMemoryProviderLimitStore]) -> None:
    skews = (timedelta(0), timedelta(milliseconds=1))
    histories = (_play_reservations(mutant, schedule, skews=skews, tries=2, faults=0) for schedule in every_schedule())
    assert not all(map(_are_apart, histories))


@pytest.mark.parametrize("seed", at_depth(usual=[1], proof=[1, 2]), ids=lambda seed: f"seed {seed}")
@pytest.mark.parametrize(
    "versions",
    [
        pytest.param(["v1"], id="one worker"),
        pytest.param(["v1"] * 4, id="four workers"),
        pytest.param(["v1"] * 9, id="nine workers"),
        pytest.param(["v1", "v2"] * 5, id="ten workers with two versions"),
    ],
)
def test_wrong_credentials_reach_the_provider_less_than_ten_times(versions: Sequence[str], seed: int) -> None:
    """More workers than may be in flight, some with newer credentials, get only 401s in any order. (I13)"""
    for schedule in random_schedules(seed=seed, count=at_depth(usual=100, proof=300)):
        store = stepped(InMemoryProviderLimitStore(), "store")
        rejected: list[int] = []

        def run_worker(version: str, store: ProviderLimitStore = store, rejected: list[int] = rejected) -> None:
            worker = _Worker(store, version=version)
            try:
                for _ in range(5):
                    worker.clock.sleep_until(worker.reserve())
                    rejected.append(1)
                    step("the request is in flight")
                    worker.guard.record_result(UNAUTHENTICATED)
            except (LockedOutError, SlotUnavailableError):
                return

        play([Actor(version, partial(run_worker, version)) for version in versions], schedule, History(), faults=0)
        assert SETTINGS.open_after_401s <= len(rejected) < 10


class _SlowStore(InMemoryProviderLimitStore):
    """A store that takes `latency` to grant a reservation."""

    def __init__(self, clock: FixedClock, latency: timedelta) -> None:
        super().__init__()
        self._clock, self._latency = clock, latency

    def _moved(
        self, key: str, old: ProviderLimitState, next_slot_us: int, rule: CircuitRule, permit: Permit | None
    ) -> LimitUpdate:
        self._clock.sleep_until(self._clock.now() + self._latency)
        return super()._moved(key, old, next_slot_us, rule, permit)


def test_the_next_slot_is_as_far_ahead_as_the_store_took_last_time() -> None:
    clock = FixedClock()
    worker = _Worker(_SlowStore(clock, latency=timedelta(milliseconds=400)), clock=clock)

    assert worker.guard.is_stale(worker.reserve())
    assert not worker.guard.is_stale(worker.reserve())
