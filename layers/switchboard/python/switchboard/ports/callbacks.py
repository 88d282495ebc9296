"""Ports that keep delivery reports and other callbacks, also those that cannot be processed now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    # Only for types: each webhook loads its own kind of event.
    from switchboard.domain.call_results import CallResult
    from switchboard.domain.sms.delivery import DeliveryReport
    from switchboard.domain.verification.callbacks import CodeHash, IvrCallEvent
    from switchboard.domain.verification.one_time_codes import CodeKey
    from switchboard.ports.listing import UnreadableItem

CallbackEvent: TypeAlias = "DeliveryReport | IvrCallEvent | CallResult"
"""An event that a provider sends once, and may never repeat."""


class EventPlace(StrEnum):
    """The place where a store keeps an event."""

    RECORDED = "recorded"
    """With what it is about: an order of ours."""
    NOT_ARRIVING = "not_arriving"
    """With the SMS of a code that does not arrive, and whose verification may fall back to a call."""
    ORPHAN = "orphan"
    """Apart from any order: its id is not ours, is not ours yet, or is another number's."""
    OVERFLOWED = "overflowed"
    """Nowhere, or only until the next one: the bounded place of such events is full. The raw callback is to be kept."""


class CallbackParams(Protocol):
    """The parameters of one callback, whose names are read in any case.

    Only a name that decides can make a callback unreadable. A provider's parser uses `find_only` for its deciding names
    and `find_first` for all others.
    """

    def find_only(self, name: str, *, read: Callable[[str], str] = str) -> str:
        """Return the value of a name that decides, or an empty text if it is absent or empty.

        The same value may come several times. `read` turns equal spellings into one value.

        Raises:
            WebhookUnreadableError: a value is unreadable, or two values differ. The message is a code in snake_case.
        """
        ...

    def find_first(self, name: str) -> str:
        """Return the first readable value of a name that decides nothing, or an empty text if it has none."""
        ...


class ReportStore(Protocol):
    """The store of delivery reports."""

    def record_report(self, report: DeliveryReport, *, seen_at: datetime) -> EventPlace:
        """Add the report to its message or verification: one write and no read, two writes if it is an orphan.

        Harmless if it is repeated; the first time stays. A listed status of the item's own number always finds room. A
        report that decides a message ends its deadlines in the same write.

        Raises:
            StoreUnavailableError: the write may or may not have been applied.
            StoreRefusedError: the write was not applied, and will not be.
        """
        ...


class CodeStore(Protocol):
    """The store of the hashes of codes that were read out."""

    def record_code(self, verification_id: str, code: CodeHash) -> bool:
        """Add a code's hash if the report names the verification's number or none: one write, no read.

        The first hash for a number stays. So an item holds two hashes at most, and the true one always fits.
        Return False if the code was not added: the id holds no verification, or one of another number.
        """
        ...


class CodeKeys(Protocol):
    """The versions of the deployment's code key. They are read when a code is sent, read out or checked, not before."""

    def current(self) -> CodeKey:
        """Return the version for new codes.

        Raises:
            StoreUnavailableError: the keys cannot be read.
            ConfigurationError: the secret holds no key of that version.
        """
        ...

    def find(self, version: str) -> CodeKey:
        """Return an older version, or the current one. Raises what `current` raises."""
        ...


@dataclass(frozen=True, slots=True)
class RawCallback:
    """An authentic callback, unchanged, for an operator to read."""

    route: str
    method: str
    query: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class SpooledEvent:
    """A CallbackEvent that the state table did not take, and that the sweep replays. `code` comes with a report.

    A spooled event that can no longer be read is a RawCallback, whose `query` names its object.
    """

    event: CallbackEvent | RawCallback
    seen_at: datetime
    handle: str = ""
    code: CodeHash | None = None


class CallbackArchive(Protocol):
    """The archive of callbacks that cannot be processed now. Every method may raise StoreUnavailableError."""

    def quarantine(self, callback: RawCallback, *, reason: str, at: datetime) -> None:
        """Keep a callback that the webhook could not use, for an operator to look at."""
        ...

    def spool(self, spooled: SpooledEvent) -> None:
        """Keep an event while the state table does not answer."""
        ...

    def spooled(self, *, limit: int) -> Iterable[SpooledEvent | UnreadableItem]:
        """Return the spooled events, oldest first, read in pages of `limit`.

        An event that cannot be read now is left out, and its error is raised after the last one. An object that is
        larger than any event is an UnreadableItem.
        """
        ...

    def remove(self, spooled: SpooledEvent) -> None:
        """Remove a spooled event that is now stored."""
        ...
