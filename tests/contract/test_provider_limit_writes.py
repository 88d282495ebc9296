"""What a send costs the limits table, and what DynamoDB's own answers tell of this machine's clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from time import time

import pytest

from switchboard.guard.provider.rate_limiter import GateLimits, PacedGates
from switchboard.ports.provider_limits import SendGate
from switchboard.storage.limits.provider_limits import DynamoDbLaneStore
from switchboard.storage.limits.store_clock import StoreTime
from tests.contract.conftest import Aws
from tests.fakes import START, FixedClock

LIMITS = GateLimits(requests_per_s=80)
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


def _gates(lanes: DynamoDbLaneStore, clock: FixedClock, *, seats: int = 1) -> PacedGates:
    return PacedGates(
        lanes=lanes, lane="counted", worker="me", limits=LIMITS, clock=clock, version=lambda: "v1", seats=seats
    )


def _sends(gate: SendGate, clock: FixedClock) -> None:
    clock.sleep_until(gate.reserve(latest=clock.now() + BUDGET))
    gate.heard(None)


def test_a_synchronous_send_costs_one_write_and_no_read(aws: Aws, dynamodb_lanes: DynamoDbLaneStore) -> None:
    clock = FixedClock()
    [gate] = _gates(dynamodb_lanes, clock).seats
    _sends(gate, clock)
    with _counted(aws) as calls:
        for number in range(20):
            # Both branches: an idle lane, and a busy one.
            clock.advance(timedelta(milliseconds=100 * (number % 2)))
            _sends(gate, clock)
    assert calls == {"UpdateItem": 20}


def test_a_hundred_queued_sends_cost_ten_writes_and_no_read(aws: Aws, dynamodb_lanes: DynamoDbLaneStore) -> None:
    clock = FixedClock()
    gates = _gates(dynamodb_lanes, clock, seats=3)
    _sends(gates.seats[0], clock)
    with _counted(aws) as calls:
        for _ in range(10):
            with gates.batch(10):
                for number in range(10):
                    _sends(gates.seats[number % 3], clock)
    assert calls.keys() == {"UpdateItem"}
    assert calls["UpdateItem"] <= 0.11 * 100


@pytest.mark.parametrize(
    ("ahead_s", "told"),
    [(0.0, (0.0, 0.0)), (0.9, (0.0, 0.9)), (3600.0, (3598.0, 3600.0)), (-3600.0, (-3600.0, -3598.0))],
)
def test_a_clock_is_told_from_the_stores_by_its_ordinary_answers(
    aws: Aws, limits_table_name: str, ahead_s: float, told: tuple[float, float]
) -> None:
    store_time = StoreTime(aws.dynamodb, now_s=lambda: time() + ahead_s)
    assert store_time.ahead_s() is None
    aws.dynamodb.get_item(TableName=limits_table_name, Key={"pk": {"S": "anything"}})
    least, most = told
    known = store_time.ahead_s()
    assert known is not None
    assert least <= known <= most


def test_an_answer_that_refuses_tells_the_time_as_well(aws: Aws, limits_table_name: str) -> None:
    store_time = StoreTime(aws.dynamodb, now_s=lambda: time() - 60)
    with pytest.raises(aws.dynamodb.exceptions.ConditionalCheckFailedException):
        aws.dynamodb.update_item(
            TableName=limits_table_name, Key={"pk": {"S": "anything"}}, ConditionExpression="attribute_exists(pk)"
        )
    known = store_time.ahead_s()
    assert known is not None
    assert known < -50


def test_a_store_that_is_near_in_time_gives_slots(dynamodb_lanes: DynamoDbLaneStore) -> None:
    clock = FixedClock()
    [gate] = _gates(dynamodb_lanes, clock).seats
    assert gate.reserve(latest=START + BUDGET) == START
    assert dynamodb_lanes.clock_ahead_s() == 0
