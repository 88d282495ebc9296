"""Tell a caller where its messages stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from switchboard.domain.delivery import StatusTable
from switchboard.domain.errors import NotFoundHereError
from switchboard.domain.messages import Deadlines, Message, SmsState, Standing, is_smsid, standing_of
from switchboard.ports.clock import Clock
from switchboard.ports.messages import MessageStore
from switchboard.usecases.insistence import insist

# A filter by state reads facts until a page is full; this bounds what one request may read.
_PAGES_READ_AT_MOST = 8


@dataclass(frozen=True, slots=True)
class SmsView:
    """A message and where it stood when it was looked at."""

    message: Message
    standing: Standing


@dataclass(frozen=True, slots=True)
class SmsFilter:
    """What to list. `recipient` is E.164; `since` inclusive, `until` exclusive."""

    recipient: str | None = None
    state: SmsState | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SmsList:
    """One page, newest first, and the position of the next one."""

    items: Sequence[SmsView]
    next_position: str | None


class QuerySms:
    """A caller sees what was sent with its own API key, and nothing else exists for it."""

    def __init__(self, *, messages: MessageStore, clock: Clock, statuses: StatusTable, deadlines: Deadlines) -> None:
        self._messages = messages
        self._clock = clock
        self._statuses = statuses
        self._deadlines = deadlines

    def view(self, message: Message) -> SmsView:
        standing = standing_of(message, statuses=self._statuses, deadlines=self._deadlines, now=self._clock.now())
        return SmsView(message=message, standing=standing)

    def one(self, smsid: str, *, client: str) -> SmsView:
        """Raises NotFoundHereError, StoreUnavailableError."""
        message = insist(lambda: self._messages.get(smsid)) if is_smsid(smsid) else None
        if message is None or message.client != client:
            raise NotFoundHereError("no message has this smsid")
        return self.view(message)

    def many(self, wanted: SmsFilter, *, client: str, limit: int, position: str | None) -> SmsList:
        """At most `limit` messages. A filter by state may give a short page with a next position: there may be more.

        Raises InvalidRequestError for a position it did not hand out, StoreUnavailableError.
        """
        found: list[SmsView] = []
        for _ in range(_PAGES_READ_AT_MOST):
            page = self._messages.find(
                client=client,
                recipient=wanted.recipient,
                since=wanted.since,
                until=wanted.until,
                limit=limit - len(found),
                position=position,
            )
            views = map(self.view, page.messages)
            found += [view for view in views if wanted.state in (None, view.standing.state)]
            position = page.next_position
            if position is None or len(found) >= limit:
                break
        return SmsList(items=found, next_position=position)
