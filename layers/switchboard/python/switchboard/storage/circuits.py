"""Store in the StateTable which providers' circuits are open, one item for each."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from switchboard.domain.changes import Circuit
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.storage.aws import conditional_update
from switchboard.storage.items import Item, decoding_errors, from_attributes, require_type, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CIRCUIT: Final = "circuit"


class DynamoDbCircuitStore:
    """A CircuitStore over one table: one item a provider, written only if its circuit has opened or closed."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def record(self, provider: str, reason: str | None, *, at: datetime) -> None:
        conditional_update(
            self._client,
            "record circuit",
            TableName=self._table,
            Key=to_attributes({"pk": circuit_pk(provider)}),
            UpdateExpression="SET kind = :kind, id = :id, open_because = :reason, changed_at = :at,"
            " changes = if_not_exists(changes, :none) + :one",
            ConditionExpression="attribute_not_exists(pk) OR open_because <> :reason",
            ExpressionAttributeValues=to_attributes(
                {
                    ":kind": CIRCUIT,
                    ":id": provider,
                    ":reason": reason or "",
                    ":at": to_rfc3339(at),
                    ":none": 0,
                    ":one": 1,
                }
            ),
        )


def circuit_pk(provider: str) -> str:
    """Return the key of a provider's circuit."""
    return f"CIRCUIT#{provider}"


def circuit_from(item: Item) -> Circuit:
    """Build the circuit in an item.

    Raises:
        UnreadableItemError: this version cannot read the item.
    """
    with decoding_errors("circuit"):
        values = from_attributes(item)
        require_type(str, values["id"], values["open_because"])
        return Circuit(
            provider=values["id"],
            reason=values["open_because"] or None,
            changes=int(values["changes"]),
            at=from_rfc3339(values["changed_at"]),
        )
