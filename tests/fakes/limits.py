"""Usage limits that are never reached, and counters in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime

from switchboard.ports.usage_limits import CounterStore, UsageLimits


class NoLimits(UsageLimits):
    """UsageLimits without a limit."""

    def reserve(self, *, recipient: str, client: str, at: datetime) -> None:
        return

    def refund(self, *, recipient: str, client: str, at: datetime) -> None:
        return


class InMemoryCounterStore(CounterStore):
    """A CounterStore in a dict. `writes` counts all updates, refused ones too."""

    def __init__(self) -> None:
        self.counters: dict[str, Counter[str]] = {}
        self.writes = 0

    def increment(self, key: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        self.writes += 1
        counters = self.counters.get(key, Counter())
        exhausted = [name for name, limit in limits.items() if name in counters and counters[name] >= limit]
        if not exhausted:
            counters.update(list(limits))
            self.counters[key] = counters
        return exhausted

    def find_exhausted(self, key: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        self.writes += 1
        counters = self.counters.get(key, Counter())
        return [name for name, limit in limits.items() if counters[name] >= limit]

    def decrement(self, key: str, names: Collection[str]) -> None:
        self.writes += 1
        if key in self.counters:
            self.counters[key].subtract(names)

    def take_block(self, key: str, *, block: int, limit: int, expires_at: datetime) -> int:
        self.writes += 1
        counters = self.counters.setdefault(key, Counter())
        if counters["granted"] >= limit:
            return 0
        counters["granted"] += block
        return block - max(0, counters["granted"] - limit)

    def read(self, key: str) -> Mapping[str, int]:
        return dict(self.counters.get(key, {}))
