"""Look at orders that have been silent for too long, and write down what the silence means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.orders import Status, SubmissionState
from switchboard.ports.clock import Clock
from switchboard.ports.orders import OrderStore, Outbox, R


class SweepAction(StrEnum):
    """What was done about one overdue thing."""

    SUBMISSION_LOST = "submission_lost"
    CLOSED = "closed"
    REQUEUED = "requeued"
    POSTPONED = "postponed"
    EVENT_REPLAYED = "event_replayed"
    EVENT_QUARANTINED = "event_quarantined"
    """It was held, and can no longer be read."""


class _QueueDownError(Exception):
    """The queue took nothing. Leaves this file as what it was caused by."""

    def __init__(self, cause: StoreUnavailableError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class ReconcileOverdue(Generic[R]):
    """For one kind of orders. It never submits anything: it only writes facts, and puts ids back into the queue."""

    def __init__(
        self,
        *,
        orders: OrderStore[R],
        clock: Clock,
        status_of: Callable[[R, datetime], Status[StrEnum]],
        next_due: Callable[[R], datetime | None],
        look_again_after: timedelta,
        outbox: Outbox[R] | None = None,
    ) -> None:
        self._orders = orders
        self._clock = clock
        self._standing_of = status_of
        self._next_due = next_due
        self._look_again_after = look_again_after
        self._outbox = outbox

    def __call__(self, *, limit: int) -> Counter[SweepAction]:
        """One round. Raises StoreUnavailableError: what was done stays done, the rest waits for the next round.

        Where the queue takes nothing, what belongs there is left until then, and everything else goes on.
        """
        done: Counter[SweepAction] = Counter()
        queue_down: StoreUnavailableError | None = None
        for order in self._orders.overdue(now=self._clock.now(), limit=limit):
            now = self._clock.now()
            if queue_down is not None and self._queue_message_may_be_lost(order, now=now):
                continue
            try:
                done[self._reconcile(order, now=now)] += 1
            except _QueueDownError as error:
                queue_down = error.cause
        if queue_down is not None:
            raise queue_down
        return done

    def _queue_message_may_be_lost(self, order: R, *, now: datetime) -> bool:
        """It is the queue's, and has not been heard of for so long that its entry may be lost."""
        due = self._next_due(order)
        return due is not None and due <= now and self._standing_of(order, now).state == SubmissionState.QUEUED

    def _reconcile(self, order: R, *, now: datetime) -> SweepAction:
        """What is due is decided by the facts as they are now: the index that led here may be behind them."""
        due = self._next_due(order)
        status = self._standing_of(order, now)
        if status.final:
            self._orders.record_closed(order, at=now)
            return SweepAction.CLOSED
        overdue = due is not None and due <= now
        if overdue and status.state == SubmissionState.QUEUED and self._outbox is not None:
            self._put(order, self._outbox)
            self._orders.postpone(order, until=now + self._look_again_after)
            return SweepAction.REQUEUED
        if overdue and order.submission_open:
            self._orders.record_timeout(order, at=now)
            return SweepAction.SUBMISSION_LOST
        again = due if due is not None and not overdue else now + self._look_again_after
        self._orders.postpone(order, until=again)
        return SweepAction.POSTPONED

    def _put(self, order: R, outbox: Outbox[R]) -> None:
        try:
            outbox.put(order)
        except StoreUnavailableError as error:
            raise _QueueDownError(error) from error
