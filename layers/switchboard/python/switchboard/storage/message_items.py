"""How a message's facts lie in one StateTable item, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from switchboard.domain.delivery import ReportFact
from switchboard.domain.instants import from_rfc3339, to_rfc3339
from switchboard.domain.messages import Claim, Message, Outcome, OutcomeKind, SmsContent, TextMeasure
from switchboard.storage.items import REPORT, to_attributes

Item = Mapping[str, Any]

OPEN = "open"
_deserialize = TypeDeserializer().deserialize


def list_position(message: Message) -> str:
    """The sort key of both listing indexes: newest last, and unique."""
    return f"{to_rfc3339(message.created_at)}#{message.smsid}"


def recipient_partition(*, client: str, recipient: str) -> str:
    return f"{client}#{recipient}"


def claim_value(claim: Claim) -> dict[str, str]:
    return {"id": claim.id, "at": to_rfc3339(claim.at)}


def outcome_value(outcome: Outcome) -> dict[str, str]:
    value = {"kind": outcome.kind.value, "at": to_rfc3339(outcome.at)}
    return value if outcome.provider_code is None else value | {"code": outcome.provider_code}


def content_value(content: SmsContent) -> dict[str, str]:
    return {name: value for name, value in asdict(content).items() if value is not None}


def message_item(message: Message, *, due: datetime | None, expires_at: int) -> dict[str, Any]:
    """A new message. Maps that later writes go into are there from the start, so that those need no read."""
    return to_attributes(
        {
            "pk": f"SMS#{message.smsid}",
            "smsid": message.smsid,
            "client": message.client,
            "recipient": message.recipient,
            "client_recipient": recipient_partition(client=message.client, recipient=message.recipient),
            "list_position": list_position(message),
            "fingerprint": message.fingerprint,
            "created_at": to_rfc3339(message.created_at),
            "submit_before": to_rfc3339(message.submit_before),
            "not_after": to_rfc3339(message.not_after) if message.not_after else None,
            "content": content_value(message.content) if message.content else None,
            "measure": asdict(message.measure) if message.measure else None,
            "claims": [claim_value(claim) for claim in message.claims],
            "attempts": len(message.claims),
            "not_sent": 0,
            "outcomes": {},
            "silences": {},
            "queued_at": to_rfc3339(message.queued_at) if message.queued_at else None,
            "obligation": OPEN if due else None,
            "due": to_rfc3339(due) if due else None,
            "expires_at": expires_at,
        }
    )


def message_from(item: Item | None) -> Message | None:
    """The message in an item, or None where it holds nothing but reports that came for an id not of ours."""
    if not item or "fingerprint" not in item:
        return None
    values = {name: _deserialize(value) for name, value in item.items()}
    content, measure = values.get("content"), values.get("measure")
    return Message(
        smsid=values["smsid"],
        client=values["client"],
        recipient=values["recipient"],
        fingerprint=values["fingerprint"],
        created_at=from_rfc3339(values["created_at"]),
        submit_before=from_rfc3339(values["submit_before"]),
        not_after=_instant(values.get("not_after")),
        content=SmsContent(**content) if content else None,
        measure=TextMeasure(**{name: int(number) for name, number in measure.items()}) if measure else None,
        claims=tuple(Claim(id=claim["id"], at=from_rfc3339(claim["at"])) for claim in values["claims"]),
        outcomes={claim_id: _outcome(value) for claim_id, value in values["outcomes"].items()},
        silences={claim_id: from_rfc3339(at) for claim_id, at in values["silences"].items()},
        queued_at=_instant(values.get("queued_at")),
        closed_at=_instant(values.get("closed_at")),
        reports=_reports(values),
    )


def _reports(values: Mapping[str, Any]) -> tuple[ReportFact, ...]:
    facts = []
    for name, first_seen_at in values.items():
        if name.startswith(REPORT):
            recipient, _, status = name.removeprefix(REPORT).partition("|")
            facts.append(ReportFact(status, recipient or None, from_rfc3339(first_seen_at)))
    return tuple(sorted(facts, key=lambda fact: (fact.first_seen_at, fact.status)))


def _outcome(value: Mapping[str, str]) -> Outcome:
    return Outcome(kind=OutcomeKind(value["kind"]), at=from_rfc3339(value["at"]), provider_code=value.get("code"))


def _instant(text: str | None) -> datetime | None:
    return from_rfc3339(text) if text else None
