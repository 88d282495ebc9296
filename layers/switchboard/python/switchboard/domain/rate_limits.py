"""The shared state behind a gate: one lane for each provider and egress address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_UNBOUNDED: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class LaneState:
    """What the limits table knows of one (provider, egress address). Times are Unix microseconds.

    `refusals` counts all 401s ever, where `streak` counts those in a row; `refused` are the versions of the
    credentials that got them and nothing better since. `permits` has each worker that may have a request in flight,
    and until when. At `slowed_us` the step was widened to `slow_pct` per cent.
    """

    cursor_us: int = 0
    streak: int = 0
    refusals: int = 0
    tried: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    blocked_by: str | None = None
    permits: Mapping[str, int] = field(default_factory=dict)
    slow_pct: int = 100
    slowed_us: int = 0


@dataclass(frozen=True, slots=True)
class LaneMove:
    """Whether the cursor was moved, and the lane after (moved) or before (not moved)."""

    moved: bool
    lane: LaneState


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRequest:
    """`count` slots, `step_us` apart, the first not before `now_us` and the last not after `latest_us`. The step
    takes into account the slowing at `slowed_us` (0: none is known), unless it was before `recovered_us`."""

    step_us: int
    now_us: int
    latest_us: int
    count: int = 1
    slowed_us: int = 0
    recovered_us: int = 0

    @property
    def length_us(self) -> int:
        """By how much they move the cursor."""
        return self.count * self.step_us

    @property
    def latest_start_us(self) -> int:
        """When the first may be at the latest. Never before `now_us`: a condition needs its bounds in order."""
        return max(self.now_us, self.latest_us - (self.count - 1) * self.step_us)

    def knows_the_pace(self, lane: LaneState) -> bool:
        """The same rule as the store's condition: the lane was not slowed without our knowing."""
        return lane.slowed_us in (0, self.slowed_us) or lane.slowed_us < self.recovered_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What workers hold while they may have a request in flight, one each: their own until `until_us`, after
    dropping those that had `expired` (worker -> until when, as it was seen)."""

    workers: tuple[str, ...]
    until_us: int
    expired: Mapping[str, int] = field(default_factory=dict)

    def fits(self, lane: LaneState, *, room: int) -> bool:
        """The same rule as the store's condition: those to be dropped are as they were seen, and there is `room` for
        what remains. Workers who do not all have a permit yet are counted as if none of them had one."""
        if any(lane.permits.get(worker) != until for worker, until in self.expired.items()):
            return False
        remaining = len(lane.permits) - len(self.expired)
        all_held = all(worker in lane.permits for worker in self.workers)
        return remaining + (0 if all_held else len(self.workers)) <= room


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitRule:
    """How many requests may be in flight: `in_flight` (None: any number, and nobody needs a permit) while the streak
    of 401s is below `limit`. From there on the circuit is open, but below `ceiling` credentials that got no slot yet
    (`version` names them) get one try, and that one alone. None while something blocks the address.

    Credentials that were refused are not used by whoever read them before that: `reread` is how many 401s there had
    been in all when they were last read."""

    version: str
    limit: int
    ceiling: int
    in_flight: int | None
    reread: int = 0

    def room(self, lane: LaneState) -> int:
        """The same rule as the store's condition, to tell why a move was refused. 0: the circuit is open."""
        if lane.blocked_by is not None:
            return 0
        if lane.streak < self.limit:
            return _UNBOUNDED if self.in_flight is None else self.in_flight
        return 1 if self.version not in lane.tried and lane.streak < self.ceiling else 0

    def is_outdated(self, lane: LaneState) -> bool:
        """The same rule as the store's condition: the credentials were refused after they were read."""
        return self.version in lane.refused and lane.refusals > self.reread

    def admits(self, lane: LaneState, permit: Permit | None) -> bool:
        """The whole of the store's condition but for the cursor and the pace."""
        room = self.room(lane)
        fits = room > 0 if permit is None else permit.fits(lane, room=room)
        return room > 0 and fits and not self.is_outdated(lane)
