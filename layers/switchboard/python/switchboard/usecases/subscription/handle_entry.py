"""Handle one entry of the hooks' queue by the use case for its form."""

from __future__ import annotations

from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.usecases.subscription.deliver import DeliverChange, DeliveryOutcome
from switchboard.usecases.subscription.release import RecoverChanges, ReleaseOwedPosts


class HandleHookEntry:
    """The use case of the hooks' queue: a post, a round of a release, or a page of a recovery."""

    def __init__(self, *, deliver: DeliverChange, release: ReleaseOwedPosts, recover: RecoverChanges) -> None:
        self._deliver = deliver
        self._release = release
        self._recover = recover

    def __call__(self, entry: HookEntry) -> DeliveryOutcome:
        """Handle the entry, and return once its effect is durable.

        Raises:
            StoreUnavailableError: the entry has to be delivered again later.
        """
        if entry.recovery is not None:
            return self._recover(entry.subscription, entry.recovery)
        if entry.item is not None:
            return self._deliver(entry, entry.item)
        outcome = self._release(entry.subscription, after_rest=entry.after_rest)
        if outcome is DeliveryOutcome.DISABLED:
            self._deliver.publish_disabled(entry.subscription)
        return outcome
