"""Values and rules of the shared rate limiter: one state for each provider and egress address.

The rules decide as the conditions of storage/limits.py do. A caller uses them to find out why the store refused an
update.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_UNBOUNDED: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ProviderLimitState:
    """The stored state of one (provider, egress address). Times are Unix microseconds.

    `next_slot_us` is the next free slot. `consecutive_401s` counts the 401s in a row, `total_401s` all 401s ever.
    `probed_versions` are the versions of the credentials that got a slot since the last reset of `consecutive_401s`.
    `rejected_versions` are the versions that got a 401 and no other answer since. `blocked_by` is the provider's code
    for a blocked address. `permits` has the workers that may have a request in flight, and the end of each permit.
    At `backed_off_us` the interval between slots was widened to `backoff_percent` per cent.
    The last three digits of a permit's end are by how many milliseconds requests reached the provider too late for
    their slots, as far as its container knew: see Pace.
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
    """The result of a reservation: the state after it if it was `granted`, otherwise the state that refused it."""

    granted: bool
    state: ProviderLimitState


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRequest:
    """A request for `count` slots, `interval_us` apart: the first not before `now_us`, the last not after `latest_us`.

    `interval_us` takes the back-off at `backed_off_us` into account (0: the container knows of none). A back-off before
    `recovered_us` has worn off.
    """

    interval_us: int
    now_us: int
    latest_us: int
    count: int = 1
    backed_off_us: int = 0
    recovered_us: int = 0

    @property
    def length_us(self) -> int:
        """The time from the first slot to the next free one."""
        return self.count * self.interval_us

    @property
    def latest_start_us(self) -> int:
        """The latest time of the first slot, never before `now_us`: a BETWEEN condition needs its bounds in order."""
        return max(self.now_us, self.latest_us - (self.count - 1) * self.interval_us)

    def knows_backoff(self, state: ProviderLimitState) -> bool:
        """Tell if `interval_us` takes the last back-off of `state` into account, or that back-off has worn off."""
        return state.backed_off_us in (0, self.backed_off_us) or state.backed_off_us < self.recovered_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """The permits of `workers` to have one request in flight each, until `until_us`.

    The same update removes the `expired` permits, which have nothing in flight: worker -> end of its permit, as last
    read. They are those of other workers whose lease or request has ended, and the worker's own of an older request.
    """

    workers: tuple[str, ...]
    until_us: int
    expired: Mapping[str, int] = field(default_factory=dict)

    def fits(self, state: ProviderLimitState, *, max_permits: int) -> bool:
        """Tell if `max_permits` leave room for these permits beside those that remain in `state`.

        The expired permits must be unchanged in `state`. If one of the workers has no permit yet, all of them count as
        new.
        """
        if any(state.permits.get(worker) != until for worker, until in self.expired.items()):
            return False
        remaining = len(state.permits) - len(self.expired)
        all_have_permits = all(worker in state.permits for worker in self.workers)
        return remaining + (0 if all_have_permits else len(self.workers)) <= max_permits


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitRule:
    """The rule of the circuit breaker for one reservation with the credentials `version`.

    The circuit is closed below `open_after_401s` consecutive 401s: `in_flight` requests may be in flight (None: any
    number, without permits). From there on it is open, and nothing is sent. Below `max_consecutive_401s` it is
    half-open for credentials that got no slot yet: they get one request, the half-open probe, with no other request in
    flight. A blocked address keeps the circuit open for all credentials.

    A container does not use rejected credentials that it read before the last 401: `read_after` is the value of
    `total_401s` when it last read them.
    """

    version: str
    open_after_401s: int
    max_consecutive_401s: int
    in_flight: int | None
    read_after: int = 0

    def max_permits(self, state: ProviderLimitState) -> int:
        """Return how many permits the circuit allows: 0 if it is open, 1 if it is half-open for this version."""
        if state.blocked_by is not None:
            return 0
        if state.consecutive_401s < self.open_after_401s:
            return _UNBOUNDED if self.in_flight is None else self.in_flight
        half_open = self.version not in state.probed_versions and state.consecutive_401s < self.max_consecutive_401s
        return 1 if half_open else 0

    def is_outdated(self, state: ProviderLimitState) -> bool:
        """Tell if the provider rejected this version after the container had read it."""
        return self.version in state.rejected_versions and state.total_401s > self.read_after

    def admits(self, state: ProviderLimitState, permit: Permit | None) -> bool:
        """Tell if circuit, credentials and permits allow the reservation; its time and interval are not looked at."""
        max_permits = self.max_permits(state)
        fits = max_permits > 0 if permit is None else permit.fits(state, max_permits=max_permits)
        return max_permits > 0 and fits and not self.is_outdated(state)
