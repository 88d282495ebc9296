"""Slot reservations of one container in the shared rate limiter state.

The rate limiter is GCRA (generic cell rate algorithm) in its "virtual scheduling" form. `next_slot_us` is GCRA's
theoretical arrival time: a reservation moves it on by `interval_us` a slot, the emission interval, and the sender waits
for its slot. A container polls nothing and counts no tokens.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from random import SystemRandom
from threading import RLock
from typing import Final

from switchboard.domain.errors import (
    ConcurrencyExhaustedError,
    ConcurrencyLimitError,
    LockedOutError,
    RateLimitTimeoutError,
    SlotUnavailableError,
    StoreThrottledError,
)
from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest
from switchboard.domain.timestamps import to_unix_us, to_us
from switchboard.guard.provider.settings import GuardSettings, Pace
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import ProviderLimitStore

_SECOND_US: Final = 1_000_000
# A refused reservation is worth another try if another container's write came first.
_MAX_TRIES: Final = 6
# A permit of an order is taken this long after the provider's answer: a busy container sends its next request before.
_GRACE_US: Final = 50_000
# The pauses between two looks for a permit: short for a batch, which is in few containers, and growing otherwise.
_BATCH_LOOK_S: Final = 0.02
_SHARED_LOOK_S: Final = 0.003
_FIRST_LOOK_S: Final = 0.05
# The orders without an answer that one look reads.
_MOST_MISSES: Final = 2
# A container that found no permit for so long answers its next requests at once, and looks again after a while.
_PATIENCE_US: Final = 500_000
_LONGEST_PAUSE_US: Final = 2 * _SECOND_US
_RANDOM: Final = SystemRandom()
# Each rotation of the credentials adds a version to `probed_versions` and `rejected_versions`, and every send writes
# the item: longer sets are pruned.
_MAX_VERSIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Slot:
    """A reserved slot: its time in Unix microseconds, and the version of the credentials that it was reserved for.

    `expected_total_401s` is the value of `total_401s` at the reservation if an accepted request has 401s to reset,
    otherwise 0. `rejected_versions` are those of the reservation. `prunes_probed` says that `probed_versions` were too
    many.
    """

    at_us: int
    version: str
    expected_total_401s: int = 0
    rejected_versions: frozenset[str] = frozenset()
    prunes_probed: bool = False


class SlotReservations:
    """The reservations of one container's workers, each of which has at most one request in flight.

    Workers may belong to threads: all methods may be called concurrently. The workers of a batch share the permits of
    their container, which are fewer than they are: while one worker writes to its stores, another one sends.

    `answered_at` returns when the provider answered an order, or None. With it, the permit of a single request is named
    after the order, and costs no write when the request is over: a container that looks for a permit reads the order's
    outcome.
    """

    def __init__(
        self,
        *,
        store: ProviderLimitStore,
        key: str,
        new_container_id: Callable[[], str],
        settings: GuardSettings,
        clock: Clock,
        version: Callable[[], str],
        forget_credentials: Callable[[], None],
        answered_at: Callable[[str], datetime | None] | None = None,
    ) -> None:
        self._store = store
        self._key = key
        self._new_container_id = new_container_id
        self._settings = settings
        self._clock = clock
        self._version = version
        self._forget_credentials = forget_credentials
        self._answered_at = answered_at
        self._pace = Pace(settings)
        self._lock = RLock()
        self._reserved_slots: deque[Slot] = deque()
        self._batch_remaining = 0
        self._in_batch = False
        self._batch_permits = 0
        self._permits: Mapping[str, int] = {}
        self._used_permits: dict[str, str] = {}
        self._doubtful_permits: set[str] = set()
        self._permits_in_use = 0
        self._first_refused_us = self._next_look_us = self._pause_us = 0
        self._last_next_slot_us = self._busy_until_us = self._looked_at = 0
        self._store_latency_us = 0
        self._read_after = 0
        self._pending_writes: dict[str, Callable[[], object]] = {}

    @cached_property
    def _container_id(self) -> str:
        return self._new_container_id()

    @contextmanager
    def batch(self, size: int, *, permits: int) -> Iterator[None]:
        """Reserve several slots with one write, while workers that share `permits` send `size` requests together."""
        with self._lock:
            self._reserved_slots.clear()
            self._batch_remaining, self._batch_permits, self._in_batch = size, permits, True
        try:
            yield
        finally:
            with self._lock:
                self._reserved_slots.clear()
                self._batch_remaining, self._in_batch = 0, False
                self._used_permits.clear()
                self._return_permits()

    def reserve(self, worker: str, *, latest_us: int, in_flight: int | None, order_id: str = "") -> Slot:
        """Return the next reserved slot of the batch, or reserve one if at most `in_flight` requests are in flight.

        Raises:
            SlotUnavailableError: there is no slot before `latest_us`, or no free permit.
            LockedOutError: the circuit is open.
            StoreUnavailableError: the store did not answer.
        """
        with self._lock:
            self._flush_pending_writes()
            self._used_permits.pop(worker, None)
            version, now_us = self._version(), self._now_us()
            if now_us >= latest_us:
                raise RateLimitTimeoutError("The waiting budget of this request is used up")
            slot = self._take_reserved_slot(version, now_us=now_us, latest_us=latest_us)
            slot = slot or self._reserve_slots(
                version, now_us=now_us, latest_us=latest_us, in_flight=in_flight, order_id=order_id
            )
            self._batch_remaining -= 1
            self._first_refused_us = self._next_look_us = self._pause_us = 0
            if free := self._free_permits():
                self._used_permits[worker] = free[0]
            return slot

    def is_stale(self, slot_us: int, *, now_us: int) -> bool:
        """Tell if `slot_us` is so long past that a request in it could crowd those of later slots."""
        with self._lock:
            return now_us > slot_us + self._pace.room_us(now_us)

    def record_401(self, worker: str, slot: Slot) -> None:
        """Record a 401: drop all reserved slots, and read the credentials again before the next one."""
        with self._lock:
            self._reserved_slots.clear()
            self._forget_credentials()
            permit = self._used_permits.pop(worker, f"{self._container_id}.0")
            self._pending_writes[worker] = lambda: self._count_401(permit, slot.version)
            self._flush_pending_writes()

    def record_blocked_address(self, worker: str, *, code: str) -> None:
        """Record that nothing may be sent from this address any more."""
        with self._lock:
            self._reserved_slots.clear()
            self._pending_writes[worker] = lambda: self._store.block(self._key, code=code)
            self._flush_pending_writes()

    def record_rate_limited(self, slot: Slot) -> None:
        """Back off, unless the state was backed off after this slot was reserved."""
        with self._lock:
            self._reserved_slots.clear()
            now_us = self._now_us()
            percent = self._pace.next_backoff_percent(now_us=now_us)
            self._store.back_off(self._key, percent=percent, now_us=now_us, slot_us=slot.at_us)
            # If another container had backed off before, the store refuses the next reservation once and returns that.
            self._pace.record_backoff(percent=percent, at_us=now_us)

    def record_accepted_credentials(self, slot: Slot) -> None:
        """Record an answer other than 401: it resets the consecutive 401s that were counted before its slot."""
        if slot.expected_total_401s:
            prune = len(slot.rejected_versions) > _MAX_VERSIONS
            versions = {slot.version, *(slot.rejected_versions if prune else ())}
            self._store.reset_401s(self._key, expected_total_401s=slot.expected_total_401s, versions=versions)
        elif slot.prunes_probed:
            self._store.forget_probed(self._key, keep=slot.version)

    def record_end(
        self, worker: str, *, may_be_in_flight: bool, left_us: int | None = None, answered_us: int = 0
    ) -> None:
        """Record that the request is over, and return its permit if other workers need one.

        A request that may still be in flight keeps its permit until the lease ends. `left_us` is how late an answered
        request left for its slot, `answered_us` how long its answer took then.
        """
        with self._lock:
            if left_us is not None:
                self._pace.record_lateness(left_us=left_us, answered_us=answered_us)
            self._flush_pending_writes()
            permit = self._used_permits.pop(worker, None)
            if may_be_in_flight and permit is not None:
                self._doubtful_permits.add(permit)
            elif self._in_batch:
                # The last messages of a slow batch need fewer permits than it has.
                if self._batch_remaining <= 0 and self._is_slow(self._now_us()):
                    self._return_permits()
            elif not _get_order_id(permit or "") and self._settings.is_concurrency_exhausted(self._permits_in_use):
                self._return_permits()

    def _now_us(self) -> int:
        return to_unix_us(self._clock.now())

    def _return_permits(self) -> None:
        idle = [name for name in self._free_permits() if name not in self._doubtful_permits]
        if idle:
            self._store.return_permits(self._key, workers=idle)
            self._permits = {name: until for name, until in self._permits.items() if name not in idle}

    def _free_permits(self) -> tuple[str, ...]:
        """Return the names of this container's permits that no request uses."""
        return tuple(sorted(self._permits.keys() - self._used_permits.values()))

    def _count_401(self, permit: str, version: str) -> None:
        # The credentials were forgotten before: the next use reads them after this 401.
        state = self._store.record_401(self._key, worker=permit, version=version)
        self._read_after = state.total_401s
        self._observe_permits(state)

    def _observe_permits(self, state: ProviderLimitState) -> None:
        """Take over this container's permits from a state that a write has returned."""
        self._permits = {name: until for name, until in state.permits.items() if self._owns(name)}
        self._doubtful_permits.intersection_update(self._permits)

    def _owns(self, permit: str) -> bool:
        return permit.startswith(self._container_id) and permit[len(self._container_id) :][:1] in (".", "/")

    def _flush_pending_writes(self) -> None:
        """Write what the store did not take before: without a lost 401 it would grant one slot too many."""
        for worker in tuple(self._pending_writes):
            self._pending_writes[worker]()
            del self._pending_writes[worker]

    def _take_reserved_slot(self, version: str, *, now_us: int, latest_us: int) -> Slot | None:
        if not self._reserved_slots:
            return None
        room_us = self._pace.room_us(now_us)
        while self._reserved_slots and self._reserved_slots[0].at_us + room_us < now_us:
            self._reserved_slots.popleft()
        if not self._reserved_slots or self._reserved_slots[0].version != version:
            self._reserved_slots.clear()
            return None
        if self._settings.in_flight is not None and not self._free_permits():
            # Another worker of this container ends its request soon.
            raise ConcurrencyLimitError("All permits for requests in flight are taken", look_after_s=_SHARED_LOOK_S)
        return self._reserved_slots.popleft() if self._reserved_slots[0].at_us <= latest_us else None

    def _reserve_slots(
        self, version: str, *, now_us: int, latest_us: int, in_flight: int | None, order_id: str
    ) -> Slot:
        if self._in_batch and self._used_permits and not self._free_permits():
            raise ConcurrencyLimitError("All permits for requests in flight are taken", look_after_s=_SHARED_LOOK_S)
        count = self._count_usable_slots(now_us) if self._in_batch else 1
        rule = self._build_circuit_rule(version, in_flight)
        state = ProviderLimitState(permits=self._permits)
        # A container's first reservation is a write, which is granted as a rule: Lambda starts few containers a second.
        if in_flight is not None and self._last_next_slot_us and (self._first_refused_us or not self._free_permits()):
            state = self._look(now_us=now_us)
        for _ in range(_MAX_TRIES):
            slots = self._pace.build_request(now_us=now_us, latest_us=latest_us, count=count)
            rule = self._build_circuit_rule(version, in_flight)
            permit = self._build_permit(state, rule, now_us=now_us, order_id=order_id)
            refused = permit is not None and state.permits and not self._fits(permit, state, rule)
            if refused and rule.max_permits(state):
                break
            update = self._reserve_ahead(slots, rule, permit)
            state = update.state
            self._pace.observe(state, now_us=now_us)
            self._observe_permits(state)
            self._last_next_slot_us = state.next_slot_us
            if update.granted:
                self._doubtful_permits.difference_update(permit.workers if permit else ())
                return self._keep_slots(slots, state, version)
            if rule.is_outdated(state):
                version, self._read_after = self._read_version_again(), state.total_401s
            elif rule.max_permits(state):
                if state.next_slot_us > latest_us and count == 1:
                    break
                # One slot may be free if a block of them is not.
                count = 1 if state.next_slot_us > slots.latest_start_us else count
            else:
                # Only new credentials get a half-open probe.
                previous, version = version, self._read_version_again()
                if version == previous:
                    break
        raise self._build_refusal(state, rule, now_us=now_us, latest_us=latest_us)

    def _count_usable_slots(self, now_us: int) -> int:
        """Return how many slots this batch can use: if answers take longer, one for each permit, and else a block."""
        most = min(self._batch_remaining, self._settings.block_size)
        if self._is_slow(now_us):
            most = min(most, len(self._free_permits()) or self._batch_permits)
        return max(1, most)

    def _is_slow(self, now_us: int) -> bool:
        """Tell if this batch's permits are not free again by the time of the slots that follow."""
        permits = len(self._permits) or self._batch_permits
        return self._settings.in_flight is not None and self._pace.answer_us > permits * self._pace.interval_us(now_us)

    def _look(self, *, now_us: int) -> ProviderLimitState:
        """Read the state before a write that would likely be refused.

        Raises:
            ConcurrencyExhaustedError: this container found no permit for a while, and looked a moment ago.
        """
        if now_us < self._next_look_us:
            if self._in_batch:
                raise self._build_concurrency_error(ProviderLimitState(), now_us=now_us)
            raise _build_exhausted_error(self._pause_us)
        if self._in_batch:
            # One worker looks for all.
            self._next_look_us = now_us + round(_BATCH_LOOK_S * _SECOND_US)
        try:
            state = self._store.read(self._key)
        except StoreThrottledError:
            raise self._grow_impatient(now_us) from None
        self._pace.observe(state, now_us=now_us)
        self._last_next_slot_us = state.next_slot_us
        return state

    def _grow_impatient(self, now_us: int) -> ConcurrencyExhaustedError:
        self._pause_us = min(_LONGEST_PAUSE_US, max(_PATIENCE_US, 2 * self._pause_us))
        self._next_look_us = now_us + round(self._pause_us * _RANDOM.uniform(0.5, 1.5))
        return _build_exhausted_error(self._pause_us)

    def _read_version_again(self) -> str:
        self._forget_credentials()
        return self._version()

    def _keep_slots(self, slots: SlotRequest, state: ProviderLimitState, version: str) -> Slot:
        """Keep the granted slots for the batch, and return the first of them."""
        may_reset_401s = state.consecutive_401s or version in state.rejected_versions
        start_us = state.next_slot_us - slots.length_us
        self._reserved_slots = deque(
            Slot(
                at_us=start_us + number * slots.interval_us,
                version=version,
                expected_total_401s=state.total_401s if may_reset_401s else 0,
                rejected_versions=state.rejected_versions,
                prunes_probed=len(state.probed_versions) > _MAX_VERSIONS,
            )
            for number in range(slots.count)
        )
        self._permits_in_use = len(state.permits)
        return self._reserved_slots.popleft()

    def _reserve_ahead(self, slots: SlotRequest, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        """Request slots as far ahead as the store's last answer took: an earlier slot would be stale on arrival."""
        started_us = self._now_us()
        ahead_us = min(slots.now_us + self._store_latency_us, slots.latest_us)
        update = self._try_reserve(replace(slots, now_us=ahead_us), rule, permit)
        self._store_latency_us = max(0, self._now_us() - started_us)
        return update

    def _try_reserve(self, slots: SlotRequest, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        """Try both kinds of reservation, the likely one first: one write in the usual case.

        The likely one is that of the last reservation while other containers reserve slots, too. Only `reserve_now`
        sets `next_slot_us` by this container's clock. It comes second if that clock was never compared with the
        store's.
        """
        busy = self._last_next_slot_us >= slots.now_us or slots.now_us < self._busy_until_us
        next_first = busy or self._store.clock_ahead_s() is None
        update = LimitUpdate(granted=False, state=ProviderLimitState())
        for branch in ("next", "now") if next_first else ("now", "next"):
            self._check_clock()
            reserve = self._store.reserve_next if branch == "next" else self._store.reserve_now
            try:
                update = reserve(self._key, slots, rule=rule, permit=permit)
            except StoreThrottledError:
                if permit is not None and not self._free_permits():
                    raise self._grow_impatient(slots.now_us) from None
                # Nothing was written. A container that has a permit goes on within its waiting budget.
                raise ConcurrencyLimitError(
                    "All permits for requests in flight are taken", look_after_s=_BATCH_LOOK_S
                ) from None
            state = update.state
            if update.granted and state.next_slot_us - slots.length_us > self._last_next_slot_us:
                self._busy_until_us = slots.now_us + _SECOND_US if branch == "next" else 0
            if update.granted or not rule.admits(state, permit) or not slots.knows_backoff(state):
                break
            if state.next_slot_us > slots.latest_start_us:
                break
        return update

    def _check_clock(self) -> None:
        ahead_s = self._store.clock_ahead_s() or 0.0
        if abs(ahead_s) > self._settings.max_clock_drift.total_seconds():
            raise SlotUnavailableError(
                f"The clock of this container is off by {ahead_s:.0f} s: try again", retry_after_s=1.0
            )

    def _build_permit(
        self, state: ProviderLimitState, rule: CircuitRule, *, now_us: int, order_id: str
    ) -> Permit | None:
        """Build the permit for this reservation; if none is free, it takes the place of those that have ended."""
        if self._settings.in_flight is None:
            return None
        others = {name: until for name, until in state.permits.items() if not self._owns(name)}
        own = {name: self._permits[name] for name in self._free_permits()}
        if not self._in_batch:
            order_id = order_id if self._answered_at is not None else ""
            name = f"{self._container_id}/{order_id}" if order_id else self._choose_names(1)[0]
            own.pop(name, None)
            permit = Permit(workers=(name,), until_us=self._pace.compute_permit_end(now_us), expired=own)
            if others and not self._fits(permit, state, rule):
                permit = replace(permit, expired=own | self._find_idle(others, most=1, now_us=now_us))
            return permit
        names, taken = tuple(sorted(self._permits)), dict[str, int]()
        if not names:
            wanted = max(1, min(self._batch_permits, self._batch_remaining))
            excess = len(state.permits) + wanted - rule.max_permits(state)
            taken = self._find_idle(others, most=excess, now_us=now_us) if excess > 0 else {}
            names = self._choose_names(max(1, min(wanted, wanted - excess + len(taken))))
        return Permit(workers=names, until_us=self._pace.compute_permit_end(now_us), expired=taken)

    def _choose_names(self, count: int) -> tuple[str, ...]:
        names = (f"{self._container_id}.{number}" for number in itertools.count())
        used = self._used_permits.values()
        return tuple(itertools.islice((name for name in names if name not in used), count))

    def _find_idle(self, permits: Mapping[str, int], *, most: int, now_us: int) -> dict[str, int]:
        """Return the permits whose lease has ended, or else up to `most` whose order the provider has answered."""
        idle = {name: until for name, until in permits.items() if until < now_us}
        if idle or self._answered_at is None:
            return idle
        lease_us = now_us + to_us(self._settings.lease)
        grace_us, misses = (0 if self._in_batch else _GRACE_US), 0
        named = sorted(name for name, until in permits.items() if _get_order_id(name) and until <= lease_us - grace_us)
        # Each look begins where the last one ended: a request in doubt hides no idle permit for long.
        for name in (named + named)[self._looked_at % max(1, len(named)) :][: len(named)]:
            self._looked_at += 1
            answered = self._answered_at(_get_order_id(name))
            if answered is not None and to_unix_us(answered) <= now_us - grace_us:
                idle[name] = permits[name]
            else:
                misses += 1
            if len(idle) == most or misses == _MOST_MISSES:
                break
        return idle

    @staticmethod
    def _fits(permit: Permit, state: ProviderLimitState, rule: CircuitRule) -> bool:
        return permit.fits(state, max_permits=rule.max_permits(state))

    def _build_refusal(
        self, state: ProviderLimitState, rule: CircuitRule, *, now_us: int, latest_us: int
    ) -> LockedOutError | SlotUnavailableError:
        if not rule.max_permits(state):
            return LockedOutError(
                "The circuit of this egress address is open: an operator has to close it, see the runbook",
                reason=state.blocked_by or "authentication",
            )
        max_lead = self._settings.max_lead
        if state.next_slot_us > now_us + to_us(max_lead):
            return LockedOutError(
                f"The next slot is more than {max_lead.total_seconds():g} s ahead: a clock was wrong, see the runbook",
                reason="next_slot",
            )
        if state.next_slot_us <= latest_us:
            return self._build_concurrency_error(state, now_us=now_us)
        return RateLimitTimeoutError(
            "No free slot within the waiting budget",
            retry_after_s=max(0.0, (state.next_slot_us - latest_us) / _SECOND_US),
        )

    def _build_concurrency_error(self, state: ProviderLimitState, *, now_us: int) -> SlotUnavailableError:
        """Build the error for a request without a permit: it looks again, unless this container did so for a while."""
        self._first_refused_us = self._first_refused_us or now_us
        if not self._in_batch and now_us - self._first_refused_us >= _PATIENCE_US:
            return self._grow_impatient(now_us)
        if self._in_batch and state.permits:
            # More urgent requests have taken the rest: a batch that may not send now leaves them its permits, too.
            self._return_permits()
        waited_s = (now_us - self._first_refused_us) / _SECOND_US
        look_s = _BATCH_LOOK_S if self._in_batch else max(_FIRST_LOOK_S, waited_s) * _RANDOM.uniform(0.5, 1.5)
        first_end_us = min((until for name, until in state.permits.items() if not self._owns(name)), default=now_us)
        return ConcurrencyLimitError(
            "All permits for requests in flight are taken",
            retry_after_s=max(0.0, (first_end_us - now_us) / _SECOND_US),
            look_after_s=look_s,
        )

    def _build_circuit_rule(self, version: str, in_flight: int | None) -> CircuitRule:
        return CircuitRule(
            version=version,
            open_after_401s=self._settings.open_after_401s,
            max_consecutive_401s=self._settings.max_consecutive_401s,
            in_flight=in_flight,
            read_after=self._read_after,
        )


def _get_order_id(permit: str) -> str:
    """Return the order that a permit is named after, or an empty text."""
    return permit.partition("/")[2]


def _build_exhausted_error(pause_us: int) -> ConcurrencyExhaustedError:
    return ConcurrencyExhaustedError(
        "All permits for requests in flight are taken, and many requests wait for one",
        retry_after_s=max(1.0, pause_us / _SECOND_US),
    )
