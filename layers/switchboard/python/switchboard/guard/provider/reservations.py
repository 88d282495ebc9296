"""Slot reservations of one container in the shared rate limiter state.

The rate limiter is GCRA (generic cell rate algorithm) in its "virtual scheduling" form. `next_slot_us` is GCRA's
theoretical arrival time: a reservation moves it on by `interval_us` a slot, the emission interval, and the sender waits
for its slot. A container polls nothing and counts no tokens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import RLock
from typing import Final

from switchboard.domain.errors import ConcurrencyLimitError, LockedOutError, RateLimitTimeoutError, SlotUnavailableError
from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest
from switchboard.domain.timestamps import to_unix_us, to_us
from switchboard.guard.provider.settings import GuardSettings, Pace
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import ProviderLimitStore

_SECOND_US: Final = 1_000_000
# A refused reservation is worth another try if another container's write came first.
_MAX_TRIES: Final = 6
# Each rotation of the credentials adds a version to `probed_versions` and `rejected_versions`, and every send writes
# the item: longer sets are pruned.
_MAX_VERSIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Slot:
    """A reserved slot: its time in Unix microseconds, and the version of the credentials that it was reserved for.

    `expected_total_401s` is the value of `total_401s` at the reservation if an accepted request has 401s to reset,
    otherwise 0. `rejected_versions` and `probed_count` (the number of `probed_versions`) are those of the reservation.
    """

    at_us: int
    version: str
    expected_total_401s: int = 0
    rejected_versions: frozenset[str] = frozenset()
    probed_count: int = 0


class SlotReservations:
    """The reservations of one container's workers, each of which has at most one request in flight.

    Workers may belong to threads: all methods may be called concurrently.
    """

    def __init__(
        self,
        *,
        store: ProviderLimitStore,
        key: str,
        workers: tuple[str, ...],
        settings: GuardSettings,
        clock: Clock,
        version: Callable[[], str],
        forget_credentials: Callable[[], None],
    ) -> None:
        self._store = store
        self._key = key
        self._all_workers = workers
        self._workers = workers
        self._settings = settings
        self._clock = clock
        self._version = version
        self._forget_credentials = forget_credentials
        self._jitter_us = to_us(settings.jitter)
        self._pace = Pace(settings)
        self._lock = RLock()
        self._reserved_slots: deque[Slot] = deque()
        self._batch_remaining = 0
        self._in_batch = False
        self._permitted_workers: set[str] = set()
        self._concurrency_exhausted = False
        self._last_next_slot_us = 0
        self._store_latency_us = 0
        self._read_after = 0
        self._pending_writes: dict[str, Callable[[], object]] = {}

    @contextmanager
    def batch(self, size: int, *, workers: int) -> Iterator[None]:
        """Reserve several slots with one write, while the first `workers` workers send `size` requests together."""
        with self._lock:
            self._reserved_slots.clear()
            self._workers = self._all_workers[:workers]
            self._batch_remaining, self._in_batch = size, True
        try:
            yield
        finally:
            with self._lock:
                self._reserved_slots.clear()
                self._batch_remaining, self._in_batch = 0, False
                # A full batch is followed by others, which need the same permits.
                if size < self._settings.block_size:
                    self._return_permits()

    def reserve(self, worker: str, *, latest_us: int, in_flight: int | None) -> Slot:
        """Return the next reserved slot of the batch, or reserve one if at most `in_flight` requests are in flight.

        Raises:
            SlotUnavailableError: there is no slot before `latest_us`, or no free permit.
            LockedOutError: the circuit is open.
            StoreUnavailableError: the store did not answer.
        """
        with self._lock:
            self._flush_pending_writes()
            version, now_us = self._version(), self._now_us()
            if now_us >= latest_us:
                raise RateLimitTimeoutError("The waiting budget of this request is used up")
            slot = self._take_reserved_slot(worker, version, now_us=now_us, latest_us=latest_us)
            slot = slot or self._reserve_slots(worker, version, now_us=now_us, latest_us=latest_us, in_flight=in_flight)
            self._batch_remaining -= 1
            return slot

    def record_401(self, worker: str, slot: Slot) -> None:
        """Record a 401: drop all reserved slots, and read the credentials again before the next one."""
        with self._lock:
            self._reserved_slots.clear()
            self._forget_credentials()
            self._pending_writes[worker] = lambda: self._count_401(worker, slot.version)
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
        elif slot.probed_count > _MAX_VERSIONS:
            self._store.forget_probed(self._key, keep=slot.version)

    def record_end(self, worker: str, *, may_be_in_flight: bool) -> None:
        """Record that the request is over, and return its permit if other workers need one.

        A request that may still be in flight keeps its permit until the lease ends.
        """
        with self._lock:
            self._flush_pending_writes()
            if may_be_in_flight:
                self._permitted_workers.discard(worker)
            elif not self._in_batch:
                self._return_permits()

    def _now_us(self) -> int:
        return to_unix_us(self._clock.now())

    def _return_permits(self) -> None:
        if self._concurrency_exhausted and self._permitted_workers:
            self._store.return_permits(self._key, workers=tuple(sorted(self._permitted_workers)))
            self._permitted_workers.clear()
            self._concurrency_exhausted = False

    def _count_401(self, worker: str, version: str) -> None:
        # The credentials were forgotten before: the next use reads them after this 401.
        self._read_after = self._store.record_401(self._key, worker=worker, version=version).total_401s
        self._permitted_workers.discard(worker)

    def _flush_pending_writes(self) -> None:
        """Write what the store did not take before: without a lost 401 it would grant one slot too many."""
        for worker in tuple(self._pending_writes):
            self._pending_writes[worker]()
            del self._pending_writes[worker]

    def _take_reserved_slot(self, worker: str, version: str, *, now_us: int, latest_us: int) -> Slot | None:
        while self._reserved_slots and self._reserved_slots[0].at_us + self._jitter_us < now_us:
            self._reserved_slots.popleft()
        if not self._reserved_slots or self._reserved_slots[0].version != version:
            self._reserved_slots.clear()
            return None
        has_permit = self._settings.in_flight is None or worker in self._permitted_workers
        return self._reserved_slots.popleft() if has_permit and self._reserved_slots[0].at_us <= latest_us else None

    def _reserve_slots(self, worker: str, version: str, *, now_us: int, latest_us: int, in_flight: int | None) -> Slot:
        count = max(1, min(self._batch_remaining, self._settings.block_size))
        state = ProviderLimitState()
        for _ in range(_MAX_TRIES):
            workers = self._workers if count > 1 else (worker,)
            slots = self._pace.build_request(now_us=now_us, latest_us=latest_us, count=count)
            rule = self._build_circuit_rule(version, in_flight)
            permit = self._build_permit(workers, state, rule, now_us=now_us)
            update = self._reserve_ahead(slots, rule, permit)
            state = update.state
            self._pace.observe(state)
            self._last_next_slot_us = state.next_slot_us
            if update.granted:
                return self._keep_slots(slots, state, version, workers)
            if rule.is_outdated(state):
                version, self._read_after = self._read_version_again(), state.total_401s
            elif rule.max_permits(state):
                no_permits = not self._has_free_permits(workers, state, rule, now_us=now_us)
                unavailable = state.next_slot_us > latest_us or no_permits
                if unavailable and count == 1:
                    break
                # One slot may be free if a block of them is not.
                count = 1 if unavailable or state.next_slot_us > slots.latest_start_us else count
            else:
                # Only new credentials get a half-open probe.
                previous, version = version, self._read_version_again()
                if version == previous:
                    break
        rule = self._build_circuit_rule(version, in_flight)
        raise self._build_refusal(state, rule, worker, now_us=now_us, latest_us=latest_us)

    def _read_version_again(self) -> str:
        self._forget_credentials()
        return self._version()

    def _keep_slots(
        self, slots: SlotRequest, state: ProviderLimitState, version: str, workers: tuple[str, ...]
    ) -> Slot:
        """Keep the granted slots for the batch, and return the first of them."""
        may_reset_401s = state.consecutive_401s or version in state.rejected_versions
        start_us = state.next_slot_us - slots.length_us
        self._reserved_slots = deque(
            Slot(
                at_us=start_us + number * slots.interval_us,
                version=version,
                expected_total_401s=state.total_401s if may_reset_401s else 0,
                rejected_versions=state.rejected_versions,
                probed_count=len(state.probed_versions),
            )
            for number in range(slots.count)
        )
        self._permitted_workers.update(workers)
        self._concurrency_exhausted = self._settings.is_concurrency_exhausted(len(state.permits))
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

        Only `reserve_now` sets `next_slot_us` by this container's clock. It comes second if that clock was never
        compared with the store's.
        """
        next_first = self._last_next_slot_us >= slots.now_us or self._store.clock_ahead_s() is None
        update = LimitUpdate(granted=False, state=ProviderLimitState())
        for branch in ("next", "now") if next_first else ("now", "next"):
            self._check_clock()
            if branch == "next":
                update = self._store.reserve_next(self._key, slots, rule=rule, permit=permit)
            else:
                update = self._store.reserve_now(self._key, slots, rule=rule, permit=permit)
            state = update.state
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
        self, workers: tuple[str, ...], state: ProviderLimitState, rule: CircuitRule, *, now_us: int
    ) -> Permit | None:
        """Build the permit of `workers`; if none is free, it takes the place of the expired ones."""
        if self._settings.in_flight is None:
            return None
        permit = Permit(workers=workers, until_us=now_us + to_us(self._settings.lease))
        if permit.fits(state, max_permits=rule.max_permits(state)):
            return permit
        others = {worker: until for worker, until in state.permits.items() if worker not in workers}
        return replace(permit, expired={worker: until for worker, until in others.items() if until < now_us})

    def _has_free_permits(
        self, workers: tuple[str, ...], state: ProviderLimitState, rule: CircuitRule, *, now_us: int
    ) -> bool:
        permit = self._build_permit(workers, state, rule, now_us=now_us)
        return permit is None or permit.fits(state, max_permits=rule.max_permits(state))

    def _build_refusal(
        self, state: ProviderLimitState, rule: CircuitRule, worker: str, *, now_us: int, latest_us: int
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
        if not self._has_free_permits((worker,), state, rule, now_us=now_us):
            first_end_us = min(until for name, until in state.permits.items() if name != worker)
            return ConcurrencyLimitError(
                "All permits for requests in flight are taken",
                retry_after_s=max(0.0, (first_end_us - now_us) / _SECOND_US),
            )
        return RateLimitTimeoutError(
            "No free slot within the waiting budget",
            retry_after_s=max(0.0, (state.next_slot_us - latest_us) / _SECOND_US),
        )

    def _build_circuit_rule(self, version: str, in_flight: int | None) -> CircuitRule:
        return CircuitRule(
            version=version,
            open_after_401s=self._settings.open_after_401s,
            max_consecutive_401s=self._settings.max_consecutive_401s,
            in_flight=in_flight,
            read_after=self._read_after,
        )
