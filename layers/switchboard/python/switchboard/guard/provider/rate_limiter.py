"""The guards of one container: rate limiter, circuit breaker and concurrency limit over one shared state."""

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
    """The ProviderGuard of one worker, which sends one request at a time."""

    def __init__(
        self,
        reservations: SlotReservations,
        worker: str,
        *,
        clock: Clock,
        in_flight: int | None,
    ) -> None:
        self._reservations = reservations
        self._worker = worker
        self._clock = clock
        self._in_flight = in_flight
        self._slot = Slot(at_us=0, version="")
        self._left_us = 0

    def acquire(self, *, latest: datetime, order_id: str = "") -> datetime:
        """Reserve a slot and return its time, without waiting for it.

        The caller sends at that time, and drops a slot that it is late for.
        """
        self._slot = self._reservations.reserve(
            self._worker, latest_us=to_unix_us(latest), in_flight=self._in_flight, order_id=order_id
        )
        return from_unix_us(self._slot.at_us)

    def is_stale(self, slot: datetime) -> bool:
        """Tell if `slot` is so long past that a request in it could crowd the requests of later slots."""
        self._left_us = to_unix_us(self._clock.now())
        return self._reservations.is_stale(to_unix_us(slot), now_us=self._left_us)

    def record_result(self, error: ProviderError | None) -> None:
        """Write what changes the circuit or the pace, and return a permit that other workers need.

        An ordinary answer costs no write.
        """
        if isinstance(error, AuthenticationFailedError):
            self._reservations.record_401(self._worker, self._slot)
            return
        if isinstance(error, AddressBlockedError):
            self._reservations.record_blocked_address(self._worker, code=error.provider_code or "blocked")
        elif not isinstance(error, NotSentError | OutcomeUnknownError):
            if self._slot.expected_total_401s or self._slot.prunes_probed:
                self._reservations.record_accepted_credentials(self._slot)
            self._slot = Slot(at_us=self._slot.at_us, version=self._slot.version)
        if isinstance(error, RateLimitedError):
            self._reservations.record_rate_limited(self._slot)
        if isinstance(error, NotSentError | OutcomeUnknownError):
            self._reservations.record_end(self._worker, may_be_in_flight=isinstance(error, OutcomeUnknownError))
            return
        self._reservations.record_end(
            self._worker,
            may_be_in_flight=False,
            left_us=self._left_us - self._slot.at_us if self._left_us else None,
            answered_us=to_unix_us(self._clock.now()) - self._left_us,
        )
        self._left_us = 0


class ProviderGuards:
    """The guards of one container's workers for one egress address at a provider.

    `key` names the shared state. `new_container_id` names the container when it first reserves, not earlier: containers
    that start from one snapshot must not share a name, and with it their permits. Each guard of `workers` is for one
    thread. `version` returns the version of the credentials; after `forget_credentials` it reads them again.
    """

    def __init__(
        self,
        *,
        store: ProviderLimitStore,
        key: str,
        new_container_id: Callable[[], str],
        settings: GuardSettings,
        clock: Clock,
        version: Callable[[], str],
        forget_credentials: Callable[[], None] = lambda: None,
        workers: int = 1,
        answered_at: Callable[[str], datetime | None] | None = None,
    ) -> None:
        self._reservations = SlotReservations(
            store=store,
            key=key,
            new_container_id=new_container_id,
            settings=settings,
            clock=clock,
            version=version,
            forget_credentials=forget_credentials,
            answered_at=answered_at,
        )
        self._names, self._settings, self._clock = tuple(map(str, range(workers))), settings, clock
        self.workers: Sequence[ProviderGuard] = self._build_guards(settings.in_flight)

    @property
    def single(self) -> ProviderGuard:
        """The guard of a container that sends one request at a time."""
        return self.workers[0]

    def with_concurrency_limit(self, in_flight: int) -> Sequence[ProviderGuard]:
        """Return guards of the same workers that get a slot only if it leaves at most `in_flight` permits taken.

        They are for messages that leave permits to more urgent ones. A thread uses one of its two guards at a time. If
        the settings have no limit on requests in flight, these guards have none either.
        """
        limit = self._settings.in_flight
        return self._build_guards(None if limit is None else min(limit, in_flight))

    @contextmanager
    def batch(self, size: int, *, permits: int | None = None) -> Iterator[None]:
        """Reserve up to `GuardSettings.block_size` slots with one write, while `size` requests are sent together.

        The workers share up to `permits` permits, or have one each if it is None.
        """
        with self._reservations.batch(size, permits=len(self.workers) if permits is None else permits):
            yield

    def _build_guards(self, in_flight: int | None) -> Sequence[ProviderGuard]:
        return [_WorkerGuard(self._reservations, name, clock=self._clock, in_flight=in_flight) for name in self._names]
