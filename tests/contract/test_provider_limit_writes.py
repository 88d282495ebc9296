"""The writes that a send costs the limits table, and the clock difference in DynamoDB's answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from time import time

import pytest

from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.storage.aws import StoreClock
from switchboard.storage.limits import DynamoDbProviderLimitStore
from tests.contract.conftest import Aws
from tests.fakes import START, FixedClock

SETTINGS = GuardSettings(requests_per_s=80)
BUDGET = timedelta(seconds=2)
_HANDLER_NUMBERS = count(1)


@contextmanager
def _count_calls(aws: Aws) -> Iterator[Counter[str]]:
    """Count the calls of each operation of the client inside the `with` block."""
    calls: Counter[str] = Counter()
    name = f"count{next(_HANDLER_NUMBERS)}"
    events = aws.dynamodb.meta.events
    events.register("before-call.dynamodb", lambda model, **_: calls.update([model.name]), unique_id=name)
    try:
        yield calls
    finally:
        events.unregister("before-call.dynamodb", unique_id=name)


def _build_guards(store: DynamoDbProviderLimitStore, clock: FixedClock, *, workers: int = 1) -> ProviderGuards:
    return ProviderGuards(
        store=store,
        key="mediasms#shared",
        new_container_id=lambda: "container",
        settings=SETTINGS,
        clock=clock,
        version=lambda: "v1",
        workers=workers,
    )


def _send(guard: ProviderGuard, clock: FixedClock) -> None:
    clock.sleep_until(guard.acquire(latest=clock.now() + BUDGET))
    guard.record_result(None)


def test_a_synchronous_send_costs_one_write_and_no_read(aws: Aws, dynamodb_limits: DynamoDbProviderLimitStore) -> None:
    clock = FixedClock()
    guard = _build_guards(dynamodb_limits, clock).single
    _send(guard, clock)
    with _count_calls(aws) as calls:
        for number in range(20):
            # Every other send finds a state without slots reserved ahead.
            clock.advance(timedelta(milliseconds=100 * (number % 2)))
            _send(guard, clock)
    assert calls == {"UpdateItem": 20}


def test_a_hundred_queued_sends_cost_twenty_writes(aws: Aws, dynamodb_limits: DynamoDbProviderLimitStore) -> None:
    clock = FixedClock()
    guards = _build_guards(dynamodb_limits, clock, workers=3)
    _send(guards.single, clock)
    with _count_calls(aws) as calls:
        for _ in range(10):
            with guards.batch(10):
                for number in range(10):
                    _send(guards.workers[number % 3], clock)
    # A block of ten slots with their permits, and the return of these. A container without a permit looks first.
    assert calls["UpdateItem"] <= 0.21 * 100
    assert calls["GetItem"] <= 0.11 * 100


@pytest.mark.parametrize(
    ("ahead_s", "least", "most"),
    [
        pytest.param(0.0, 0.0, 0.0, id="equal clocks"),
        pytest.param(0.9, 0.0, 0.9, id="less than a second ahead"),
        pytest.param(3600.0, 3598.0, 3600.0, id="an hour ahead"),
        pytest.param(-3600.0, -3600.0, -3598.0, id="an hour behind"),
    ],
)
def test_an_ordinary_answer_has_the_clock_difference(
    aws: Aws, limits_table_name: str, ahead_s: float, least: float, most: float
) -> None:
    store_clock = StoreClock(aws.dynamodb, now_s=lambda: time() + ahead_s)
    assert store_clock.ahead_s() is None
    aws.dynamodb.get_item(TableName=limits_table_name, Key={"pk": {"S": "anything"}})
    difference_s = store_clock.ahead_s()
    assert difference_s is not None
    assert least <= difference_s <= most


def test_a_refused_write_has_the_clock_difference_too(aws: Aws, limits_table_name: str) -> None:
    store_clock = StoreClock(aws.dynamodb, now_s=lambda: time() - 60)
    with pytest.raises(aws.dynamodb.exceptions.ConditionalCheckFailedException):
        aws.dynamodb.update_item(
            TableName=limits_table_name, Key={"pk": {"S": "anything"}}, ConditionExpression="attribute_exists(pk)"
        )
    difference_s = store_clock.ahead_s()
    assert difference_s is not None
    assert difference_s < -50


def test_a_container_with_the_stores_clock_gets_a_slot(dynamodb_limits: DynamoDbProviderLimitStore) -> None:
    clock = FixedClock()
    guard = _build_guards(dynamodb_limits, clock).single
    assert guard.acquire(latest=START + BUDGET) == START
    assert dynamodb_limits.clock_ahead_s() == 0
