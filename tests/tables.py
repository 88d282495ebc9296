"""The two tables as the template declares them, for tests that need them outside the sandbox."""

from __future__ import annotations

from typing import Any

STATE_TABLE = "StateTable"
LIMITS_TABLE = "LimitsTable"

# Name of each index of the state table, with its partition key and its sort key.
STATE_INDEXES = {
    "by_client": ("list_partition", "list_position"),
    "by_recipient": ("recipient_partition", "list_position"),
    "by_due": ("pending", "due"),
}


def state_table(name: str = STATE_TABLE) -> dict[str, Any]:
    """Arguments of create_table."""
    names = {attribute for keys in STATE_INDEXES.values() for attribute in keys}
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _keys("pk"),
        "AttributeDefinitions": [_text(attribute) for attribute in ["pk", *sorted(names)]],
        "GlobalSecondaryIndexes": [
            {"IndexName": index, "KeySchema": _keys(*keys), "Projection": {"ProjectionType": "KEYS_ONLY"}}
            for index, keys in STATE_INDEXES.items()
        ],
    }


def limits_table(name: str = LIMITS_TABLE) -> dict[str, Any]:
    """Arguments of create_table."""
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _keys("pk"),
        "AttributeDefinitions": [_text("pk")],
    }


def _keys(partition: str, *sort: str) -> list[dict[str, str]]:
    keys = [{"AttributeName": partition, "KeyType": "HASH"}]
    return keys + [{"AttributeName": name, "KeyType": "RANGE"} for name in sort]


def _text(attribute: str) -> dict[str, str]:
    return {"AttributeName": attribute, "AttributeType": "S"}
