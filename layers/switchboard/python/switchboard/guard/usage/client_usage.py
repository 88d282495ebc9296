"""Read how much of its limits a client has used."""

from __future__ import annotations

from switchboard.domain.api_keys import ApiKey
from switchboard.guard.usage.usage_limits import Span, Window, build_client_key, build_quota_key
from switchboard.ports.clock import Clock
from switchboard.ports.usage_limits import ClientUsage, CounterStore

_GRANTED = "granted"


class ReadClientUsage:
    """The reader of a client's usage, from the counters that all containers share."""

    def __init__(self, *, counters: CounterStore, clock: Clock) -> None:
        self._counters = counters
        self._clock = clock

    def __call__(self, key: ApiKey) -> ClientUsage:
        """Return what the key's client has used of the key's limits.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        now = self._clock.now()
        return ClientUsage(
            per_hour=self._read(key, Window.of(Span.HOUR, now), key.limits.per_hour),
            per_day=self._read(key, Window.of(Span.DAY, now), key.limits.per_day),
        )

    def _read(self, key: ApiKey, window: Window, limit: int | None) -> int | None:
        if not limit:
            return None
        counters = self._counters.read(build_quota_key(build_client_key(key.client, test=key.test), window))
        # The last block may exceed the limit, and the part above it was not granted.
        return min(limit, counters.get(_GRANTED, 0))
