"""Look at overdue orders, and time them out, close them or requeue them."""

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
    """The action that the sweep took on one overdue item."""

    SUBMISSION_LOST = "submission_lost"
    CLOSED = "closed"
    REQUEUED = "requeued"
    INQUIRY_PLANNED = "inquiry_planned"
    RELEASED = "released"
    """The recording was parked, and is asked for again."""
    POSTPONED = "postponed"
    EVENT_REPLAYED = "event_replayed"
    EVENT_QUARANTINED = "event_quarantined"
    """The event was spooled, and can no longer be read."""


class _QueueDownError(Exception):
    """The queue took nothing. Only its cause leaves this module."""

    def __init__(self, cause: StoreUnavailableError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class ReconcileOverdue(Generic[R]):
    """The sweep's work on one kind of order. It submits nothing: it only records facts and puts ids into the queue.

    `plan_inquiry` puts an overdue order into the queue of inquiries if one is due, and returns whether it did.
    """

    def __init__(
        self,
        *,
        orders: OrderStore[R],
        clock: Clock,
        status_of: Callable[[R, datetime], Status[StrEnum]],
        next_due: Callable[[R], datetime | None],
        look_again_after: timedelta,
        outbox: Outbox[R] | None = None,
        plan_inquiry: Callable[[R, datetime], bool] = lambda _order, _now: False,
    ) -> None:
        self._orders = orders
        self._clock = clock
        self._status_of = status_of
        self._next_due = next_due
        self._look_again_after = look_again_after
        self._outbox = outbox
        self._plan_inquiry = plan_inquiry

    def __call__(self, *, limit: int) -> Counter[SweepAction]:
        """Run one round over at most `limit` overdue orders.

        If the queue takes nothing, the orders that belong there are left until the next round. The others go on.

        Raises:
            StoreUnavailableError: the recorded actions stand, and the rest waits for the next round.
        """
        actions: Counter[SweepAction] = Counter()
        queue_down: StoreUnavailableError | None = None
        for order in self._orders.overdue(now=self._clock.now(), limit=limit):
            now = self._clock.now()
            if queue_down is not None and self._needs_queue(order, now=now):
                continue
            try:
                actions[self._reconcile(order, now=now)] += 1
            except _QueueDownError as error:
                queue_down = error.cause
        if queue_down is not None:
            raise queue_down
        return actions

    def _needs_queue(self, order: R, *, now: datetime) -> bool:
        """Tell whether an overdue order is queued, so that its entry may be lost, or has an inquiry due."""
        due, status = self._next_due(order), self._status_of(order, now)
        return due is not None and due <= now and not status.final and not order.submission_open

    def _reconcile(self, order: R, *, now: datetime) -> SweepAction:
        """Act on the order's present facts. The index that named the order may be behind them."""
        due = self._next_due(order)
        status = self._status_of(order, now)
        if status.final:
            self._orders.record_closed(order, at=now)
            return SweepAction.CLOSED
        overdue = due is not None and due <= now
        if overdue and status.state == SubmissionState.QUEUED and self._outbox is not None:
            self._requeue(order, self._outbox)
            self._orders.postpone(order, until=now + self._look_again_after)
            return SweepAction.REQUEUED
        if overdue and order.submission_open:
            self._orders.record_timeout(order, at=now)
            return SweepAction.SUBMISSION_LOST
        if overdue and self._plan(order, now=now):
            return SweepAction.INQUIRY_PLANNED
        look_again_at = due if due is not None and not overdue else now + self._look_again_after
        self._orders.postpone(order, until=look_again_at)
        return SweepAction.POSTPONED

    def _plan(self, order: R, *, now: datetime) -> bool:
        try:
            return self._plan_inquiry(order, now)
        except StoreUnavailableError as error:
            raise _QueueDownError(error) from error

    def _requeue(self, order: R, outbox: Outbox[R]) -> None:
        try:
            outbox.put(order)
        except StoreUnavailableError as error:
            raise _QueueDownError(error) from error
