"""Look at overdue orders, and time them out, close them or requeue them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Final, Generic, TypeVar

from switchboard.domain.errors import ConfigurationError, StoreError, StoreUnavailableError
from switchboard.domain.orders import Status, SubmissionState, queue_delay_s
from switchboard.ports.clock import Clock
from switchboard.ports.listing import UnreadableItem
from switchboard.ports.orders import OrderStore, Outbox, R

T = TypeVar("T")

_FAILURES_IN_A_ROW: Final = 3
"""The entries in a row that fail before a store counts as down. Each of them takes its time-out."""
_AT_ONCE: Final = 64
"""The entries that a pool's threads get at once. While a store is down, each thread takes its time-out for some."""
_IN_QUEUE: Final = frozenset({SubmissionState.SCHEDULED.value, SubmissionState.QUEUED.value})
_MOST_SKIPPED: Final = 1_000
"""The entries that one round passes over: it has to end before the function does."""


class SweepAction(StrEnum):
    """The action that the sweep took on one overdue item or spooled event."""

    SUBMISSION_LOST = "submission_lost"
    CLOSED = "closed"
    REQUEUED = "requeued"
    INQUIRY_PLANNED = "inquiry_planned"
    """It is in the queue: a message to ask about, or a verification that may fall back to a call."""
    RELEASED = "released"
    """The recording was parked, and is asked for again."""
    POSTPONED = "postponed"
    EVENT_REPLAYED = "event_replayed"
    EVENT_QUARANTINED = "event_quarantined"
    """The event was spooled, and cannot be read or stored any more."""


class _QueueDownError(Exception):
    """The queue took nothing. Only its cause leaves this module."""

    def __init__(self, cause: StoreUnavailableError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class SweepReport:
    """What one sweep has done so far, the poison entries that it skipped, and its first failure.

    `expired` counts the verifications that expired, by mode.
    """

    def __init__(self) -> None:
        self.actions: Counter[SweepAction] = Counter()
        self.expired: Counter[str] = Counter()
        self.poison: list[str] = []
        self.failure: StoreUnavailableError | None = None

    def add_failure(self, error: StoreUnavailableError) -> None:
        """Remember the first failure: what it hindered waits for the next sweep."""
        self.failure = self.failure or error


def act_on_each(
    entries: Iterable[T | UnreadableItem],
    act: Callable[[T], SweepAction | None],
    *,
    name: Callable[[T], str],
    limit: int,
    report: SweepReport,
    pool: Executor | None = None,
) -> int:
    """Act on each entry by itself, until `limit` entries are handled.

    No entry stops those behind it. An entry that cannot be read, that a store refuses for good, or that breaks `act`
    is poison: it is skipped and named in the report. Failures in a row mean that a store is down, and end the round.

    Args:
        entries: what is to be acted on. The next ones are read only when they are needed.
        act: acts on one entry and returns the action, or None if the entry was left as it is.
        name: tells an operator which entry it is.
        limit: the most entries to handle.
        report: takes the actions, the poison and the failures.
        pool: its threads act on several entries at once. Without it one entry follows the other.

    Returns:
        How many entries were handled. It is less than `limit` if nothing is left, or a store is down.
    """
    handled = skipped = failures = 0
    run, at_once = (pool.map, _AT_ONCE) if pool is not None else (map, 1)
    unread = iter(entries)
    while handled < limit and skipped < _MOST_SKIPPED and failures < _FAILURES_IN_A_ROW:
        batch, unfound = _read(unread, min(at_once, limit - handled))
        for entry, result in zip(batch, run(partial(_attempt, act), batch), strict=True):
            if isinstance(result, StoreUnavailableError):
                report.add_failure(result)
                failures += 1
                continue
            failures = 0
            if isinstance(result, SweepAction):
                report.actions[result] += 1
                handled += 1
                continue
            skipped += 1
            if isinstance(entry, UnreadableItem):
                report.poison.append(entry.key)
            elif result is not None:
                report.poison.append(name(entry))
        if unfound is not None:
            raise unfound
        if not batch:
            break
    return handled


def _read(entries: Iterator[T], count: int) -> tuple[list[T], StoreUnavailableError | None]:
    """Return the next `count` entries, or those before a failure, and the failure."""
    batch: list[T] = []
    try:
        batch.extend(islice(entries, count))
    except StoreUnavailableError as error:
        return batch, error
    return batch, None


def _attempt(act: Callable[[T], SweepAction | None], entry: T | UnreadableItem) -> SweepAction | Exception | None:
    """Act on the entry and return the action, or what broke it."""
    try:
        return None if isinstance(entry, UnreadableItem) else act(entry)
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever one entry breaks, the rest goes on
        return error


class ReconcileOverdue(Generic[R]):
    """The sweep's work on one kind of order. It submits nothing: it only records facts and puts ids into the queue.

    `plan_inquiry` puts an overdue order into a queue if an inquiry or a fallback is due, and returns whether it did.
    `expired_mode_of` returns the mode of a verification that has expired, to be counted when it is closed. The threads
    of `pool` act on several orders at once, so that all the other parts must bear threads.
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
        pool: Executor | None = None,
        expired_mode_of: Callable[[R, datetime], str | None] = lambda _order, _now: None,
    ) -> None:
        self._orders = orders
        self._clock = clock
        self._status_of = status_of
        self._next_due = next_due
        self._look_again_after = look_again_after
        self._outbox = outbox
        self._plan_inquiry = plan_inquiry
        self._pool = pool
        self._expired_mode_of = expired_mode_of

    def __call__(self, report: SweepReport, *, limit: int) -> int:
        """Run one round over at most `limit` overdue orders, and return how many were handled.

        If the queue takes nothing, the orders that belong there are left until the next round. The others go on.

        Raises:
            StoreUnavailableError: the overdue orders cannot be found.
        """
        queue_is_down = False

        def act(order: R) -> SweepAction | None:
            nonlocal queue_is_down
            now = self._clock.now()
            if queue_is_down and self._needs_queue(order, now=now):
                return None
            try:
                action = self._reconcile(order, now=now)
            except _QueueDownError as error:
                queue_is_down = True
                report.add_failure(error.cause)
                return None
            except StoreUnavailableError:
                raise
            except Exception:
                # Whatever breaks one order, `act_on_each` names it as poison. Here it only moves out of the way.
                self._set_aside(order, now=now)
                raise
            mode = self._expired_mode_of(order, now) if action is SweepAction.CLOSED else None
            report.expired += Counter() if mode is None else Counter([mode])
            return action

        overdue = self._orders.overdue(now=self._clock.now(), limit=limit)
        return act_on_each(overdue, act, name=lambda order: order.id, limit=limit, report=report, pool=self._pool)

    def _set_aside(self, order: R, *, now: datetime) -> None:
        """Set a later time for a poison order, so that the next rounds need not pass it. It may refuse this too."""
        with suppress(StoreError):
            self._orders.postpone(order, until=now + self._look_again_after)

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
        if overdue and status.state in _IN_QUEUE and self._outbox is not None:
            self._requeue(order, self._outbox, now=now)
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

    def _requeue(self, order: R, outbox: Outbox[R], *, now: datetime) -> None:
        try:
            outbox.put(order, delay_s=queue_delay_s(order, now=now))
        except StoreUnavailableError as error:
            raise _QueueDownError(error) from error
