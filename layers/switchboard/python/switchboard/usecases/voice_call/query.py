"""Tell a caller where its calls stand, by our token or by the provider's id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from switchboard.domain.errors import NotFoundHereError
from switchboard.domain.orders import Standing
from switchboard.domain.voice_calls import CallState, VoiceCall, is_call_id, is_token
from switchboard.ports.clock import Clock
from switchboard.ports.voice_calls import VoiceCallStore
from switchboard.usecases.insistence import insist
from switchboard.usecases.query import OrderView, QueryOrders

CallView = OrderView[VoiceCall, Standing[CallState]]


class QueryCalls(QueryOrders[VoiceCall, Standing[CallState]]):
    """A caller sees the calls placed with its own API key, and nothing else exists for it."""

    def __init__(
        self,
        *,
        calls: VoiceCallStore,
        clock: Clock,
        standing_of: Callable[[VoiceCall, datetime], Standing[CallState]],
    ) -> None:
        super().__init__(orders=calls, clock=clock, standing_of=standing_of, is_id=is_token)
        self._calls = calls

    def one(self, order_id: str, *, client: str) -> CallView:
        """By token or by the provider's id. Raises NotFoundHereError, StoreUnavailableError."""
        try:
            return super().one(order_id, client=client)
        except NotFoundHereError:
            token = insist(lambda: self._calls.token_of(order_id)) if is_call_id(order_id) else None
            if token is None:
                raise
        return super().one(token, client=client)
