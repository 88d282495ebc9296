"""Counters in the LimitsTable: those of one key in one item, changed by conditional updates."""

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

    def increment(
        self, key: str, limits: Mapping[str, int], *, weight: int = 1, expires_at: datetime
    ) -> Collection[str]:
        # A counter that does not exist yet meets any condition on its value.
        if too_small := [name for name, limit in limits.items() if limit < weight]:
            return too_small
        aliases = {f"#c{index}": name for index, name in enumerate(limits)}
        highest_values = {f":h{index}": limit - weight for index, limit in enumerate(limits.values())}
        conditions = (
            f"(attribute_not_exists({alias}) OR {alias} <= {highest})"
            for alias, highest in zip(aliases, highest_values, strict=True)
        )
        counted, item = conditional_update(
            self._client,
            "increment counters",
            TableName=self._table,
            Key=_to_key(key),
            UpdateExpression=f"SET expires_at = :expires_at ADD {_join_actions(aliases, ':weight')}",
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames=aliases,
            ExpressionAttributeValues=to_attributes(
                {":expires_at": _to_unix_s(expires_at), ":weight": weight, **highest_values}
            ),
        )
        return () if counted else [name for name, limit in limits.items() if _read_counter(item, name) + weight > limit]

    def decrement(self, key: str, names: Collection[str], *, weight: int = 1) -> None:
        aliases = {f"#c{index}": name for index, name in enumerate(names)}
        conditional_update(
            self._client,
            "decrement counters",
            TableName=self._table,
            Key=_to_key(key),
            UpdateExpression=f"ADD {_join_actions(aliases, ':minus')}",
            # An item that has expired meanwhile must not come back without an `expires_at`.
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames=aliases,
            ExpressionAttributeValues=to_attributes({":minus": -weight}),
        )

    def take_block(self, key: str, *, block: int, least: int = 1, limit: int, expires_at: datetime) -> int:
        if limit < least:
            return 0
        values = {":expires_at": _to_unix_s(expires_at), ":block": block, ":highest": limit - least}
        granted, item = conditional_update(
            self._client,
            "take quota block",
            TableName=self._table,
            Key=_to_key(key),
            UpdateExpression="SET expires_at = :expires_at ADD granted :block",
            ConditionExpression="attribute_not_exists(granted) OR granted <= :highest",
            ExpressionAttributeValues=to_attributes(values),
        )
        # The last block may exceed the limit: the part above it is not granted.
        return block - max(0, _read_counter(item, "granted") - limit) if granted else 0

    def read(self, key: str) -> Mapping[str, int]:
        with store_errors("read counter"):
            response = self._client.get_item(TableName=self._table, Key=_to_key(key), ConsistentRead=True)
        item = response.get("Item", {})
        return {name: _read_counter(item, name) for name in item if name not in _NO_COUNTERS}


def _to_key(key: str) -> dict[str, Any]:
    return to_attributes({"pk": key})


def _join_actions(names: Collection[str], value: str) -> str:
    return ", ".join(f"{name} {value}" for name in names)


def _to_unix_s(instant: datetime) -> int:
    return int(instant.timestamp())


def _read_counter(item: Mapping[str, Any], name: str) -> int:
    return int(item.get(name, {}).get("N", "0"))
