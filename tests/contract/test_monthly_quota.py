"""A monthly quota on both counter stores: one container gets the last request, at whatever moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from switchboard.domain.errors import MonthlyQuotaExhaustedError
from switchboard.guard.usage.monthly_quota import CounterMonthlyQuota
from switchboard.ports.usage_limits import CounterStore
from switchboard.storage.limits import DynamoDbCounterStore
from tests.contract.conftest import Aws

LIMIT = 100_000
MIDDLE = datetime(2026, 11, 15, 3, tzinfo=UTC)
LAST_MOMENT = datetime(2026, 11, 30, 14, 59, 59, 999_999, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 30, 15, tzinfo=UTC)
"""00:00:00 on 1 December in Japan, the end of the month."""


def _build_quota(counters: CounterStore, *, limit: int = LIMIT) -> CounterMonthlyQuota:
    return CounterMonthlyQuota(counters=counters, provider="biztel", limit=limit, reserve=limit // 20)


def _try_take(quota: CounterMonthlyQuota, at: datetime, *, urgent: bool = True) -> bool:
    try:
        quota.take(at, urgent=urgent)
    except MonthlyQuotaExhaustedError:
        return False
    return True


def _put_usage(aws: Aws, table: str, *, month: str, used: int) -> None:
    """Put the month's item as `used` requests leave it."""
    item = {"pk": {"S": f"QUOTA#biztel#{month}"}, "requests": {"N": str(used)}, "expires_at": {"N": "9999999999"}}
    aws.dynamodb.put_item(TableName=table, Item=item)


@pytest.mark.parametrize("at", [MIDDLE, LAST_MOMENT], ids=["middle of the month", "last moment of the month"])
def test_exactly_one_of_32_containers_gets_the_last_request(
    aws: Aws, dynamodb_counters: DynamoDbCounterStore, limits_table_name: str, at: datetime
) -> None:
    _put_usage(aws, limits_table_name, month="2026-11", used=LIMIT - 1)
    quotas = [_build_quota(dynamodb_counters) for _ in range(32)]

    with ThreadPoolExecutor(32) as pool:
        successes = sum(pool.map(lambda quota: _try_take(quota, at), quotas))

    assert successes == 1
    assert quotas[0].usage(at).used == LIMIT


def test_around_midnight_one_container_gets_the_last_of_each_month(
    aws: Aws, dynamodb_counters: DynamoDbCounterStore, limits_table_name: str
) -> None:
    _put_usage(aws, limits_table_name, month="2026-11", used=LIMIT - 1)
    _put_usage(aws, limits_table_name, month="2026-12", used=LIMIT - 1)
    quota = _build_quota(dynamodb_counters)
    before = MIDNIGHT - timedelta(minutes=1)

    with ThreadPoolExecutor(32) as pool:
        results = list(pool.map(lambda at: (at, _try_take(quota, at)), [before, MIDNIGHT] * 16))

    assert sorted(at for at, success in results if success) == [before, MIDNIGHT]


def test_an_exhausted_quota_lasts_until_midnight_in_japan(counters: CounterStore) -> None:
    quota = _build_quota(counters, limit=2)

    assert [_try_take(quota, MIDDLE) for _ in range(3)] == [True, True, False]
    assert not _try_take(quota, LAST_MOMENT)
    assert [_try_take(quota, MIDNIGHT) for _ in range(3)] == [True, True, False]


def test_the_usage_is_the_number_of_counted_requests(counters: CounterStore) -> None:
    quota = _build_quota(counters)
    assert quota.usage(MIDDLE).used == 0

    for _ in range(3):
        quota.take(MIDDLE, urgent=False)

    assert quota.usage(LAST_MOMENT).used == 3
    assert quota.usage(MIDNIGHT).used == 0


def test_a_request_costs_one_write_and_no_read(
    dynamodb_counters: DynamoDbCounterStore, dynamodb_calls: list[str]
) -> None:
    quota = _build_quota(dynamodb_counters, limit=20)
    for _ in range(30):
        _try_take(quota, MIDDLE)
    assert dynamodb_calls == ["UpdateItem"] * 30


def test_the_item_of_a_month_expires_after_the_month(
    aws: Aws, dynamodb_counters: DynamoDbCounterStore, limits_table_name: str
) -> None:
    _build_quota(dynamodb_counters).take(MIDDLE, urgent=True)

    [item] = aws.dynamodb.scan(TableName=limits_table_name)["Items"]

    assert item["pk"]["S"] == "QUOTA#biztel#2026-11"
    assert int(item["expires_at"]["N"]) > MIDNIGHT.timestamp()
