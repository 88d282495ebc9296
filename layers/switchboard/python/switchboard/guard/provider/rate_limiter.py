"""The guards of one container: rate limiter, circuit breaker and concurrency limit over one shared state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from threading import Lock

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
        identify: Callable[[], tuple[SlotReservations, str]],
        *,
        settings: GuardSettings,
        clock: Clock,
        in_flight: int | None,
    ) -> None:
        self._identify = identify
        self._settings = settings
        self._clock = clock
        self._in_flight = in_flight
        self._slot = Slot(at_us=0, version="")

    def acquire(self, *, latest: datetime) -> datetime:
        """Reserve a slot and return its time, without waiting for it.

        The caller sends at that time, and drops a slot that it is late for.
        """
        reservations, worker = self._identify()
        self._slot = reservations.reserve(worker, latest_us=to_unix_us(latest), in_flight=self._in_flight)
        return from_unix_us(self._slot.at_us)

    def is_stale(self, slot: datetime) -> bool:
        """Tell if `slot` is so long past that a request in it could crowd the requests of later slots."""
        return self._clock.now() > slot + self._settings.jitter

    def record_result(self, error: ProviderError | None) -> None:
        """Write what changes the circuit or the pace, and return a permit that other workers need.

        An ordinary answer costs no write.
        """
        reservations, worker = self._identify()
        if isinstance(error, AuthenticationFailedError):
            reservations.record_401(worker, self._slot)
            return
        if isinstance(error, AddressBlockedError):
            reservations.record_blocked_address(worker, code=error.provider_code or "blocked")
        elif not isinstance(error, NotSentError | OutcomeUnknownError):
            reservations.record_accepted_credentials(self._slot)
            self._slot = Slot(at_us=self._slot.at_us, version=self._slot.version)
        if isinstance(error, RateLimitedError):
            reservations.record_rate_limited(self._slot)
        reservations.record_end(worker, may_be_in_flight=isinstance(error, OutcomeUnknownError))


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
    ) -> None:
        self._build_reservations = partial(
            SlotReservations,
            store=store,
            key=key,
            settings=settings,
            clock=clock,
            version=version,
            forget_credentials=forget_credentials,
        )
        self._new_container_id, self._worker_count = new_container_id, workers
        self._settings, self._clock = settings, clock
        self._naming = Lock()
        self._named: tuple[SlotReservations, tuple[str, ...]] | None = None
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
    def batch(self, size: int, *, workers: int | None = None) -> Iterator[None]:
        """Reserve up to `GuardSettings.block_size` slots with one write, while `size` requests are sent together.

        They are sent by the first `workers` workers, or by all if it is None.
        """
        reservations, _ = self._name_container()
        with reservations.batch(size, workers=len(self.workers) if workers is None else workers):
            yield

    def _name_container(self) -> tuple[SlotReservations, tuple[str, ...]]:
        """Return the container's reservations and its workers' names, which the first call makes."""
        with self._naming:
            if self._named is None:
                container_id = self._new_container_id()
                numbers = range(self._worker_count)
                names = (container_id,) if len(numbers) == 1 else tuple(f"{container_id}.{n}" for n in numbers)
                self._named = self._build_reservations(workers=names), names
            return self._named

    def _identify(self, number: int) -> tuple[SlotReservations, str]:
        reservations, names = self._name_container()
        return reservations, names[number]

    def _build_guards(self, in_flight: int | None) -> Sequence[ProviderGuard]:
        return [
            _WorkerGuard(
                partial(self._identify, number), settings=self._settings, clock=self._clock, in_flight=in_flight
            )
            for number in range(self._worker_count)
        ]
