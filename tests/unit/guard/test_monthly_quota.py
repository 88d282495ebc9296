"""A provider's month: never more than its limit, the reserve for urgent work, Japan's calendar, and the forecast."""

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


def a_quota(counters: CounterStore, *, limit: int = 10, reserve: int = 0) -> CounterMonthlyQuota:
    return CounterMonthlyQuota(counters=counters, provider="biztel", limit=limit, reserve=reserve)


def taken(quota: CounterMonthlyQuota, tries: int, *, at: datetime = START, urgent: bool = False) -> int:
    """How many of so many tries were allowed; a store that does not answer allows none."""
    allowed = 0
    for _ in range(tries):
        try:
            quota.take(at, urgent=urgent)
        except (MonthlyQuotaExhaustedError, StoreUnavailableError):
            continue
        allowed += 1
    return allowed


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
)
def test_a_month_is_japans(at: datetime, name: str) -> None:
    assert Month.of(at).name == name


@pytest.mark.parametrize(("month", "days"), [(date(2026, 2, 1), 28), (date(2028, 2, 1), 29), (date(2026, 12, 1), 31)])
def test_a_month_ends_where_the_next_one_begins(month: date, days: int) -> None:
    found = Month.of(datetime(month.year, month.month, 1, tzinfo=JAPAN))

    assert found.ends - found.starts == timedelta(days=days)
    assert Month.of(found.ends - timedelta(microseconds=1)) == found
    assert Month.of(found.ends).starts == found.ends


def test_work_that_is_not_urgent_leaves_the_reserve_alone() -> None:
    quota = a_quota(InMemoryCounterStore(), limit=10, reserve=3)

    assert taken(quota, 20) == 7
    assert taken(quota, 20, urgent=True) == 3
    assert taken(quota, 20) == 0


def test_urgent_work_may_use_the_whole_month() -> None:
    assert taken(a_quota(InMemoryCounterStore(), limit=10, reserve=3), 20, urgent=True) == 10


def test_a_month_that_is_all_reserve_has_nothing_for_work_that_is_not_urgent() -> None:
    quota = a_quota(InMemoryCounterStore(), limit=2, reserve=2)

    assert taken(quota, 5) == 0
    assert taken(quota, 5, urgent=True) == 2


def test_a_month_of_nothing_refuses_everything() -> None:
    assert taken(a_quota(InMemoryCounterStore(), limit=0), 3, urgent=True) == 0


@pytest.mark.parametrize(("limit", "reserve"), [(10, 11), (10, -1), (-1, 0)])
def test_a_reserve_outside_the_limit_is_a_wrong_configuration(limit: int, reserve: int) -> None:
    with pytest.raises(ConfigurationError, match="biztel"):
        a_quota(InMemoryCounterStore(), limit=limit, reserve=reserve)


def test_a_refusal_says_whose_month_it_is_and_when_the_next_one_begins() -> None:
    quota = a_quota(InMemoryCounterStore(), limit=2, reserve=1)
    taken(quota, 1)

    with pytest.raises(
        MonthlyQuotaExhaustedError, match=r"^all but the reserve of biztel's requests of 2026-11 are used$"
    ) as raised:
        quota.take(START, urgent=False)
    assert raised.value.retry_after == NOVEMBER_ENDS
    assert raised.value.retry_after_s == int((NOVEMBER_ENDS - START).total_seconds()) + 1
    assert raised.value.provider == "biztel"

    taken(quota, 1, urgent=True)
    with pytest.raises(MonthlyQuotaExhaustedError, match=r"^all of biztel's"):
        quota.take(START, urgent=True)


@given(
    answers=st.lists(st.sampled_from(Answer), max_size=40),
    urgencies=st.lists(st.booleans(), min_size=40, max_size=40),
    limit=st.integers(0, 12),
    share=st.integers(0, 12),
)
def test_lost_answers_count_too_many_and_never_too_few(
    answers: list[Answer], urgencies: list[bool], limit: int, share: int
) -> None:
    counters = InMemoryCounterStore()
    quota = a_quota(flaky(counters, increment=answers), limit=limit, reserve=min(share, limit))

    sent = sum(taken(quota, 1, urgent=urgent) for urgent in urgencies)

    used = a_quota(counters, limit=limit).usage(START).used
    assert sent <= used <= limit
    assert used - sent <= answers.count(Answer.LOST)


def test_what_was_not_counted_for_sure_must_not_be_sent() -> None:
    quota = a_quota(down(InMemoryCounterStore))

    with pytest.raises(StoreUnavailableError):
        quota.take(START, urgent=True)
    with pytest.raises(StoreUnavailableError):
        quota.usage(START)


def test_what_may_arrive_after_midnight_is_counted_in_both_months() -> None:
    quota = a_quota(InMemoryCounterStore(), limit=5)

    assert taken(quota, 3, at=NOVEMBER_ENDS - SECOND) == 3

    assert quota.usage(NOVEMBER_ENDS - SECOND).used == 3
    assert quota.usage(NOVEMBER_ENDS).used == 3
    assert taken(quota, 9, at=NOVEMBER_ENDS) == 2


def test_a_request_of_an_ordinary_moment_is_one_write() -> None:
    counters = InMemoryCounterStore()
    quota = a_quota(counters, limit=5)

    taken(quota, 9, at=NOVEMBER_ENDS - 31 * SECOND)

    assert counters.writes == 9
    assert quota.usage(NOVEMBER_ENDS).used == 0


def test_providers_do_not_share_a_month() -> None:
    counters = InMemoryCounterStore()
    other = CounterMonthlyQuota(counters=counters, provider="other", limit=1)

    assert taken(a_quota(counters, limit=1), 2) == 1
    assert taken(other, 2) == 1


def japan(local: str) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=JAPAN)


@pytest.mark.parametrize(
    ("used", "at", "expected"),
    [
        # Half of it after ten of thirty days: spent after twenty.
        (50_000, japan("2026-11-11"), date(2026, 11, 21)),
        # A third after ten of thirty days: it just lasts.
        (33_333, japan("2026-11-11"), None),
        (33_334, japan("2026-11-11"), date(2026, 11, 30)),
        (0, japan("2026-11-30T23:59:59"), None),
        # The month's first second counts as its first hour.
        (0, japan("2026-11-01"), None),
        (1, japan("2026-11-01"), None),
        (138, japan("2026-11-01"), None),
        (139, japan("2026-11-01"), date(2026, 11, 30)),
        (100_000, japan("2026-11-01"), date(2026, 11, 1)),
        # The last second.
        (99_999, japan("2026-11-30T23:59:59"), None),
        (100_000, japan("2026-11-30T23:59:59"), date(2026, 11, 30)),
        # February has a day more in a leap year.
        (50_000, japan("2028-02-15T12:00:00"), None),
        (50_001, japan("2028-02-15T12:00:00"), date(2028, 2, 29)),
        (50_000, japan("2027-02-15"), None),
        (50_001, japan("2027-02-15"), date(2027, 2, 28)),
    ],
)
def test_the_forecast_goes_on_as_the_month_went_so_far(used: int, at: datetime, expected: date | None) -> None:
    assert exhausted_on(used=used, limit=100_000, at=at) == expected
    assert exhausted_on(used=used, limit=100_000, at=at.astimezone(UTC)) == expected


@given(
    used=st.integers(0, 10**9),
    limit=st.integers(0, 10**9),
    at=st.integers(0, 14 * 366 * 24 * 3600).map(lambda seconds: START + seconds * SECOND),
)
def test_a_forecast_is_a_day_of_this_month_and_not_a_past_one(used: int, limit: int, at: datetime) -> None:
    day = exhausted_on(used=used, limit=limit, at=at)

    month = Month.of(at)
    assert day is None or month.starts.date() <= at.astimezone(JAPAN).date() <= day < month.ends.date()


@pytest.mark.parametrize(
    ("used", "limit", "percent"), [(0, 100_000, 0.0), (25_000, 100_000, 25.0), (100_001, 100_000, 100.0), (0, 0, 100.0)]
)
def test_the_share_used_is_between_nothing_and_all(used: int, limit: int, percent: float) -> None:
    usage = QuotaUsage(month="2026-11", used=used, limit=limit, reserve=0, exhausted_on=None)

    assert usage.used_percent == percent


def test_usage_tells_month_limit_reserve_and_forecast() -> None:
    counters = InMemoryCounterStore()
    quota = a_quota(counters, limit=10, reserve=2)
    at = japan("2026-11-11")
    taken(quota, 5, at=at)

    assert quota.usage(at) == QuotaUsage(month="2026-11", used=5, limit=10, reserve=2, exhausted_on=date(2026, 11, 21))
