"""Abuse limits that are never reached, and tallies in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime

from switchboard.ports.usage_limits import AbuseLimits, TallyStore


class NoLimits(AbuseLimits):
    """Admits everything."""

    def admit(self, *, recipient: str, client: str, at: datetime) -> None:
        return

    def give_back(self, *, recipient: str, client: str, at: datetime) -> None:
        return


class InMemoryTallyStore(TallyStore):
    """A TallyStore in a dict. `writes` counts the calls, refused ones too."""

    def __init__(self) -> None:
        self.tallies: dict[str, Counter[str]] = {}
        self.writes = 0

    def count(self, tally: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        self.writes += 1
        counters = self.tallies.get(tally, Counter())
        full = [name for name, limit in limits.items() if name in counters and counters[name] >= limit]
        if not full:
            counters.update(list(limits))
            self.tallies[tally] = counters
        return full

    def uncount(self, tally: str, counters: Collection[str]) -> None:
        self.writes += 1
        if tally in self.tallies:
            self.tallies[tally].subtract(counters)

    def take(self, tally: str, *, block: int, limit: int, expires_at: datetime) -> int:
        self.writes += 1
        counters = self.tallies.setdefault(tally, Counter())
        if counters["taken"] >= limit:
            return 0
        counters["taken"] += block
        return block - max(0, counters["taken"] - limit)

    def read(self, tally: str) -> Mapping[str, int]:
        return dict(self.tallies.get(tally, {}))
