"""Post the newest view of a changed item to one subscription, or owe it.

The order of the reads decides: first the mark, then the item, then the post. A change that comes after the item was
read has an entry of its own. A failure stores a mark with a new token before the entry ends, and a success deletes only
the mark that it read, so that the newest state of everything owed arrives whatever overtakes what.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from switchboard import __version__
from switchboard.domain.api_keys import ApiKey
from switchboard.domain.changes import Change
from switchboard.domain.errors import HookAddressRefusedError, HookError, HookGoneError
from switchboard.domain.subscription.queue_entries import HookEntry
from switchboard.domain.subscription.signatures import sign
from switchboard.domain.subscription.subscriptions import (
    ADDRESS_RETRY,
    FAILING_BEFORE_DISABLED,
    FAILURES_BEFORE_REST,
    READ_SCOPES,
    REFUSED_BEFORE_DISABLED,
    ChangedItem,
    DisabledReason,
    OwedPost,
    Subscription,
    rest_time,
    retry_delay,
)
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.subscriptions import (
    ChangeViews,
    HookPoster,
    HookQueue,
    SigningSecrets,
    SubscriptionStore,
)

LONGEST_DELAY: Final = timedelta(seconds=900)
"""The longest delay of a queue entry. A longer one is left to the sweep."""
_GRACE: Final = timedelta(minutes=2)
"""The time by which a mark is due later than its queue entry. The sweep brings out the mark of a lost entry."""


class DeliveryOutcome(StrEnum):
    """The result of one entry."""

    DELIVERED = "delivered"
    OWED = "owed"
    RESTING = "resting"
    """The address rests: nothing was posted, and the item is owed."""
    DISABLED = "disabled"
    """The subscription was disabled, by this post or by an operator, and its event is on the bus."""
    FORBIDDEN = "forbidden"
    """The API key of the subscription may not read such items any more. Nothing was posted."""
    NOTHING_TO_DO = "nothing_to_do"
    RELEASED = "released"
    RECOVERED = "recovered"


class SignedPoster:
    """The poster of signed bodies in the form of Standard Webhooks."""

    def __init__(self, *, poster: HookPoster, secrets: SigningSecrets, clock: Clock) -> None:
        self._poster = poster
        self._secrets = secrets
        self._clock = clock

    def post(self, subscription: Subscription, *, webhook_id: str, kind: str, at: datetime, data: Any) -> None:
        """Post `{type, timestamp, data}`. The same view has the same id and the same bytes.

        Raises:
            HookError: the post did not succeed.
            StoreUnavailableError: the master secret cannot be read.
        """
        content = {"type": kind, "timestamp": to_rfc3339(at), "data": data}
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        now = self._clock.now()
        timestamp = int(now.timestamp())
        secrets = [
            self._secrets.secret_of(subscription.id, generation) for generation in subscription.live_generations(now)
        ]
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"switchboard/{__version__}",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(secrets, webhook_id=webhook_id, timestamp=timestamp, body=body),
        }
        self._poster.post(subscription.url, body=body, headers=headers)


class DeliverChange:
    """The use case of one post.

    `find_key` returns an API key by its id. `on_disabled` publishes that a subscription was disabled.
    """

    def __init__(
        self,
        *,
        subscriptions: SubscriptionStore,
        views: ChangeViews,
        poster: SignedPoster,
        queue: HookQueue,
        find_key: Callable[[str], ApiKey],
        on_disabled: Callable[[Subscription, DisabledReason, datetime], None],
        clock: Clock,
        new_id: ClaimIds,
        random: Callable[[], float],
    ) -> None:
        self._subscriptions = subscriptions
        self._views = views
        self._poster = poster
        self._queue = queue
        self._find_key = find_key
        self._on_disabled = on_disabled
        self._clock = clock
        self._new_id = new_id
        self._random = random

    def __call__(self, entry: HookEntry, item: ChangedItem) -> DeliveryOutcome:
        """Post the item's newest view, and return once the effect is durable.

        Raises:
            StoreUnavailableError: the entry has to be delivered again later.
        """
        subscription = self._subscriptions.get(entry.subscription)
        if subscription is None or subscription.disabled is not None or item.kind not in subscription.events:
            return DeliveryOutcome.NOTHING_TO_DO
        mark = self._subscriptions.mark_of(subscription.id, item)
        if entry.token is not None and (mark is None or mark.token != entry.token):
            return DeliveryOutcome.NOTHING_TO_DO
        if subscription.rests_until is not None and not entry.probe:
            return self._owe_while_resting(subscription, item, mark, until=subscription.rests_until)
        key = self._find_key(subscription.key_id)
        if key.revoked or READ_SCOPES[item.kind] not in key.scopes:
            self._end(mark)
            return DeliveryOutcome.FORBIDDEN
        change = self._views.read(item, client=subscription.client)
        if change is None or (subscription.states is not None and change.snapshot.state not in subscription.states):
            self._end(mark)
            return DeliveryOutcome.NOTHING_TO_DO
        try:
            self._post(subscription, change)
        except HookGoneError as error:
            return self._disable(subscription, item, mark, DisabledReason.GONE, error)
        except HookError as error:
            return self._record_failure(subscription, item, mark, error)
        self._end(mark)
        if (subscription.failures or subscription.rests_until is not None) and self._subscriptions.record_success(
            subscription, at=self._clock.now()
        ):
            rested = subscription.rests_until is not None
            self._queue.put([(HookEntry(subscription=subscription.id, after_rest=rested), 0)])
        return DeliveryOutcome.DELIVERED

    def _post(self, subscription: Subscription, change: Change) -> None:
        snapshot = change.snapshot
        data = snapshot.data
        if subscription.thin:
            names = {"kind": snapshot.kind.value, "id": snapshot.id}
            data = {**names, "sequence": snapshot.sequence, "state": snapshot.state}
        kind = f"{snapshot.kind}.changed"
        self._poster.post(subscription, webhook_id=change.id, kind=kind, at=snapshot.at, data=data)

    def _end(self, mark: OwedPost | None) -> None:
        """End what was owed when the mark was read. Without a mark nothing is written."""
        if mark is not None:
            self._subscriptions.delete_mark(mark)

    def _owe(
        self,
        subscription: Subscription,
        item: ChangedItem,
        mark: OwedPost | None,
        *,
        attempts: int,
        due: datetime,
        problem: str,
    ) -> OwedPost:
        """Store a mark with a new token: a post under way must not delete it by its success."""
        owed = OwedPost(
            subscription=subscription.id,
            item=item,
            token=self._new_id(),
            owed_since=self._clock.now() if mark is None else mark.owed_since,
            attempts=attempts,
            due=due,
            problem=problem,
        )
        self._subscriptions.put_mark(owed)
        return owed

    def _owe_while_resting(
        self, subscription: Subscription, item: ChangedItem, mark: OwedPost | None, *, until: datetime
    ) -> DeliveryOutcome:
        """Store a mark. If the rest has ended meanwhile, its release may have passed the mark: post it after all."""
        attempts = 0 if mark is None else mark.attempts
        owed = self._owe(subscription, item, mark, attempts=attempts, due=until, problem="resting")
        present = self._subscriptions.get(subscription.id)
        if present is not None and present.rests_until is None:
            self._queue.put([(HookEntry(subscription=subscription.id, item=item, token=owed.token), 0)])
        return DeliveryOutcome.RESTING

    def _record_failure(
        self, subscription: Subscription, item: ChangedItem, mark: OwedPost | None, error: HookError
    ) -> DeliveryOutcome:
        now = self._clock.now()
        failing_since = subscription.failing_since or now
        refused = isinstance(error, HookAddressRefusedError)
        if refused and now - failing_since >= REFUSED_BEFORE_DISABLED:
            return self._disable(subscription, item, mark, DisabledReason.ADDRESS, error)
        if now - failing_since >= FAILING_BEFORE_DISABLED:
            return self._disable(subscription, item, mark, DisabledReason.FAILING, error)
        attempts = 1 if mark is None else mark.attempts + 1
        delay = retry_delay(attempts, retry_after_s=error.retry_after_s, chance=self._random())
        rests = subscription.rests_until is not None or subscription.failures + 1 >= FAILURES_BEFORE_REST
        if rests:
            delay = rest_time(subscription.rests + 1, retry_after_s=error.retry_after_s)
        if refused:
            delay = max(delay, ADDRESS_RETRY)
        rests_until = now + delay if rests else None
        queued = not rests and delay <= LONGEST_DELAY
        due = now + delay + (_GRACE if queued else timedelta())
        # The mark is stored first: until the sweep knows when to look, this entry is not acknowledged.
        owed = self._owe(subscription, item, mark, attempts=attempts, due=due, problem=error.problem)
        self._subscriptions.record_failure(
            subscription,
            changed=replace(
                subscription,
                failures=subscription.failures + 1,
                failing_since=failing_since,
                last_problem=error.problem,
                rests=subscription.rests + rests,
                rests_until=rests_until,
                due=due,
                revision=self._new_id(),
            ),
        )
        if queued:
            retry = HookEntry(subscription=subscription.id, item=item, token=owed.token)
            self._queue.put([(retry, int(delay.total_seconds()))])
        return DeliveryOutcome.OWED

    def _disable(
        self,
        subscription: Subscription,
        item: ChangedItem,
        mark: OwedPost | None,
        reason: DisabledReason,
        error: HookError,
    ) -> DeliveryOutcome:
        # The item of this post is owed, too, should the subscription be enabled again.
        attempts, now = 1 if mark is None else mark.attempts + 1, self._clock.now()
        self._owe(subscription, item, mark, attempts=attempts, due=now, problem=error.problem)
        # The subscription stays due until its event is on the bus: the sweep publishes one that was lost.
        changed = replace(subscription, last_problem=error.problem, due=now + _GRACE)
        if not self._subscriptions.disable(changed, reason):
            return DeliveryOutcome.NOTHING_TO_DO
        self.publish_disabled(subscription.id)
        return DeliveryOutcome.DISABLED

    def publish_disabled(self, subscription_id: str) -> None:
        """Publish that the subscription is disabled. A lost answer repeats the event.

        Raises:
            StoreUnavailableError: the event may be missing, and the subscription stays due.
        """
        subscription = self._subscriptions.get(subscription_id)
        if subscription is None or subscription.disabled is None:
            return
        self._on_disabled(subscription, subscription.disabled, self._clock.now())
        self._subscriptions.clear_due(subscription)
