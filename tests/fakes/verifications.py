"""The state table's verifications, channels, leases and codes in dicts, with the conditions of the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from switchboard.domain.errors import VerificationOpenError
from switchboard.domain.orders import Claim, Deadlines, Outcome, OutcomeKind
from switchboard.domain.sms.delivery import DeliveryMeaning, DeliveryReport, ReportFact
from switchboard.domain.verification.callbacks import CodeHash, IvrCallEvent, VerificationMode
from switchboard.domain.verification.one_time_codes import CodeKey
from switchboard.domain.verification.verifications import (
    CODE_MODES,
    MAX_ATTEMPTS,
    CodeCheck,
    Resend,
    Verification,
    VerificationWithChannels,
    deadline_of,
    next_due,
)
from switchboard.ports.callbacks import CodeKeys, CodeStore, EventPlace, ReportStore
from switchboard.ports.orders import ClaimAnswer
from switchboard.ports.verifications import (
    ChannelStore,
    FallbackQueue,
    IvrCallMatch,
    IvrCallStore,
    Lease,
    VerificationStore,
    WriteAnswer,
)
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from tests.fakes.sms import InMemoryOrderStore, StoredOrder

_FAILURES = {DeliveryMeaning.FAILED, DeliveryMeaning.UNDELIVERED}


class InMemoryVerificationStore(
    InMemoryOrderStore[Verification], VerificationStore, IvrCallStore, CodeStore, ReportStore
):
    """Verifications, leases, codes and reports in dicts. `channels` are those of its verifications."""

    def __init__(self, *, grace: timedelta, deadlines: Deadlines | None = None) -> None:
        times = deadlines or Deadlines()
        super().__init__(next_due=lambda verification: next_due(verification, deadlines=times), deadlines=times)
        self._grace = grace
        self.leases: dict[tuple[str, str], Lease] = {}
        self.channels = InMemoryChannelStore(self, deadlines=times)

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
        if check.by is VerificationMode.SMS_CODE and not self._has_resends(row.order, check.resends):
            return WriteAnswer(written=False, verification=row.order)
        row.order = replace(row.order, check=replace(check, resends=0))
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
        row = self._find_row(verification_id)
        if row is None or row.order is None or code.recipient not in {None, row.order.recipient}:
            return False
        if code.recipient not in {stored.recipient for stored in row.order.codes}:
            codes = (*row.order.codes, code)
            row.order = replace(row.order, codes=tuple(sorted(codes, key=lambda stored: stored.recipient or "")))
        return True

    def record_report(self, report: DeliveryReport, *, seen_at: datetime) -> EventPlace:
        row = self._find_row(report.smsid)
        if row is None or row.order is None or report.recipient not in {None, row.order.recipient}:
            return EventPlace.ORPHAN
        row.reports.setdefault(report.status, seen_at)
        facts = tuple(ReportFact(status, at) for status, at in sorted(row.reports.items()))
        row.order = replace(row.order, reports=facts)
        meanings = {DELIVERY_STATUSES[status].meaning for status in row.reports}
        arrives = DeliveryMeaning.DELIVERED in meanings or meanings.isdisjoint(_FAILURES)
        return EventPlace.RECORDED if arrives or row.order.fallback is None else EventPlace.NOT_ARRIVING

    def keeps_content(self, order: Verification) -> bool:
        return order.recipe is not None

    def _find_row(self, order_id: str) -> StoredOrder[Verification] | None:
        return self.rows.get(order_id) or self.channels.rows.get(order_id)

    def _has_resends(self, order: Verification, resends: int) -> bool:
        return len(order.resends) == resends

    def may_have_channel(self, verification: Verification, at: datetime) -> bool:
        """Tell whether a further channel may be claimed for this verification as it was read."""
        stored = self.get(verification.id)
        return stored is not None and self._is_open(stored, at) and self._has_resends(stored, len(verification.resends))

    def _take_lease(self, order: Verification, claim: Claim) -> None:
        if order.mode in CODE_MODES:
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


class InMemoryChannelStore(InMemoryOrderStore[Verification], ChannelStore):
    """The further channels of a store's verifications, in a dict."""

    def __init__(self, verifications: InMemoryVerificationStore, *, deadlines: Deadlines) -> None:
        super().__init__(next_due=lambda channel: next_due(channel, deadlines=deadlines), deadlines=deadlines)
        self._verifications = verifications

    def with_channels(self, verification: Verification) -> VerificationWithChannels:
        channels = [self.get(channel_id) for channel_id in verification.further_channel_ids]
        return VerificationWithChannels(verification, tuple(channel for channel in channels if channel is not None))

    def claim_resend(
        self, verification: Verification, channel: Verification, resend: Resend
    ) -> ClaimAnswer[Verification]:
        row = self._verifications.rows.get(verification.id)
        if row is None or row.order is None or not self._verifications.may_have_channel(verification, resend.at):
            return self._refusal(self.rows.get(channel.id), channel.last_claim)
        answer = self.create(channel)
        if answer.granted and resend.id not in {stored.id for stored in row.order.resends}:
            row.order = replace(row.order, resends=(*row.order.resends, resend))
        return answer

    def claim_fallback(self, verification: Verification, channel: Verification) -> ClaimAnswer[Verification]:
        row, claim = self._verifications.rows.get(verification.id), channel.claims[-1]
        if row is None or row.order is None or row.order.fallback is None:
            return ClaimAnswer(granted=False, order=None)
        if not self._verifications.may_have_channel(verification, claim.at):
            return self._refusal(self.rows.get(channel.id), claim)
        is_new = verification.fallback is None or verification.fallback.called_at is None
        answer = self.create(channel) if is_new else self.claim(channel.id, claim)
        if answer.granted:
            fallback = row.order.fallback
            row.order = replace(row.order, fallback=replace(fallback, called_at=fallback.called_at or claim.at))
        return answer

    def record_unsent_resend(self, verification_id: str, resend: Resend, *, place: int) -> None:
        row = self._verifications.rows.get(verification_id)
        if row is None or row.order is None or len(row.order.resends) <= place:
            return
        resends = list(row.order.resends)
        if resends[place].id == resend.id:
            resends[place] = replace(resends[place], unsent=True)
            row.order = replace(row.order, resends=tuple(resends))

    def record_refused_call(self, verification_id: str) -> None:
        row = self._verifications.rows.get(verification_id)
        fallback = row.order.fallback if row is not None and row.order is not None else None
        if row is not None and row.order is not None and fallback is not None and fallback.called_at is not None:
            row.order = replace(row.order, fallback=replace(fallback, refused=True))


class FixedCodeKeys(CodeKeys):
    """Versions of the code key in a dict. The last one is for new codes."""

    def __init__(self, keys: Mapping[str, bytes] | None = None) -> None:
        self.keys = dict(keys or {"1": b"k" * 32})

    def current(self) -> CodeKey:
        return self.find(list(self.keys)[-1])

    def find(self, version: str) -> CodeKey:
        return CodeKey(version, self.keys[version])


class InMemoryFallbackQueue(FallbackQueue):
    """The queue's entries with their delays, oldest first."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int]] = []

    def put_fallback(self, order_id: str, *, delay_s: int = 0) -> None:
        self.entries.append((order_id, delay_s))
