"""The state table's verifications, leases and codes in dicts, with the conditions of the real ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from switchboard.domain.errors import VerificationOpenError
from switchboard.domain.orders import Claim, Deadlines, Outcome, OutcomeKind
from switchboard.domain.verification.verifications import (
    MAX_ATTEMPTS,
    CodeHash,
    IvrCallEvent,
    Verification,
    VerificationMode,
    deadline_of,
    next_due,
)
from switchboard.ports.orders import ClaimAnswer
from switchboard.ports.verifications import CodeStore, IvrCallMatch, IvrCallStore, Lease, VerificationStore
from tests.fakes.sms import InMemoryOrderStore, StoredOrder


class InMemoryVerificationStore(InMemoryOrderStore[Verification], VerificationStore, IvrCallStore, CodeStore):
    """Verifications, leases and codes in dicts."""

    def __init__(self, *, grace: timedelta, deadlines: Deadlines | None = None) -> None:
        times = deadlines or Deadlines()
        super().__init__(next_due=lambda verification: next_due(verification, deadlines=times), deadlines=times)
        self._grace = grace
        self.leases: dict[tuple[str, str], Lease] = {}

    def create(self, order: Verification) -> ClaimAnswer[Verification]:
        row = self.rows.get(order.id)
        is_free = (row is None or row.order is None) and order.id not in self._bound
        if is_free and order.last_claim is not None:
            self._take_lease(order, order.last_claim)
        return super().create(order)

    def claim(self, order_id: str, claim: Claim) -> ClaimAnswer[Verification]:
        row = self.rows.get(order_id)
        if row is not None and row.order is not None and self._may_claim(row, row.order, claim):
            self._take_lease(row.order, claim)
        return super().claim(order_id, claim)

    def record_outcome(
        self, order: Verification, claim: Claim, outcome: Outcome, *, queue: bool = False
    ) -> Verification:
        written = super().record_outcome(order, claim, outcome, queue=queue)
        lease = self.leases.get((order.recipient, order.line))
        if lease is not None and lease.claim_id == claim.id and self._frees(outcome):
            self.shorten_lease(lease, recipient=order.recipient, line=order.line, until=claim.at)
        return written

    def count_attempt(self, verification_id: str) -> Verification | None:
        row = self.rows.get(verification_id)
        if row is None or row.order is None or not self._may_try(row.order):
            return None
        row.order = replace(row.order, attempts_used=row.order.attempts_used + 1)
        return row.order

    def record_checked(self, verification_id: str, *, at: datetime) -> Verification | None:
        row = self.rows.get(verification_id)
        if row is None or row.order is None or row.order.expires_at <= at:
            return None
        row.order = replace(row.order, checked_at=row.order.checked_at or at)
        return row.order

    def lease(self, *, recipient: str, line: str) -> Lease | None:
        return self.leases.get((recipient, line))

    def record_call(self, verification_id: str, ivr_call: IvrCallEvent, *, seen_at: datetime) -> IvrCallMatch:
        row = self.rows.get(verification_id)
        if row is None or row.order is None:
            return IvrCallMatch.NO_CANDIDATE
        order = row.order
        if (order.recipient, order.line, order.mode) != (ivr_call.recipient, ivr_call.line, ivr_call.mode):
            return IvrCallMatch.FOREIGN
        if self._in_time(order, seen_at) and order.called_at is None:
            row.order = replace(order, called_at=seen_at)
            return IvrCallMatch.MATCHED
        if order.called_at is not None or order.late_call_at is not None:
            return IvrCallMatch.DUPLICATE
        row.order = replace(order, late_call_at=seen_at)
        return IvrCallMatch.LATE

    def shorten_lease(self, lease: Lease, *, recipient: str, line: str, until: datetime) -> None:
        stored = self.leases.get((recipient, line))
        if stored is not None and stored.claim_id == lease.claim_id and stored.until > until:
            self.leases[recipient, line] = replace(stored, until=until)

    def record_code(self, verification_id: str, code: CodeHash) -> None:
        row = self.rows.setdefault(verification_id, StoredOrder(None))
        if row.order is not None and code.recipient not in {stored.recipient for stored in row.order.codes}:
            codes = (*row.order.codes, code)
            row.order = replace(row.order, codes=tuple(sorted(codes, key=lambda stored: stored.recipient or "")))

    def _take_lease(self, order: Verification, claim: Claim) -> None:
        if order.mode is VerificationMode.CALL_OUT:
            return
        place = (order.recipient, order.line)
        lease = self.leases.get(place)
        if lease is not None and not self._is_free(lease, order, claim):
            left = int((lease.until - claim.at).total_seconds()) + 1
            raise VerificationOpenError("another verification has it", {}, retry_after_s=left)
        until = deadline_of(order, claim) + self._grace
        self.leases[place] = Lease(verification_id=order.id, claim_id=claim.id, since=claim.at, until=until)

    def _is_free(self, lease: Lease, order: Verification, claim: Claim) -> bool:
        return lease.until <= claim.at or lease.verification_id == order.id

    def _frees(self, outcome: Outcome) -> bool:
        return outcome.kind in {OutcomeKind.NOT_SENT, OutcomeKind.REJECTED}

    def _in_time(self, order: Verification, seen_at: datetime) -> bool:
        return seen_at < order.expires_at

    def _may_try(self, order: Verification) -> bool:
        return order.attempts_used < MAX_ATTEMPTS
