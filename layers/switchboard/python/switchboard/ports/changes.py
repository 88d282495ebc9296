"""Ports of the publication of changes: the changed items, the bus, the repair queue, and the recorded circuits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from switchboard.domain.changes import Change, ChangeKind, Circuit
from switchboard.domain.recording.facts import Recording
from switchboard.domain.sms.messages import Message
from switchboard.domain.verification.verifications import VerificationWithChannels
from switchboard.domain.voice_calls import VoiceCall

Resource = Message | VerificationWithChannels | VoiceCall | Recording | Circuit
Image = Mapping[str, Any]
"""An item in DynamoDB's form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemWrite:
    """One or several writes in a row to one item: its images before and after them, or None if there was no item.

    `expired` is True if the item was removed because its retention has ended.
    """

    key: str
    before: Image | None
    after: Image | None
    at: datetime
    expired: bool = False


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of the list of all resources of one kind and day: the list's name, and the position of the first one."""

    list: str
    start: str


class ChangedItems(Protocol):
    """The items whose changes are published. Every method may raise UnreadableItemError."""

    def count_facts(self, image: Image | None) -> int:
        """Return the number of visible facts in this one item, 0 if it has none."""
        ...

    def resource_in(self, image: Image) -> Resource | None:
        """Return the resource whose facts the item holds, or None if it holds none of a resource's.

        Facts that lie in several items are read from all of them at one instant.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        ...

    def read(self, key: str) -> Image | None:
        """Return the item with this key as it is now, or None if there is none.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        ...

    def key_of(self, kind: ChangeKind, resource_id: str) -> str:
        """Return the key of the resource's own item."""
        ...

    def lists_since(self, since: datetime, *, until: datetime) -> Sequence[ListPage]:
        """Return the first pages of the lists of all resources that were created from `since` to `until`."""
        ...

    def list_keys(self, page: ListPage) -> tuple[Sequence[str], ListPage | None]:
        """Return the keys of the resources on one page of a list, and the next page, which repeats the last of them.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        ...


class CircuitStore(Protocol):
    """The circuits of the providers as callers see them."""

    def record(self, provider: str, reason: str | None, *, at: datetime) -> None:
        """Record at `at` why the provider's circuit is open, or None if it is closed, unless that is recorded already.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        ...


class ChangesBus(Protocol):
    """The bus on which changes are published."""

    def put(self, changes: Sequence[Change]) -> Collection[Change]:
        """Publish the changes in this order and return those that the bus refused one by one.

        Raises:
            StoreUnavailableError: the bus did not answer. Any number of the changes may be published.
        """
        ...


class RepairQueue(Protocol):
    """The queue of the items whose changes could not be published."""

    def put(self, keys: Iterable[str | ListPage]) -> int:
        """Put the keys of items, or pages of their lists, into the queue, and return their number.

        Raises:
            StoreUnavailableError: the queue may not have all of them.
        """
        ...
