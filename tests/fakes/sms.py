"""The state table in a dict, with the conditions and the counters of the real one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic

from switchboard.domain.order_ids import is_order_id
from switchboard.domain.orders import Claim, Deadlines, Outcome, OutcomeKind, find_answer_time
from switchboard.domain.sms.delivery import (
    MAX_ORPHANS,
    MAX_UNLISTED_REPORTS,
    DeliveryMeaning,
    DeliveryReport,
    ReportFact,
)
from switchboard.domain.sms.messages import Message, next_due
from switchboard.ports.callbacks import EventPlace
from switchboard.ports.listing import ListingQuery, Page
from switchboard.ports.orders import ClaimAnswer, MessageStore, OrderStore, R
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from tests.fakes.listing import list_page


@dataclass(slots=True)
class StoredOrder(Generic[R]):
    """One item of the StateTable: an order, or only orphans: reports for an id that is not ours, or another number."""

    order: R | None
    attempts: int = 0
    not_sent: int = 0
    due: datetime | None = None
    reports: dict[str, datetime] = field(default_factory=dict)
    orphans: dict[tuple[str | None, str], datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Binding:
    """An idempotency key's binding. `is_short` says that it is kept for an hour."""

    order_id: str
    client: str
    at: datetime
    is_short: bool = False


class InMemoryOrderStore(OrderStore[R]):
    """An OrderStore in a dict, with the conditions and the counters of the DynamoDB one."""

    keeps_unsent_content = False

    def keeps_content(self, order: R) -> bool:
        return False

    def __init__(self, *, next_due: Callable[[R], datetime | None], deadlines: Deadlines | None = None) -> None:
        self._next_due = next_due
        self._deadlines = deadlines or Deadlines()
        self.rows: dict[str, StoredOrder[R]] = {}
        self.bound: dict[str, Binding] = {}
        self.suppressed: set[str] = set()

    def create(self, order: R) -> ClaimAnswer[R]:
        row = self.rows.setdefault(order.id, StoredOrder(None))
        if row.order is not None or order.id in self.bound:
            answer = self._refusal(row, order.last_claim)
            bound = self.bound.get(order.id)
            return replace(answer, owner=bound.client) if bound else answer
        row.order, row.attempts, row.due = order, len(order.claims), self._next_due(order)
        return ClaimAnswer(granted=True, order=order)

    def claim(self, order_id: str, claim: Claim) -> ClaimAnswer[R]:
        row = self.rows.get(order_id)
        if row is None or row.order is None or not self._may_claim(row, row.order, claim):
            return self._refusal(row, claim)
        row.order = replace(row.order, claims=(*row.order.claims, claim))
        row.attempts += 1
        row.due = claim.at + self._deadlines.submission_after_claim
        return ClaimAnswer(granted=True, order=row.order)

    def is_suppressed(self, recipient: str) -> bool:
        return recipient in self.suppressed

    def bind_key(self, key_id: str, order_id: str, *, client: str, at: datetime) -> bool:
        row, bound = self.rows.get(key_id), self.bound.get(key_id)
        if (row is not None and row.order is not None) or (bound is not None and bound.order_id != order_id):
            return False
        self.bound[key_id] = Binding(order_id, client, at)
        return True

    def release_key(self, key_id: str, *, bound_at: datetime) -> None:
        bound = self.bound.get(key_id)
        if bound is not None and bound.at == bound_at:
            self.bound[key_id] = replace(bound, is_short=True)

    def record_outcome(self, order: R, claim: Claim, outcome: Outcome, *, queue: bool = False) -> R:
        row = self.rows.get(order.id)
        stored = row.order if row else None
        if row is None or stored is None:
            return _add_outcome(order, claim, outcome, queued=queue, content=order.content)
        if not self._may_record_outcome(stored, claim):
            return stored
        queued = queue and order.content is not None
        unsent = self.keeps_unsent_content and outcome.kind is OutcomeKind.NOT_SENT and order.closed_at is None
        content = order.content if queued or unsent or self.keeps_content(order) else None
        recorded = _add_outcome(stored, claim, outcome, queued=queued, content=content)
        row.order = recorded
        row.not_sent += outcome.kind is OutcomeKind.NOT_SENT
        # The due time follows from the order as the caller last read it: a caller that has not seen the closing makes
        # the order due again, and the sweep closes it again.
        due = self._next_due(_add_outcome(order, claim, outcome, queued=queue, content=None))
        # The claim's own entry is early enough for an accepted order, which is usually decided before that.
        early = claim.at + self._deadlines.submission_after_claim
        if due is None or outcome.kind is not OutcomeKind.ACCEPTED or early > due:
            row.due = due
        return recorded

    def record_timeout(self, order: R, *, at: datetime) -> None:
        row, claim = self._unchanged(order), order.last_claim
        if row is None or row.order is None or claim is None or claim.id in row.order.outcomes:
            return
        content = row.order.content if self.keeps_content(order) else None
        row.order = replace(row.order, timeouts={claim.id: at, **row.order.timeouts}, content=content)
        if row.due is not None:
            row.due = self._next_due(replace(order, timeouts={**order.timeouts, claim.id: at})) or at

    def record_closed(self, order: R, *, at: datetime) -> None:
        row = self._unchanged(order)
        if row is not None and row.order is not None:
            row.order = replace(row.order, closed_at=row.order.closed_at or at, content=None)
            row.due = None

    def postpone(self, order: R, *, until: datetime) -> None:
        row = self._unchanged(order)
        if row is not None and row.due is not None:
            row.due = until

    def get(self, order_id: str) -> R | None:
        row = self.rows.get(order_id)
        return row.order if row else None

    def answered_at(self, order_id: str) -> datetime | None:
        row = self.rows.get(order_id)
        return find_answer_time(len(row.order.claims), row.order.outcomes) if row and row.order else None

    def find(self, query: ListingQuery, *, client: str) -> Page[R]:
        orders = [row.order for row in self.rows.values() if row.order is not None and row.order.client == client]
        entries = [
            (order.created_at, order.id, order) for order in orders if query.recipient in (None, order.recipient)
        ]
        return list_page(entries, query, is_id=is_order_id)

    def overdue(self, *, now: datetime, limit: int) -> Sequence[R]:
        due = [(row.due, row.order) for row in self.rows.values() if row.due is not None and row.due <= now]
        due.sort(key=lambda pair: pair[0])
        return [order for _, order in due if order is not None]

    def _may_claim(self, row: StoredOrder[R], order: R, claim: Claim) -> bool:
        is_due = order.send_at is None or order.send_at <= claim.at
        return is_due and self._is_unsent(row, order, at=claim.at)

    def _is_unsent(self, row: StoredOrder[R], order: R, *, at: datetime) -> bool:
        return row.attempts == row.not_sent and order.submit_before > at and order.closed_at is None

    def _may_record_outcome(self, order: R, claim: Claim) -> bool:
        return claim.id not in order.outcomes

    def _refusal(self, row: StoredOrder[R] | None, claim: Claim | None) -> ClaimAnswer[R]:
        order = row.order if row else None
        last = order.last_claim if order else None
        is_own = (
            order is not None
            and last is not None
            and claim is not None
            and last.id == claim.id
            and order.submission_open
        )
        return ClaimAnswer(granted=is_own, order=order, owner=order.client if order else None)

    def _unchanged(self, order: R) -> StoredOrder[R] | None:
        row = self.rows.get(order.id)
        return row if row is not None and row.attempts == len(order.claims) else None


class InMemoryMessageStore(InMemoryOrderStore[Message], MessageStore):
    """A MessageStore in a dict."""

    def __init__(self, *, deadlines: Deadlines | None = None) -> None:
        times = deadlines or Deadlines()
        super().__init__(next_due=lambda message: next_due(message, deadlines=times), deadlines=times)

    def create(self, order: Message) -> ClaimAnswer[Message]:
        answer = super().create(order)
        if answer.granted:
            self._show_reports(self.rows[order.id])
        return answer

    def record_report(self, report: DeliveryReport, *, seen_at: datetime) -> EventPlace:
        row = self.rows.setdefault(report.smsid, StoredOrder(None))
        if row.order is None or report.recipient not in (None, row.order.recipient):
            return self._record_orphan(row, report, seen_at)
        meaning = DELIVERY_STATUSES[report.status].meaning
        unlisted = [status for status in row.reports if DELIVERY_STATUSES[status].meaning is DeliveryMeaning.UNLISTED]
        is_new = meaning is DeliveryMeaning.UNLISTED and report.status not in unlisted
        if is_new and len(unlisted) >= MAX_UNLISTED_REPORTS:
            return EventPlace.OVERFLOWED
        row.reports.setdefault(report.status, seen_at)
        if meaning is DeliveryMeaning.DELIVERED:
            row.order = replace(row.order, closed_at=row.order.closed_at or seen_at, content=None)
            row.due = None
        self._show_reports(row)
        return EventPlace.RECORDED

    def _record_orphan(self, row: StoredOrder[Message], report: DeliveryReport, seen_at: datetime) -> EventPlace:
        name = (report.recipient, report.status)
        if name not in row.orphans and len(row.orphans) >= MAX_ORPHANS:
            return EventPlace.OVERFLOWED
        row.orphans.setdefault(name, seen_at)
        return EventPlace.ORPHAN

    def _show_reports(self, row: StoredOrder[Message]) -> None:
        """Show the reports about the message's number, also those that came before the message."""
        if row.order is None:
            return
        first_seen = {status: at for (number, status), at in row.orphans.items() if number == row.order.recipient}
        for status, at in row.reports.items():
            first_seen[status] = min(at, first_seen.get(status, at))
        facts = sorted((at, status) for status, at in first_seen.items())
        row.order = replace(row.order, reports=tuple(ReportFact(status, at) for at, status in facts))

    def record_canceled(self, smsid: str, *, at: datetime) -> ClaimAnswer[Message]:
        row = self.rows.get(smsid)
        if row is None or row.order is None or not self._is_unsent(row, row.order, at=at):
            return self._refusal(row, None)
        row.order = replace(row.order, canceled_at=at, closed_at=at, content=None)
        row.due = None
        return ClaimAnswer(granted=True, order=row.order)

    def record_asked(self, message: Message, names: Collection[str], *, at: datetime) -> None:
        row = self._unchanged(message)
        if row is None or row.order is None or row.due is None:
            return
        row.order = replace(row.order, asked={**dict.fromkeys(names, at), **row.order.asked})
        row.due = self._next_due(replace(message, asked={**dict.fromkeys(names, at), **message.asked})) or at

    def record_not_found(self, smsid: str, *, at: datetime) -> None:
        row = self.rows.get(smsid)
        if row is not None and row.order is not None:
            row.order = replace(row.order, not_found_at=row.order.not_found_at or at)


def _add_outcome(order: R, claim: Claim, outcome: Outcome, *, queued: bool, content: Any = None) -> R:
    outcomes = {**order.outcomes, claim.id: outcome}
    queued_at = order.queued_at or (outcome.at if queued else None)
    return replace(order, outcomes=outcomes, queued_at=queued_at, content=content)
