"""What keeps senders inside a provider's limits."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from switchboard.domain.errors import ProviderError
from switchboard.domain.rate_limits import CircuitRule, LaneMove, LaneState, Permit, SlotRequest


class SendGate(Protocol):
    """Keeps every sender behind one egress address inside a provider's rate and away from its lock-out."""

    def reserve(self, *, latest: datetime) -> datetime:
        """A slot of our own, not later than `latest`. Raises NoSlotError, LockedOutError, StoreUnavailableError."""
        ...

    def is_stale(self, slot: datetime) -> bool:
        """Whether it is too late to send in that slot."""
        ...

    def heard(self, error: ProviderError | None) -> None:
        """What the provider answered to a request that used a slot: None for anything it did not refuse."""
        ...


class LaneStore(Protocol):
    """One item a lane, moved by conditional updates. Every method may raise StoreUnavailableError."""

    def append(self, lane: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        """cursor += length, if the cursor lies between now and the latest start, the pace is known and the rule
        admits it. The permit is held from then on, and the credentials count as tried."""
        ...

    def restart(self, lane: str, slots: SlotRequest, *, rule: CircuitRule, permit: Permit | None) -> LaneMove:
        """cursor = now + length, if there is no cursor or cursor < now, and otherwise as `append`."""
        ...

    def add_refusal(self, lane: str, *, worker: str, version: str) -> LaneState:
        """One more 401 in a row, for those credentials. The worker that got it has nothing in flight: its permit is
        given back."""
        ...

    def give_back(self, lane: str, *, workers: Collection[str]) -> None:
        """These workers (at least one) have nothing in flight any more."""
        ...

    def end_streak(self, lane: str, *, seen: int, versions: Collection[str]) -> None:
        """The streak is over, and these versions (at least one) no longer count as refused, if there were `seen`
        refusals in all and none has come since."""
        ...

    def forget_tried(self, lane: str, *, but: str) -> None:
        """Of the credentials that got a slot only this version counts as tried, unless there is a streak."""
        ...

    def slow(self, lane: str, *, pct: int, now_us: int, slot_us: int) -> None:
        """The step is `pct` per cent from now on, unless the lane was slowed after `slot_us` already."""
        ...

    def block(self, lane: str, *, code: str) -> None:
        """Nothing may be sent from this address until a person has looked."""
        ...

    def clock_ahead_s(self) -> float | None:
        """By how much this machine's clock is certainly ahead of the store's (negative: behind it), as far as the
        last answers tell; None before the first."""
        ...
