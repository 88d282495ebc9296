"""Show a caller its voice calls, by our token or by the provider's id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from switchboard.domain.errors import ResourceNotFoundError
from switchboard.domain.orders import Status
from switchboard.domain.voice_calls import VoiceCall, VoiceCallState, is_call_id
from switchboard.ports.clock import Clock
from switchboard.ports.voice_calls import VoiceCallStore
from switchboard.usecases.query import OrderView, QueryOrders

VoiceCallView = OrderView[VoiceCall, Status[VoiceCallState]]


class QueryVoiceCalls(QueryOrders[VoiceCall, Status[VoiceCallState]]):
    """The queries for voice calls. A caller sees only the calls that its own API key placed."""

    def __init__(
        self,
        *,
        calls: VoiceCallStore,
        clock: Clock,
        status_of: Callable[[VoiceCall, datetime], Status[VoiceCallState]],
    ) -> None:
        super().__init__(orders=calls, clock=clock, status_of=status_of)
        self._calls = calls

    def one(self, order_id: str, *, client: str) -> VoiceCallView:
        """Return the client's call with this token, or with this id of the provider's.

        Raises:
            ResourceNotFoundError: no call has this token or id, or another client placed it.
            StoreUnavailableError: the store did not answer.
        """
        try:
            return super().one(order_id, client=client)
        except ResourceNotFoundError:
            token = self._calls.token_of(order_id) if is_call_id(order_id) else None
            if token is None:
                raise
        return super().one(token, client=client)
