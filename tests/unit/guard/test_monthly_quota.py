"""A provider's monthly quota: its limit, the reserve for urgent requests, Japan's calendar, and the forecast."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import ConfigurationError, MonthlyQuotaExhaustedError, StoreUnavailableError
from switchboard.domain.timestamps import JAPAN
from switchboard.guard.usage.monthly_quota import CounterMonthlyQuota, Month, exhausted_on
from switchboard.ports.usage_limits import CounterStore, QuotaUsage
from tests.fakes import START, Answer, InMemoryCounterStore, down, flaky

NOVEMBER_ENDS = datetime(2026, 11, 30, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def make_quota(counters: CounterStore, *, limit: int = 10, reserve: int = 0) -> CounterMonthlyQuota:
    return CounterMonthlyQuota(counters=counters, provider="biztel", limit=limit, reserve=reserve)


def take_many(quota: CounterMonthlyQuota, tries: int, *, at: datetime = START, urgent: bool = False) -> int:
    """Return how many of these tries succeeded; a store that does not answer makes a try fail."""
    successes = 0
    for _ in range(tries):
        try:
            quota.take(at, urgent=urgent)
        except (MonthlyQuotaExhaustedError, StoreUnavailableError):
            continue
        successes += 1
    return successes


@pytest.mark.parametrize(
    ("at", "name"),
    [
        (datetime(2026, 11, 30, 14, 59, 59, 999_999, tzinfo=UTC), "2026-11"),
        (datetime(2026, 11, 30, 15, tzinfo=UTC), "2026-12"),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=JAPAN), "2026-12"),
        (datetime(2027, 1, 1, tzinfo=JAPAN), "2027-01"),
        (datetime(2028, 2, 29, 23, 59, 59, tzinfo=JAPAN), "2028-02"),
        (datetime(2028, 3, 1, tzinfo=JAPAN), "2028-03"),
    ],
    ids=str,
)
def test_a_month_is_a_calendar_month_of_japan(at: datetime, name: str) -> None:
    assert Month.of(at).name == name


@pytest.mark.parametrize(
    ("first_day", "days"), [(date(2026, 2, 1), 28), (date(2028, 2, 1), 29), (date(2026, 12, 1), 31)], ids=str
)
def test_a_month_ends_when_the_next_one_begins(first_day: date, days: int) -> None:
    month = Month.of(datetime(first_day.year, first_day.month, 1, tzinfo=JAPAN))

    assert month.ends - month.starts == timedelta(days=days)
    assert Month.of(month.ends - timedelta(microseconds=1)) == month
    assert Month.of(month.ends).starts == month.ends


def test_a_request_that_is_not_urgent_never_uses_the_reserve() -> None:
    quota = make_quota(InMemoryCounterStore(), limit=10, reserve=3)

    assert take_many(quota, 20) == 7
    assert take_many(quota, 20, urgent=True) == 3
    assert take_many(quota, 20) == 0


def test_urgent_requests_may_use_the_whole_quota() -> None:
    assert take_many(make_quota(InMemoryCounterStore(), limit=10, reserve=3), 20, urgent=True) == 10


def test_a_quota_of_reserve_only_is_for_urgent_requests_only() -> None:
    quota = make_quota(InMemoryCounterStore(), limit=2, reserve=2)

    assert take_many(quota, 5) == 0
    assert take_many(quota, 5, urgent=True) == 2


def test_a_quota_of_zero_refuses_every_request() -> None:
    assert take_many(make_quota(InMemoryCounterStore(), limit=0), 3, urgent=True) == 0


@pytest.mark.parametrize(
    ("limit", "reserve"),
    [
        pytest.param(10, 11, id="reserve above limit"),
        pytest.param(10, -1, id="negative reserve"),
        pytest.param(-1, 0, id="negative limit"),
    ],
)
def test_a_reserve_outside_the_limit_is_a_configuration_error(limit: int, reserve: int) -> None:
    with pytest.raises(ConfigurationError, match="biztel"):
        make_quota(InMemoryCounterStore(), limit=limit, reserve=reserve)


def test_an_exhausted_quota_names_provider_month_and_next_month() -> None:
    quota = make_quota(InMemoryCounterStore(), limit=2, reserve=1)
    take_many(quota, 1)

    but_the_reserve = r"^All biztel requests of 2026-11 are used, except for the reserve for urgent requests$"
    with pytest.raises(MonthlyQuotaExhaustedError, match=but_the_reserve) as raised:
        quota.take(START, urgent=False)
    assert raised.value.retry_after == NOVEMBER_ENDS
    assert raised.value.retry_after_s == int((NOVEMBER_ENDS - START).total_seconds()) + 1
    assert raised.value.provider == "biztel"

    take_many(quota, 1, urgent=True)
    with pytest.raises(MonthlyQuotaExhaustedError, match=r"^All biztel requests of 2026-11 are used$"):
        quota.take(START, urgent=True)


@given(
    answers=st.lists(st.sampled_from(Answer), max_size=40),
    urgencies=st.lists(st.booleans(), min_size=40, max_size=40),
    limit=st.integers(0, 12),
    reserve=st.integers(0, 12),
)
def test_lost_answers_count_too_many_and_never_too_few(
    answers: list[Answer], urgencies: list[bool], limit: int, reserve: int
) -> None:
    counters = InMemoryCounterStore()
    quota = make_quota(flaky(counters, increment=answers), limit=limit, reserve=min(reserve, limit))

    sent = sum(take_many(quota, 1, urgent=urgent) for urgent in urgencies)

    used = make_quota(counters, limit=limit).usage(START).used
    assert sent <= used <= limit
    assert used - sent <= answers.count(Answer.LOST)


def test_a_store_that_does_not_answer_refuses_every_request() -> None:
    quota = make_quota(down(InMemoryCounterStore))

    with pytest.raises(StoreUnavailableError):
        quota.take(START, urgent=True)
    with pytest.raises(StoreUnavailableError):
        quota.usage(START)


def test_a_request_just_before_midnight_is_counted_in_both_months() -> None:
    quota = make_quota(InMemoryCounterStore(), limit=5)

    assert take_many(quota, 3, at=NOVEMBER_ENDS - SECOND) == 3

    assert quota.usage(NOVEMBER_ENDS - SECOND).used == 3
    assert quota.usage(NOVEMBER_ENDS).used == 3
    assert take_many(quota, 9, at=NOVEMBER_ENDS) == 2


def test_a_request_well_before_midnight_costs_one_write() -> None:
    counters = InMemoryCounterStore()
    quota = make_quota(counters, limit=5)

    take_many(quota, 9, at=NOVEMBER_ENDS - 31 * SECOND)

    assert counters.writes == 9
    assert quota.usage(NOVEMBER_ENDS).used == 0


def test_providers_do_not_share_a_quota() -> None:
    counters = InMemoryCounterStore()
    other = CounterMonthlyQuota(counters=counters, provider="other", limit=1)

    assert take_many(make_quota(counters, limit=1), 2) == 1
    assert take_many(other, 2) == 1


def parse_japan_time(local: str) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=JAPAN)


@pytest.mark.parametrize(
    ("used", "at", "expected"),
    [
        pytest.param(50_000, "2026-11-11", date(2026, 11, 21), id="half after 10 of 30 days"),
        pytest.param(33_333, "2026-11-11", None, id="just enough after 10 of 30 days"),
        pytest.param(33_334, "2026-11-11", date(2026, 11, 30), id="just too much after 10 of 30 days"),
        pytest.param(0, "2026-11-30T23:59:59", None, id="nothing used"),
        # The month's first second counts as its first hour.
        pytest.param(0, "2026-11-01", None, id="first second, nothing used"),
        pytest.param(1, "2026-11-01", None, id="first second, one request"),
        pytest.param(138, "2026-11-01", None, id="first second, just enough"),
        pytest.param(139, "2026-11-01", date(2026, 11, 30), id="first second, just too much"),
        pytest.param(100_000, "2026-11-01", date(2026, 11, 1), id="first second, all used"),
        pytest.param(99_999, "2026-11-30T23:59:59", None, id="last second, one left"),
        pytest.param(100_000, "2026-11-30T23:59:59", date(2026, 11, 30), id="last second, all used"),
        pytest.param(50_000, "2028-02-15T12:00:00", None, id="leap year, just enough"),
        pytest.param(50_001, "2028-02-15T12:00:00", date(2028, 2, 29), id="leap year, just too much"),
        pytest.param(50_000, "2027-02-15", None, id="28 days, just enough"),
        pytest.param(50_001, "2027-02-15", date(2027, 2, 28), id="28 days, just too much"),
    ],
)
def test_the_forecast_extends_the_rate_of_the_month_so_far(used: int, at: str, expected: date | None) -> None:
    instant = parse_japan_time(at)

    assert exhausted_on(used=used, limit=100_000, at=instant) == expected
    assert exhausted_on(used=used, limit=100_000, at=instant.astimezone(UTC)) == expected


@given(
    used=st.integers(0, 10**9),
    limit=st.integers(0, 10**9),
    at=st.integers(0, 14 * 366 * 24 * 3600).map(lambda seconds: START + seconds * SECOND),
)
def test_a_forecast_is_no_past_day_and_a_day_of_this_month(used: int, limit: int, at: datetime) -> None:
    day = exhausted_on(used=used, limit=limit, at=at)

    month = Month.of(at)
    assert day is None or month.starts.date() <= at.astimezone(JAPAN).date() <= day < month.ends.date()


@pytest.mark.parametrize(
    ("used", "limit", "percent"),
    [
        pytest.param(0, 100_000, 0.0, id="nothing used"),
        pytest.param(25_000, 100_000, 25.0, id="a quarter used"),
        pytest.param(100_001, 100_000, 100.0, id="more than the limit used"),
        pytest.param(0, 0, 100.0, id="limit of zero"),
    ],
)
def test_the_used_percentage_is_between_0_and_100(used: int, limit: int, percent: float) -> None:
    usage = QuotaUsage(month="2026-11", used=used, limit=limit, reserve=0, exhausted_on=None)

    assert usage.used_percent == percent


def test_usage_has_month_limit_reserve_and_forecast() -> None:
    counters = InMemoryCounterStore()
    quota = make_quota(counters, limit=10, reserve=2)
    at = parse_japan_time("2026-11-11")
    take_many(quota, 5, at=at)

    assert quota.usage(at) == QuotaUsage(month="2026-11", used=5, limit=10, reserve=2, exhausted_on=date(2026, 11, 21))
