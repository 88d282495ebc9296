"""What keeps senders inside a provider's limits."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from switchboard.domain.errors import ProviderError
from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest


class ProviderGuard(Protocol):
    """Keeps every sender behind one egress address inside a provider's rate and away from its lock-out."""

    def acquire(self, *, latest: datetime) -> datetime:
        """Reserve a slot that is not later than `latest` and return its time.

        Raises:
            SlotUnavailableError, LockedOutError, StoreUnavailableError: nothing may be sent.
        """
        ...

    def is_stale(self, slot: datetime) -> bool:
        """Whether it is too late to send in that slot."""
        ...

    def record_result(self, error: ProviderError | None) -> None:
        """What the provider answered to a request that used a slot: None for anything it did not refuse."""
        ...


class ProviderLimitStore(Protocol):
    """One item a key, granted by conditional updates. Every method may raise StoreUnavailableError."""

    def reserve_next(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        """next_slot += length, if the next_slot lies between now and the latest start, the pace is known and the rule
        admits it. The permit is held from then on, and the credentials count as tried."""
        ...

    def reserve_now(self, key: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LimitUpdate:
        """next_slot = now + length, if there is no next_slot or next_slot < now, and otherwise as `append`."""
        ...

    def record_401(self, key: str, *, worker: str, version: str) -> ProviderLimitState:
        """One more 401 in a row, for those credentials. The worker that got it has nothing in flight: its permit is
        given back."""
        ...

    def return_permits(self, key: str, *, workers: Collection[str]) -> None:
        """These workers (at least one) have nothing in flight any more."""
        ...

    def reset_401s(self, key: str, *, seen: int, versions: Collection[str]) -> None:
        """The consecutive_401s is over, and these versions (at least one) no longer count as refused, if there were
        `seen`
        total_401s in all and none has come since."""
        ...

    def forget_probed(self, key: str, *, but: str) -> None:
        """Of the credentials that got a slot only this version counts as tried, unless there is a consecutive_401s."""
        ...

    def back_off(self, key: str, *, pct: int, now_us: int, slot_us: int) -> None:
        """The step is `pct` per cent from now on, unless the state was slowed after `slot_us` already."""
        ...

    def block(self, key: str, *, code: str) -> None:
        """Nothing may be sent from this address until a person has looked."""
        ...

    def clock_ahead_s(self) -> float | None:
        """By how much this machine's clock is certainly ahead of the store's (negative: behind it), as far as the
        last answers tell; None before the first."""
        ...
