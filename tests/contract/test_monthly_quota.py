"""A provider's month on both counter stores: the last request has one winner, wherever and whenever it is asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from switchboard.domain.errors import MonthlyQuotaExhaustedError
from switchboard.guard.usage.monthly_quota import CounterMonthlyQuota
from switchboard.ports.usage_limits import CounterStore
from switchboard.storage.limits.counters import DynamoDbCounterStore
from tests.contract.conftest import Aws

LIMIT = 100_000
MIDDLE = datetime(2026, 11, 15, 3, tzinfo=UTC)
LAST_MOMENT = datetime(2026, 11, 30, 14, 59, 59, 999_999, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 30, 15, tzinfo=UTC)
"""00:00:00 on 1 December in Japan."""


def _quota(counters: CounterStore, *, limit: int = LIMIT) -> CounterMonthlyQuota:
    return CounterMonthlyQuota(counters=counters, provider="biztel", limit=limit, reserve=limit // 20)


def _taken(quota: CounterMonthlyQuota, at: datetime, *, urgent: bool = True) -> bool:
    try:
        quota.take(at, urgent=urgent)
    except MonthlyQuotaExhaustedError:
        return False
    return True


def _use(aws: Aws, table: str, *, month: str, used: int) -> None:
    """The month's item as so many requests leave it."""
    item = {"pk": {"S": f"QUOTA#biztel#{month}"}, "requests": {"N": str(used)}, "expires_at": {"N": "9999999999"}}
    aws.dynamodb.put_item(TableName=table, Item=item)


@pytest.mark.parametrize("at", [MIDDLE, LAST_MOMENT], ids=["middle", "last moment"])
def test_at_99_999_used_exactly_one_of_32_containers_gets_the_last_request(
    aws: Aws, dynamodb_counters: DynamoDbCounterStore, limits_table_name: str, at: datetime
) -> None:
    _use(aws, limits_table_name, month="2026-11", used=LIMIT - 1)
    quotas = [_quota(dynamodb_counters) for _ in range(32)]

    with ThreadPoolExecutor(32) as pool:
        won = sum(pool.map(lambda quota: _taken(quota, at), quotas))

    assert won == 1
    assert quotas[0].usage(at).used == LIMIT


def test_of_32_containers_around_midnight_each_month_has_one_winner(
    aws: Aws, dynamodb_counters: DynamoDbCounterStore, limits_table_name: str
) -> None:
    _use(aws, limits_table_name, month="2026-11", used=LIMIT - 1)
    _use(aws, limits_table_name, month="2026-12", used=LIMIT - 1)
    quota = _quota(dynamodb_counters)
    before = MIDNIGHT - timedelta(minutes=1)

    with ThreadPoolExecutor(32) as pool:
        won = list(pool.map(lambda at: (at, _taken(quota, at)), [before, MIDNIGHT] * 16))

    assert sorted(at for at, winner in won if winner) == [before, MIDNIGHT]


def test_a_spent_month_stays_spent_until_midnight_in_japan(counters: CounterStore) -> None:
    quota = _quota(counters, limit=2)

    assert [_taken(quota, MIDDLE) for _ in range(3)] == [True, True, False]
    assert not _taken(quota, LAST_MOMENT)
    assert [_taken(quota, MIDNIGHT) for _ in range(3)] == [True, True, False]


def test_what_is_used_is_what_was_counted(counters: CounterStore) -> None:
    quota = _quota(counters)
    assert quota.usage(MIDDLE).used == 0

    for _ in range(3):
        quota.take(MIDDLE, urgent=False)

    assert quota.usage(LAST_MOMENT).used == 3
    assert quota.usage(MIDNIGHT).used == 0


def test_a_request_costs_one_write_and_no_read(
    dynamodb_counters: DynamoDbCounterStore, dynamodb_calls: list[str]
) -> None:
    quota = _quota(dynamodb_counters, limit=20)
    for _ in range(30):
        _taken(quota, MIDDLE)
    assert dynamodb_calls == ["UpdateItem"] * 30


def test_a_months_item_outlasts_the_month(
    aws: Aws, dynamodb_counters: DynamoDbCounterStore, limits_table_name: str
) -> None:
    _quota(dynamodb_counters).take(MIDDLE, urgent=True)

    [item] = aws.dynamodb.scan(TableName=limits_table_name)["Items"]

    assert item["pk"]["S"] == "QUOTA#biztel#2026-11"
    assert int(item["expires_at"]["N"]) > MIDNIGHT.timestamp()
