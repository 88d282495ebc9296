"""Waiting for a slot in a provider's rate, with a connection that is ready when it comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from switchboard.domain.errors import ConcurrencyLimitError, RateLimitTimeoutError
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import ProviderGuard

_LOOK_AGAIN_AFTER: Final = timedelta(milliseconds=100)
# Time enough to connect, and less than a connection stays usable.
_CONNECTED_AHEAD: Final = timedelta(milliseconds=400)


def wait_for_slot(
    guard: ProviderGuard,
    clock: Clock,
    *,
    connect: Callable[[], None],
    latest: datetime,
    still_wanted: Callable[[], bool] = lambda: True,
) -> bool:
    """Returns at the moment at which one request may be sent. False where it was not `still_wanted`, which is asked
    once: when the first slot is ours, and before it is waited for.

    Nothing is written to the provider meanwhile, so that whatever this raises means not sent: SlotUnavailableError,
    LockedOutError, StoreUnavailableError, and what `connect` and `still_wanted` raise.
    """
    asked = False
    while clock.now() < latest:
        # Whoever waited for a place may find the connection too old, and connecting must not come after the slot.
        connect()
        try:
            slot = guard.acquire(latest=latest)
        except ConcurrencyLimitError:
            # Somebody's request will end soon, and nobody can say when: this is looked at again, not waited for.
            clock.sleep_until(min(latest, clock.now() + _LOOK_AGAIN_AFTER))
            continue
        if not asked and not still_wanted():
            return False
        asked = True
        if slot - _CONNECTED_AHEAD > clock.now():
            # By the time of a slot that is far away, the connection is too old as well.
            clock.sleep_until(slot - _CONNECTED_AHEAD)
            connect()
        clock.sleep_until(slot)
        if not guard.is_stale(slot) and clock.now() <= latest:
            return True
    raise RateLimitTimeoutError("the time for this request has passed")
