"""One container's cache of API keys: how old a key may be, and what counts if the store does not answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from switchboard.domain.api_keys import ApiKey, ClientLimits, Scope
from switchboard.domain.errors import StoreUnavailableError
from switchboard.storage.api_keys import CachedKeys

KEY = ApiKey(id="k1", client="acme", name="orders", scopes=frozenset({Scope.SMS}))
DEFAULTS = frozenset({Scope.VERIFY})
LIMITS = ClientLimits(per_hour=10, per_day=50)


@dataclass
class Keys:
    """A cache over keys in a dict, with a clock that tests set."""

    items: dict[str, ApiKey] = field(default_factory=lambda: {"k1": KEY})
    now: float = 1000.0
    reads: int = 0
    down: bool = False

    def __post_init__(self) -> None:
        self.cached = CachedKeys(store=self, default_scopes=DEFAULTS, default_limits=LIMITS, monotonic=lambda: self.now)

    def get(self, key_id: str) -> ApiKey | None:
        self.reads += 1
        if self.down:
            raise StoreUnavailableError("down")
        return self.items.get(key_id)

    def put(self, key: ApiKey) -> bool:
        self.items[key.id] = key
        return True

    def revoke(self, key_id: str) -> None:
        self.items[key_id] = replace(self.items[key_id], revoked=True)


def test_a_key_is_read_at_most_once_a_minute() -> None:
    keys = Keys()
    for second in range(0, 601):
        keys.now = 1000.0 + second
        keys.cached("k1")
    assert keys.reads == 10


def test_a_revocation_counts_within_a_minute() -> None:
    keys = Keys()
    assert not keys.cached("k1").revoked
    keys.revoke("k1")
    keys.now += 60
    assert not keys.cached("k1").revoked
    keys.now += 0.001
    assert keys.cached("k1").revoked


@pytest.mark.parametrize(
    ("age_s", "usable"), [(0, True), (61, True), (300, True), (300.001, False)], ids=["new", "old", "5 min", "older"]
)
def test_without_the_store_a_key_counts_for_five_minutes(*, age_s: float, usable: bool) -> None:
    keys = Keys()
    keys.cached("k1")
    keys.down = True
    # The store is asked on the way, which must not make the key any younger.
    for step_s in range(0, int(age_s), 50):
        keys.now = 1000.0 + step_s
        keys.cached("k1")
    keys.now = 1000.0 + age_s
    if usable:
        assert keys.cached("k1").client == "acme"
    else:
        with pytest.raises(StoreUnavailableError):
            keys.cached("k1")


def test_an_outage_costs_one_read_a_minute_while_the_last_key_counts() -> None:
    keys = Keys()
    keys.cached("k1")
    keys.down = True
    for second in range(0, 301):
        keys.now = 1000.0 + second
        keys.cached("k1")
    assert keys.reads == 1 + 4


def test_a_key_that_was_never_read_needs_the_store_and_comes_back_with_it() -> None:
    keys = Keys(down=True)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            keys.cached("k1")
    keys.down = False
    assert keys.cached("k1").client == "acme"


def test_a_key_without_an_item_is_its_own_client_with_default_scopes() -> None:
    keys = Keys()
    assert keys.cached("k2") == ApiKey(id="k2", client="k2", name="", scopes=DEFAULTS, limits=LIMITS)
    keys.cached("k2")
    assert keys.reads == 1


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (ClientLimits(), ClientLimits(10, 50)),
        (ClientLimits(per_hour=3), ClientLimits(3, 50)),
        (ClientLimits(per_day=0), ClientLimits(10, 0)),
    ],
    ids=["none", "hour", "no daily limit"],
)
def test_own_limits_of_a_key_replace_the_deployments(own: ClientLimits, expected: ClientLimits) -> None:
    keys = Keys(items={"k1": replace(KEY, limits=own)})
    keys.cached("k2")
    assert keys.cached("k1").limits == expected
    assert keys.cached.limits_of("acme") == expected
    assert keys.cached.limits_of("another") == LIMITS


def test_a_container_keeps_a_thousand_keys_at_most() -> None:
    keys = Keys()
    for number in range(1_001):
        keys.cached(f"id-{number}")
    assert keys.reads == 1_001
    keys.cached("id-1000")
    keys.cached("id-1")
    assert keys.reads == 1_001
    keys.cached("id-0")
    assert keys.reads == 1_002
