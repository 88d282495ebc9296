"""One container's part in a lane: what it last saw of it, the slots it has reserved, and what it must still write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import RLock
from typing import Final

from switchboard.domain.errors import LockedOutError, NoSlotError
from switchboard.domain.rate_limits import CircuitRule, LaneMove, LaneState, Permit, SlotRequest
from switchboard.guard.provider.pace import Pace
from switchboard.guard.provider.settings import GateLimits, in_us
from switchboard.ports.provider_limits import LaneStore

_SECOND_US: Final = 1_000_000
# A refused reservation is worth another look at what was in its way, as long as others only got there first.
_TRIES: Final = 6
# As many versions are kept, refused and tried ones: each rotation of the credentials adds one, and the item is written
# with every send.
_VERSIONS_KEPT: Final = 16


@dataclass(frozen=True, slots=True)
class Slot:
    """When one request may be sent, in Unix microseconds, with which credentials, and, where its answer would end a
    streak, how many 401s there had been in all. `tried`: so many versions got a slot since the last streak."""

    at_us: int
    version: str
    ends_streak: int
    refused: frozenset[str]
    tried: int = 0


class LaneHolder:
    """Reserves slots for the seats of one container, each of which has at most one request under way.

    Seats may belong to threads: all methods may be called at once. The clock is told in Unix microseconds.
    """

    def __init__(
        self,
        *,
        lanes: LaneStore,
        lane: str,
        seats: tuple[str, ...],
        limits: GateLimits,
        now_us: Callable[[], int],
        version: Callable[[], str],
        forget_credentials: Callable[[], None],
    ) -> None:
        self._lanes = lanes
        self._lane = lane
        self._all_seats = seats
        self._seats = seats
        self._limits = limits
        self._now_us = now_us
        self._version = version
        self._forget_credentials = forget_credentials
        self._jitter_us = in_us(limits.jitter)
        self._pace = Pace(limits)
        self._lock = RLock()
        self._block: deque[Slot] = deque()
        self._expected = 0
        self._in_batch = False
        self._held: set[str] = set()
        self._crowded = False
        self._last_cursor_us = 0
        self._lead_us = 0
        self._reread = 0
        self._unwritten: dict[str, Callable[[], object]] = {}

    @contextmanager
    def batch(self, size: int, *, seats: int) -> Iterator[None]:
        """While so many requests are to be sent from the first `seats`, one write reserves for several of them."""
        with self._lock:
            self._block.clear()
            self._seats = self._all_seats[:seats]
            self._expected, self._in_batch = size, True
        try:
            yield
        finally:
            with self._lock:
                self._block.clear()
                self._expected, self._in_batch = 0, False
                # A full batch is followed by others: what it holds will be wanted again.
                if size < self._limits.block:
                    self._make_room()

    def take(self, seat: str, *, latest_us: int, in_flight: int | None) -> Slot:
        """The next slot of the block, or a new one, while at most `in_flight` have requests under way.

        Raises NoSlotError, LockedOutError, StoreUnavailableError."""
        with self._lock:
            self._write_down()
            version, now_us = self._version(), self._now_us()
            if now_us >= latest_us:
                raise NoSlotError("the waiting budget is spent")
            slot = self._from_block(seat, version, now_us=now_us, latest_us=latest_us)
            slot = slot or self._reserve(seat, version, now_us=now_us, latest_us=latest_us, in_flight=in_flight)
            self._expected -= 1
            return slot

    def refused(self, seat: str, slot: Slot) -> None:
        """A 401: this container stops where it is, and reads the credentials anew before it goes on."""
        with self._lock:
            self._block.clear()
            self._forget_credentials()
            self._unwritten[seat] = lambda: self._count_refusal(seat, slot.version)
            self._write_down()

    def blocked(self, seat: str, *, code: str) -> None:
        """Nothing may be sent from this address any more."""
        with self._lock:
            self._block.clear()
            self._unwritten[seat] = lambda: self._lanes.block(self._lane, code=code)
            self._write_down()

    def too_fast(self, slot: Slot) -> None:
        """The provider refused a request for speed: the lane slows down, unless it has since that slot."""
        with self._lock:
            self._block.clear()
            now_us = self._now_us()
            pct = self._pace.slower(now_us=now_us)
            self._lanes.slow(self._lane, pct=pct, now_us=now_us, slot_us=slot.at_us)
            # If somebody else had slowed it, the next reservation is refused once and says so.
            self._pace.slowed(pct=pct, at_us=now_us)

    def accepted_credentials(self, slot: Slot) -> None:
        """Any answer but a 401."""
        if slot.ends_streak:
            full = len(slot.refused) > _VERSIONS_KEPT
            versions = {slot.version, *(slot.refused if full else ())}
            self._lanes.end_streak(self._lane, seen=slot.ends_streak, versions=versions)
        elif slot.tried > _VERSIONS_KEPT:
            self._lanes.forget_tried(self._lane, but=slot.version)

    def settle(self, seat: str, *, ended: bool) -> None:
        """The request is over (`ended`), or may still be under way: its place is then kept until its lease ends."""
        with self._lock:
            self._write_down()
            if not ended:
                self._held.discard(seat)
            elif not self._in_batch:
                self._make_room()

    def _make_room(self) -> None:
        if self._crowded and self._held:
            self._lanes.give_back(self._lane, workers=tuple(sorted(self._held)))
            self._held.clear()
            self._crowded = False

    def _count_refusal(self, seat: str, version: str) -> None:
        # The credentials were forgotten before: whatever is used next is read after this 401.
        self._reread = self._lanes.add_refusal(self._lane, worker=seat, version=version).refusals
        self._held.discard(seat)

    def _write_down(self) -> None:
        """What could not be written is written before the next slot: a lost refusal would let one more through."""
        for seat in tuple(self._unwritten):
            self._unwritten[seat]()
            del self._unwritten[seat]

    def _from_block(self, seat: str, version: str, *, now_us: int, latest_us: int) -> Slot | None:
        while self._block and self._block[0].at_us + self._jitter_us < now_us:
            self._block.popleft()
        if not self._block or self._block[0].version != version:
            self._block.clear()
            return None
        permitted = self._limits.in_flight is None or seat in self._held
        return self._block.popleft() if permitted and self._block[0].at_us <= latest_us else None

    def _reserve(self, seat: str, version: str, *, now_us: int, latest_us: int, in_flight: int | None) -> Slot:
        count = max(1, min(self._expected, self._limits.block))
        lane = LaneState()
        for _ in range(_TRIES):
            seats = self._seats if count > 1 else (seat,)
            slots = self._pace.request(now_us=now_us, latest_us=latest_us, count=count)
            rule = self._rule(version, in_flight)
            move = self._timed_move(slots, rule, self._permit(seats, lane, rule, now_us=now_us))
            lane = move.lane
            self._pace.saw(lane)
            self._last_cursor_us = lane.cursor_us
            if move.moved:
                return self._first_of(slots, lane, version, seats)
            if rule.is_outdated(lane):
                version, self._reread = self._read_again(), lane.refusals
            elif rule.room(lane):
                taken = lane.cursor_us > latest_us or not self._fits(seats, lane, rule, now_us=now_us)
                if taken and count == 1:
                    break
                # There may be room for one where there is none for a block.
                count = 1 if taken or lane.cursor_us > slots.latest_start_us else count
            else:
                # While the circuit is open, new credentials are what everybody waits for.
                tried, version = version, self._read_again()
                if version == tried:
                    break
        raise self._refusal(lane, self._rule(version, in_flight), seat, now_us=now_us, latest_us=latest_us)

    def _read_again(self) -> str:
        self._forget_credentials()
        return self._version()

    def _first_of(self, slots: SlotRequest, lane: LaneState, version: str, seats: tuple[str, ...]) -> Slot:
        ends = lane.refusals if lane.streak or version in lane.refused else 0
        start_us = lane.cursor_us - slots.length_us
        self._block = deque(
            Slot(
                at_us=start_us + number * slots.step_us,
                version=version,
                ends_streak=ends,
                refused=lane.refused,
                tried=len(lane.tried),
            )
            for number in range(slots.count)
        )
        self._held.update(seats)
        self._crowded = self._limits.is_crowded(len(lane.permits))
        return self._block.popleft()

    def _timed_move(self, slots: SlotRequest, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        """Asks for a slot as far ahead as the last answer took to come: an earlier one would be stale on arrival."""
        asked_us = self._now_us()
        ahead_us = min(slots.now_us + self._lead_us, slots.latest_us)
        move = self._move(replace(slots, now_us=ahead_us), rule, permit)
        self._lead_us = max(0, self._now_us() - asked_us)
        return move

    def _move(self, slots: SlotRequest, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        """Tries first the branch that the last sight of the cursor makes likely: one write in the usual case.

        Only a restart sets the cursor by this machine's clock: it comes second where that was never compared.
        """
        append_first = self._last_cursor_us >= slots.now_us or self._lanes.clock_ahead_s() is None
        move = LaneMove(moved=False, lane=LaneState())
        for branch in ("append", "restart") if append_first else ("restart", "append"):
            self._check_clock()
            if branch == "append":
                move = self._lanes.append(self._lane, slots, rule=rule, permit=permit)
            else:
                move = self._lanes.restart(self._lane, slots, rule=rule, permit=permit)
            lane = move.lane
            in_the_way = not rule.admits(lane, permit) or not slots.knows_the_pace(lane)
            if move.moved or in_the_way or lane.cursor_us > slots.latest_start_us:
                break
        return move

    def _check_clock(self) -> None:
        ahead_s = self._lanes.clock_ahead_s() or 0.0
        if abs(ahead_s) > self._limits.clock_tolerance.total_seconds():
            raise NoSlotError(f"this machine's clock is off by {ahead_s:.0f} s", retry_after_s=1.0)

    def _permit(self, seats: tuple[str, ...], lane: LaneState, rule: CircuitRule, *, now_us: int) -> Permit | None:
        """Ours; where there is no room for it, in the place of those that ran out."""
        if self._limits.in_flight is None:
            return None
        permit = Permit(workers=seats, until_us=now_us + in_us(self._limits.lease))
        if permit.fits(lane, room=rule.room(lane)):
            return permit
        others = {worker: until for worker, until in lane.permits.items() if worker not in seats}
        return replace(permit, expired={worker: until for worker, until in others.items() if until < now_us})

    def _fits(self, seats: tuple[str, ...], lane: LaneState, rule: CircuitRule, *, now_us: int) -> bool:
        permit = self._permit(seats, lane, rule, now_us=now_us)
        return permit is None or permit.fits(lane, room=rule.room(lane))

    def _refusal(
        self, lane: LaneState, rule: CircuitRule, seat: str, *, now_us: int, latest_us: int
    ) -> LockedOutError | NoSlotError:
        if not rule.room(lane):
            return LockedOutError(
                "the circuit of this egress address is open",
                reason=lane.blocked_by or "authentication",
            )
        if lane.cursor_us > now_us + in_us(self._limits.believable):
            return LockedOutError("the lane's cursor is further ahead than anybody may move it", reason="cursor")
        if not self._fits((seat,), lane, rule, now_us=now_us):
            first = min(until for worker, until in lane.permits.items() if worker != seat)
            return NoSlotError(
                "as many requests are in flight as may be",
                retry_after_s=max(0.0, (first - now_us) / _SECOND_US),
                crowded=True,
            )
        return NoSlotError(
            "no slot within the waiting budget",
            retry_after_s=max(0.0, (lane.cursor_us - latest_us) / _SECOND_US),
        )

    def _rule(self, version: str, in_flight: int | None) -> CircuitRule:
        return CircuitRule(
            version=version,
            limit=self._limits.streak_limit,
            ceiling=self._limits.streak_ceiling,
            in_flight=in_flight,
            reread=self._reread,
        )
