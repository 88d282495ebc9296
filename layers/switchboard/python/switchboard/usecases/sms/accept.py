"""Accept messages for the queues: each is recorded and counted now, and submitted later."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from switchboard.domain.errors import (
    InvalidRequestError,
    LimitExceededError,
    RecipientSuppressedError,
    StoreError,
    StoreUnavailableError,
)
from switchboard.domain.orders import MAX_QUEUE_DELAY, queue_delay_s
from switchboard.domain.sms.messages import Message
from switchboard.domain.sms.schedule import QuietHours
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.clock import Clock
from switchboard.ports.orders import ClaimAnswer, MessageStore, Outbox
from switchboard.ports.usage_limits import UsageLimits
from switchboard.usecases.submission.attempt import SUPPRESSED
from switchboard.usecases.submission.submit_once import require_same_request


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """A recorded message. `replayed` is True if an earlier request had placed it."""

    message: Message
    replayed: bool


class AcceptForQueue:
    """The acceptance of messages that the queues submit later: those of batches, and scheduled ones.

    `messages` must not repeat `create` by itself. `quiet_hours` are the deployment's.
    """

    def __init__(
        self,
        *,
        messages: MessageStore,
        limits: UsageLimits,
        outbox: Outbox[Message],
        clock: Clock,
        quiet_hours: QuietHours,
    ) -> None:
        self._messages = messages
        self._limits = limits
        self._outbox = outbox
        self._clock = clock
        self.quiet_hours: Final = quiet_hours

    def record(self, message: Message, *, refusal: InvalidRequestError | None = None) -> AcceptedMessage:
        """Count the message and then record it: a recorded message is sent, whatever happens next.

        Args:
            message: the message, queued and without a claim.
            refusal: the reason not to record it, unless an earlier request has.

        Raises:
            InvalidRequestError: the refusal.
            RecipientSuppressedError: nothing may be sent to the number.
            LimitExceededError: a usage limit is reached, in the windows in which the message would leave.
            IdempotencyKeyReusedError: the id belongs to another request of the same client.
            SmsidTakenError: the id belongs to another client.
            StoreUnavailableError: the message may have been recorded.
        """
        try:
            self._admit(message, refusal)
        except (InvalidRequestError, RecipientSuppressedError, LimitExceededError):
            existing = self._messages.get(message.smsid)
            if existing is None:
                raise
            return AcceptedMessage(require_same_request(existing, message), replayed=True)
        answer = self._create(message)
        if answer.granted:
            return AcceptedMessage(message, replayed=False)
        self._refund_usage(message)
        return AcceptedMessage(require_same_request(answer.order, message, owner=answer.owner), replayed=True)

    def put_into_queue(self, messages: Sequence[Message]) -> None:
        """Put the messages into their queues that leave within a queue's longest delay. The sweep does the rest."""
        now = self._clock.now()
        for message in messages:
            if message.send_at is None or message.send_at - now <= MAX_QUEUE_DELAY:
                # A message is recorded as queued: the sweep finds it waiting and puts it into the queue.
                with suppress(StoreError):
                    self._outbox.put(message, delay_s=queue_delay_s(message, now=now))

    def _admit(self, message: Message, refusal: InvalidRequestError | None) -> None:
        if refusal is not None:
            raise refusal
        # The read after the claim decides. This one only tells the caller at once.
        if self._messages.is_suppressed(message.recipient):
            raise RecipientSuppressedError(SUPPRESSED)
        self._limits.reserve(
            recipient=message.recipient,
            client=message.client,
            weight=message.weight,
            at=message.send_at or message.created_at,
            test=message.test,
        )

    def _create(self, message: Message) -> ClaimAnswer[Message]:
        """Create the message, and repeat the call once if the store gives no answer.

        The repeated call also counts as granted if the first one was carried out. A message has no claim here, so that
        it is recognised by its time.
        """
        try:
            return self._messages.create(message)
        except StoreUnavailableError:
            answer = self._messages.create(message)
        return replace(answer, granted=answer.granted or _is_same_message(answer.order, message))

    def _refund_usage(self, message: Message) -> None:
        # If it fails, one too many is counted, which is the safe side.
        with suppress(StoreError):
            self._limits.refund(
                recipient=message.recipient,
                client=message.client,
                weight=message.weight,
                at=message.send_at or message.created_at,
                test=message.test,
            )


def _is_same_message(stored: Message | None, message: Message) -> bool:
    """Tell whether the stored message is this very one: the same request, placed at the same millisecond."""
    if stored is None or stored.fingerprint != message.fingerprint:
        return False
    return to_rfc3339(stored.created_at) == to_rfc3339(message.created_at)
