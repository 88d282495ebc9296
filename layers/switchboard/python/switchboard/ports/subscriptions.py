"""The ports of subscriptions: how a published change reaches the callers' webhooks (docs/change-events.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from switchboard.domain.changes import Change, ChangeKind
from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.subscriptions import (
    ChangedItem,
    DisabledReason,
    Generation,
    OwedPost,
    Subscription,
)
from switchboard.ports.listing import UnreadableItem


class NotifySubscribers(Protocol):
    """Hand-over of a changed item to the webhooks that are subscribed to it."""

    def enqueue(self, client: str | None, kind: str, item_id: str) -> None:
        """Enqueue one post for each subscription of a client that wants this kind.

        The entry names the item and holds no view: the post's worker reads the item as it is then. The caller
        repeats the call for a repeated record, so an entry may be enqueued more than once.

        Args:
            client: The client that owns the item; None if the item belongs to none (recordings, circuits, and items
                older than the clients).
            kind: ``sms``, ``verification``, ``voice_call``, ``recording`` or ``circuit``.
            item_id: The item's id as its event's ``data`` names it.

        Raises:
            StoreUnavailableError: If the subscriptions or the queue do not answer; the record is repeated.
        """
        ...


class HookQueue(Protocol):
    """The queue of posts and of what brings out the owed ones."""

    def put(self, entries: Sequence[tuple[HookEntry, int]]) -> None:
        """Add entries, each with its delay in seconds (0 to 900).

        Raises:
            StoreUnavailableError: The queue took not all of them. A repeat may add some twice.
        """
        ...


class SubscriptionStore(Protocol):
    """The subscriptions and their marks. Every method raises StoreUnavailableError if the store does not answer."""

    def create(self, subscription: Subscription) -> None:
        """Store a new subscription and enter it into its client's list, and into those of the kinds that all share.

        Raises:
            SubscriptionLimitError: The client, or a shared kind, has as many as it may.
        """
        ...

    def get(self, subscription_id: str) -> Subscription | None:
        """Return the subscription, read consistently, or None."""
        ...

    def of_client(self, client: str) -> list[Subscription]:
        """Return the client's subscriptions, oldest first."""
        ...

    def change(self, before: Subscription, after: Subscription) -> bool:
        """Store other settings, and keep the lists true. A state that is ended by this is ended in the store.

        Return False, without a write, if the settings or the state are no longer those of `before`.

        Raises:
            SubscriptionLimitError: A shared kind has as many subscriptions as it may.
        """
        ...

    def delete(self, subscription: Subscription) -> bool:
        """Remove the subscription from the store and from all lists.

        Return False, without a write, if its settings are other ones by now.
        """
        ...

    def mark_of(self, subscription_id: str, item: ChangedItem) -> OwedPost | None:
        """Return the item's mark, read consistently, or None if nothing is owed."""
        ...

    def put_mark(self, mark: OwedPost) -> None:
        """Store a mark, in the place of one that is there. Each mark has a token of its own."""
        ...

    def delete_mark(self, mark: OwedPost) -> None:
        """Delete the mark if it still has this token."""
        ...

    def postpone_mark(self, mark: OwedPost, *, due: datetime) -> bool:
        """Set a later time if the mark still has its token and its time. Return if it was so."""
        ...

    def owed(self, subscription_id: str, *, until: datetime | None, limit: int) -> list[OwedPost]:
        """Return at most `limit` marks that are due by `until` (None: at any time), the earliest first."""
        ...

    def record_failure(self, subscription: Subscription, *, changed: Subscription) -> None:
        """Count one failure more, store the rest and the problem of `changed`, and its due time if it is earlier."""
        ...

    def record_success(self, subscription: Subscription, *, at: datetime) -> bool:
        """End failures and rest, and make what is owed due. Return False if another success has done so."""
        ...

    def disable(self, subscription: Subscription, reason: DisabledReason) -> bool:
        """Disable the subscription, which is due as given. Return False if it was disabled or deleted before."""
        ...

    def clear_due(self, subscription: Subscription) -> None:
        """Let the sweep look no longer at the subscription if it is still disabled."""
        ...

    def postpone(self, subscription: Subscription, *, due: datetime, rests_until: datetime | None = None) -> bool:
        """Set when the sweep looks again. `rests_until` prolongs a rest.

        Returns False, and sets nothing, if a post has failed or another round has set it since `subscription` was read.
        """
        ...

    def prolong_recovery(self, subscription: Subscription, *, until: datetime) -> bool:
        """Begin or prolong the subscription's recovery.

        Return False, without a write, if the end is no longer that of `subscription`.
        """
        ...

    def overdue(self, *, now: datetime, limit: int) -> Iterator[Subscription | UnreadableItem]:
        """Yield the subscriptions at which the sweep has to look, read in pages of `limit`."""
        ...


class HookPoster(Protocol):
    """The way to a caller's address."""

    def check(self, url: str) -> None:
        """Check a URL by its form and by the addresses that its name has now.

        Raises:
            HookAddressRefusedError: Nothing may be posted to it.
            HookUnreachedError: Its name has no address.
            HookTimedOutError: The name's servers did not answer in time.
        """
        ...

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> None:
        """Post one body, and return if the answer is 2xx.

        Raises:
            HookError: The post did not succeed.
        """
        ...


class ChangeViews(Protocol):
    """The views of all items, as GET shows them."""

    def read(self, item: ChangedItem, *, client: str) -> Change | None:
        """Return the item as its next event shows it. None if it does not exist, is another client's, or is under way.

        Raises:
            StoreUnavailableError: The store did not answer.
        """
        ...

    def changed_since(
        self, kind: ChangeKind, since: datetime, *, client: str, position: str | None
    ) -> tuple[list[str], str | None]:
        """Return one page of the ids of items that have changed since then, and the next page's position."""
        ...


class SigningSecrets(Protocol):
    """The master secret, from which the secrets of all subscriptions are derived."""

    def current_version(self) -> str:
        """Return the version of the master for new secrets."""
        ...

    def secret_of(self, subscription_id: str, generation: Generation) -> bytes:
        """Return the secret of one generation.

        Raises:
            ConfigurationError: The master secret lacks the version.
        """
        ...
