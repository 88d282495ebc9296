"""Tallies in the LimitsTable: counters in one item each, moved by conditional updates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from switchboard.storage.aws import conditional_update, store_errors
from switchboard.storage.items import to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_NO_COUNTERS: Final = frozenset({"pk", "expires_at"})


class DynamoDbTallyStore:
    """A TallyStore over one table, whose items expire by `expires_at`."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def count(self, tally: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        names = {f"#c{index}": name for index, name in enumerate(limits)}
        room = {f":l{index}": limit for index, limit in enumerate(limits.values())}
        conditions = (
            f"(attribute_not_exists({name}) OR {name} < {limit})" for name, limit in zip(names, room, strict=True)
        )
        counted, item = conditional_update(
            self._client,
            "count submission",
            TableName=self._table,
            Key=_key(tally),
            UpdateExpression=f"SET expires_at = :expires_at ADD {_each(names, ':one')}",
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=to_attributes({":expires_at": _seconds(expires_at), ":one": 1, **room}),
        )
        return () if counted else [name for name, limit in limits.items() if _number(item, name) >= limit]

    def uncount(self, tally: str, counters: Collection[str]) -> None:
        names = {f"#c{index}": name for index, name in enumerate(counters)}
        conditional_update(
            self._client,
            "uncount submission",
            TableName=self._table,
            Key=_key(tally),
            UpdateExpression=f"ADD {_each(names, ':less')}",
            # An item that has expired meanwhile must not come back without its end.
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=to_attributes({":less": -1}),
        )

    def take(self, tally: str, *, block: int, limit: int, expires_at: datetime) -> int:
        values = {":expires_at": _seconds(expires_at), ":block": block, ":limit": limit}
        taken, item = conditional_update(
            self._client,
            "take allowance",
            TableName=self._table,
            Key=_key(tally),
            UpdateExpression="SET expires_at = :expires_at ADD taken :block",
            ConditionExpression="attribute_not_exists(taken) OR taken < :limit",
            ExpressionAttributeValues=to_attributes(values),
        )
        # The last block may reach over the limit; that part of it is nobody's.
        return block - max(0, _number(item, "taken") - limit) if taken else 0

    def read(self, tally: str) -> Mapping[str, int]:
        with store_errors("read tally"):
            answer = self._client.get_item(TableName=self._table, Key=_key(tally), ConsistentRead=True)
        item = answer.get("Item", {})
        return {name: _number(item, name) for name in item if name not in _NO_COUNTERS}


def _key(tally: str) -> dict[str, Any]:
    return to_attributes({"pk": tally})


def _each(names: Collection[str], value: str) -> str:
    return ", ".join(f"{name} {value}" for name in names)


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())


def _number(item: Mapping[str, Any], name: str) -> int:
    return int(item.get(name, {}).get("N", "0"))
