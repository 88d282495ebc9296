"""The shared state behind a guard: one state for each provider and egress address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_UNBOUNDED: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ProviderLimitState:
    """What the limits table knows of one (provider, egress address). Times are Unix microseconds.

    `total_401s` counts all 401s ever, where `consecutive_401s` counts those in a row; `rejected_versions` are the
    versions of the
    credentials that got them and nothing better since. `permits` has each worker that may have a request in flight,
    and until when. At `backed_off_us` the step was widened to `backoff_percent` per cent.
    """

    next_slot_us: int = 0
    consecutive_401s: int = 0
    total_401s: int = 0
    probed_versions: frozenset[str] = frozenset()
    rejected_versions: frozenset[str] = frozenset()
    blocked_by: str | None = None
    permits: Mapping[str, int] = field(default_factory=dict)
    backoff_percent: int = 100
    backed_off_us: int = 0


@dataclass(frozen=True, slots=True)
class LimitUpdate:
    """Whether the next_slot was moved, and the state after (moved) or before (not moved)."""

    granted: bool
    state: ProviderLimitState


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRequest:
    """`count` slots, `interval_us` apart, the first not before `now_us` and the last not after `latest_us`. The step
    takes into account the slowing at `backed_off_us` (0: none is known), unless it was before `recovered_us`."""

    interval_us: int
    now_us: int
    latest_us: int
    count: int = 1
    backed_off_us: int = 0
    recovered_us: int = 0

    @property
    def length_us(self) -> int:
        """By how much they update the next_slot."""
        return self.count * self.interval_us

    @property
    def latest_start_us(self) -> int:
        """When the first may be at the latest. Never before `now_us`: a condition needs its bounds in order."""
        return max(self.now_us, self.latest_us - (self.count - 1) * self.interval_us)

    def knows_backoff(self, state: ProviderLimitState) -> bool:
        """The same rule as the store's condition: the state was not slowed without our knowing."""
        return state.backed_off_us in (0, self.backed_off_us) or state.backed_off_us < self.recovered_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What workers hold while they may have a request in flight, one each: their own until `until_us`, after
    dropping those that had `expired` (worker -> until when, as it was seen)."""

    workers: tuple[str, ...]
    until_us: int
    expired: Mapping[str, int] = field(default_factory=dict)

    def fits(self, state: ProviderLimitState, *, max_permits: int) -> bool:
        """The same rule as the store's condition: those to be dropped are as they were seen, and there is
        `max_permits` for
        what remains. Workers who do not all have a permit yet are counted as if none of them had one."""
        if any(state.permits.get(worker) != until for worker, until in self.expired.items()):
            return False
        remaining = len(state.permits) - len(self.expired)
        all_held = all(worker in state.permits for worker in self.workers)
        return remaining + (0 if all_held else len(self.workers)) <= max_permits


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitRule:
    """How many requests may be in flight: `in_flight` (None: any number, and nobody needs a permit) while the
    consecutive_401s
    of 401s is below `limit`. From there on the circuit is open, but below `ceiling` credentials that got no slot yet
    (`version` names them) get one try, and that one alone. None while something blocks the address.

    Credentials that were refused are not used by whoever read them before that: `read_after` is how many 401s there had
    been in all when they were last read."""

    version: str
    open_after_401s: int
    max_consecutive_401s: int
    in_flight: int | None
    read_after: int = 0

    def max_permits(self, state: ProviderLimitState) -> int:
        """The same rule as the store's condition, to tell why a update was refused. 0: the circuit is open."""
        if state.blocked_by is not None:
            return 0
        if state.consecutive_401s < self.open_after_401s:
            return _UNBOUNDED if self.in_flight is None else self.in_flight
        return (
            1 if self.version not in state.probed_versions and state.consecutive_401s < self.max_consecutive_401s else 0
        )

    def is_outdated(self, state: ProviderLimitState) -> bool:
        """The same rule as the store's condition: the credentials were refused after they were read."""
        return self.version in state.rejected_versions and state.total_401s > self.read_after

    def admits(self, state: ProviderLimitState, permit: Permit | None) -> bool:
        """The whole of the store's condition but for the next_slot and the pace."""
        max_permits = self.max_permits(state)
        fits = max_permits > 0 if permit is None else permit.fits(state, max_permits=max_permits)
        return max_permits > 0 and fits and not self.is_outdated(state)
