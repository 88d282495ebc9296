"""Where the facts about voice calls are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from switchboard.domain.voice_calls import CallResult, VoiceCall
from switchboard.ports.orders import OrderStore


class CallResultStore(Protocol):
    """Keeps what a provider reports of calls. Every method may raise StoreUnavailableError."""

    def record_result(self, result: CallResult, *, seen_at: datetime) -> bool:
        """Adds the fact that this result came: one write, no read, harmless when repeated. The earliest time counts,
        also where that is told last, as when the result was held. False where no call of ours has this id yet: it is
        found when one has."""
        ...


class VoiceCallStore(OrderStore[VoiceCall], CallResultStore, Protocol):
    """The facts about calls, and what is reported of them.

    An accepted outcome makes the call findable by its `call_id` before it is written down itself.
    """

    def token_of(self, call_id: str) -> str | None:
        """The token of the call that the provider calls so. Raises StoreUnavailableError."""
        ...
