"""What a send costs the limits table, and what DynamoDB's own answers tell of this machine's clock."""

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
from switchboard.storage.limits.provider_limits import DynamoDbProviderLimitStore
from switchboard.storage.limits.store_clock import StoreClock
from tests.contract.conftest import Aws
from tests.fakes import START, FixedClock

LIMITS = GuardSettings(requests_per_s=80)
BUDGET = timedelta(seconds=2)
_HANDLERS = count(1)


@contextmanager
def _counted(aws: Aws) -> Iterator[Counter[str]]:
    """Every operation that the client is asked for."""
    calls: Counter[str] = Counter()
    name = f"counted{next(_HANDLERS)}"
    events = aws.dynamodb.meta.events
    events.register("before-call.dynamodb", lambda model, **_: calls.update([model.name]), unique_id=name)
    try:
        yield calls
    finally:
        events.unregister("before-call.dynamodb", unique_id=name)


def _guards(store: DynamoDbProviderLimitStore, clock: FixedClock, *, workers: int = 1) -> ProviderGuards:
    return ProviderGuards(
        store=store,
        key="counted",
        container_id="me",
        settings=LIMITS,
        clock=clock,
        version=lambda: "v1",
        workers=workers,
    )


def _sends(guard: ProviderGuard, clock: FixedClock) -> None:
    clock.sleep_until(guard.acquire(latest=clock.now() + BUDGET))
    guard.record_result(None)


def test_a_synchronous_send_costs_one_write_and_no_read(aws: Aws, dynamodb_limits: DynamoDbProviderLimitStore) -> None:
    clock = FixedClock()
    [guard] = _guards(dynamodb_limits, clock).workers
    _sends(guard, clock)
    with _counted(aws) as calls:
        for number in range(20):
            # Both branches: an idle state, and a busy one.
            clock.advance(timedelta(milliseconds=100 * (number % 2)))
            _sends(guard, clock)
    assert calls == {"UpdateItem": 20}


def test_a_hundred_queued_sends_cost_ten_writes_and_no_read(
    aws: Aws, dynamodb_limits: DynamoDbProviderLimitStore
) -> None:
    clock = FixedClock()
    guards = _guards(dynamodb_limits, clock, workers=3)
    _sends(guards.workers[0], clock)
    with _counted(aws) as calls:
        for _ in range(10):
            with guards.batch(10):
                for number in range(10):
                    _sends(guards.workers[number % 3], clock)
    assert calls.keys() == {"UpdateItem"}
    assert calls["UpdateItem"] <= 0.11 * 100


@pytest.mark.parametrize(
    ("ahead_s", "told"),
    [(0.0, (0.0, 0.0)), (0.9, (0.0, 0.9)), (3600.0, (3598.0, 3600.0)), (-3600.0, (-3600.0, -3598.0))],
)
def test_a_clock_is_told_from_the_stores_by_its_ordinary_answers(
    aws: Aws, limits_table_name: str, ahead_s: float, told: tuple[float, float]
) -> None:
    store_time = StoreClock(aws.dynamodb, now_s=lambda: time() + ahead_s)
    assert store_time.ahead_s() is None
    aws.dynamodb.get_item(TableName=limits_table_name, Key={"pk": {"S": "anything"}})
    least, most = told
    known = store_time.ahead_s()
    assert known is not None
    assert least <= known <= most


def test_an_answer_that_refuses_tells_the_time_as_well(aws: Aws, limits_table_name: str) -> None:
    store_time = StoreClock(aws.dynamodb, now_s=lambda: time() - 60)
    with pytest.raises(aws.dynamodb.exceptions.ConditionalCheckFailedException):
        aws.dynamodb.update_item(
            TableName=limits_table_name, Key={"pk": {"S": "anything"}}, ConditionExpression="attribute_exists(pk)"
        )
    known = store_time.ahead_s()
    assert known is not None
    assert known < -50


def test_a_store_that_is_near_in_time_gives_slots(dynamodb_limits: DynamoDbProviderLimitStore) -> None:
    clock = FixedClock()
    [guard] = _guards(dynamodb_limits, clock).workers
    assert guard.acquire(latest=START + BUDGET) == START
    assert dynamodb_limits.clock_ahead_s() == 0
