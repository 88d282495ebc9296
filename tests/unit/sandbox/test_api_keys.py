"""The sandbox's items of API keys have the form and the ids that the functions read."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import api_keys
from switchboard.domain.api_keys import ApiKey, Scope
from switchboard.edge.http import derive_key_id
from switchboard.storage.api_keys import DynamoDbKeyStore

SECRET = "an-api-key-that-opens-nothing-real"


class _Table:
    """One table of DynamoDB."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}

    def put_item(self, *, TableName: str, Item: dict[str, Any]) -> None:  # noqa: N803 - boto3's names
        self.items[Item["pk"]["S"]] = Item

    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> Any:  # noqa: N803
        return {"Item": self.items[Key["pk"]["S"]]}


def test_the_functions_read_the_items_of_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    table: Any = _Table()
    monkeypatch.setattr(api_keys, "create_client", lambda _service, _url: table)
    key_id = derive_key_id(SECRET)
    assert key_id is not None

    api_keys.put_item("http://127.0.0.1", table="t", key=SECRET, client="sandbox", scopes=api_keys.EVERY_SCOPE)

    assert DynamoDbKeyStore(client=table, table="t").get(key_id) == ApiKey(
        id=key_id, client="sandbox", name="sandbox", scopes=frozenset(Scope)
    )
