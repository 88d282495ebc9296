"""Cancel a message of which nothing was submitted."""

from __future__ import annotations

from switchboard.domain.errors import AlreadySubmittedError, ResourceNotFoundError
from switchboard.domain.order_ids import is_order_id
from switchboard.domain.sms.messages import Message
from switchboard.ports.clock import Clock
from switchboard.ports.orders import MessageStore


class CancelSms:
    """The use case of `DELETE /v1/sms/{smsid}`. One conditional write decides against a claim at the same time."""

    def __init__(self, *, messages: MessageStore, clock: Clock) -> None:
        self._messages = messages
        self._clock = clock

    def __call__(self, smsid: str, *, client: str) -> Message:
        """Return the canceled message. A repetition returns the same.

        Raises:
            ResourceNotFoundError: this client has no such message.
            AlreadySubmittedError: it was submitted, is being submitted, or is over.
            StoreUnavailableError: the message may be canceled. A repetition tells.
        """
        message = self._messages.get(smsid) if is_order_id(smsid) else None
        if message is None or message.client != client:
            raise ResourceNotFoundError("No such resource, or it belongs to another client")
        if message.canceled_at is None:
            message = self._messages.record_canceled(message.id, at=self._clock.now()).order or message
        if message.canceled_at is None:
            raise AlreadySubmittedError(
                "The message was submitted, is being submitted, or is over: nothing was canceled", message.names
            )
        return message
