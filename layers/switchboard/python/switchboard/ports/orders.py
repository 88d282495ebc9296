"""Where the facts about orders are kept, and the queue of those to be submitted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from switchboard.domain.orders import Claim, Order, Outcome
from switchboard.domain.sms.messages import Message
from switchboard.ports.callbacks import ReportStore

if TYPE_CHECKING:
    # Only for types: webhooks list nothing and need not load it.
    from switchboard.ports.listing import ListingQuery, Page

R = TypeVar("R", bound=Order[Any])
R_contra = TypeVar("R_contra", bound=Order[Any], contravariant=True)


@dataclass(frozen=True, slots=True)
class ClaimAnswer(Generic[R]):
    """Whether a claim was granted, and the order as it stands after (granted) or stood before (refused).

    `order` is None where nothing, or nothing of ours, is stored under that id.
    """

    granted: bool
    order: R | None


class OrderStore(Protocol[R]):
    """The facts about one kind of orders. Every method may raise StoreUnavailableError: then it may or may not have
    been applied, and the same call may be made again: each is harmless when repeated with the same arguments."""

    def create(self, order: R) -> ClaimAnswer[R]:
        """Writes a new order together with its first claim, if it has one, unless anything has this id. No read.

        Granted also where the stored claim is this very one, whose answer had been lost.
        """
        ...

    def claim(self, order_id: str, claim: Claim) -> ClaimAnswer[R]:
        """Adds a claim if every earlier one is known to have sent nothing and `submit_before` has not passed."""
        ...

    def bind_key(self, key_id: str, order_id: str, *, at: datetime) -> bool:
        """Ties an idempotency key to a caller-chosen id; False if it is tied to another one, or already is
        the id of an order of its own. `key_id` is the id that the key alone would have given."""
        ...

    def record_outcome(self, order: R, claim: Claim, outcome: Outcome, *, queue: bool = False) -> R:
        """Adds how the attempt under `claim` ended; the first outcome of a claim stays. With `queue` (only after
        `not_sent`) the order is from then on the queue's. Content is forgotten unless the queue needs it, or the
        kind keeps it while nothing was sent."""
        ...

    def record_timeout(self, order: R, *, at: datetime) -> None:
        """Adds that the last claim's outcome was not heard in time; void if it has been by now."""
        ...

    def record_closed(self, order: R, *, at: datetime) -> None:
        """Adds that nothing more is awaited; void if a claim was made meanwhile."""
        ...

    def postpone(self, order: R, *, until: datetime) -> None:
        """Moves when the sweep looks at the order again."""
        ...

    def get(self, order_id: str) -> R | None: ...

    def find(self, query: ListingQuery, *, client: str) -> Page[R]:
        """Return one page of the client's orders by the time of their creation. The query's `recipient` is E.164.

        Raises:
            InvalidRequestError: the query's position is not one that this list returned.
        """
        ...

    def overdue(self, *, now: datetime, limit: int) -> Iterable[R]:
        """Orders due by `now`, longest overdue first."""
        ...


class Outbox(Protocol[R_contra]):
    """The queues of orders to be submitted when there is room. They carry ids, never texts or numbers."""

    def put(self, *orders: R_contra, delay_s: int = 0) -> None:
        """Raises StoreUnavailableError: any of them may or may not be in their queues."""
        ...


class MessageStore(OrderStore[Message], ReportStore, Protocol):
    """The facts about messages, and what is reported of them."""


class RetryDelay(Protocol):
    """Decides when a queue delivers an entry again that failed, instead of the queue's own, long time-out."""

    def after(self, delay_s: int, *, queue: str, receipt: str) -> None:
        """`queue` is its name, `receipt` this delivery's. Raises StoreUnavailableError: the time-out then stands."""
        ...
