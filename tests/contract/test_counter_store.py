"""The contract of every CounterStore, and the threads, items and failures of the one in DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.domain.errors import ClientLimitError, RecipientLimitError, StoreUnavailableError
from switchboard.guard.usage.usage_limits import CounterUsageLimits
from switchboard.ports.usage_limits import CounterStore
from switchboard.storage.limits import DynamoDbCounterStore
from tests.builders import CLIENT, RECIPIENT
from tests.contract.conftest import Aws
from tests.depth import at_depth
from tests.fakes import START, InMemoryCounterStore, LimitRules
from tests.tables import limits_table

EXPIRY = START + timedelta(days=1)
LIMITS = {"minute_1204": 2, "hour_1200": 3}


def _increment(counters: CounterStore, *, weight: int = 1, **limits: int) -> set[str]:
    return set(counters.increment("counter", limits or LIMITS, weight=weight, expires_at=EXPIRY))


def test_a_counter_counts_up_to_its_limit_and_names_it(counters: CounterStore) -> None:
    assert [_increment(counters) for _ in range(3)] == [set(), set(), {"minute_1204"}]


def test_a_call_that_one_limit_refuses_counts_nowhere(counters: CounterStore) -> None:
    for _ in range(9):
        _increment(counters)
    assert _increment(counters, minute_1205=2, hour_1200=3) == set()
    assert _increment(counters, minute_1205=2, hour_1200=3) == {"hour_1200"}


def test_every_reached_limit_is_named(counters: CounterStore) -> None:
    assert _increment(counters, minute_1204=1, hour_1200=1, day_0000=2) == set()
    assert _increment(counters, minute_1204=1, hour_1200=1, day_0000=2) == {"minute_1204", "hour_1200"}


def test_a_lower_limit_counts_at_once(counters: CounterStore) -> None:
    assert [_increment(counters, day_0000=9) for _ in range(3)] == [set()] * 3
    assert _increment(counters, day_0000=2) == {"day_0000"}


def test_a_look_at_the_limits_names_the_reached_ones_and_counts_nothing(counters: CounterStore) -> None:
    def look() -> set[str]:
        return set(counters.find_exhausted("counter", LIMITS, expires_at=EXPIRY))

    assert [look() for _ in range(9)] == [set()] * 9
    assert [_increment(counters) for _ in range(2)] == [set(), set()]
    assert [look() for _ in range(9)] == [{"minute_1204"}] * 9
    assert _increment(counters, hour_1200=3) == set()
    assert look() == {"minute_1204", "hour_1200"}


def test_counters_of_different_keys_are_independent(counters: CounterStore) -> None:
    assert not counters.increment("one", {"day_0000": 1}, expires_at=EXPIRY)
    assert not counters.increment("other", {"day_0000": 1}, expires_at=EXPIRY)


def test_a_decremented_counter_may_be_incremented_again(counters: CounterStore) -> None:
    for _ in range(2):
        _increment(counters)
    counters.decrement("counter", list(LIMITS))
    assert [_increment(counters) for _ in range(2)] == [set(), {"minute_1204"}]


def test_a_decrement_does_not_restore_an_expired_item(counters: CounterStore) -> None:
    counters.decrement("counter", ["day_0000"])
    assert [_increment(counters, day_0000=1) for _ in range(2)] == [set(), {"day_0000"}]


def test_blocks_are_granted_up_to_the_limit_and_the_last_in_part(counters: CounterStore) -> None:
    assert [counters.take_block("counter", block=4, limit=10, expires_at=EXPIRY) for _ in range(5)] == [4, 4, 2, 0, 0]


def test_a_read_returns_every_counter_of_its_key(counters: CounterStore) -> None:
    _increment(counters)
    _increment(counters, hour_1200=3)
    counters.take_block("counter", block=4, limit=10, expires_at=EXPIRY)

    assert dict(counters.read("counter")) == {"minute_1204": 1, "hour_1200": 2, "granted": 4}
    assert dict(counters.read("other")) == {}


def test_a_read_counts_nothing(counters: CounterStore) -> None:
    _increment(counters, day_0000=1)
    for _ in range(2):
        counters.read("counter")
    assert dict(counters.read("counter")) == {"day_0000": 1}


def test_a_weight_is_added_whole_or_not_at_all(counters: CounterStore) -> None:
    assert _increment(counters, weight=3, hour_1200=5, day_0000=5) == set()
    assert _increment(counters, weight=3, hour_1200=5, day_0000=9) == {"hour_1200"}
    assert _increment(counters, weight=6, hour_1201=5, day_0000=9) == {"hour_1201"}
    assert dict(counters.read("counter")) == {"hour_1200": 3, "day_0000": 3}
    assert _increment(counters, weight=2, hour_1200=5, day_0000=5) == set()
    counters.decrement("counter", ["hour_1200", "day_0000"], weight=5)
    assert dict(counters.read("counter")) == {"hour_1200": 0, "day_0000": 0}


def test_a_block_below_the_least_is_not_granted_and_stays_free(counters: CounterStore) -> None:
    def take(least: int) -> int:
        return counters.take_block("counter", block=4, least=least, limit=10, expires_at=EXPIRY)

    assert [take(4), take(4), take(3), take(2), take(1)] == [4, 4, 0, 2, 0]
    assert counters.take_block("new", block=11, least=11, limit=10, expires_at=EXPIRY) == 0


Call = Callable[[CounterStore], object]
NAMES = st.sampled_from(["minute_1204", "minute_1205", "hour_1200", "day_0000"])
LIMITS_OF_CALLS = st.dictionaries(NAMES, st.integers(1, 4), min_size=1, max_size=3)


def _build_increment(limits: dict[str, int], weight: int) -> Call:
    return lambda counters: set(counters.increment("counters", limits, weight=weight, expires_at=EXPIRY))


def _build_decrement(names: list[str], weight: int) -> Call:
    return lambda counters: counters.decrement("counters", names, weight=weight)


def _build_take_block(least: int, more: int, limit: int) -> Call:
    return lambda counters: counters.take_block(
        "blocks", block=least + more, least=least, limit=limit, expires_at=EXPIRY
    )


CALLS = st.one_of(
    st.builds(_build_increment, LIMITS_OF_CALLS, st.integers(1, 3)),
    st.builds(_build_decrement, st.lists(NAMES, min_size=1, max_size=3, unique=True), st.integers(1, 3)),
    st.builds(_build_take_block, st.integers(1, 5), st.integers(0, 3), st.integers(1, 12)),
)


@settings(max_examples=at_depth(usual=15, proof=30), deadline=None, derandomize=True)
@given(calls=st.lists(CALLS, max_size=14))
def test_every_sequence_of_calls_is_answered_alike(aws: Aws, calls: Sequence[Call]) -> None:
    table = aws.unique("alike")
    aws.dynamodb.create_table(**limits_table(table))
    real, fake = DynamoDbCounterStore(client=aws.dynamodb, table=table), InMemoryCounterStore()
    for number, call in enumerate(calls):
        assert call(fake) == call(real), number
        for key in ("counters", "blocks"):
            assert dict(fake.read(key)) == dict(real.read(key)), number


def _reserve_many(limits: CounterUsageLimits, tries: int) -> int:
    """Return how many of these tries in one window succeeded."""
    successes = 0
    for _ in range(tries):
        try:
            limits.reserve(recipient=RECIPIENT, client=CLIENT, weight=1, at=START)
        except (RecipientLimitError, ClientLimitError):
            continue
        successes += 1
    return successes


@pytest.mark.parametrize(
    ("rules", "tries"),
    [
        pytest.param(LimitRules(recipient_per_minute=9, recipient_per_day=20), 2, id="recipient"),
        pytest.param(LimitRules(client_per_hour=41), 4, id="client"),
    ],
)
def test_32_containers_reserve_exactly_the_limit_together(
    dynamodb_counters: DynamoDbCounterStore, rules: LimitRules, tries: int
) -> None:
    containers = [rules.over(dynamodb_counters) for _ in range(32)]
    with ThreadPoolExecutor(32) as pool:
        reserved = sum(pool.map(lambda container: _reserve_many(container, tries), containers))
    assert reserved == (rules.recipient_per_minute or rules.client_per_hour)


@pytest.mark.parametrize(
    "rules",
    [LimitRules(recipient_per_day=50), LimitRules(client_per_hour=50), LimitRules(client_per_day=50)],
    ids=["recipient", "client, hour", "client, day"],
)
def test_weights_in_32_containers_never_exceed_the_limit_together(
    dynamodb_counters: DynamoDbCounterStore, rules: LimitRules
) -> None:
    def reserve(number: int) -> int:
        weight, reserved, limits = 1 + number % 4, 0, rules.over(dynamodb_counters)
        for attempt in range(3):
            try:
                limits.reserve(recipient=RECIPIENT, client=CLIENT, weight=weight, at=START)
            except (RecipientLimitError, ClientLimitError):
                continue
            if attempt == 1:
                limits.refund(recipient=RECIPIENT, client=CLIENT, weight=weight, at=START)
            else:
                reserved += weight
        return reserved

    with ThreadPoolExecutor(32) as pool:
        reserved = sum(pool.map(reserve, range(32)))
    assert 0 < reserved <= 50


def test_an_item_has_no_phone_number_and_expires_in_two_days(
    aws: Aws, dynamodb_counters: DynamoDbCounterStore, limits_table_name: str
) -> None:
    rules = LimitRules(recipient_per_minute=1, recipient_per_hour=1, recipient_per_day=1, client_per_hour=1, per_day=1)
    rules.over(dynamodb_counters).reserve(recipient=RECIPIENT, client=CLIENT, weight=1, at=START)

    items = aws.dynamodb.scan(TableName=limits_table_name)["Items"]

    assert len(items) == 3
    assert RECIPIENT[-8:] not in str(items)
    earliest, latest = START.timestamp() + 24 * 3600, START.timestamp() + 48 * 3600
    assert all(earliest < int(item["expires_at"]["N"]) <= latest for item in items)


def test_a_reservation_costs_little_more_than_one_write(
    dynamodb_counters: DynamoDbCounterStore, dynamodb_calls: list[str]
) -> None:
    rules = LimitRules(recipient_per_day=1000, client_per_hour=10_000, client_per_day=50_000, per_day=100_000)
    _reserve_many(rules.over(dynamodb_counters), 300)
    assert set(dynamodb_calls) == {"UpdateItem"}
    # Blocks of three quotas: the client's hour, the client's day and the day of all.
    assert 300 < len(dynamodb_calls) < 300 * 1.2


def test_a_missing_table_is_an_unavailable_store(aws: Aws) -> None:
    counters = DynamoDbCounterStore(client=aws.dynamodb, table="none")
    calls: list[Call] = [
        lambda store: store.increment("counter", LIMITS, expires_at=EXPIRY),
        lambda store: store.decrement("counter", list(LIMITS)),
        lambda store: store.take_block("counter", block=1, limit=1, expires_at=EXPIRY),
        lambda store: store.read("counter"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailableError, match="ResourceNotFoundException"):
            call(counters)
