"""The state table's verifications, leases and codes in dicts, with the conditions of the real ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from switchboard.domain.errors import VerificationOpenError
from switchboard.domain.orders import Claim, Deadlines, Outcome, OutcomeKind
from switchboard.domain.verification.callbacks import CodeHash, IvrCallEvent, VerificationMode
from switchboard.domain.verification.verifications import MAX_ATTEMPTS, CodeCheck, Verification, deadline_of, next_due
from switchboard.ports.callbacks import CodeStore
from switchboard.ports.orders import ClaimAnswer
from switchboard.ports.verifications import IvrCallMatch, IvrCallStore, Lease, VerificationStore, WriteAnswer
from tests.fakes.sms import InMemoryOrderStore


class InMemoryVerificationStore(InMemoryOrderStore[Verification], VerificationStore, IvrCallStore, CodeStore):
    """Verifications, leases and codes in dicts."""

    def __init__(self, *, grace: timedelta, deadlines: Deadlines | None = None) -> None:
        times = deadlines or Deadlines()
        super().__init__(next_due=lambda verification: next_due(verification, deadlines=times), deadlines=times)
        self._grace = grace
        self.leases: dict[tuple[str, str], Lease] = {}

    def create(self, order: Verification) -> ClaimAnswer[Verification]:
        row = self.rows.get(order.id)
        is_free = (row is None or row.order is None) and order.id not in self.bound
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

    def record_right_code(self, verification_id: str, check: CodeCheck) -> WriteAnswer:
        row = self.rows.get(verification_id)
        if row is None or row.order is None:
            return WriteAnswer(written=False, verification=None)
        if not (self._may_verify(row.order, check.at) and self._has_attempts(row.order)):
            is_same_check = row.order.check is not None and row.order.check.id == check.id
            return WriteAnswer(written=is_same_check, verification=row.order)
        row.order = replace(row.order, check=check)
        return WriteAnswer(written=True, verification=row.order)

    def record_wrong_code(self, verification_id: str, *, at: datetime) -> WriteAnswer:
        row = self.rows.get(verification_id)
        if row is None or row.order is None:
            return WriteAnswer(written=False, verification=None)
        if not (self._is_open(row.order, at) and self._has_attempts(row.order)):
            return WriteAnswer(written=False, verification=row.order)
        row.order = replace(row.order, attempts_used=row.order.attempts_used + 1)
        return WriteAnswer(written=True, verification=row.order)

    def record_canceled(self, verification_id: str, *, at: datetime) -> WriteAnswer:
        row = self.rows.get(verification_id)
        if row is None or row.order is None:
            return WriteAnswer(written=False, verification=None)
        if not self._may_cancel(row.order, at):
            return WriteAnswer(written=False, verification=row.order)
        row.order = replace(row.order, canceled_at=at, closed_at=row.order.closed_at or at, content=None)
        row.due = None
        return WriteAnswer(written=True, verification=row.order)

    def release_line(self, verification: Verification) -> None:
        claim, canceled_at = verification.last_claim, verification.canceled_at
        place = (verification.recipient, verification.line)
        lease = self.leases.get(place)
        if claim is None or canceled_at is None or lease is None or lease.claim_id != claim.id:
            return
        until = canceled_at + self._grace
        if lease.until > until:
            self.leases[place] = replace(lease, until=until, released_to=verification.client)

    def lease(self, *, recipient: str, line: str) -> Lease | None:
        return self.leases.get((recipient, line))

    def record_call(self, verification_id: str, ivr_call: IvrCallEvent, *, seen_at: datetime) -> IvrCallMatch:
        row = self.rows.get(verification_id)
        if row is None or row.order is None:
            return IvrCallMatch.NO_CANDIDATE
        order = row.order
        if (order.recipient, order.line, order.mode) != (ivr_call.recipient, ivr_call.line, ivr_call.mode):
            return IvrCallMatch.FOREIGN
        if self._may_be_called(order, seen_at) and order.called_at is None:
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

    def record_code(self, verification_id: str, code: CodeHash) -> bool:
        row = self.rows.get(verification_id)
        if row is None or row.order is None or code.recipient not in {None, row.order.recipient}:
            return False
        if code.recipient not in {stored.recipient for stored in row.order.codes}:
            codes = (*row.order.codes, code)
            row.order = replace(row.order, codes=tuple(sorted(codes, key=lambda stored: stored.recipient or "")))
        return True

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
        return lease.until <= claim.at or order.id == lease.verification_id or self._is_released(lease, order)

    def _is_released(self, lease: Lease, order: Verification) -> bool:
        return lease.released_to == order.client

    def _frees(self, outcome: Outcome) -> bool:
        return outcome.kind in {OutcomeKind.NOT_SENT, OutcomeKind.REJECTED}

    def _in_time(self, order: Verification, at: datetime) -> bool:
        return at < order.expires_at

    def _may_be_called(self, order: Verification, seen_at: datetime) -> bool:
        return self._in_time(order, seen_at) and order.canceled_at is None

    def _is_open(self, order: Verification, at: datetime) -> bool:
        return self._in_time(order, at) and order.verified_at is None and order.canceled_at is None

    def _may_verify(self, order: Verification, at: datetime) -> bool:
        return self._is_open(order, at)

    def _may_cancel(self, order: Verification, at: datetime) -> bool:
        return self._is_open(order, at)

    def _has_attempts(self, order: Verification) -> bool:
        return order.attempts_used < MAX_ATTEMPTS
