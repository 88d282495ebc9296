"""One container's part in a state: what it last saw of it, the slots it has reserved, and what it must still write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import RLock
from typing import Final

from switchboard.domain.errors import ConcurrencyLimitError, LockedOutError, RateLimitTimeoutError, SlotUnavailableError
from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest
from switchboard.guard.provider.pace import Pace
from switchboard.guard.provider.settings import GuardSettings, in_us
from switchboard.ports.provider_limits import ProviderLimitStore

_SECOND_US: Final = 1_000_000
# A refused reservation is worth another look at what was in its way, as long as others only got there first.
_TRIES: Final = 6
# As many versions are kept, refused and tried ones: each rotation of the credentials adds one, and the item is written
# with every send.
_VERSIONS_KEPT: Final = 16


@dataclass(frozen=True, slots=True)
class Slot:
    """When one request may be sent, in Unix microseconds, with which credentials, and, where its answer would end a
    consecutive_401s, how many 401s there had been in all. `probed_count`: so many versions got a slot since the last
    consecutive_401s."""

    at_us: int
    version: str
    resets_401s_at: int
    rejected_versions: frozenset[str]
    probed_count: int = 0


class SlotReservations:
    """Reserves slots for the workers of one container, each of which has at most one request under way.

    Seats may belong to threads: all methods may be called at once. The clock is told in Unix microseconds.
    """

    def __init__(
        self,
        *,
        store: ProviderLimitStore,
        key: str,
        workers: tuple[str, ...],
        settings: GuardSettings,
        now_us: Callable[[], int],
        version: Callable[[], str],
        forget_credentials: Callable[[], None],
    ) -> None:
        self._store = store
        self._key = key
        self._all_workers = workers
        self._workers = workers
        self._settings = settings
        self._now_us = now_us
        self._version = version
        self._forget_credentials = forget_credentials
        self._jitter_us = in_us(settings.jitter)
        self._pace = Pace(settings)
        self._lock = RLock()
        self._block: deque[Slot] = deque()
        self._expected = 0
        self._in_batch = False
        self._held: set[str] = set()
        self._concurrency_exhausted = False
        self._seen_next_slot_us = 0
        self._lead_us = 0
        self._read_after = 0
        self._unwritten: dict[str, Callable[[], object]] = {}

    @contextmanager
    def batch(self, size: int, *, workers: int) -> Iterator[None]:
        """While so many requests are to be sent from the first `workers`, one write reserves for several of them."""
        with self._lock:
            self._block.clear()
            self._workers = self._all_workers[:workers]
            self._expected, self._in_batch = size, True
        try:
            yield
        finally:
            with self._lock:
                self._block.clear()
                self._expected, self._in_batch = 0, False
                # A full batch is followed by others: what it holds will be wanted again.
                if size < self._settings.block:
                    self._return_permits()

    def reserve(self, worker: str, *, latest_us: int, in_flight: int | None) -> Slot:
        """The next slot of the block, or a new one, while at most `in_flight` have requests under way.

        Raises SlotUnavailableError, LockedOutError, StoreUnavailableError."""
        with self._lock:
            self._flush_unwritten()
            version, now_us = self._version(), self._now_us()
            if now_us >= latest_us:
                raise RateLimitTimeoutError("the waiting budget is spent")
            slot = self._from_block(worker, version, now_us=now_us, latest_us=latest_us)
            slot = slot or self._reserve(worker, version, now_us=now_us, latest_us=latest_us, in_flight=in_flight)
            self._expected -= 1
            return slot

    def record_401(self, worker: str, slot: Slot) -> None:
        """A 401: this container stops where it is, and reads the credentials anew before it goes on."""
        with self._lock:
            self._block.clear()
            self._forget_credentials()
            self._unwritten[worker] = lambda: self._count_401(worker, slot.version)
            self._flush_unwritten()

    def record_block(self, worker: str, *, code: str) -> None:
        """Nothing may be sent from this address any more."""
        with self._lock:
            self._block.clear()
            self._unwritten[worker] = lambda: self._store.block(self._key, code=code)
            self._flush_unwritten()

    def record_rate_limited(self, slot: Slot) -> None:
        """The provider refused a request for speed: the state slows down, unless it has since that slot."""
        with self._lock:
            self._block.clear()
            now_us = self._now_us()
            pct = self._pace.next_backoff_percent(now_us=now_us)
            self._store.back_off(self._key, pct=pct, now_us=now_us, slot_us=slot.at_us)
            # If somebody else had slowed it, the next reservation is refused once and says so.
            self._pace.record_backoff(pct=pct, at_us=now_us)

    def record_accepted_credentials(self, slot: Slot) -> None:
        """Any answer but a 401."""
        if slot.resets_401s_at:
            full = len(slot.rejected_versions) > _VERSIONS_KEPT
            versions = {slot.version, *(slot.rejected_versions if full else ())}
            self._store.reset_401s(self._key, seen=slot.resets_401s_at, versions=versions)
        elif slot.probed_count > _VERSIONS_KEPT:
            self._store.forget_probed(self._key, but=slot.version)

    def record_end(self, worker: str, *, ended: bool) -> None:
        """The request is over (`ended`), or may still be under way: its place is then kept until its lease ends."""
        with self._lock:
            self._flush_unwritten()
            if not ended:
                self._held.discard(worker)
            elif not self._in_batch:
                self._return_permits()

    def _return_permits(self) -> None:
        if self._concurrency_exhausted and self._held:
            self._store.return_permits(self._key, workers=tuple(sorted(self._held)))
            self._held.clear()
            self._concurrency_exhausted = False

    def _count_401(self, worker: str, version: str) -> None:
        # The credentials were forgotten before: whatever is used next is read after this 401.
        self._read_after = self._store.record_401(self._key, worker=worker, version=version).total_401s
        self._held.discard(worker)

    def _flush_unwritten(self) -> None:
        """What could not be written is written before the next slot: a lost refusal would let one more through."""
        for worker in tuple(self._unwritten):
            self._unwritten[worker]()
            del self._unwritten[worker]

    def _from_block(self, worker: str, version: str, *, now_us: int, latest_us: int) -> Slot | None:
        while self._block and self._block[0].at_us + self._jitter_us < now_us:
            self._block.popleft()
        if not self._block or self._block[0].version != version:
            self._block.clear()
            return None
        permitted = self._settings.in_flight is None or worker in self._held
        return self._block.popleft() if permitted and self._block[0].at_us <= latest_us else None

    def _reserve(self, worker: str, version: str, *, now_us: int, latest_us: int, in_flight: int | None) -> Slot:
        count = max(1, min(self._expected, self._settings.block))
        state = ProviderLimitState()
        for _ in range(_TRIES):
            workers = self._workers if count > 1 else (worker,)
            slots = self._pace.request(now_us=now_us, latest_us=latest_us, count=count)
            rule = self._circuit_rule(version, in_flight)
            update = self._reserve_ahead(slots, rule, self._permit(workers, state, rule, now_us=now_us))
            state = update.state
            self._pace.observe(state)
            self._seen_next_slot_us = state.next_slot_us
            if update.granted:
                return self._first_of(slots, state, version, workers)
            if rule.is_outdated(state):
                version, self._read_after = self._read_again(), state.total_401s
            elif rule.max_permits(state):
                taken = state.next_slot_us > latest_us or not self._fits(workers, state, rule, now_us=now_us)
                if taken and count == 1:
                    break
                # There may be max_permits for one where there is none for a block.
                count = 1 if taken or state.next_slot_us > slots.latest_start_us else count
            else:
                # While the circuit is open, new credentials are what everybody waits for.
                tried, version = version, self._read_again()
                if version == tried:
                    break
        raise self._refusal(state, self._circuit_rule(version, in_flight), worker, now_us=now_us, latest_us=latest_us)

    def _read_again(self) -> str:
        self._forget_credentials()
        return self._version()

    def _first_of(self, slots: SlotRequest, state: ProviderLimitState, version: str, workers: tuple[str, ...]) -> Slot:
        ends = state.total_401s if state.consecutive_401s or version in state.rejected_versions else 0
        start_us = state.next_slot_us - slots.length_us
        self._block = deque(
            Slot(
                at_us=start_us + number * slots.interval_us,
                version=version,
                resets_401s_at=ends,
                rejected_versions=state.rejected_versions,
                probed_count=len(state.probed_versions),
            )
            for number in range(slots.count)
        )
        self._held.update(workers)
        self._concurrency_exhausted = self._settings.is_concurrency_exhausted(len(state.permits))
        return self._block.popleft()

    def _reserve_ahead(self, slots: SlotRequest, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        """Asks for a slot as far ahead as the last answer took to come: an earlier one would be stale on arrival."""
        asked_us = self._now_us()
        ahead_us = min(slots.now_us + self._lead_us, slots.latest_us)
        update = self._try_reserve(replace(slots, now_us=ahead_us), rule, permit)
        self._lead_us = max(0, self._now_us() - asked_us)
        return update

    def _try_reserve(self, slots: SlotRequest, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        """Tries first the branch that the last sight of the next_slot makes likely: one write in the usual case.

        Only a restart sets the next_slot by this machine's clock: it comes second where that was never compared.
        """
        next_first = self._seen_next_slot_us >= slots.now_us or self._store.clock_ahead_s() is None
        update = LimitUpdate(granted=False, state=ProviderLimitState())
        for branch in ("next", "now") if next_first else ("now", "next"):
            self._check_clock()
            if branch == "next":
                update = self._store.reserve_next(self._key, slots, rule=rule, permit=permit)
            else:
                update = self._store.reserve_now(self._key, slots, rule=rule, permit=permit)
            state = update.state
            in_the_way = not rule.admits(state, permit) or not slots.knows_backoff(state)
            if update.granted or in_the_way or state.next_slot_us > slots.latest_start_us:
                break
        return update

    def _check_clock(self) -> None:
        ahead_s = self._store.clock_ahead_s() or 0.0
        if abs(ahead_s) > self._settings.max_clock_drift.total_seconds():
            raise SlotUnavailableError(f"this machine's clock is off by {ahead_s:.0f} s", retry_after_s=1.0)

    def _permit(
        self, workers: tuple[str, ...], state: ProviderLimitState, rule: CircuitRule, *, now_us: int
    ) -> Permit | None:
        """Ours; where there is no max_permits for it, in the place of those that ran out."""
        if self._settings.in_flight is None:
            return None
        permit = Permit(workers=workers, until_us=now_us + in_us(self._settings.lease))
        if permit.fits(state, max_permits=rule.max_permits(state)):
            return permit
        others = {worker: until for worker, until in state.permits.items() if worker not in workers}
        return replace(permit, expired={worker: until for worker, until in others.items() if until < now_us})

    def _fits(self, workers: tuple[str, ...], state: ProviderLimitState, rule: CircuitRule, *, now_us: int) -> bool:
        permit = self._permit(workers, state, rule, now_us=now_us)
        return permit is None or permit.fits(state, max_permits=rule.max_permits(state))

    def _refusal(
        self, state: ProviderLimitState, rule: CircuitRule, worker: str, *, now_us: int, latest_us: int
    ) -> LockedOutError | SlotUnavailableError:
        if not rule.max_permits(state):
            return LockedOutError(
                "the circuit of this egress address is open",
                reason=state.blocked_by or "authentication",
            )
        if state.next_slot_us > now_us + in_us(self._settings.max_lead):
            return LockedOutError(
                "the state's next_slot is further ahead than anybody may update it", reason="next_slot"
            )
        if not self._fits((worker,), state, rule, now_us=now_us):
            first = min(until for holder, until in state.permits.items() if holder != worker)
            return ConcurrencyLimitError(
                "as many requests are in flight as may be",
                retry_after_s=max(0.0, (first - now_us) / _SECOND_US),
            )
        return RateLimitTimeoutError(
            "no slot within the waiting budget",
            retry_after_s=max(0.0, (state.next_slot_us - latest_us) / _SECOND_US),
        )

    def _circuit_rule(self, version: str, in_flight: int | None) -> CircuitRule:
        return CircuitRule(
            version=version,
            open_after_401s=self._settings.open_after_401s,
            max_consecutive_401s=self._settings.max_consecutive_401s,
            in_flight=in_flight,
            read_after=self._read_after,
        )
