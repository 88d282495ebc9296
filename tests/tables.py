"""Describe the two tables as the template declares them, for tests that create them outside the sandbox."""

from __future__ import annotations

from typing import Any

STATE_TABLE = "StateTable"
LIMITS_TABLE = "LimitsTable"

# The name of each index of the state table, with its partition key and its sort key.
STATE_INDEXES = {
    "by_client": ("list_partition", "list_position"),
    "by_recipient": ("recipient_partition", "list_position"),
    "by_due": ("pending", "due"),
    "by_day": ("day_partition", "list_position"),
}


def state_table(name: str = STATE_TABLE) -> dict[str, Any]:
    """Return create_table's arguments for the state table."""
    names = {attribute for keys in STATE_INDEXES.values() for attribute in keys}
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _describe_keys("pk"),
        "AttributeDefinitions": [_describe_text(attribute) for attribute in ["pk", *sorted(names)]],
        "GlobalSecondaryIndexes": [
            {"IndexName": index, "KeySchema": _describe_keys(*keys), "Projection": {"ProjectionType": "KEYS_ONLY"}}
            for index, keys in STATE_INDEXES.items()
        ],
    }


def limits_table(name: str = LIMITS_TABLE) -> dict[str, Any]:
    """Return create_table's arguments for the limits table."""
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _describe_keys("pk"),
        "AttributeDefinitions": [_describe_text("pk")],
    }


def _describe_keys(partition: str, *sort: str) -> list[dict[str, str]]:
    keys = [{"AttributeName": partition, "KeyType": "HASH"}]
    return keys + [{"AttributeName": name, "KeyType": "RANGE"} for name in sort]


def _describe_text(attribute: str) -> dict[str, str]:
    return {"AttributeName": attribute, "AttributeType": "S"}
