"""Store suppressed numbers in the StateTable, one item for each. They have no `expires_at`.

The item of a suppression that has ended stays, without `created_at`: no function may delete from a table.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from switchboard.domain.suppressions import Suppression
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.ports.listing import ListingQuery, Page
from switchboard.storage.aws import conditional_update, store_errors
from switchboard.storage.items import Item, decoding_errors, suppression_key, to_attributes
from switchboard.storage.orders.indexes import ListPartition, convert_page, list_items

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PARTITION: Final = "suppression"
_NUMBER: Final = re.compile(r"\+[0-9]{6,15}")


class DynamoDbSuppressionStore:
    """A SuppressionStore over one table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def put(self, number: str, *, reason: str | None, at: datetime) -> Suppression:
        created_at = to_rfc3339(at)
        with store_errors("put suppression"):
            response = self._client.update_item(
                TableName=self._table,
                Key=suppression_key(number),
                UpdateExpression=(
                    "SET #number = :number, created_at = if_not_exists(created_at, :at), list_partition = :partition,"
                    " list_position = if_not_exists(list_position, :position)"
                    + (", reason = :reason REMOVE ended_at" if reason is not None else " REMOVE reason, ended_at")
                ),
                ExpressionAttributeNames={"#number": "number"},
                ExpressionAttributeValues=to_attributes(
                    {
                        ":number": number,
                        ":at": created_at,
                        ":partition": _PARTITION,
                        ":position": f"{created_at}#{number}",
                        ":reason": reason,
                    }
                ),
                ReturnValues="ALL_NEW",
            )
        return _suppression_from(response["Attributes"])

    def get(self, number: str) -> Suppression | None:
        with store_errors("get suppression"):
            response = self._client.get_item(TableName=self._table, Key=suppression_key(number), ConsistentRead=True)
        item = response.get("Item", {})
        return _suppression_from(item) if "created_at" in item else None

    def remove(self, number: str, *, at: datetime) -> bool:
        removed, _ = conditional_update(
            self._client,
            "end suppression",
            TableName=self._table,
            Key=suppression_key(number),
            UpdateExpression="SET ended_at = :at REMOVE created_at, list_partition, list_position, reason",
            ConditionExpression="attribute_exists(created_at)",
            ExpressionAttributeValues=to_attributes({":at": to_rfc3339(at)}),
        )
        return removed

    def find(self, query: ListingQuery) -> Page[Suppression]:
        page = list_items(
            self._client,
            self._table,
            query,
            partition=ListPartition.by_client(_PARTITION),
            pk_of=lambda number: str(suppression_key(number)["pk"]["S"]),
            is_id=lambda text: _NUMBER.fullmatch(text) is not None,
            noun="suppressions",
        )
        return convert_page(page, _suppression_from)


def _suppression_from(item: Item) -> Suppression:
    with decoding_errors("suppression"):
        return Suppression(
            number=item["number"]["S"],
            reason=item.get("reason", {}).get("S"),
            created_at=from_rfc3339(item["created_at"]["S"]),
        )
