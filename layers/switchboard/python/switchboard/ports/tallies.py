"""The shared counts behind the abuse limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol


class TallyStore(Protocol):
    """One item a tally, counted by conditional updates. Every method may raise StoreUnavailableError: then it may or
    may not have been applied, and a repeat may count once more: more is counted than was sent, never less.

    An item may be forgotten from `expires_at` on, and need not be: no window is ever counted in again.
    """

    def count(self, tally: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        """Adds one to every counter that `limits` names, unless one has reached its limit: then it adds to none.

        Returns the names of those that stand at their limit: none where it was counted.
        """
        ...

    def uncount(self, tally: str, counters: Collection[str]) -> None:
        """Takes one from each of these counters, which `count` had added to."""
        ...

    def take(self, tally: str, *, block: int, limit: int, expires_at: datetime) -> int:
        """How many of `block` this caller may use: less than all of it where the limit is near, 0 where it is reached.

        All that is ever granted of one tally is `limit` at most.
        """
        ...

    def read(self, tally: str) -> Mapping[str, int]:
        """Every counter of the tally as it stands, for people to look at: no limit is kept by reading."""
        ...
