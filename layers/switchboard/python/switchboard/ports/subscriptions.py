"""The port by which a published change reaches the callers' webhooks (docs/change-events.md)."""

from typing import Protocol


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
