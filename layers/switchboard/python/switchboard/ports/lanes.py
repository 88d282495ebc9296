"""The shared state behind a gate: one lane for each provider and egress address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LaneState:
    """What the limits table knows of one (provider, egress address). Times are Unix microseconds."""

    cursor_us: int = 0
    streak: int = 0
    tried: frozenset[str] = frozenset()
    blocked_by: str | None = None


@dataclass(frozen=True, slots=True)
class LaneMove:
    """Whether the cursor was moved, and the lane after (moved) or before (not moved)."""

    moved: bool
    lane: LaneState


@dataclass(frozen=True, slots=True)
class CircuitRule:
    """When the circuit counts as closed: nothing blocks the address, and the streak of 401s is below `limit`, or it
    is below `ceiling` and no slot has been given yet to these credentials, which `version` names: one try."""

    version: str
    limit: int
    ceiling: int

    def is_closed(self, lane: LaneState) -> bool:
        """The same rule as the store's condition, to tell why a move was refused."""
        if lane.blocked_by is not None:
            return False
        untried = self.version not in lane.tried
        return lane.streak < self.limit or (untried and lane.streak < self.ceiling)


class LaneStore(Protocol):
    """One item a lane, moved by conditional updates. Every method may raise StoreUnavailableError."""

    def append(self, lane: str, *, step_us: int, now_us: int, latest_us: int, rule: CircuitRule) -> LaneMove:
        """cursor += step, if now <= cursor <= latest and the circuit is closed. The credentials count as tried."""
        ...

    def restart(self, lane: str, *, step_us: int, now_us: int, rule: CircuitRule) -> LaneMove:
        """cursor = now + step, if there is no cursor or cursor < now, and the circuit is closed. The credentials
        count as tried."""
        ...

    def add_refusal(self, lane: str) -> LaneState:
        """One more 401 in a row."""
        ...

    def end_streak(self, lane: str, *, seen: int) -> None:
        """The streak is over, if it is still `seen` long."""
        ...

    def block(self, lane: str, *, code: str) -> None:
        """Nothing may be sent from this address until a person has looked."""
        ...
