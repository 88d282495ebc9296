"""Admits one request at a time into a provider's rate, and none while its circuit is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
)
from switchboard.guard.provider.reservations import LaneHolder, Slot
from switchboard.guard.provider.settings import GateLimits
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import LaneStore, SendGate

__all__ = ["GateLimits", "PacedGate", "PacedGates"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Seat:
    """A SendGate for one request at a time, beside others of the same container."""

    def __init__(
        self, holder: LaneHolder, name: str, *, limits: GateLimits, clock: Clock, in_flight: int | None
    ) -> None:
        self._holder = holder
        self._name = name
        self._limits = limits
        self._clock = clock
        self._in_flight = in_flight
        self._slot = Slot(at_us=0, version="", ends_streak=0, refused=frozenset())

    def reserve(self, *, latest: datetime) -> datetime:
        """Waits for nothing itself: the caller sends at the instant returned, and drops a slot it is late for."""
        self._slot = self._holder.take(self._name, latest_us=_to_us(latest), in_flight=self._in_flight)
        return _EPOCH + timedelta(microseconds=self._slot.at_us)

    def is_stale(self, slot: datetime) -> bool:
        """The slot is so long past that using it could crowd those after it."""
        return self._clock.now() > slot + self._limits.jitter

    def heard(self, error: ProviderError | None) -> None:
        """Writes only what changes the circuit or the pace, or makes room where it is wanted: an ordinary answer
        costs nothing."""
        if isinstance(error, AuthenticationFailedError):
            self._holder.refused(self._name, self._slot)
            return
        if isinstance(error, AddressBlockedError):
            self._holder.blocked(self._name, code=error.provider_code or "blocked")
        elif not isinstance(error, NotSentError | OutcomeUnknownError):
            self._holder.accepted_credentials(self._slot)
            self._slot = Slot(at_us=self._slot.at_us, version=self._slot.version, ends_streak=0, refused=frozenset())
        if isinstance(error, RateLimitedError):
            self._holder.too_fast(self._slot)
        self._holder.settle(self._name, ended=not isinstance(error, OutcomeUnknownError))


class PacedGates:
    """The SendGates of one container's threads over one lane: an egress address at a provider.

    Each of `seats` is for one thread. `worker` names the container.
    """

    def __init__(
        self,
        *,
        lanes: LaneStore,
        lane: str,
        worker: str,
        limits: GateLimits,
        clock: Clock,
        version: Callable[[], str],
        forget_credentials: Callable[[], None] = lambda: None,
        seats: int = 1,
    ) -> None:
        names = (worker,) if seats == 1 else tuple(f"{worker}.{number}" for number in range(seats))
        self._holder = LaneHolder(
            lanes=lanes,
            lane=lane,
            seats=names,
            limits=limits,
            now_us=lambda: _to_us(clock.now()),
            version=version,
            forget_credentials=forget_credentials,
        )
        self._names, self._limits, self._clock = names, limits, clock
        self.seats: Sequence[SendGate] = self._seats(limits.in_flight)

    def narrowed(self, in_flight: int) -> Sequence[SendGate]:
        """The same seats for messages that leave some of the places in flight to others; a thread uses the one or the
        other. Without a limit on requests in flight, all alike."""
        limit = self._limits.in_flight
        return self._seats(None if limit is None else min(limit, in_flight))

    def _seats(self, in_flight: int | None) -> Sequence[SendGate]:
        return [
            _Seat(self._holder, name, limits=self._limits, clock=self._clock, in_flight=in_flight)
            for name in self._names
        ]

    @contextmanager
    def batch(self, size: int, *, seats: int | None = None) -> Iterator[None]:
        """While the first `seats`, or all, send so many requests together, one write reserves for as many as
        `GateLimits.block`."""
        with self._holder.batch(size, seats=len(self.seats) if seats is None else seats):
            yield


class PacedGate(_Seat):
    """The SendGate of a container that sends one request at a time, named `worker`."""

    def __init__(
        self,
        *,
        lanes: LaneStore,
        lane: str,
        worker: str,
        limits: GateLimits,
        clock: Clock,
        version: Callable[[], str],
        forget_credentials: Callable[[], None] = lambda: None,
    ) -> None:
        holder = LaneHolder(
            lanes=lanes,
            lane=lane,
            seats=(worker,),
            limits=limits,
            now_us=lambda: _to_us(clock.now()),
            version=version,
            forget_credentials=forget_credentials,
        )
        super().__init__(holder, worker, limits=limits, clock=clock, in_flight=limits.in_flight)


def _to_us(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)
