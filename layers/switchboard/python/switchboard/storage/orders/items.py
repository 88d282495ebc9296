"""Convert the facts of an order to one StateTable item and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, Protocol

from boto3.dynamodb.types import TypeDeserializer

from switchboard.domain.orders import Claim, Outcome, OutcomeKind
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.ports.orders import R
from switchboard.storage.items import Item, to_attributes

_TIMES: Final = ("created_at", "submit_before", "queued_at", "closed_at")
_deserialize = TypeDeserializer().deserialize


class OrderCodec(Protocol[R]):
    """The part of the conversion that differs from one kind of orders to another.

    Kinds whose ids must not meet have the same `key_prefix`.
    """

    kind: str
    key_prefix: str
    keeps_unsent_content: bool = False
    """Whether the content is kept after an attempt that sent nothing, so that the next attempt sends the same bytes."""

    def key(self, order_id: str) -> str:
        """Return the table's key of the order with this id."""
        return f"{self.key_prefix}#{order_id}"

    def kind_values(self, order: R) -> Mapping[str, Any]:
        """Return the facts that only this kind has, as plain values. None is left out of the item."""
        ...

    def order_from(self, values: Mapping[str, Any], common: Mapping[str, Any]) -> R:
        """Build the order from its item's values and from `common`, the members of all kinds except `content`."""
        ...


def pending_partition(kind: str) -> str:
    """Return the partition in which the sweep finds what is pending of this kind."""
    return f"pending#{kind}"


def list_partition(kind: str, client: str) -> str:
    """Return the partition of a client's orders of this kind."""
    return f"{kind}#{client}"


def recipient_partition(kind: str, *, client: str, recipient: str) -> str:
    """Return the partition of a client's orders of this kind to one number."""
    return f"{kind}#{client}#{recipient}"


def claim_value(claim: Claim) -> dict[str, str]:
    """Convert a claim to a plain value."""
    return {"id": claim.id, "at": to_rfc3339(claim.at)}


def outcome_value(outcome: Outcome) -> dict[str, Any]:
    """Convert an outcome to a plain value."""
    value: dict[str, Any] = {"kind": outcome.kind.value, "at": to_rfc3339(outcome.at)}
    if outcome.provider_code is not None:
        value["code"] = outcome.provider_code
    if outcome.facts:
        value["facts"] = dict(outcome.facts)
    if outcome.over_limit:
        value["over_limit"] = True
    return value


def content_value(content: Any) -> dict[str, Any]:
    """Convert the content of any kind, a dataclass, to a plain value without its None members."""
    return {name: value for name, value in asdict(content).items() if value is not None}


def order_item(order: R, *, codec: OrderCodec[R], due: datetime | None, expires_at: int) -> dict[str, Any]:
    """Build the item of a new order.

    The item has empty maps for later writes to add to, so that those writes need no read. The sort key of both listing
    indexes, `list_position`, is unique and orders by time.
    """
    created_at = to_rfc3339(order.created_at)
    return to_attributes(
        {
            "pk": codec.key(order.id),
            "kind": codec.kind,
            "id": order.id,
            "client": order.client,
            "recipient": order.recipient,
            "list_partition": list_partition(codec.kind, order.client),
            "recipient_partition": recipient_partition(codec.kind, client=order.client, recipient=order.recipient),
            "list_position": f"{created_at}#{order.id}",
            "fingerprint": order.fingerprint,
            "created_at": created_at,
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
    """Build the order in an item.

    Returns None if the item holds no order of this kind. An item may hold only reports, for an id that is not ours.
    """
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
            "claims": tuple(Claim(id=claim["id"], at=from_rfc3339(claim["at"])) for claim in values["claims"]),
            "outcomes": {claim_id: _outcome_from(value) for claim_id, value in values["outcomes"].items()},
            "timeouts": {claim_id: from_rfc3339(at) for claim_id, at in values["timeouts"].items()},
            **{name: from_rfc3339(values[name]) for name in _TIMES if name in values},
        },
    )


def optional_int(value: Any) -> int | None:
    """Convert DynamoDB's number to an integer, or return None if there is none."""
    return None if value is None else int(value)


def _outcome_from(value: Mapping[str, Any]) -> Outcome:
    return Outcome(
        kind=OutcomeKind(value["kind"]),
        at=from_rfc3339(value["at"]),
        provider_code=value.get("code"),
        facts=value.get("facts", {}),
        over_limit=value.get("over_limit", False),
    )
