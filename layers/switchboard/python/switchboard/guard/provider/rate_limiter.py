"""Admits one request at a time into a provider's rate, and none while its circuit is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
)
from switchboard.domain.timestamps import from_unix_us, to_unix_us
from switchboard.guard.provider.reservations import Slot, SlotReservations
from switchboard.guard.provider.settings import GuardSettings
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import ProviderGuard, ProviderLimitStore

__all__ = ["GuardSettings", "ProviderGuards"]


class _WorkerGuard:
    """A ProviderGuard for one request at a time, beside others of the same container."""

    def __init__(
        self, reservations: SlotReservations, name: str, *, settings: GuardSettings, clock: Clock, in_flight: int | None
    ) -> None:
        self._reservations = reservations
        self._name = name
        self._settings = settings
        self._clock = clock
        self._in_flight = in_flight
        self._slot = Slot(at_us=0, version="", resets_401s_at=0, rejected_versions=frozenset())

    def acquire(self, *, latest: datetime) -> datetime:
        """Waits for nothing itself: the caller sends at the instant returned, and drops a slot it is late for."""
        self._slot = self._reservations.reserve(self._name, latest_us=to_unix_us(latest), in_flight=self._in_flight)
        return from_unix_us(self._slot.at_us)

    def is_stale(self, slot: datetime) -> bool:
        """The slot is so long past that using it could crowd those after it."""
        return self._clock.now() > slot + self._settings.jitter

    def record_result(self, error: ProviderError | None) -> None:
        """Writes only what changes the circuit or the pace, or makes max_permits where it is wanted: an ordinary answer
        costs nothing."""
        if isinstance(error, AuthenticationFailedError):
            self._reservations.record_401(self._name, self._slot)
            return
        if isinstance(error, AddressBlockedError):
            self._reservations.record_block(self._name, code=error.provider_code or "blocked")
        elif not isinstance(error, NotSentError | OutcomeUnknownError):
            self._reservations.record_accepted_credentials(self._slot)
            self._slot = Slot(
                at_us=self._slot.at_us, version=self._slot.version, resets_401s_at=0, rejected_versions=frozenset()
            )
        if isinstance(error, RateLimitedError):
            self._reservations.record_rate_limited(self._slot)
        self._reservations.record_end(self._name, ended=not isinstance(error, OutcomeUnknownError))


class ProviderGuards:
    """The SendGates of one container's threads over one state: an egress address at a provider.

    Each of `workers` is for one thread. `container_id` names the container.
    """

    def __init__(
        self,
        *,
        store: ProviderLimitStore,
        key: str,
        container_id: str,
        settings: GuardSettings,
        clock: Clock,
        version: Callable[[], str],
        forget_credentials: Callable[[], None] = lambda: None,
        workers: int = 1,
    ) -> None:
        names = (container_id,) if workers == 1 else tuple(f"{container_id}.{number}" for number in range(workers))
        self._reservations = SlotReservations(
            store=store,
            key=key,
            workers=names,
            settings=settings,
            now_us=lambda: to_unix_us(clock.now()),
            version=version,
            forget_credentials=forget_credentials,
        )
        self._names, self._settings, self._clock = names, settings, clock
        self.workers: Sequence[ProviderGuard] = self._workers(settings.in_flight)

    def with_concurrency_limit(self, in_flight: int) -> Sequence[ProviderGuard]:
        """The same workers for messages that leave some of the places in flight to others; a thread uses the one or the
        other. Without a limit on requests in flight, all alike."""
        limit = self._settings.in_flight
        return self._workers(None if limit is None else min(limit, in_flight))

    def _workers(self, in_flight: int | None) -> Sequence[ProviderGuard]:
        return [
            _WorkerGuard(self._reservations, name, settings=self._settings, clock=self._clock, in_flight=in_flight)
            for name in self._names
        ]

    @contextmanager
    def batch(self, size: int, *, workers: int | None = None) -> Iterator[None]:
        """While the first `workers`, or all, send so many requests together, one write reserves for as many as
        `GuardSettings.block`."""
        with self._reservations.batch(size, workers=len(self.workers) if workers is None else workers):
            yield
