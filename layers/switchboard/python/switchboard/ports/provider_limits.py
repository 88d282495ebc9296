"""Ports of the provider guard: the guard itself, and the store of its shared state."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from switchboard.domain.errors import ProviderError
from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest


class ProviderGuard(Protocol):
    """A guard that keeps every sender behind one egress address inside a provider's rate and away from its lock-out."""

    def acquire(self, *, latest: datetime, order_id: str = "") -> datetime:
        """Reserve a slot that is not later than `latest` and return its time.

        The permit may be named after the order: once the order is answered, another sender may take it.

        Raises:
            SlotUnavailableError: there is no slot until `latest`, or no free permit.
            LockedOutError: the circuit is open.
            StoreUnavailableError: the store did not answer.

        Nothing may be sent after any of these errors.
        """
        ...

    def is_stale(self, slot: datetime) -> bool:
        """Tell if it is too late to send in `slot`."""
        ...

    def record_result(self, error: ProviderError | None) -> None:
        """Record the provider's answer to the request that used the last slot: None if it did not refuse the request.

        Raises:
            StoreUnavailableError: the store did not answer. The next `acquire` writes a 401 or a blocked address first.
        """
        ...


class ProviderLimitStore(Protocol):
    """A store of one state a key, changed by conditional updates. Every method may raise StoreUnavailableError."""

    def read(self, key: str) -> ProviderLimitState:
        """Return the state as it was a moment ago: the last writes may be missing."""
        ...

    def reserve_next(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        """Reserve slots from `next_slot_us` on: for a state with slots reserved ahead.

        The update is granted if `next_slot_us` lies between `slots.now_us` and `slots.latest_start_us`,
        `slots.knows_backoff` holds, and `rule.admits` the reservation. It moves `next_slot_us` on by
        `slots.length_us`, stores the permit, and adds the version to `probed_versions`.
        """
        ...

    def reserve_now(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        """Reserve slots from `slots.now_us` on: for an idle state.

        The update is granted if the state has no `next_slot_us`, or one before `slots.now_us`. All else is as in
        `reserve_next`.
        """
        ...

    def record_401(self, key: str, *, worker: str, version: str) -> ProviderLimitState:
        """Count one more 401 in a row, for the credentials `version`, and return the state after it.

        The worker that got the 401 has nothing in flight: its permit is returned.
        """
        ...

    def return_permits(self, key: str, *, workers: Collection[str]) -> None:
        """Return the permits of these workers (at least one), which have nothing in flight any more."""
        ...

    def reset_401s(self, key: str, *, expected_total_401s: int, versions: Collection[str]) -> None:
        """Close the circuit: set `consecutive_401s` to 0, and take `versions` (at least one) out of the rejected ones.

        Nothing changes if `total_401s` is not `expected_total_401s`: another 401 has come since.
        """
        ...

    def forget_probed(self, key: str, *, keep: str) -> None:
        """Remove all versions but `keep` from `probed_versions`, unless there are consecutive 401s."""
        ...

    def back_off(self, key: str, *, percent: int, now_us: int, slot_us: int) -> None:
        """Widen the interval to `percent` per cent at `now_us`, unless the last back-off is later than `slot_us`."""
        ...

    def block(self, key: str, *, code: str) -> None:
        """Block the address until an operator unblocks it; `code` is the provider's code."""
        ...

    def clock_ahead_s(self) -> float | None:
        """Return by how many seconds this container's clock is certainly ahead of the store's (negative: behind).

        The last answers of the store tell. Returns None before the first.
        """
        ...
