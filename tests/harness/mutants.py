"""Wrong systems. The explorer must notice each of them: an explorer that misses one proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.orders import Claim, Outcome, OutcomeKind
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus, status_of
from switchboard.domain.verification.callbacks import ParsedDeliveryReport
from switchboard.ports.callbacks import EventPlace
from switchboard.ports.orders import ClaimAnswer
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.usecases.operations.reconcile_overdue import ReconcileOverdue, SweepAction
from switchboard.usecases.query import OrderView, QueryOrders
from switchboard.usecases.sms.record_report import RecordDeliveryReport, ReportOutcome
from tests.builders import DEADLINES
from tests.fakes import InMemoryMessageStore, StoredOrder
from tests.systems import Parts


class ClaimsUnconditionally(InMemoryMessageStore):
    """A store that grants every claim."""

    def _may_claim(self, row: StoredOrder[Message], message: Message, claim: Claim) -> bool:
        return True


class ClaimsAreLeases(InMemoryMessageStore):
    """A store that lets another invocation take over a claim without an outcome."""

    def _may_claim(self, row: StoredOrder[Message], message: Message, claim: Claim) -> bool:
        last = message.last_claim
        abandoned = last is not None and claim.at > last.at + DEADLINES.submission_after_claim
        return super()._may_claim(row, message, claim) or (abandoned and message.last_outcome is None)


class SweepResends(ReconcileOverdue[Message]):
    """A sweep that requeues an overdue open claim as unsent."""

    def _reconcile(self, order: Message, *, now: datetime) -> SweepAction:
        claim = order.last_claim
        if claim is None or not order.submission_open:
            return super()._reconcile(order, now=now)
        self._orders.record_outcome(order, claim, Outcome(OutcomeKind.NOT_SENT, now), queue=True)
        if self._outbox is not None:
            self._outbox.put(order)
        return SweepAction.REQUEUED


class UnknownIsUnsent(InMemoryMessageStore):
    """A store that records a submission without a readable answer as not sent."""

    def record_outcome(self, message: Message, claim: Claim, outcome: Outcome, *, queue: bool = False) -> Message:
        if outcome.kind is OutcomeKind.UNKNOWN:
            outcome, queue = replace(outcome, kind=OutcomeKind.NOT_SENT), True
        return super().record_outcome(message, claim, outcome, queue=queue)


class UnknownIsRejected(InMemoryMessageStore):
    """A store that records a submission without a readable answer as refused."""

    def record_outcome(self, message: Message, claim: Claim, outcome: Outcome, *, queue: bool = False) -> Message:
        if outcome.kind is OutcomeKind.UNKNOWN:
            outcome = replace(outcome, kind=OutcomeKind.REJECTED)
        return super().record_outcome(message, claim, outcome, queue=queue)


class ForgetsItsOwnClaim(InMemoryMessageStore):
    """A store that refuses a claim repeated after a lost answer."""

    def _refusal(self, row: StoredOrder[Message] | None, claim: Claim | None) -> ClaimAnswer[Message]:
        return ClaimAnswer(granted=False, order=row.order if row else None)


class OverwritesOutcomes(InMemoryMessageStore):
    """A store that counts an outcome again if its write is repeated."""

    def _may_record_outcome(self, message: Message, claim: Claim) -> bool:
        return True


class LosesDeadlines(InMemoryMessageStore):
    """A store that sets no due time for a submission whose answer was lost."""

    def record_outcome(self, message: Message, claim: Claim, outcome: Outcome, *, queue: bool = False) -> Message:
        written = super().record_outcome(message, claim, outcome, queue=queue)
        if outcome.kind is OutcomeKind.UNKNOWN:
            self.rows[message.smsid].due = None
        return written


class DropsEarlyReports(InMemoryMessageStore):
    """A store that drops a report which overtakes the send's own answer."""

    def record_report(self, report: DeliveryReport, *, seen_at: datetime) -> EventPlace:
        row = self.rows[report.smsid]
        if row.order is not None and row.order.last_outcome is None:
            return EventPlace.RECORDED
        return super().record_report(report, seen_at=seen_at)


class KeepsTheLastReport(InMemoryMessageStore):
    """A store in which a report replaces the one before it."""

    def record_report(self, report: DeliveryReport, *, seen_at: datetime) -> EventPlace:
        self.rows[report.smsid].reports.clear()
        return super().record_report(report, seen_at=seen_at)


class LastReportWins(QueryOrders[Message, SmsStatus]):
    """A query that reads only the last report."""

    def view(self, order: Message) -> OrderView[Message, SmsStatus]:
        last = replace(order, reports=order.reports[-1:])
        status = status_of(last, statuses=DELIVERY_STATUSES, deadlines=DEADLINES, now=self._clock.now())
        return OrderView(order=order, status=status)


class AcknowledgesWhatItLost(RecordDeliveryReport):
    """A webhook that answers 200 although nothing was recorded or spooled."""

    def __call__(self, callback: ParsedDeliveryReport) -> ReportOutcome:
        try:
            return super().__call__(callback)
        except StoreUnavailableError:
            return ReportOutcome.SPOOLED


class SweepForgetsTheQueue(ReconcileOverdue[Message]):
    """A sweep that only postpones a queued message whose entry may be lost."""

    def _reconcile(self, order: Message, *, now: datetime) -> SweepAction:
        status = status_of(order, statuses=DELIVERY_STATUSES, deadlines=DEADLINES, now=now)
        if status.state is not SmsState.QUEUED:
            return super()._reconcile(order, now=now)
        self._orders.postpone(order, until=now + DEADLINES.requeue_after_queued)
        return SweepAction.POSTPONED


@dataclass(frozen=True, slots=True)
class Mutant:
    """A wrong system, and the promises of which it must break one."""

    parts: Parts
    breaks: frozenset[str]


def _build_mutant(store: type[InMemoryMessageStore], *breaks: str) -> Mutant:
    return Mutant(Parts(store=store), frozenset(breaks))


MUTANTS: Mapping[str, Mutant] = {
    "claims unconditionally": _build_mutant(ClaimsUnconditionally, "I1"),
    "claims are leases": _build_mutant(ClaimsAreLeases, "I1"),
    "sweep resends": Mutant(Parts(reconcile=SweepResends), frozenset({"I1", "I3"})),
    "unknown is unsent": _build_mutant(UnknownIsUnsent, "I1", "I3"),
    "unknown is rejected": _build_mutant(UnknownIsRejected, "I3"),
    "forgets its own claim": _build_mutant(ForgetsItsOwnClaim, "I2"),
    "overwrites outcomes": _build_mutant(OverwritesOutcomes, "I2"),
    "loses deadlines": _build_mutant(LosesDeadlines, "I2"),
    "drops early reports": _build_mutant(DropsEarlyReports, "I5"),
    "keeps the last report": _build_mutant(KeepsTheLastReport, "I5"),
    "last report wins": Mutant(Parts(query=LastReportWins), frozenset({"I6"})),
    "acknowledges what it lost": Mutant(Parts(record=AcknowledgesWhatItLost), frozenset({"I5"})),
    "sweep forgets the queue": Mutant(Parts(reconcile=SweepForgetsTheQueue), frozenset({"I2"})),
}
