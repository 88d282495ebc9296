"""Register, show, change and delete a client's subscriptions, rotate their secrets, and test them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from switchboard.domain.api_keys import ApiKey
from switchboard.domain.changes import ChangeKind
from switchboard.domain.errors import (
    FieldProblem,
    HookAddressRefusedError,
    HookAnsweredError,
    HookError,
    InvalidRequestError,
    RecoveryInProgressError,
    ResourceNotFoundError,
    StoreUnavailableError,
    SubscriptionDisabledError,
)
from switchboard.domain.subscription.addresses import parse_hook_url
from switchboard.domain.subscription.queue_entries import HookEntry, Recovery
from switchboard.domain.subscription.signatures import format_secret
from switchboard.domain.subscription.subscriptions import (
    MAX_SECRETS,
    READ_SCOPES,
    ROTATION,
    DisabledReason,
    Generation,
    Subscription,
    SubscriptionState,
    recovery_end,
)
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.subscriptions import (
    HookPoster,
    HookQueue,
    SigningSecrets,
    SubscriptionStore,
)
from switchboard.usecases.subscription.deliver import SignedPoster

_ID: Final = re.compile(r"[0-9a-f]{32}")
MAX_RECOVERY: Final = timedelta(days=30)
_TRIES: Final = 5
"""The tries of a change. Another one is needed only if the subscription's settings or state have changed meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSettings:
    """The settings of a new subscription."""

    url: str
    events: frozenset[ChangeKind]
    states: frozenset[str] | None
    thin: bool
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostTest:
    """The result of a test post. `problem` is None if the receiver answered with 2xx."""

    webhook_id: str
    problem: str | None
    status: int | None


class ManageSubscriptions:
    """The use cases of a client's subscriptions.

    Every API key of the client may use them. A change makes the changing key the one whose scopes count.
    """

    def __init__(
        self,
        *,
        subscriptions: SubscriptionStore,
        secrets: SigningSecrets,
        poster: HookPoster,
        signed_poster: SignedPoster,
        queue: HookQueue,
        clock: Clock,
        new_id: ClaimIds,
        allow_loopback: bool,
    ) -> None:
        self._subscriptions = subscriptions
        self._secrets = secrets
        self._poster = poster
        self._signed_poster = signed_poster
        self._queue = queue
        self._clock = clock
        self._new_id = new_id
        self._allow_loopback = allow_loopback

    def create(
        self, settings: SubscriptionSettings, *, key: ApiKey, own_hosts: Iterable[str]
    ) -> tuple[Subscription, str]:
        """Register a subscription, and return it with its secret, which is shown only here.

        Raises:
            ScopeMissingError: the key lacks the scope of one of the kinds of events.
            InvalidRequestError: nothing may be posted to the address, or no event shows one of the states.
            SubscriptionLimitError: the client has as many subscriptions as it may.
            StoreUnavailableError: the store did not answer.
        """
        _require_scopes(settings.events, key)
        _require_states(settings.states, settings.events)
        self._check_url(settings.url, own_hosts)
        now = self._clock.now()
        subscription = Subscription(
            id=self._new_id(),
            client=key.client,
            key_id=key.id,
            url=settings.url,
            events=settings.events,
            states=settings.states,
            thin=settings.thin,
            description=settings.description,
            generations=(Generation(1, self._secrets.current_version()),),
            created_at=now,
            updated_at=now,
        )
        secret = self._current_secret(subscription)
        self._subscriptions.create(subscription)
        return subscription, secret

    def one(self, subscription_id: str, *, client: str) -> Subscription:
        """Return the client's subscription with this id.

        Raises:
            ResourceNotFoundError: there is none, or it is another client's.
        """
        subscription = self._subscriptions.get(subscription_id) if _ID.fullmatch(subscription_id) else None
        if subscription is None or subscription.client != client:
            raise ResourceNotFoundError("No such subscription, or it belongs to another client")
        return subscription

    def many(self, *, client: str) -> list[Subscription]:
        """Return all subscriptions of the client, oldest first."""
        return self._subscriptions.of_client(client)

    def change(
        self, subscription_id: str, changes: dict[str, Any], *, key: ApiKey, own_hosts: Iterable[str]
    ) -> Subscription:
        """Change settings. With `state` as `active` a disabled or resting subscription gets one post now.

        The others wait until that post has succeeded: an address that hangs takes one post at a time, however often it
        is enabled.

        Raises:
            ResourceNotFoundError: there is no such subscription.
            SubscriptionDisabledError: an operator disabled it, and only an operator may enable it.
            ScopeMissingError: the key lacks the scope of one of the kinds of events.
            InvalidRequestError: nothing may be posted to the address, or no event shows one of the states.
        """
        settings = {name: value for name, value in changes.items() if name != "state"}
        enables = changes.get("state") == SubscriptionState.ACTIVE

        def change(before: Subscription) -> Subscription:
            after = replace(before, **settings, key_id=key.id, updated_at=self._clock.now())
            _require_scopes(after.events, key)
            if not changes.keys().isdisjoint({"events", "states"}):
                _require_states(after.states, after.events)
            if "url" in changes:
                self._check_url(after.url, own_hosts)
            return _enable(after, self._clock.now()) if enables else after

        after = self._change(subscription_id, change, client=key.client)
        if enables and after.rests_until is not None:
            self._queue.put([(HookEntry(subscription=after.id), 0)])
        return after

    def delete(self, subscription_id: str, *, client: str) -> None:
        """Delete the subscription. What is owed to it is dropped.

        Raises:
            ResourceNotFoundError: there is no such subscription.
        """
        for _ in range(_TRIES):
            if self._subscriptions.delete(self.one(subscription_id, client=client)):
                return
        raise StoreUnavailableError("delete subscription: it changes all the time")

    def rotate(self, subscription_id: str, *, key: ApiKey) -> tuple[Subscription, str]:
        """Give the subscription a new secret, and return it. For 24 h posts are signed with the former ones, too.

        Raises:
            ResourceNotFoundError: there is no such subscription.
        """
        now, version = self._clock.now(), self._secrets.current_version()

        def rotate(before: Subscription) -> Subscription:
            # The answers of earlier rotations may be lost. So the oldest secret is likely to be the receiver's.
            current, *former = before.live_generations(now)
            new, ended = Generation(current.number + 1, version), replace(current, until=now + ROTATION)
            after = replace(before, generations=(new, ended, *former[2 - MAX_SECRETS :]), updated_at=now)
            self._current_secret(after)  # raises before a secret that cannot be derived is stored
            return after

        after = self._change(subscription_id, rotate, client=key.client)
        return after, self._current_secret(after)

    def test(self, subscription_id: str, *, key: ApiKey) -> PostTest:
        """Post one signed test event now, and return the receiver's answer. It changes no state.

        Raises:
            ResourceNotFoundError: there is no such subscription.
            StoreUnavailableError: the store did not answer.
        """
        subscription = self.one(subscription_id, client=key.client)
        webhook_id = f"test_{self._new_id()}"
        try:
            self._signed_poster.post(
                subscription,
                webhook_id=webhook_id,
                kind="test",
                at=self._clock.now(),
                data={"subscription_id": subscription.id},
            )
        except HookError as error:
            status = error.status if isinstance(error, HookAnsweredError) else None
            return PostTest(webhook_id=webhook_id, problem=error.problem, status=status)
        return PostTest(webhook_id=webhook_id, problem=None, status=None)

    def recover(self, subscription_id: str, *, since: datetime, key: ApiKey) -> None:
        """Owe the newest view of everything that has changed since then, at 10 posts a second.

        Raises:
            ResourceNotFoundError: there is no such subscription.
            SubscriptionDisabledError: nothing is posted to it now.
            RecoveryInProgressError: what the last recovery owes may not be posted yet.
            InvalidRequestError: `since` is in the future or longer ago than 30 days.
        """
        subscription = self.one(subscription_id, client=key.client)
        if subscription.disabled is not None:
            raise SubscriptionDisabledError("Enable the subscription first: PATCH it with the state active")
        now = self._clock.now()
        if not now - MAX_RECOVERY <= since <= now:
            raise InvalidRequestError(FieldProblem("since", "must be within the last 30 days", "out_of_range"))
        ends_at = subscription.recovers_until
        if ends_at is not None and now < ends_at:
            raise RecoveryInProgressError(
                "It posts ten items a second. Begin another recovery after the time in Retry-After",
                retry_after_s=ceil((ends_at - now).total_seconds()),
            )
        recovery = Recovery(since=since, kind=next(iter(ChangeKind)))
        self._queue.put([(HookEntry(subscription=subscription.id, recovery=recovery), 0)])
        # A recovery whose entry may be missing refuses none: the write comes last.
        self._subscriptions.prolong_recovery(subscription, until=recovery_end(None, now=now))

    def _change(
        self, subscription_id: str, change: Callable[[Subscription], Subscription], *, client: str
    ) -> Subscription:
        """Store what `change` makes of the subscription, and return it.

        Neither another request's change nor a state that a post or an operator has set meanwhile is undone.
        """
        for _ in range(_TRIES):
            before = self.one(subscription_id, client=client)
            after = change(before)
            if self._subscriptions.change(before, after):
                return after
        raise StoreUnavailableError("change subscription: it changes all the time")

    def _current_secret(self, subscription: Subscription) -> str:
        current = max(subscription.generations, key=lambda generation: generation.number)
        return format_secret(self._secrets.secret_of(subscription.id, current))

    def _check_url(self, url: str, own_hosts: Iterable[str]) -> None:
        try:
            parse_hook_url(url, own_hosts=own_hosts, allow_loopback=self._allow_loopback)
            self._poster.check(url)
        except HookAddressRefusedError as error:
            raise InvalidRequestError(FieldProblem("url", str(error), "address_refused")) from None
        except HookError:
            raise InvalidRequestError(FieldProblem("url", "has a host name without an address", "unreached")) from None


def _enable(subscription: Subscription, now: datetime) -> Subscription:
    """Return the subscription with a rest that is over, so that one post is let through.

    It stays as it is if it is active, or if it was enabled and that post has not ended: such a rest is the first one.

    Raises:
        SubscriptionDisabledError: an operator disabled it, and only an operator may enable it.
    """
    if subscription.disabled is DisabledReason.OPERATOR:
        raise SubscriptionDisabledError("An operator disabled the subscription. Ask an operator to enable it")
    if subscription.disabled is None and not subscription.rests:
        return subscription
    return replace(
        subscription,
        disabled=None,
        failures=0,
        failing_since=None,
        last_problem=None,
        rests=0,
        rests_until=now,
        due=now,
    )


def _require_scopes(events: Iterable[ChangeKind], key: ApiKey) -> None:
    for kind in sorted(events):
        key.require(READ_SCOPES[kind])


def _require_states(states: Iterable[str] | None, events: Iterable[ChangeKind]) -> None:
    """Check that each state is one in which an event of these kinds shows a resource."""
    # Most requests have no states, and need not import every kind of resource.
    if states is None:
        return
    from switchboard.domain.published_states import PUBLISHED_STATES  # noqa: PLC0415

    published = frozenset[str]().union(*(PUBLISHED_STATES[kind] for kind in events))
    if not published.issuperset(states):
        names = ", ".join(sorted(published))
        raise InvalidRequestError(FieldProblem("states", f"must be states of `events`: {names}", "unknown_state"))
