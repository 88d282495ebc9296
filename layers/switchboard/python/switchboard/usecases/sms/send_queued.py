"""Submit one message that is waiting in the outbox, if it may still be."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from switchboard.domain.errors import AddressBlockedError, AuthenticationFailedError, QuotaExceededError
from switchboard.domain.orders import Claim, OutcomeKind
from switchboard.domain.sms.messages import Message
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.orders import MessageStore, Outbox
from switchboard.usecases.submission.attempt import Submission

# Below SQS's own limit of 900 s, and below the time after which the sweep puts a silent message into the queue again.
LONGEST_DELAY_S: Final = 600


class QueuedOutcome(StrEnum):
    """What one delivery from the queue came to."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    REQUEUED = "requeued"
    ACCOUNT_REJECTED = "account_rejected"
    """Put back as well, but because of our credentials, our address or our contract: somebody has to act."""
    NOTHING_TO_DO = "nothing_to_do"


class SendQueuedSms:
    """The queues' verb. A delivery may come twice: the claim lets one of them submit.

    `bulk_submission` has a guard that leaves room for those whom somebody waits for.
    """

    def __init__(
        self,
        *,
        messages: MessageStore,
        submission: Submission[Message, Any],
        bulk_submission: Submission[Message, Any],
        outbox: Outbox[Message],
        clock: Clock,
        new_id: ClaimIds,
        requeue_delay_s: int,
    ) -> None:
        self._messages = messages
        self._submission = submission
        self._bulk_submission = bulk_submission
        self._outbox = outbox
        self._clock = clock
        self._new_id = new_id
        self._requeue_delay_s = requeue_delay_s

    def __call__(self, smsid: str) -> QueuedOutcome:
        """Returns once the effect is durable. Raises StoreUnavailableError: deliver it again later.

        A message that could not be sent for now goes back into the queue as a new entry, so that waiting for a
        provider never uses up the deliveries after which an entry counts as poison.
        """
        claim = Claim(id=self._new_id(), at=self._clock.now())
        answer = self._messages.claim(smsid, claim)
        if not answer.granted or answer.order is None:
            return QueuedOutcome.NOTHING_TO_DO
        submission = self._bulk_submission if answer.order.bulk else self._submission
        submitted = submission.run(answer.order, claim)
        if submitted.outcome.kind is OutcomeKind.NOT_SENT:
            self._outbox.put(submitted.order, delay_s=self._delay_s(submitted.order))
            ours = isinstance(submitted.error, AuthenticationFailedError | AddressBlockedError | QuotaExceededError)
            return QueuedOutcome.ACCOUNT_REJECTED if ours else QueuedOutcome.REQUEUED
        return QueuedOutcome(submitted.outcome.kind.value)

    def _delay_s(self, message: Message) -> int:
        """Longer after each attempt: what failed often will not succeed at once, and each attempt is a fact to keep."""
        return min(LONGEST_DELAY_S, self._requeue_delay_s * len(message.claims))
