"""How an order's facts lie in one StateTable item, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

from boto3.dynamodb.types import TypeDeserializer

from switchboard.domain.orders import Claim, Order, Outcome, OutcomeKind
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.ports.orders import R
from switchboard.storage.items import to_attributes

Item = Mapping[str, Any]

_deserialize = TypeDeserializer().deserialize


class OrderCodec(Protocol[R]):
    """What one kind of orders adds to an item. Kinds whose ids must not meet have the same `key_prefix`."""

    kind: str
    key_prefix: str
    keeps_unsent_content: bool = False
    """Whether the content stays after an attempt that sent nothing, for the next attempt to send the same bytes."""

    def key(self, order_id: str) -> str:
        return f"{self.key_prefix}#{order_id}"

    def kind_values(self, order: R) -> Mapping[str, Any]:
        """The facts that only this kind has, as plain values; None is left out."""
        ...

    def order_from(self, values: Mapping[str, Any], common: Mapping[str, Any]) -> R:
        """The order, from its item's values and from the members that all kinds have: all but `content`."""
        ...


def pending_partition(kind: str) -> str:
    """Where the sweep finds what is awaited of this kind."""
    return f"pending#{kind}"


def list_partition(kind: str, client: str) -> str:
    return f"{kind}#{client}"


def recipient_partition(kind: str, *, client: str, recipient: str) -> str:
    return f"{kind}#{client}#{recipient}"


def list_position(order: Order[Any]) -> str:
    """The sort key of both listing indexes: newest last, and unique."""
    return f"{to_rfc3339(order.created_at)}#{order.id}"


def claim_value(claim: Claim) -> dict[str, str]:
    return {"id": claim.id, "at": to_rfc3339(claim.at)}


def outcome_value(outcome: Outcome) -> dict[str, Any]:
    value: dict[str, Any] = {"kind": outcome.kind.value, "at": to_rfc3339(outcome.at)}
    if outcome.provider_code is not None:
        value["code"] = outcome.provider_code
    if outcome.facts:
        value["facts"] = dict(outcome.facts)
    return value


def content_value(content: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(content).items() if value is not None}


def order_item(order: R, *, codec: OrderCodec[R], due: datetime | None, expires_at: int) -> dict[str, Any]:
    """A new order. Maps that later writes go into are there from the start, so that those need no read."""
    recipient = recipient_partition(codec.kind, client=order.client, recipient=order.recipient)
    return to_attributes(
        {
            "pk": codec.key(order.id),
            "kind": codec.kind,
            "id": order.id,
            "client": order.client,
            "recipient": order.recipient,
            "list_partition": list_partition(codec.kind, order.client),
            "recipient_partition": recipient,
            "list_position": list_position(order),
            "fingerprint": order.fingerprint,
            "created_at": to_rfc3339(order.created_at),
            "submit_before": to_rfc3339(order.submit_before),
            "content": content_value(order.content) if order.content is not None else None,
            "claims": [claim_value(claim) for claim in order.claims],
            "attempts": len(order.claims),
            "not_sent": 0,
            "outcomes": {},
            "timeouts": {},
            "queued_at": to_rfc3339(order.queued_at) if order.queued_at else None,
            "pending": pending_partition(codec.kind) if due else None,
            "due": to_rfc3339(due) if due else None,
            "expires_at": expires_at,
            **codec.kind_values(order),
        }
    )


def order_from(item: Item | None, *, codec: OrderCodec[R]) -> R | None:
    """The order in an item, or None where it holds none of this kind: perhaps nothing but reports for an id not of
    ours."""
    if not item or item.get("kind", {}).get("S") != codec.kind:
        return None
    values = {name: _deserialize(value) for name, value in item.items()}
    return codec.order_from(
        values,
        {
            "id": values["id"],
            "client": values["client"],
            "recipient": values["recipient"],
            "fingerprint": values["fingerprint"],
            "created_at": from_rfc3339(values["created_at"]),
            "submit_before": from_rfc3339(values["submit_before"]),
            "claims": tuple(Claim(id=claim["id"], at=from_rfc3339(claim["at"])) for claim in values["claims"]),
            "outcomes": {claim_id: _outcome(value) for claim_id, value in values["outcomes"].items()},
            "timeouts": {claim_id: from_rfc3339(at) for claim_id, at in values["timeouts"].items()},
            "queued_at": instant(values.get("queued_at")),
            "closed_at": instant(values.get("closed_at")),
        },
    )


def _outcome(value: Mapping[str, Any]) -> Outcome:
    return Outcome(
        kind=OutcomeKind(value["kind"]),
        at=from_rfc3339(value["at"]),
        provider_code=value.get("code"),
        facts=value.get("facts", {}),
    )


def instant(text: str | None) -> datetime | None:
    """An instant that may not have come yet."""
    return from_rfc3339(text) if text else None
