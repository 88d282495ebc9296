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


class DynamoDbCounterStore:
    """A CounterStore over one table, whose items expire by `expires_at`."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def increment(self, key: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        aliases = {f"#c{index}": name for index, name in enumerate(limits)}
        room = {f":l{index}": limit for index, limit in enumerate(limits.values())}
        conditions = (
            f"(attribute_not_exists({name}) OR {name} < {limit})" for name, limit in zip(aliases, room, strict=True)
        )
        counted, item = conditional_update(
            self._client,
            "increment counters",
            TableName=self._table,
            Key=_key(key),
            UpdateExpression=f"SET expires_at = :expires_at ADD {_each(aliases, ':one')}",
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames=aliases,
            ExpressionAttributeValues=to_attributes({":expires_at": _seconds(expires_at), ":one": 1, **room}),
        )
        return () if counted else [name for name, limit in limits.items() if _number(item, name) >= limit]

    def decrement(self, key: str, names: Collection[str]) -> None:
        aliases = {f"#c{index}": name for index, name in enumerate(names)}
        conditional_update(
            self._client,
            "decrement counters",
            TableName=self._table,
            Key=_key(key),
            UpdateExpression=f"ADD {_each(aliases, ':less')}",
            # An item that has expired meanwhile must not come back without its end.
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames=aliases,
            ExpressionAttributeValues=to_attributes({":less": -1}),
        )

    def take_block(self, key: str, *, block: int, limit: int, expires_at: datetime) -> int:
        values = {":expires_at": _seconds(expires_at), ":block": block, ":limit": limit}
        granted, item = conditional_update(
            self._client,
            "take quota block",
            TableName=self._table,
            Key=_key(key),
            UpdateExpression="SET expires_at = :expires_at ADD granted :block",
            ConditionExpression="attribute_not_exists(granted) OR granted < :limit",
            ExpressionAttributeValues=to_attributes(values),
        )
        # The last block may reach over the limit; that part of it is nobody's.
        return block - max(0, _number(item, "granted") - limit) if granted else 0

    def read(self, key: str) -> Mapping[str, int]:
        with store_errors("read counter"):
            answer = self._client.get_item(TableName=self._table, Key=_key(key), ConsistentRead=True)
        item = answer.get("Item", {})
        return {name: _number(item, name) for name in item if name not in _NO_COUNTERS}


def _key(key: str) -> dict[str, Any]:
    return to_attributes({"pk": key})


def _each(names: Collection[str], value: str) -> str:
    return ", ".join(f"{name} {value}" for name in names)


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())


def _number(item: Mapping[str, Any], name: str) -> int:
    return int(item.get(name, {}).get("N", "0"))
