"""Hold a client's subscriptions, the posts owed to them, and the times of retries and rests (outside.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from switchboard.domain.api_keys import Scope
from switchboard.domain.changes import ChangeKind

MAX_SUBSCRIPTIONS: Final = 5
"""The subscriptions that one client may have."""
ROTATION: Final = timedelta(hours=24)
"""The time for which posts are signed with the former secret, too, after a rotation."""
MAX_SECRETS: Final = 5
"""The secrets with which a post is signed at most."""

RETRY_DELAYS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
"""The times between a failed post and its repetition, by the number of failures. The last one is used again."""
MAX_RETRY_AFTER: Final = RETRY_DELAYS[-1]
_JITTER: Final = 0.2

POSTS_PER_S: Final = 10
"""The posts a second by which what is owed is brought out."""
_RECOVERY_PAGE: Final = timedelta(minutes=2)
"""The time within which the next page of a recovery has begun."""

FAILURES_BEFORE_REST: Final = 5
_RESTS: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))

FAILING_BEFORE_DISABLED: Final = timedelta(days=5)
REFUSED_BEFORE_DISABLED: Final = timedelta(hours=24)
ADDRESS_RETRY: Final = timedelta(hours=1)
"""The time after which a refused address is resolved again. Nothing is sent to it until then."""


KINDS: Final[Mapping[str, ChangeKind]] = {kind.value: kind for kind in ChangeKind}
"""The kinds of resources by their names."""
SHARED_KINDS: Final = frozenset({ChangeKind.RECORDING, ChangeKind.CIRCUIT})
"""The kinds of resources that belong to no client: every subscription with their scope gets their changes."""

READ_SCOPES: Final[Mapping[ChangeKind, Scope]] = {
    ChangeKind.SMS: Scope.SMS,
    ChangeKind.VERIFICATION: Scope.VERIFY,
    ChangeKind.VOICE_CALL: Scope.CALLS,
    ChangeKind.RECORDING: Scope.RECORDINGS_READ,
    ChangeKind.CIRCUIT: Scope.STATUS,
}
"""The scope with which a key may read a resource, and receive its changes."""


class SubscriptionState(StrEnum):
    """The state of a subscription as callers see it."""

    ACTIVE = "active"
    RESTING = "resting"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """The reason for which nothing is posted to a subscription any more."""

    GONE = "gone"
    FAILING = "failing"
    ADDRESS = "address"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of a subscription's secret: its number, and the version of the master that it is derived from.

    `until` is when posts are no longer signed with it, None for the current one.
    """

    number: int
    master: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One address of a client, the changes that are posted to it, and its state.

    `key_id` is the API key that last registered or changed it: its scopes count at every post. `failures` counts the
    failures in a row, `rests` the rests in a row. `revision` is renewed by each failure, so that the write of an older
    reader does not delay a retry. `states` is None for every state. Until `recovers_until` a recovery is in progress.
    """

    id: str
    client: str
    key_id: str
    url: str
    events: frozenset[ChangeKind]
    generations: tuple[Generation, ...]
    created_at: datetime
    updated_at: datetime
    states: frozenset[str] | None = None
    thin: bool = False
    description: str = ""
    failures: int = 0
    failing_since: datetime | None = None
    last_problem: str | None = None
    rests: int = 0
    rests_until: datetime | None = None
    disabled: DisabledReason | None = None
    due: datetime | None = None
    revision: str = ""
    recovers_until: datetime | None = None

    @property
    def state(self) -> SubscriptionState:
        """The state as callers see it. A rest ends with the first success, not with its time.

        An enabled subscription is active, though only one post is let through until one has succeeded.
        """
        if self.disabled is not None:
            return SubscriptionState.DISABLED
        return SubscriptionState.RESTING if self.rests else SubscriptionState.ACTIVE

    def live_generations(self, now: datetime) -> tuple[Generation, ...]:
        """Return the generations with which a post is signed, the current one first."""
        live = [generation for generation in self.generations if generation.until is None or now < generation.until]
        return tuple(sorted(live, key=lambda generation: -generation.number))


@dataclass(frozen=True, slots=True)
class ChangedItem:
    """An item whose newest view is to be posted: its kind and its id."""

    kind: ChangeKind
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedPost:
    """A mark: the newest view of an item is owed to a subscription. It exists only as long as that is so.

    `token` is new in each write, so that a success deletes only the mark that it read before it read the item.
    """

    subscription: str
    item: ChangedItem
    token: str
    owed_since: datetime
    attempts: int
    due: datetime
    problem: str


def retry_delay(attempts: int, *, retry_after_s: float | None, chance: float) -> timedelta:
    """Return the time from a failed post to the next.

    Args:
        attempts: the failed posts of this item so far, from 1 on.
        retry_after_s: the pause that the receiver asked for. It counts if it is longer than the schedule's.
        chance: a random number from 0 to 1, which spreads the time by 20 % either way.
    """
    delay = RETRY_DELAYS[min(attempts, len(RETRY_DELAYS)) - 1] * (1 + _JITTER * (2 * chance - 1))
    return max(delay, _pause_of(retry_after_s))


def rest_time(rests: int, *, retry_after_s: float | None) -> timedelta:
    """Return how long an address rests for the `rests`-th time in a row, from 1 on. `retry_after_s` as above."""
    return max(_RESTS[min(rests, len(_RESTS)) - 1], _pause_of(retry_after_s))


def recovery_end(former: datetime | None, *, now: datetime, items: int = 0) -> datetime:
    """Return when a recovery is over to which a page with this many items has been added.

    Args:
        former: the end so far, None at the beginning.
        now: the present.
        items: the items of the page, which are posted one after the other once the last page is read.
    """
    return max(former or now, now + _RECOVERY_PAGE) + timedelta(seconds=items / POSTS_PER_S)


def _pause_of(retry_after_s: float | None) -> timedelta:
    return min(timedelta(seconds=retry_after_s or 0), MAX_RETRY_AFTER)
