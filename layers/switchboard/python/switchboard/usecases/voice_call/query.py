"""Answer a caller's questions about its voice calls, by our token or by the provider's id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from switchboard.domain.errors import ResourceNotFoundError
from switchboard.domain.orders import Status
from switchboard.domain.voice_calls import VoiceCall, VoiceCallState, is_call_id, is_token
from switchboard.ports.clock import Clock
from switchboard.ports.voice_calls import VoiceCallStore
from switchboard.usecases.query import OrderView, QueryOrders

VoiceCallView = OrderView[VoiceCall, Status[VoiceCallState]]


class QueryVoiceCalls(QueryOrders[VoiceCall, Status[VoiceCallState]]):
    """The voice calls that were placed with the caller's own API key: no others exist for it."""

    def __init__(
        self,
        *,
        calls: VoiceCallStore,
        clock: Clock,
        status_of: Callable[[VoiceCall, datetime], Status[VoiceCallState]],
    ) -> None:
        super().__init__(orders=calls, clock=clock, status_of=status_of, is_id=is_token)
        self._calls = calls

    def one(self, order_id: str, *, client: str) -> VoiceCallView:
        """Find a call by its token or by the provider's id.

        Raises:
            ResourceNotFoundError: this client has no such call.
            StoreUnavailableError: the store gave no answer.
        """
        try:
            return super().one(order_id, client=client)
        except ResourceNotFoundError:
            token = self._calls.token_of(order_id) if is_call_id(order_id) else None
            if token is None:
                raise
        return super().one(token, client=client)
