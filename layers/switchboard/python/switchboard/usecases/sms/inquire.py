"""Ask the provider for results that it has not reported: the sweep plans, a queue's worker asks."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock
from typing import Final

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    LockedOutError,
    ProviderError,
    SlotUnavailableError,
)
from switchboard.domain.orders import Deadlines
from switchboard.domain.sms.delivery import DeliveryReport, StatusTable
from switchboard.domain.sms.messages import Message, due_inquiries, status_of
from switchboard.ports.clock import Clock
from switchboard.ports.orders import InquiryQueue, MessageStore
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.providers import InquiryAnswer, ResultSource
from switchboard.usecases.submission.wait_for_slot import wait_for_slot

MAX_INQUIRIES_A_MINUTE: Final = 100
"""The inquiries that one container of the sweep plans in a minute. The rest is looked at again later."""

_MINUTE: Final = timedelta(minutes=1)


class PlanInquiries:
    """The sweep's part: put an overdue message into the queue, and record that the provider is asked."""

    def __init__(
        self, *, messages: MessageStore, queue: InquiryQueue, deadlines: Deadlines, limit: int = MAX_INQUIRIES_A_MINUTE
    ) -> None:
        self._messages = messages
        self._queue = queue
        self._deadlines = deadlines
        self._limit = limit
        self._planned: list[datetime] = []
        self._lock = Lock()

    def __call__(self, message: Message, now: datetime) -> bool:
        """Put an inquiry into the queue if one is due, and return whether it was put.

        Raises:
            StoreUnavailableError: the inquiry may or may not be planned. The next sweep plans it again.
        """
        names = due_inquiries(message, deadlines=self._deadlines, now=now)
        if not names or not self._has_room(now):
            return False
        self._queue.put_inquiry(message)
        self._messages.record_asked(message, names, at=now)
        return True

    def _has_room(self, now: datetime) -> bool:
        """Take one place among this minute's inquiries, if there is one. The sweep's threads share them."""
        with self._lock:
            self._planned = [at for at in self._planned if at > now - _MINUTE]
            if len(self._planned) >= self._limit:
                return False
            self._planned.append(now)
            return True


class InquiryOutcome(StrEnum):
    """The end of one inquiry from the queue."""

    REPORTED = "reported"
    NOT_FOUND = "not_found"
    POSTPONED = "postponed"
    """There was no room for it: it is back in the queue."""
    UNANSWERED = "unanswered"
    """The provider gave no result, or could not be asked. The next planned inquiry asks again."""
    ACCOUNT_REJECTED = "inquiry_rejected"
    """The provider refused our credentials or our address: an operator has to act."""
    NOTHING_TO_DO = "nothing_to_ask"


class InquireResult:
    """The queue's part: ask the provider, at a slot that its guard grants, and record the answer as a fact.

    `guard` leaves permits free for sends. A result is recorded like a report about the message's own number.
    """

    def __init__(
        self,
        *,
        messages: MessageStore,
        source: ResultSource,
        guard: ProviderGuard,
        queue: InquiryQueue,
        clock: Clock,
        deadlines: Deadlines,
        statuses: StatusTable,
        wait_budget: timedelta,
        postpone_s: int,
    ) -> None:
        self._messages = messages
        self._source = source
        self._guard = guard
        self._queue = queue
        self._clock = clock
        self._deadlines = deadlines
        self._statuses = statuses
        self._wait_budget = wait_budget
        self._postpone_s = postpone_s

    def __call__(self, smsid: str) -> InquiryOutcome:
        """Request the result of one message, and return once the answer is durable.

        Raises:
            StoreUnavailableError: the entry has to be delivered again later.
        """
        message = self._messages.get(smsid)
        if message is None or self._is_final(message):
            return InquiryOutcome.NOTHING_TO_DO
        try:
            latest = self._clock.now() + self._wait_budget
            wait_for_slot(self._guard, self._clock, connect=self._source.open, latest=latest)
        except SlotUnavailableError:
            self._queue.put_inquiry(message, delay_s=self._postpone_s)
            return InquiryOutcome.POSTPONED
        except (LockedOutError, ProviderError):
            return InquiryOutcome.UNANSWERED
        try:
            answer = self._source.ask(smsid)
        except ProviderError as error:
            self._guard.record_result(error)
            refused = isinstance(error, AuthenticationFailedError | AddressBlockedError)
            return InquiryOutcome.ACCOUNT_REJECTED if refused else InquiryOutcome.UNANSWERED
        self._guard.record_result(None)
        return self._record(message, answer)

    def _record(self, message: Message, answer: InquiryAnswer) -> InquiryOutcome:
        now = self._clock.now()
        if answer.status is None:
            self._messages.record_not_found(message.smsid, at=now)
            return InquiryOutcome.NOT_FOUND
        report = DeliveryReport(smsid=message.smsid, status=answer.status, recipient=message.recipient)
        self._messages.record_report(report, seen_at=now)
        return InquiryOutcome.REPORTED

    def _is_final(self, message: Message) -> bool:
        return status_of(message, statuses=self._statuses, deadlines=self._deadlines, now=self._clock.now()).final
