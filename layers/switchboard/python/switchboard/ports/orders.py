"""Ports of the stores that keep the facts about orders, and of the queues of orders to be submitted."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from switchboard.domain.orders import Claim, Order, Outcome
from switchboard.domain.sms.messages import Message
from switchboard.ports.callbacks import ReportStore

if TYPE_CHECKING:
    # Only for types: webhooks list nothing and need not load it.
    from switchboard.ports.listing import ListingQuery, Page, UnreadableItem

R = TypeVar("R", bound=Order[Any])
R_contra = TypeVar("R_contra", bound=Order[Any], contravariant=True)


@dataclass(frozen=True, slots=True)
class ClaimAnswer(Generic[R]):
    """The answer to a claim: the order after the claim if it was `granted`, else the order before it.

    `order` is None if the id holds no order of this kind. `owner` is the client whose order of any kind has the id, if
    the claim is refused.
    """

    granted: bool
    order: R | None
    owner: str | None = None


class OrderStore(Protocol[R]):
    """The facts about one kind of order.

    Every method may raise StoreUnavailableError: the call may or may not have been applied. Every method is harmless if
    it is repeated with the same arguments.
    """

    def create(self, order: R) -> ClaimAnswer[R]:
        """Write a new order with its first claim, if it has one, unless the id is taken. No read.

        The answer is also granted if the stored claim is this very claim, whose answer had been lost.
        """
        ...

    def claim(self, order_id: str, claim: Claim) -> ClaimAnswer[R]:
        """Add a claim if every earlier one is known to have sent nothing, between `send_at` and `submit_before`."""
        ...

    def is_suppressed(self, recipient: str) -> bool:
        """Return whether nothing may be sent to this number (E.164)."""
        ...

    def bind_key(self, key_id: str, order_id: str, *, client: str, at: datetime) -> bool:
        """Bind a client's idempotency key to an id that it chose. `key_id` is the id that the key alone gives.

        Return False if the key is bound to another id, or if `key_id` is the id of an order.
        """
        ...

    def release_key(self, key_id: str, *, bound_at: datetime) -> None:
        """Keep a binding of `bound_at` for an hour only, unless the key has been bound again since."""
        ...

    def record_outcome(self, order: R, claim: Claim, outcome: Outcome, *, queue: bool = False) -> R:
        """Add the outcome of the attempt under `claim`. The first outcome of a claim stays.

        With `queue` (only after `not_sent`) the order is queued from then on. Its content is deleted, unless the queue
        needs it or this kind of order keeps it while nothing was sent.
        """
        ...

    def record_timeout(self, order: R, *, at: datetime) -> None:
        """Add that the last claim had no outcome in time. It has no effect if the claim has one by now."""
        ...

    def record_closed(self, order: R, *, at: datetime) -> None:
        """Add that nothing more is expected. It has no effect if a claim was made meanwhile."""
        ...

    def postpone(self, order: R, *, until: datetime) -> None:
        """Set the time at which the sweep looks at the order again."""
        ...

    def get(self, order_id: str) -> R | None:
        """Return the order, or None if the id holds none."""
        ...

    def answered_at(self, order_id: str) -> datetime | None:
        """Return when the provider answered the order's last attempt, or None if an attempt has no answer.

        The order may be of any kind whose ids are in the same name space.
        """
        ...

    def find(self, query: ListingQuery, *, client: str) -> Page[R]:
        """Return one page of the client's orders by the time of their creation. The query's `recipient` is E.164.

        Raises:
            InvalidRequestError: the query's position is not one that this list returned.
        """
        ...

    def overdue(self, *, now: datetime, limit: int) -> Iterable[R | UnreadableItem]:
        """Return the orders that are due by `now`, read in pages of `limit`.

        They come by shards, in each of which the longest overdue is first. The shard to begin with changes from second
        to second.
        """
        ...


class Outbox(Protocol[R_contra]):
    """The queues of orders to be submitted later. They carry ids, never texts or numbers."""

    def put(self, *orders: R_contra, delay_s: int = 0) -> None:
        """Put orders into their queues.

        Raises:
            StoreUnavailableError: any of the orders may or may not be in its queue.
        """
        ...


class MessageStore(OrderStore[Message], ReportStore, Protocol):
    """The facts about messages, and their delivery reports."""

    def record_canceled(self, smsid: str, *, at: datetime) -> ClaimAnswer[Message]:
        """Record the cancellation if every claim is known to have sent nothing and `submit_before` has not passed.

        The answer is the one of a claim: it was `granted` or not. No claim is granted afterwards.
        """
        ...

    def record_asked(self, message: Message, names: Collection[str], *, at: datetime) -> None:
        """Add that the provider is asked for the message's result, by the names in `messages.due_inquiries`."""
        ...

    def record_not_found(self, smsid: str, *, at: datetime) -> None:
        """Add that the provider does not know the id. The first time stays."""
        ...


class InquiryQueue(Protocol):
    """The queue of messages about whose result the provider is to be asked. It carries ids only."""

    def put_inquiry(self, message: Message, *, delay_s: int = 0) -> None:
        """Put one message into the queue.

        Raises:
            StoreUnavailableError: the message may or may not be in the queue.
        """
        ...


class RetryDelay(Protocol):
    """The delay before a queue delivers a failed entry again, shorter than the queue's visibility time-out."""

    def after(self, delay_s: int, *, queue: str, receipt: str) -> None:
        """Deliver the entry again after `delay_s`. `queue` is the queue's name, `receipt` this delivery's.

        Raises:
            StoreUnavailableError: the queue's own time-out stands.
        """
        ...
