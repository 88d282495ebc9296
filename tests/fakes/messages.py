"""The state table in a dict, with the conditions and the counters of the real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from switchboard.domain.delivery import DeliveryReport, ReportFact
from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.instants import from_rfc3339, to_rfc3339
from switchboard.domain.messages import Claim, Deadlines, Message, Outcome, OutcomeKind, SmsContent, next_due
from switchboard.ports.messages import ClaimAnswer, MessagePage, MessageStore


@dataclass(slots=True)
class StoredMessage:
    """What one StateTable item holds: a message, or nothing but reports for an id that is not ours."""

    message: Message | None
    attempts: int = 0
    not_sent: int = 0
    due: datetime | None = None
    reports: dict[tuple[str | None, str], datetime] = field(default_factory=dict)


class InMemoryMessageStore(MessageStore):
    """A MessageStore in a dict, with the conditions and the counters of the DynamoDB one."""

    def __init__(self, *, deadlines: Deadlines | None = None) -> None:
        self._deadlines = deadlines or Deadlines()
        self.rows: dict[str, StoredMessage] = {}
        self._bound: dict[str, str] = {}

    def create(self, message: Message) -> ClaimAnswer:
        row = self.rows.get(message.smsid)
        if row is not None or message.smsid in self._bound:
            return self._refusal(row, message.claims[-1])
        due = next_due(message, deadlines=self._deadlines)
        self.rows[message.smsid] = StoredMessage(message, attempts=len(message.claims), due=due)
        return ClaimAnswer(granted=True, message=message)

    def claim(self, smsid: str, claim: Claim) -> ClaimAnswer:
        row = self.rows.get(smsid)
        if row is None or row.message is None or not self._may_claim(row, row.message, claim):
            return self._refusal(row, claim)
        row.message = replace(row.message, claims=(*row.message.claims, claim))
        row.attempts += 1
        row.due = claim.at + self._deadlines.submission_after_claim
        return ClaimAnswer(granted=True, message=row.message)

    def bind_key(self, key_id: str, smsid: str, *, at: datetime) -> bool:
        return key_id not in self.rows and self._bound.setdefault(key_id, smsid) == smsid

    def record_outcome(self, message: Message, claim: Claim, outcome: Outcome, *, queue: bool = False) -> Message:
        row = self.rows.get(message.smsid)
        stored = row.message if row else None
        if row is None or stored is None:
            return _with_outcome(message, claim, outcome, queued=queue, content=message.content)
        if not self._may_record_outcome(stored, claim):
            return stored
        kept = queue and message.content is not None
        written = _with_outcome(stored, claim, outcome, queued=kept, content=message.content if kept else None)
        row.message = written
        row.not_sent += outcome.kind is OutcomeKind.NOT_SENT
        # A caller that knows nothing of the closing opens the message again, and the sweep closes it again.
        known = replace(written, closed_at=message.closed_at) if written.closed_at else written
        row.due = next_due(known, deadlines=self._deadlines)
        return written

    def record_report(self, report: DeliveryReport, *, seen_at: datetime) -> bool:
        row = self.rows.setdefault(report.smsid, StoredMessage(None))
        row.reports.setdefault((report.recipient, report.status), seen_at)
        if row.message is None:
            return False
        facts = [ReportFact(status, recipient, at) for (recipient, status), at in row.reports.items()]
        facts.sort(key=lambda fact: (fact.first_seen_at, fact.status))
        row.message = replace(row.message, reports=tuple(facts))
        return True

    def record_silence(self, message: Message, *, at: datetime) -> None:
        row, claim = self._unchanged(message), message.last_claim
        if row is None or row.message is None or claim is None or claim.id in row.message.outcomes:
            return
        row.message = replace(row.message, silences={claim.id: at, **row.message.silences}, content=None)
        row.due = claim.at + self._deadlines.delivery_after_claim

    def record_closed(self, message: Message, *, at: datetime) -> None:
        row = self._unchanged(message)
        if row is not None and row.message is not None:
            row.message = replace(row.message, closed_at=row.message.closed_at or at, content=None)
            row.due = None

    def postpone(self, message: Message, *, until: datetime) -> None:
        row = self._unchanged(message)
        if row is not None and row.due is not None:
            row.due = until

    def get(self, smsid: str) -> Message | None:
        row = self.rows.get(smsid)
        return row.message if row else None

    def find(
        self,
        *,
        client: str,
        recipient: str | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
        position: str | None,
    ) -> MessagePage:
        first = to_rfc3339(since) if since else "0"
        last = to_rfc3339(until) if until else "~"
        if position is not None and not (_is_position(position) and first <= position <= last):
            raise InvalidRequestError(FieldProblem("cursor", "was not handed out", code="invalid_cursor"))
        fitting = {
            f"{to_rfc3339(row.message.created_at)}#{smsid}": row.message
            for smsid, row in self.rows.items()
            if row.message is not None and row.message.client == client and recipient in (None, row.message.recipient)
        }
        places = sorted((place for place in fitting if first <= place <= last), reverse=True)
        places = [place for place in places if position is None or place < position]
        more = len(places) >= limit
        return MessagePage(
            messages=[fitting[place] for place in places[:limit]], next_position=places[limit - 1] if more else None
        )

    def overdue(self, *, now: datetime, limit: int) -> Sequence[Message]:
        due = [(row.due, row.message) for row in self.rows.values() if row.due is not None and row.due <= now]
        due.sort(key=lambda pair: pair[0])
        return [message for _, message in due[:limit] if message is not None]

    def _may_claim(self, row: StoredMessage, message: Message, claim: Claim) -> bool:
        in_time = message.submit_before > claim.at and message.closed_at is None
        return row.attempts == row.not_sent and in_time

    def _may_record_outcome(self, message: Message, claim: Claim) -> bool:
        return claim.id not in message.outcomes

    def _refusal(self, row: StoredMessage | None, claim: Claim) -> ClaimAnswer:
        message = row.message if row else None
        last = message.last_claim if message else None
        own = message is not None and last is not None and last.id == claim.id and message.submission_open
        return ClaimAnswer(granted=own, message=message)

    def _unchanged(self, message: Message) -> StoredMessage | None:
        row = self.rows.get(message.smsid)
        return row if row is not None and row.attempts == len(message.claims) else None


def _with_outcome(
    message: Message, claim: Claim, outcome: Outcome, *, queued: bool, content: SmsContent | None = None
) -> Message:
    outcomes = {**message.outcomes, claim.id: outcome}
    queued_at = message.queued_at or (outcome.at if queued else None)
    return replace(message, outcomes=outcomes, queued_at=queued_at, content=content)


def _is_position(text: str) -> bool:
    instant, hash_sign, smsid = text[:24], text[24:25], text[25:]
    try:
        from_rfc3339(instant)
    except ValueError:
        return False
    return hash_sign == "#" and smsid.isascii() and smsid.isalnum()
