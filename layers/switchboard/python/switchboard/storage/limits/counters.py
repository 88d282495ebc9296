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

    def increment(self, key: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        return self._update_below(key, limits, expires_at=expires_at, step=1)

    def find_exhausted(self, key: str, limits: Mapping[str, int], *, expires_at: datetime) -> Collection[str]:
        return self._update_below(key, limits, expires_at=expires_at, step=0)

    def decrement(self, key: str, names: Collection[str]) -> None:
        aliases = {f"#c{index}": name for index, name in enumerate(names)}
        conditional_update(
            self._client,
            "decrement counters",
            TableName=self._table,
            Key=_to_key(key),
            UpdateExpression=f"ADD {_join_actions(aliases, ':minus_one')}",
            # An item that has expired meanwhile must not come back without an `expires_at`.
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames=aliases,
            ExpressionAttributeValues=to_attributes({":minus_one": -1}),
        )

    def take_block(self, key: str, *, block: int, limit: int, expires_at: datetime) -> int:
        values = {":expires_at": _to_unix_s(expires_at), ":block": block, ":limit": limit}
        granted, item = conditional_update(
            self._client,
            "take quota block",
            TableName=self._table,
            Key=_to_key(key),
            UpdateExpression="SET expires_at = :expires_at ADD granted :block",
            ConditionExpression="attribute_not_exists(granted) OR granted < :limit",
            ExpressionAttributeValues=to_attributes(values),
        )
        # The last block may exceed the limit: the part above it is not granted.
        return block - max(0, _read_counter(item, "granted") - limit) if granted else 0

    def read(self, key: str) -> Mapping[str, int]:
        with store_errors("read counter"):
            response = self._client.get_item(TableName=self._table, Key=_to_key(key), ConsistentRead=True)
        item = response.get("Item", {})
        return {name: _read_counter(item, name) for name in item if name not in _NO_COUNTERS}

    def _update_below(self, key: str, limits: Mapping[str, int], *, expires_at: datetime, step: int) -> Collection[str]:
        """Add `step` to the counters if all of them are below their limits; return the names of those that are not."""
        aliases = {f"#c{index}": name for index, name in enumerate(limits)}
        limit_values = {f":l{index}": limit for index, limit in enumerate(limits.values())}
        conditions = (
            f"(attribute_not_exists({alias}) OR {alias} < {limit})"
            for alias, limit in zip(aliases, limit_values, strict=True)
        )
        counted, item = conditional_update(
            self._client,
            "increment counters",
            TableName=self._table,
            Key=_to_key(key),
            UpdateExpression=f"SET expires_at = :expires_at ADD {_join_actions(aliases, ':step')}",
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames=aliases,
            ExpressionAttributeValues=to_attributes(
                {":expires_at": _to_unix_s(expires_at), ":step": step, **limit_values}
            ),
        )
        return () if counted else [name for name, limit in limits.items() if _read_counter(item, name) >= limit]


def _to_key(key: str) -> dict[str, Any]:
    return to_attributes({"pk": key})


def _join_actions(names: Collection[str], value: str) -> str:
    return ", ".join(f"{name} {value}" for name in names)


def _to_unix_s(instant: datetime) -> int:
    return int(instant.timestamp())


def _read_counter(item: Mapping[str, Any], name: str) -> int:
    return int(item.get(name, {}).get("N", "0"))
