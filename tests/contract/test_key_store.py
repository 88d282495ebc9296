"""The items of API keys in the LimitsTable."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from switchboard.domain.api_keys import ApiKey, ClientLimits, Scope
from switchboard.domain.errors import ConfigurationError, StoreUnavailableError
from switchboard.storage.api_keys import DynamoDbKeyStore
from switchboard.storage.items import to_attributes
from tests.contract.conftest import Aws

KEY = ApiKey(
    id="a1b2c3",
    client="acme",
    name="orders of acme",
    scopes=frozenset({Scope.SMS, Scope.RECORDINGS_READ}),
    limits=ClientLimits(per_hour=7),
    test=True,
)


@pytest.fixture
def keys(aws: Aws, limits_table_name: str) -> DynamoDbKeyStore:
    return DynamoDbKeyStore(client=aws.dynamodb, table=limits_table_name)


def put_item(aws: Aws, table: str, **values: Any) -> None:
    aws.dynamodb.put_item(TableName=table, Item=to_attributes({"pk": "CLIENT#a1b2c3", **values}))


def test_a_key_comes_back_as_it_was_put(keys: DynamoDbKeyStore) -> None:
    assert keys.get(KEY.id) is None
    assert keys.put(KEY)
    assert keys.get(KEY.id) == KEY


def test_a_key_is_replaced_whole(keys: DynamoDbKeyStore) -> None:
    keys.put(KEY)
    replaced = ApiKey(id=KEY.id, client="other", name="", scopes=frozenset())
    assert keys.put(replaced)
    assert keys.get(KEY.id) == replaced


def test_a_revoked_key_stays_revoked_and_keeps_its_item(keys: DynamoDbKeyStore) -> None:
    keys.put(KEY)
    keys.revoke(KEY.id)
    assert not keys.put(KEY)
    stored = keys.get(KEY.id)
    assert stored is not None
    assert stored.revoked
    assert (stored.client, stored.scopes, stored.limits) == (KEY.client, KEY.scopes, KEY.limits)


def test_a_key_without_an_item_is_revoked_too(keys: DynamoDbKeyStore) -> None:
    keys.revoke("never-put")
    stored = keys.get("never-put")
    assert stored == ApiKey(id="never-put", client="never-put", name="", scopes=frozenset(), revoked=True)


def test_the_item_of_a_key_never_expires(aws: Aws, keys: DynamoDbKeyStore, limits_table_name: str) -> None:
    keys.put(KEY)
    keys.revoke(KEY.id)
    [item] = aws.dynamodb.scan(TableName=limits_table_name)["Items"]
    assert item["pk"] == {"S": "CLIENT#a1b2c3"}
    assert "expires_at" not in item


@pytest.mark.parametrize(
    ("values", "scopes"),
    [
        ({"scopes": {"sms", "calls"}}, {Scope.SMS, Scope.CALLS}),
        ({"scopes": ["sms"]}, {Scope.SMS}),
        ({"scopes": {"sms", "everything"}}, {Scope.SMS}),
        ({"scopes": [1, "status"]}, {Scope.STATUS}),
        ({"scopes": []}, set()),
        ({}, set()),
    ],
    ids=["set", "list", "unknown scope", "number", "empty", "none"],
)
def test_an_item_allows_only_the_scopes_that_it_names(
    aws: Aws, keys: DynamoDbKeyStore, limits_table_name: str, values: dict[str, Any], scopes: set[Scope]
) -> None:
    put_item(aws, limits_table_name, **values)
    stored = keys.get("a1b2c3")
    assert stored is not None
    assert stored.client == "a1b2c3"
    assert set(stored.scopes) == scopes


@pytest.mark.parametrize(
    "values",
    [
        {"client": 1},
        {"client": ""},
        {"name": 1},
        {"scopes": "sms"},
        {"scopes": [["sms"]]},
        {"scopes": [{"sms": True}]},
        {"revoked": "yes"},
        {"test": "yes"},
        {"limit_per_hour": "many"},
        {"limit_per_hour": "3"},
        {"limit_per_hour": -1},
        {"limit_per_hour": Decimal("0.5")},
        {"limit_per_hour": True},
        {"limit_per_day": [1]},
        {"limit_per_day": -10},
    ],
    ids=str,
)
def test_an_unreadable_item_opens_nothing(
    aws: Aws, keys: DynamoDbKeyStore, limits_table_name: str, values: dict[str, Any]
) -> None:
    put_item(aws, limits_table_name, **values)
    with pytest.raises(ConfigurationError):
        keys.get("a1b2c3")


def test_a_missing_table_is_an_unavailable_store_of_keys(aws: Aws) -> None:
    keys = DynamoDbKeyStore(client=aws.dynamodb, table="none")
    for call in (lambda: keys.get("k"), lambda: keys.put(KEY), lambda: keys.revoke("k")):
        with pytest.raises(StoreUnavailableError, match="ResourceNotFoundException"):
            call()
