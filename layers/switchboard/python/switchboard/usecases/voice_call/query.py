"""Tell a caller where its calls stand, by our token or by the provider's id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from switchboard.domain.errors import ResourceNotFoundError
from switchboard.domain.orders import Status, is_order_id
from switchboard.domain.voice_calls import VoiceCall, VoiceCallState, is_call_id
from switchboard.ports.clock import Clock
from switchboard.ports.voice_calls import VoiceCallStore
from switchboard.usecases.insistence import insist
from switchboard.usecases.query import OrderView, QueryOrders

VoiceCallView = OrderView[VoiceCall, Status[VoiceCallState]]


class QueryVoiceCalls(QueryOrders[VoiceCall, Status[VoiceCallState]]):
    """A caller sees the calls placed with its own API key, and nothing else exists for it."""

    def __init__(
        self,
        *,
        calls: VoiceCallStore,
        clock: Clock,
        status_of: Callable[[VoiceCall, datetime], Status[VoiceCallState]],
    ) -> None:
        super().__init__(orders=calls, clock=clock, status_of=status_of, is_id=is_order_id)
        self._calls = calls

    def one(self, order_id: str, *, client: str) -> VoiceCallView:
        """By token or by the provider's id. Raises ResourceNotFoundError, StoreUnavailableError."""
        try:
            return super().one(order_id, client=client)
        except ResourceNotFoundError:
            token = insist(lambda: self._calls.token_of(order_id)) if is_call_id(order_id) else None
            if token is None:
                raise
        return super().one(token, client=client)
