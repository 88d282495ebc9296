"""Wait for a slot in a provider's rate, with a connection that is ready at the time of the slot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from switchboard.domain.errors import ConcurrencyLimitError, RateLimitTimeoutError
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import ProviderGuard

# Long enough to connect, and shorter than a connection stays usable.
_CONNECT_AHEAD: Final = timedelta(milliseconds=400)


def wait_for_slot(
    guard: ProviderGuard,
    clock: Clock,
    *,
    connect: Callable[[], None],
    latest: datetime,
    still_wanted: Callable[[], bool] = lambda: True,
    order_id: str = "",
) -> bool:
    """Wait until one request may be sent. Return True then, or False if it is not `still_wanted`.

    `still_wanted` is called once: after the first slot is reserved and before it is awaited. Nothing is written to the
    provider meanwhile, so that every error means "not sent". `order_id` is that of ProviderGuard.acquire.

    Raises:
        SlotUnavailableError: no slot was free before `latest`.
        LockedOutError: the circuit is open.
        StoreUnavailableError: the limiter's store gave no answer.

    Errors of `connect` and `still_wanted` pass through.
    """
    confirmed = False
    while clock.now() < latest:
        # A caller that waited for a permit may have an old connection, and connecting must not come after the slot.
        connect()
        try:
            slot = guard.acquire(latest=latest, order_id=order_id)
        except ConcurrencyLimitError as error:
            # Another request will end soon, at an unknown time: look again instead of waiting for it.
            clock.sleep_until(min(latest, clock.now() + timedelta(seconds=error.look_after_s)))
            continue
        if not confirmed and not still_wanted():
            return False
        confirmed = True
        if slot - _CONNECT_AHEAD > clock.now():
            # The connection is too old by the time of a slot that is far ahead.
            clock.sleep_until(slot - _CONNECT_AHEAD)
            connect()
        clock.sleep_until(slot)
        if not guard.is_stale(slot) and clock.now() <= latest:
            return True
    raise RateLimitTimeoutError("No slot was free in time. Repeat the request later")
