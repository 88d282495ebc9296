"""What the use cases need from the outside, as Protocols: providers, stores, queues, the guard, the clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from switchboard.domain.delivery import DeliveryReport
from switchboard.domain.errors import ProviderError
from switchboard.domain.messages import Claim, Message, Outcome, SmsContent


class Clock(Protocol):
    """The time, and waiting for it."""

    def now(self) -> datetime:
        """An aware instant, UTC."""
        ...

    def sleep_until(self, instant: datetime) -> None:
        """Returns at `instant`, at once when it has passed."""
        ...


class ClaimIds(Protocol):
    """Mints ids that no other invocation mints."""

    def __call__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class SmsSubmission:
    """One SMS as every provider is asked for it. `recipient` is E.164."""

    smsid: str
    recipient: str
    content: SmsContent


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's synchronous answer: accepted, never delivered. `verified` is False where the answer's body
    could not be read as the document's code and the HTTP status alone said so."""

    provider_code: str
    verified: bool = True


class SmsProvider(Protocol):
    """Submits messages to one provider."""

    def check(self, submission: SmsSubmission) -> None:
        """Raises InvalidRequestError where the provider's document does not take it. No I/O."""
        ...

    def open(self) -> None:
        """Has a usable connection ready. Raises NotSentError."""
        ...

    def submit(self, submission: SmsSubmission) -> Receipt:
        """Submits once, never again by itself. Raises the ProviderError tree."""
        ...


class SendGate(Protocol):
    """Keeps every sender behind one egress address inside a provider's rate and away from its lock-out."""

    def reserve(self, *, latest: datetime) -> datetime:
        """A slot of our own, not later than `latest`. Raises NoSlotError, LockedOutError, StoreUnavailableError."""
        ...

    def is_stale(self, slot: datetime) -> bool:
        """Whether it is too late to send in that slot."""
        ...

    def heard(self, error: ProviderError | None) -> None:
        """What the provider answered to a request that used a slot: None for anything it did not refuse."""
        ...


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


class MessageStore(Protocol):
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

    def record_report(self, report: DeliveryReport, *, seen_at: datetime) -> bool:
        """Adds the fact that this report came: one unconditional write, no read. False where the smsid is not ours."""
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


@dataclass(frozen=True, slots=True)
class RawCallback:
    """An authentic callback exactly as it came, for a person to read."""

    route: str
    method: str
    query: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class HeldReport:
    """A report that could not be stored where it belongs, held until it can."""

    report: DeliveryReport
    seen_at: datetime
    handle: str = ""


class CallbackVault(Protocol):
    """Where callbacks are kept that cannot be acted on now. Every method may raise StoreUnavailableError."""

    def quarantine(self, callback: RawCallback, *, reason: str, at: datetime) -> None:
        """Keeps what nobody could read."""
        ...

    def hold(self, held: HeldReport) -> None:
        """Keeps a report while the state table does not answer."""
        ...

    def held(self, *, limit: int) -> Iterable[HeldReport]:
        """What is being held, oldest first."""
        ...

    def release(self, held: HeldReport) -> None:
        """Lets go of a report that is now stored."""
        ...


@dataclass(frozen=True, slots=True)
class LaneState:
    """What the limits table knows of one (provider, egress address). Times are Unix microseconds."""

    cursor_us: int = 0
    streak: int = 0
    tried_version: str = ""
    blocked_by: str | None = None


@dataclass(frozen=True, slots=True)
class LaneMove:
    """Whether the cursor was moved, and the lane after (moved) or before (not moved)."""

    moved: bool
    lane: LaneState


@dataclass(frozen=True, slots=True)
class CircuitRule:
    """When the circuit counts as closed: nothing blocks the address, and the streak of 401s is below `limit`, or it
    is below `ceiling` and no slot has been given yet to these credentials, which `version` names: one try."""

    version: str
    limit: int
    ceiling: int

    def is_closed(self, lane: LaneState) -> bool:
        """The same rule as the store's condition, to tell why a move was refused."""
        if lane.blocked_by is not None:
            return False
        untried = lane.tried_version != self.version
        return lane.streak < self.limit or (untried and lane.streak < self.ceiling)


class LaneStore(Protocol):
    """One item a lane, moved by conditional updates. Every method may raise StoreUnavailableError."""

    def append(self, lane: str, *, step_us: int, now_us: int, latest_us: int, rule: CircuitRule) -> LaneMove:
        """cursor += step, if now <= cursor <= latest and the circuit is closed. The credentials count as tried."""
        ...

    def restart(self, lane: str, *, step_us: int, now_us: int, rule: CircuitRule) -> LaneMove:
        """cursor = now + step, if there is no cursor or cursor < now, and the circuit is closed. The credentials
        count as tried."""
        ...

    def add_refusal(self, lane: str) -> LaneState:
        """One more 401 in a row."""
        ...

    def end_streak(self, lane: str, *, seen: int) -> None:
        """The streak is over, if it is still `seen` long."""
        ...

    def block(self, lane: str, *, code: str) -> None:
        """Nothing may be sent from this address until a person has looked."""
        ...
