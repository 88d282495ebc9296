"""Look at what has been silent for too long, and write down what the silence means."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum

from switchboard.domain.delivery import StatusTable
from switchboard.domain.messages import Deadlines, Message, SmsState, next_due, standing_of
from switchboard.ports.clock import Clock
from switchboard.ports.messages import MessageStore, Outbox
from switchboard.ports.reports import CallbackVault, HeldReport
from switchboard.usecases.insistence import insist


class SweepAction(StrEnum):
    """What was done about one overdue thing."""

    SUBMISSION_LOST = "submission_lost"
    CLOSED = "closed"
    REQUEUED = "requeued"
    POSTPONED = "postponed"
    REPORT_RELEASED = "report_released"


class SweepOverdue:
    """The scheduled verb. It never submits anything: it only writes facts, and puts ids back into the queue."""

    def __init__(
        self,
        *,
        messages: MessageStore,
        vault: CallbackVault,
        outbox: Outbox,
        clock: Clock,
        statuses: StatusTable,
        deadlines: Deadlines,
        batch: int = 200,
    ) -> None:
        self._messages = messages
        self._vault = vault
        self._outbox = outbox
        self._clock = clock
        self._statuses = statuses
        self._deadlines = deadlines
        self._batch = batch

    def __call__(self) -> Counter[SweepAction]:
        """One round. Raises StoreUnavailableError: what was done stays done, the rest waits for the next round."""
        done = self._release_held_reports()
        for message in self._messages.overdue(now=self._clock.now(), limit=self._batch):
            done[self._settle(message, now=self._clock.now())] += 1
        return done

    def _settle(self, message: Message, *, now: datetime) -> SweepAction:
        """What is due is decided by the facts as they are now: the index that led here may be behind them."""
        due = next_due(message, deadlines=self._deadlines)
        standing = standing_of(message, statuses=self._statuses, deadlines=self._deadlines, now=now)
        if standing.final:
            insist(lambda: self._messages.record_closed(message, at=now))
            return SweepAction.CLOSED
        if standing.state is SmsState.QUEUED and due is not None and due <= now:
            self._outbox.put(message.smsid)
            insist(lambda: self._messages.postpone(message, until=now + self._deadlines.requeue_after_queued))
            return SweepAction.REQUEUED
        if due is not None and due <= now and message.submission_open:
            insist(lambda: self._messages.record_silence(message, at=now))
            return SweepAction.SUBMISSION_LOST
        later = now + self._deadlines.requeue_after_queued
        insist(lambda: self._messages.postpone(message, until=due if due and due > now else later))
        return SweepAction.POSTPONED

    def _release_held_reports(self) -> Counter[SweepAction]:
        done: Counter[SweepAction] = Counter()
        for held in self._vault.held(limit=self._batch):
            self._release(held)
            done[SweepAction.REPORT_RELEASED] += 1
        return done

    def _release(self, held: HeldReport) -> None:
        insist(lambda: self._messages.record_report(held.report, seen_at=held.seen_at))
        self._vault.release(held)
