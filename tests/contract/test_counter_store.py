"""What every CounterStore does, and what only the one in DynamoDB has: threads, items and failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.domain.errors import ClientLimitError, RecipientLimitError, StoreUnavailableError
from switchboard.guard.usage.usage_limits import CounterUsageLimits, UsageLimitRules
from switchboard.ports.usage_limits import CounterStore
from switchboard.storage.limits.counters import DynamoDbCounterStore
from tests.builders import CLIENT, RECIPIENT
from tests.contract.conftest import Aws
from tests.fakes import START, InMemoryCounterStore
from tests.tables import limits_table

END = START + timedelta(days=1)
LIMITS = {"minute_1204": 2, "hour_1200": 3}


def _count(counters: CounterStore, **limits: int) -> set[str]:
    return set(counters.increment("counter", limits or LIMITS, expires_at=END))


def test_counts_until_a_limit_and_says_which_one_it_is(counters: CounterStore) -> None:
    assert [_count(counters) for _ in range(3)] == [set(), set(), {"minute_1204"}]


def test_what_one_limit_refuses_counts_towards_none(counters: CounterStore) -> None:
    for _ in range(9):
        _count(counters)
    assert _count(counters, minute_1205=2, hour_1200=3) == set()
    assert _count(counters, minute_1205=2, hour_1200=3) == {"hour_1200"}


def test_every_limit_that_is_reached_is_named(counters: CounterStore) -> None:
    assert _count(counters, minute_1204=1, hour_1200=1, day_0000=2) == set()
    assert _count(counters, minute_1204=1, hour_1200=1, day_0000=2) == {"minute_1204", "hour_1200"}


def test_a_limit_that_was_lowered_counts_at_once(counters: CounterStore) -> None:
    assert [_count(counters, day_0000=9) for _ in range(3)] == [set()] * 3
    assert _count(counters, day_0000=2) == {"day_0000"}


def test_tallies_do_not_know_each_other(counters: CounterStore) -> None:
    assert not counters.increment("one", {"day_0000": 1}, expires_at=END)
    assert not counters.increment("other", {"day_0000": 1}, expires_at=END)


def test_what_is_uncounted_may_be_counted_again(counters: CounterStore) -> None:
    for _ in range(2):
        _count(counters)
    counters.decrement("counter", list(LIMITS))
    assert [_count(counters) for _ in range(2)] == [set(), {"minute_1204"}]


def test_uncounting_a_tally_that_has_been_forgotten_does_not_bring_it_back(counters: CounterStore) -> None:
    counters.decrement("counter", ["day_0000"])
    assert [_count(counters, day_0000=1) for _ in range(2)] == [set(), {"day_0000"}]


def test_blocks_are_granted_until_the_limit_and_the_last_only_in_part(counters: CounterStore) -> None:
    assert [counters.take_block("counter", block=4, limit=10, expires_at=END) for _ in range(5)] == [4, 4, 2, 0, 0]


def test_reading_shows_every_counter_and_of_an_unknown_tally_none(counters: CounterStore) -> None:
    _count(counters)
    _count(counters, hour_1200=3)
    counters.take_block("counter", block=4, limit=10, expires_at=END)

    assert dict(counters.read("counter")) == {"minute_1204": 1, "hour_1200": 2, "granted": 4}
    assert dict(counters.read("other")) == {}


def test_reading_counts_nothing(counters: CounterStore) -> None:
    _count(counters, day_0000=1)
    for _ in range(2):
        counters.read("counter")
    assert dict(counters.read("counter")) == {"day_0000": 1}


Call = Callable[[CounterStore], object]
NAMES = st.sampled_from(["minute_1204", "minute_1205", "hour_1200", "day_0000"])
COUNTS = st.dictionaries(NAMES, st.integers(1, 4), min_size=1, max_size=3)


def _to_count(limits: dict[str, int]) -> Call:
    return lambda counters: set(counters.increment("counted", limits, expires_at=END))


def _to_uncount(names: list[str]) -> Call:
    return lambda counters: counters.decrement("counted", names)


def _to_take(block: int, limit: int) -> Call:
    return lambda counters: counters.take_block("granted", block=block, limit=limit, expires_at=END)


CALLS = st.one_of(
    COUNTS.map(_to_count),
    st.lists(NAMES, min_size=1, max_size=3, unique=True).map(_to_uncount),
    st.builds(_to_take, st.integers(1, 5), st.integers(1, 12)),
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(calls=st.lists(CALLS, max_size=14))
def test_every_sequence_of_calls_is_answered_alike(aws: Aws, calls: Sequence[Call]) -> None:
    table = aws.unique("alike")
    aws.dynamodb.create_table(**limits_table(table))
    real, fake = DynamoDbCounterStore(client=aws.dynamodb, table=table), InMemoryCounterStore()
    for number, call in enumerate(calls):
        assert call(fake) == call(real), number
        for key in ("counted", "granted"):
            assert dict(fake.read(key)) == dict(real.read(key)), number


def _admitted(limits: CounterUsageLimits, tries: int) -> int:
    """Of so many tries in one window."""
    admitted = 0
    for _ in range(tries):
        try:
            limits.reserve(recipient=RECIPIENT, client=CLIENT, at=START)
        except (RecipientLimitError, ClientLimitError):
            continue
        admitted += 1
    return admitted


@pytest.mark.parametrize(
    ("rules", "tries"),
    [(UsageLimitRules(recipient_per_minute=9, recipient_per_day=20), 2), (UsageLimitRules(client_per_hour=41), 4)],
    ids=["recipient", "client"],
)
def test_of_32_containers_exactly_as_many_submissions_are_admitted_as_may_be(
    dynamodb_counters: DynamoDbCounterStore, rules: UsageLimitRules, tries: int
) -> None:
    containers = [CounterUsageLimits(counters=dynamodb_counters, rules=rules) for _ in range(32)]
    with ThreadPoolExecutor(32) as pool:
        admitted = sum(pool.map(lambda container: _admitted(container, tries), containers))
    assert admitted == (rules.recipient_per_minute or rules.client_per_hour)


def test_an_item_shows_no_number_and_expires_within_two_days(
    aws: Aws, dynamodb_counters: DynamoDbCounterStore, limits_table_name: str
) -> None:
    rules = UsageLimitRules(
        recipient_per_minute=1, recipient_per_hour=1, recipient_per_day=1, client_per_hour=1, per_day=1
    )
    CounterUsageLimits(counters=dynamodb_counters, rules=rules).reserve(recipient=RECIPIENT, client=CLIENT, at=START)

    items = aws.dynamodb.scan(TableName=limits_table_name)["Items"]

    assert len(items) == 3
    assert RECIPIENT[-8:] not in str(items)
    soon, late = START.timestamp() + 24 * 3600, START.timestamp() + 48 * 3600
    assert all(soon < int(item["expires_at"]["N"]) <= late for item in items)


def test_an_admission_costs_one_write_and_a_share_of_two(
    dynamodb_counters: DynamoDbCounterStore, dynamodb_calls: list[str]
) -> None:
    rules = UsageLimitRules(recipient_per_day=1000, client_per_hour=10_000, per_day=100_000)
    _admitted(CounterUsageLimits(counters=dynamodb_counters, rules=rules), 300)
    assert set(dynamodb_calls) == {"UpdateItem"}
    assert 300 < len(dynamodb_calls) < 300 * 1.15


def test_a_table_that_is_not_there_is_said_so(aws: Aws) -> None:
    counters = DynamoDbCounterStore(client=aws.dynamodb, table="none")
    calls: list[Call] = [
        lambda store: store.increment("counter", LIMITS, expires_at=END),
        lambda store: store.decrement("counter", list(LIMITS)),
        lambda store: store.take_block("counter", block=1, limit=1, expires_at=END),
        lambda store: store.read("counter"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailableError, match="ResourceNotFoundException"):
            call(counters)
