"""API keys in the LimitsTable, one item for each, and one container's cache of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.api_keys import ApiKey, ClientLimits, Scope
from switchboard.domain.errors import ConfigurationError, StoreUnavailableError
from switchboard.storage.aws import conditional_update, store_errors
from switchboard.storage.items import Item, from_attributes, set_all, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from switchboard.ports.api_keys import KeyStore

_MAX_AGE_S: Final = 60.0
_USABLE_S: Final = 300.0
_MAX_CACHED: Final = 1_000
_SCOPES: Final = frozenset(scope.value for scope in Scope)


class DynamoDbKeyStore:
    """A KeyStore over one table. Its items have no `expires_at`: a key without an item would have default scopes."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, key_id: str) -> ApiKey | None:
        with store_errors("read API key"):
            response = self._client.get_item(TableName=self._table, Key=_to_key(key_id), ConsistentRead=True)
        item = response.get("Item")
        return None if item is None else _key_from(key_id, item)

    def put(self, key: ApiKey) -> bool:
        facts = {
            "client": key.client,
            "name": key.name,
            # DynamoDB has no empty set.
            "scopes": set(key.scopes) or None,
            "limit_per_hour": key.limits.per_hour,
            "limit_per_day": key.limits.per_day,
            "revoked": key.revoked,
            "test": key.test or None,
        }
        call = set_all(_to_key(key.id) | to_attributes(facts))
        if absent := [name for name, value in facts.items() if value is None]:
            call["UpdateExpression"] += f" REMOVE {', '.join(absent)}"
        call["ExpressionAttributeValues"] |= to_attributes({":false": False})
        written, _ = conditional_update(
            self._client,
            "put API key",
            TableName=self._table,
            ConditionExpression="attribute_not_exists(revoked) OR revoked = :false",
            **call,
        )
        return written

    def revoke(self, key_id: str) -> None:
        with store_errors("revoke API key"):
            self._client.update_item(
                TableName=self._table,
                Key=_to_key(key_id),
                UpdateExpression="SET revoked = :true",
                ExpressionAttributeValues=to_attributes({":true": True}),
            )


@dataclass(slots=True)
class _CachedKey:
    """One key as it was last read. `tried_at` is when the store was last asked."""

    key: ApiKey | None = None
    read_at: float = 0.0
    tried_at: float = 0.0


class CachedKeys:
    """The API keys of one container: each is read at most once a minute.

    If the store does not answer, the last value counts for up to five minutes. A key without an item belongs to a
    client of its own, which has the key's id, and has `default_scopes`. `default_limits` complete every key's limits.
    Times are seconds of `monotonic`.
    """

    def __init__(
        self,
        *,
        store: KeyStore,
        default_scopes: frozenset[Scope],
        default_limits: ClientLimits,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._default_scopes = default_scopes
        self._default_limits = default_limits
        self._monotonic = monotonic
        self._find = lru_cache(maxsize=_MAX_CACHED)(lambda _key_id: _CachedKey())
        self._current: ApiKey | None = None

    def __call__(self, key_id: str) -> ApiKey:
        """Return the key of the request that the container now handles, with complete limits.

        Raises:
            StoreUnavailableError: the store did not answer, and the last value is missing or too old.
            ConfigurationError: the key's item is unreadable.
        """
        cached, now = self._find(key_id), self._monotonic()
        if cached.key is None or now - cached.tried_at > _MAX_AGE_S or now - cached.read_at > _USABLE_S:
            try:
                cached.key, cached.read_at = self._read(key_id), now
            except StoreUnavailableError:
                if cached.key is None or now - cached.read_at > _USABLE_S:
                    raise
            cached.tried_at = now
        self._current = cached.key
        return cached.key

    def limits_of(self, client: str) -> ClientLimits:
        """Return the limits of the client of the request that the container now handles.

        Keys of one client may have different limits: those of the request's own key count.
        """
        current = self._current
        return current.limits if current is not None and current.client == client else self._default_limits

    def _read(self, key_id: str) -> ApiKey:
        key = self._store.get(key_id) or ApiKey(id=key_id, client=key_id, name="", scopes=self._default_scopes)
        return replace(key, limits=key.limits.completed_by(self._default_limits))


def _to_key(key_id: str) -> dict[str, Any]:
    return to_attributes({"pk": f"CLIENT#{key_id}"})


def _key_from(key_id: str, item: Item) -> ApiKey:
    """Build the key in an item. A scope that this version does not know allows nothing.

    Raises:
        ConfigurationError: an attribute has another form. The text names the key's id, which is no secret.
    """
    values = from_attributes(item)
    client, name, scopes = values.get("client", key_id), values.get("name", ""), values.get("scopes", set())
    revoked, test = values.get("revoked", False), values.get("test", False)
    if not (
        isinstance(client, str)
        and client
        and isinstance(name, str)
        and isinstance(scopes, set | list)
        and all(isinstance(scope, Hashable) for scope in scopes)
        and isinstance(revoked, bool)
        and isinstance(test, bool)
    ):
        raise ConfigurationError(f"The item CLIENT#{key_id} of the limits table is unreadable")
    return ApiKey(
        id=key_id,
        client=client,
        name=name,
        scopes=frozenset(Scope(scope) for scope in scopes if scope in _SCOPES),
        limits=ClientLimits(per_hour=_read_limit(values, "hour"), per_day=_read_limit(values, "day")),
        revoked=revoked,
        test=test,
    )


def _read_limit(values: Mapping[str, Any], span: str) -> int | None:
    """Read a whole number. Anything else, such as -1, must not become 0, which is no limit.

    Raises:
        ConfigurationError: the attribute has another form.
    """
    limit = values.get(f"limit_per_{span}")
    if limit is None:
        return None
    if not isinstance(limit, Decimal) or limit < 0 or limit % 1:
        raise ConfigurationError(
            f"The item {values['pk']} of the limits table: limit_per_{span} must be a whole number from 0 on"
        )
    return int(limit)
