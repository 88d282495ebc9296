"""Usage limits of tests: never reached, or all limits in one object; and counters in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime

from switchboard.domain.api_keys import ClientLimits
from switchboard.guard.usage.usage_limits import CounterUsageLimits, UsageLimitRules
from switchboard.ports.usage_limits import CounterStore, UsageLimits


class NoLimits(UsageLimits):
    """UsageLimits without a limit."""

    def reserve(self, *, recipient: str, client: str, weight: int, at: datetime, test: bool = False) -> None:
        return

    def refund(self, *, recipient: str, client: str, weight: int, at: datetime, test: bool = False) -> None:
        return


@dataclass(frozen=True, slots=True)
class LimitRules(UsageLimitRules):
    """The rules of a deployment together with the limits of every client."""

    client_per_hour: int = 0
    client_per_day: int = 0

    def over(
        self, counters: CounterStore, *, kind: type[CounterUsageLimits] = CounterUsageLimits
    ) -> CounterUsageLimits:
        """Build one container's usage limits over these counters. A mutant is of another `kind`."""
        rules = UsageLimitRules(**{field.name: getattr(self, field.name) for field in fields(UsageLimitRules)})
        limits = ClientLimits(per_hour=self.client_per_hour, per_day=self.client_per_day)
        return kind(counters=counters, rules=rules, limits_of=lambda _client: limits)


class InMemoryCounterStore(CounterStore):
    """A CounterStore in a dict. `writes` counts all updates, refused ones too."""

    def __init__(self) -> None:
        self.counters: dict[str, Counter[str]] = {}
        self.writes = 0

    def increment(
        self, key: str, limits: Mapping[str, int], *, weight: int = 1, expires_at: datetime
    ) -> Collection[str]:
        if too_small := [name for name, limit in limits.items() if limit < weight]:
            return too_small
        self.writes += 1
        counters = self.counters.get(key, Counter())
        exhausted = [name for name, limit in limits.items() if name in counters and counters[name] + weight > limit]
        if not exhausted:
            counters.update(dict.fromkeys(limits, weight))
            self.counters[key] = counters
        return exhausted

    def find_exhausted(self, key: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        self.writes += 1
        counters = self.counters.get(key, Counter())
        return [name for name, limit in limits.items() if counters[name] >= limit]

    def decrement(self, key: str, names: Collection[str], *, weight: int = 1) -> None:
        self.writes += 1
        if key in self.counters:
            self.counters[key].subtract(dict.fromkeys(names, weight))

    def take_block(self, key: str, *, block: int, least: int = 1, limit: int, expires_at: datetime) -> int:
        if limit < least:
            return 0
        self.writes += 1
        counters = self.counters.setdefault(key, Counter())
        if counters["granted"] + least > limit:
            return 0
        counters["granted"] += block
        return block - max(0, counters["granted"] - limit)

    def read(self, key: str) -> Mapping[str, int]:
        return dict(self.counters.get(key, {}))
