"""The shared state behind a gate: one lane for each provider and egress address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LaneState:
    """What the limits table knows of one (provider, egress address). Times are Unix microseconds.

    `refusals` counts all 401s ever, where `streak` counts those in a row; `permits` has each worker that may have a
    request in flight, and until when.
    """

    cursor_us: int = 0
    streak: int = 0
    refusals: int = 0
    tried: frozenset[str] = frozenset()
    blocked_by: str | None = None
    permits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LaneMove:
    """Whether the cursor was moved, and the lane after (moved) or before (not moved)."""

    moved: bool
    lane: LaneState


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitRule:
    """How many requests may be in flight: `in_flight` while the streak of 401s is below `limit`. From there on the
    circuit is open, but below `ceiling` credentials that got no slot yet (`version` names them) get one try, and
    that one alone. None while something blocks the address."""

    version: str
    limit: int
    ceiling: int
    in_flight: int

    def room(self, lane: LaneState) -> int:
        """The same rule as the store's condition, to tell why a move was refused. 0: the circuit is open."""
        if lane.blocked_by is not None:
            return 0
        if lane.streak < self.limit:
            return self.in_flight
        return 1 if self.version not in lane.tried and lane.streak < self.ceiling else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What a worker holds while it may have a request in flight: its own until `until_us`, after dropping those that
    had `expired` (worker -> until when, as it was seen)."""

    worker: str
    until_us: int
    expired: Mapping[str, int] = field(default_factory=dict)

    def fits(self, lane: LaneState, *, room: int) -> bool:
        """The same rule as the store's condition: those to be dropped are as they were seen, and fewer than `room`
        others remain."""
        if any(lane.permits.get(worker) != until for worker, until in self.expired.items()):
            return False
        return len(lane.permits.keys() - self.expired.keys() - {self.worker}) < room


class LaneStore(Protocol):
    """One item a lane, moved by conditional updates. Every method may raise StoreUnavailableError."""

    def append(
        self, lane: str, *, step_us: int, now_us: int, latest_us: int, rule: CircuitRule, permit: Permit
    ) -> LaneMove:
        """cursor += step, if now <= cursor <= latest and the permit fits into the rule's room. The permit is held
        from then on, and the credentials count as tried."""
        ...

    def restart(self, lane: str, *, step_us: int, now_us: int, rule: CircuitRule, permit: Permit) -> LaneMove:
        """cursor = now + step, if there is no cursor or cursor < now, and the permit fits into the rule's room. The
        permit is held from then on, and the credentials count as tried."""
        ...

    def add_refusal(self, lane: str, *, worker: str) -> LaneState:
        """One more 401 in a row. The worker that got it has nothing in flight: its permit is given back."""
        ...

    def give_back(self, lane: str, *, worker: str) -> None:
        """The worker has nothing in flight any more."""
        ...

    def end_streak(self, lane: str, *, seen: int) -> None:
        """The streak is over, if there were `seen` refusals in all and none has come since."""
        ...

    def block(self, lane: str, *, code: str) -> None:
        """Nothing may be sent from this address until a person has looked."""
        ...
