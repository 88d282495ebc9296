"""Ports of the stores that keep voice calls and their results."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from switchboard.domain.call_results import CallResult
from switchboard.domain.voice_calls import VoiceCall
from switchboard.ports.callbacks import EventPlace
from switchboard.ports.orders import OrderStore


class CallResultStore(Protocol):
    """The store of call results. Every method may raise StoreUnavailableError."""

    def record_result(self, result: CallResult, *, seen_at: datetime) -> EventPlace:
        """Add the result: one write and no read, harmless if it is repeated.

        The earliest time counts, also if it comes last, as with a spooled result. A result is an ORPHAN if no call of
        ours has this id yet: it is found once a call has it. No document lists the results, so that all have to share
        one bounded place. Of those beyond it (OVERFLOWED), the newest is kept.
        """
        ...


class VoiceCallStore(OrderStore[VoiceCall], CallResultStore, Protocol):
    """The facts about calls, and their results.

    An outcome with a `call_id` makes the call findable by it before the outcome itself is recorded.
    """

    def token_of(self, call_id: str) -> str | None:
        """Return the token of the call with this id of the provider's, or None.

        Raises:
            StoreUnavailableError: the store gave no answer.
        """
        ...
