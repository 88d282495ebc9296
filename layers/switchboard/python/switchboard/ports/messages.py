"""Where the facts about messages are kept, and the queue of those to be submitted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from switchboard.domain.messages import Claim, Message, Outcome
from switchboard.ports.reports import ReportStore


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """Whether a claim was granted, and the message as it stands after (granted) or stood before (refused).

    `message` is None where nothing, or nothing of ours, is stored under that id.
    """

    granted: bool
    message: Message | None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Some messages, newest first, and where the next page begins."""

    messages: Sequence[Message]
    next_position: str | None


class MessageStore(ReportStore, Protocol):
    """The facts about messages. Every method may raise StoreUnavailableError: then it may or may not have been applied,
    and the same call may be made again: each is harmless when repeated with the same arguments."""

    def create(self, message: Message) -> ClaimAnswer:
        """Writes a new message together with its first claim, unless anything has this smsid. One write, no read.

        Granted also where the stored claim is this very one, whose answer had been lost.
        """
        ...

    def claim(self, smsid: str, claim: Claim) -> ClaimAnswer:
        """Adds a claim if every earlier one is known to have sent nothing and `submit_before` has not passed."""
        ...

    def bind_key(self, key_id: str, smsid: str, *, at: datetime) -> bool:
        """Ties an idempotency key to a caller-chosen smsid; False if it is tied to another one, or already is
        the id of a message of its own. `key_id` is the smsid that the key alone would have given."""
        ...

    def record_outcome(self, message: Message, claim: Claim, outcome: Outcome, *, queue: bool = False) -> Message:
        """Adds how the attempt under `claim` ended; the first outcome of a claim stays. With `queue` (only after
        `not_sent`) the message is from then on the queue's. Content is forgotten unless the queue needs it."""
        ...

    def record_silence(self, message: Message, *, at: datetime) -> None:
        """Adds that the last claim's outcome was not heard in time; void if it has been by now."""
        ...

    def record_closed(self, message: Message, *, at: datetime) -> None:
        """Adds that nothing more is awaited; void if a claim was made meanwhile."""
        ...

    def postpone(self, message: Message, *, until: datetime) -> None:
        """Moves when the sweep looks at the message again."""
        ...

    def get(self, smsid: str) -> Message | None: ...

    def find(
        self,
        *,
        client: str,
        recipient: str | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
        position: str | None,
    ) -> MessagePage:
        """A client's messages, newest first; `since` inclusive, `until` exclusive. Raises InvalidRequestError for a
        `position` this did not hand out."""
        ...

    def overdue(self, *, now: datetime, limit: int) -> Iterable[Message]:
        """Messages due by `now`, longest overdue first."""
        ...


class Outbox(Protocol):
    """The queue of messages to be submitted when there is room. It carries ids, never texts or numbers."""

    def put(self, smsid: str, *, delay_s: int = 0) -> None:
        """Raises StoreUnavailableError."""
        ...
