"""Usage limits: no window exceeds its limit, whatever is sent when, and a refused submission counts nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.api_keys import ClientLimits
from switchboard.domain.errors import (
    ClientLimitError,
    DailyLimitError,
    LimitExceededError,
    RecipientLimitError,
    StoreUnavailableError,
)
from switchboard.guard.usage.usage_limits import CounterUsageLimits, Span, UsageLimitRules, Window
from tests.builders import CLIENT, OTHER_RECIPIENT, RECIPIENT
from tests.fakes import START, Answer, InMemoryCounterStore, LimitRules, flaky

MIDNIGHT = datetime.fromisoformat("2026-11-23T00:00:00+09:00")
ALL_LIMITS = LimitRules(
    recipient_per_minute=2, recipient_per_hour=4, recipient_per_day=6, client_per_hour=7, client_per_day=9, per_day=11
)
INSTANTS = st.integers(-3 * 3600, 3 * 3600).map(lambda seconds: MIDNIGHT + timedelta(seconds=seconds))
# Many instants lie in one minute, some in the minutes beside it, and clocks may step back.
CLOSE_INSTANTS = st.sampled_from([MIDNIGHT + timedelta(seconds=second) for second in (-70, -1, 0, 59, 60, 3599, 3600)])
SENDS = st.tuples(
    st.integers(0, 2),
    st.sampled_from([RECIPIENT, OTHER_RECIPIENT]),
    st.sampled_from(["a", "b"]),
    st.integers(1, 5),
    INSTANTS | CLOSE_INSTANTS,
)


def make_limits(rules: LimitRules, counters: InMemoryCounterStore | None = None) -> CounterUsageLimits:
    return rules.over(counters or InMemoryCounterStore())


def reserve(
    limits: CounterUsageLimits,
    at: datetime = START,
    *,
    recipient: str = RECIPIENT,
    client: str = CLIENT,
    weight: int = 1,
) -> None:
    limits.reserve(recipient=recipient, client=client, weight=weight, at=at)


def refund(limits: CounterUsageLimits, *, weight: int = 1) -> None:
    limits.refund(recipient=RECIPIENT, client=CLIENT, weight=weight, at=START)


def find_exceeded_windows(
    sends: Sequence[tuple[int, str, str, int, datetime]], build: Callable[[InMemoryCounterStore], CounterUsageLimits]
) -> set[object]:
    """Reserve these submissions in three containers, refund every fifth of them; return the exceeded windows."""
    counters = InMemoryCounterStore()
    containers = [build(counters) for _ in range(3)]
    weights: Counter[object] = Counter()
    recipient_limits = {Span.MINUTE: 2, Span.HOUR: 4, Span.DAY: 6}
    client_limits = {Span.HOUR: 7, Span.DAY: 9}
    limits: dict[object, int] = {}
    for number, (container, recipient, client, weight, at) in enumerate(sends):
        windows: dict[object, int] = {
            (recipient, Window.of(span, at)): limit for span, limit in recipient_limits.items()
        }
        windows |= {(client, Window.of(span, at)): limit for span, limit in client_limits.items()}
        windows[("all", Window.of(Span.DAY, at))] = 11
        limits |= windows
        try:
            reserve(containers[container], at, recipient=recipient, client=client, weight=weight)
        except RecipientLimitError:
            assert any(weights[window] + weight > limit for window, limit in windows.items())
            continue
        except (ClientLimitError, DailyLimitError):
            continue
        weights.update(dict.fromkeys(windows, weight))
        if number % 5 == 0:
            containers[container].refund(recipient=recipient, client=client, weight=weight, at=at)
            weights.subtract(dict.fromkeys(windows, weight))
    return {window for window, weight in weights.items() if weight > limits[window]}


@given(sends=st.lists(SENDS, max_size=60))
def test_no_window_ever_holds_more_weight_than_its_limit(
    sends: Sequence[tuple[int, str, str, int, datetime]],
) -> None:
    assert not find_exceeded_windows(sends, ALL_LIMITS.over)


def test_test_orders_use_up_no_limit_of_a_real_client() -> None:
    rules = LimitRules(recipient_per_hour=1, client_per_hour=1, per_day=1)
    counters = InMemoryCounterStore()
    rules.over(counters).reserve(recipient=RECIPIENT, client=CLIENT, weight=1, at=START, test=True)

    limits = rules.over(counters)
    limits.reserve(recipient=RECIPIENT, client=CLIENT, weight=1, at=START)
    for test in (False, True):
        with pytest.raises(LimitExceededError):
            limits.reserve(recipient=RECIPIENT, client=CLIENT, weight=1, at=START, test=test)


def test_a_refund_of_a_test_order_gives_back_what_it_had_counted() -> None:
    limits = make_limits(LimitRules(recipient_per_hour=1))
    for _ in range(2):
        limits.reserve(recipient=RECIPIENT, client=CLIENT, weight=1, at=START, test=True)
        limits.refund(recipient=RECIPIENT, client=CLIENT, weight=1, at=START, test=True)
    reserve(limits)


class _IgnoresWeight(CounterUsageLimits):
    """Limits that count every submission as one."""

    def reserve(self, *, recipient: str, client: str, weight: int, at: datetime, test: bool = False) -> None:
        super().reserve(recipient=recipient, client=client, weight=1, at=at, test=test)


class _RefundsTwice(CounterUsageLimits):
    """Limits that refund more than was reserved."""

    def refund(self, *, recipient: str, client: str, weight: int, at: datetime, test: bool = False) -> None:
        super().refund(recipient=recipient, client=client, weight=weight, at=at, test=test)
        super().refund(recipient=recipient, client=client, weight=weight, at=at, test=test)


@pytest.mark.parametrize("mutant", [_IgnoresWeight, _RefundsTwice])
def test_wrong_weights_are_noticed(mutant: type[CounterUsageLimits]) -> None:
    sends = [(0, RECIPIENT, "a", 2, MIDNIGHT + timedelta(minutes=minute)) for minute in range(9)]
    assert find_exceeded_windows(sends, lambda counters: ALL_LIMITS.over(counters, kind=mutant))


@pytest.mark.parametrize(
    "rules",
    [
        LimitRules(recipient_per_day=10),
        LimitRules(client_per_hour=10),
        LimitRules(client_per_day=10),
        LimitRules(per_day=10),
    ],
    ids=["recipient", "client, hour", "client, day", "deployment"],
)
def test_a_weight_that_does_not_fit_is_refused_whole(rules: LimitRules) -> None:
    counters = InMemoryCounterStore()
    # Each container serves one function: what is refused to one of them must stay free for the others.
    one, other = make_limits(rules, counters), make_limits(rules, counters)
    reserve(one, weight=8)
    for weight in (3, 11):
        with pytest.raises(LimitExceededError):
            reserve(one, weight=weight)
    reserve(other, weight=2)
    with pytest.raises(LimitExceededError):
        reserve(other)


@pytest.mark.parametrize(
    "rules",
    [LimitRules(recipient_per_day=6), LimitRules(client_per_hour=6), LimitRules(client_per_day=6)],
    ids=["recipient", "client, hour", "client, day"],
)
def test_a_refund_returns_the_whole_weight_and_no_more(rules: LimitRules) -> None:
    limits = make_limits(rules)
    for _ in range(4):
        reserve(limits, weight=5)
        refund(limits, weight=5)
    reserve(limits, weight=5)
    with pytest.raises(LimitExceededError):
        reserve(limits, weight=2)
    reserve(limits)
    with pytest.raises(LimitExceededError):
        reserve(limits)


class _RefundsOne(CounterUsageLimits):
    """Limits that refund one, whatever was reserved."""

    def refund(self, *, recipient: str, client: str, weight: int, at: datetime, test: bool = False) -> None:
        super().refund(recipient=recipient, client=client, weight=1, at=at, test=test)


def test_a_refund_of_one_instead_of_the_weight_is_noticed() -> None:
    limits = LimitRules(recipient_per_day=6).over(InMemoryCounterStore(), kind=_RefundsOne)
    reserve(limits, weight=5)
    refund(limits, weight=5)
    with pytest.raises(LimitExceededError):
        reserve(limits, weight=5)


def test_keys_of_one_client_count_together_each_up_to_its_own_limit() -> None:
    counters, own = InMemoryCounterStore(), ClientLimits(per_hour=5)
    limits = CounterUsageLimits(counters=counters, rules=UsageLimitRules(), limits_of=lambda _client: own)
    for _ in range(4):
        reserve(limits)
    own = ClientLimits(per_hour=3)
    with pytest.raises(ClientLimitError):
        reserve(limits)
    own = ClientLimits(per_hour=5)
    reserve(limits)
    with pytest.raises(ClientLimitError):
        reserve(limits)


def test_one_client_cannot_use_up_the_day_of_all() -> None:
    limits = make_limits(LimitRules(client_per_day=3, per_day=5))
    for _ in range(3):
        reserve(limits, client="greedy")
    with pytest.raises(ClientLimitError) as raised:
        reserve(limits, client="greedy")
    assert raised.value.retry_after_s == Window.of(Span.DAY, START).seconds_left(START)
    reserve(limits, client="modest")


@given(sends=st.lists(CLOSE_INSTANTS | INSTANTS, max_size=40))
def test_a_single_container_refuses_only_if_a_window_is_exhausted(sends: Sequence[datetime]) -> None:
    limits = make_limits(LimitRules(client_per_hour=3, per_day=5))
    counts: Counter[Window] = Counter()
    for at in sorted(sends):
        windows = {Window.of(Span.HOUR, at): 3, Window.of(Span.DAY, at): 5}
        exhausted = any(counts[window] >= limit for window, limit in windows.items())
        try:
            reserve(limits, at)
        except LimitExceededError:
            assert exhausted
        else:
            assert not exhausted
            counts.update(windows.keys())


@given(at=INSTANTS)
def test_retry_after_is_the_first_moment_with_quota(at: datetime) -> None:
    limits = make_limits(LimitRules(recipient_per_minute=1, recipient_per_hour=2))
    reserve(limits, at)
    with pytest.raises(RecipientLimitError) as raised:
        reserve(limits, at)
    again = at + timedelta(seconds=raised.value.retry_after_s)
    with pytest.raises(RecipientLimitError):
        reserve(limits, again - timedelta(seconds=1))
    reserve(limits, again)


def test_the_last_exhausted_window_to_end_sets_retry_after() -> None:
    limits = make_limits(LimitRules(recipient_per_minute=1, recipient_per_hour=1))
    at = MIDNIGHT + timedelta(minutes=20, seconds=0.5)
    reserve(limits, at)
    with pytest.raises(RecipientLimitError, match="per hour") as raised:
        reserve(limits, at)
    assert raised.value.retry_after_s == 40 * 60


@pytest.mark.parametrize(
    ("rules", "error_class", "message"),
    [
        pytest.param(
            LimitRules(recipient_per_day=1),
            RecipientLimitError,
            "Limit per day of this number reached",
            id="recipient",
        ),
        pytest.param(
            LimitRules(client_per_hour=1),
            ClientLimitError,
            "Limit per hour of this client reached",
            id="client, hour",
        ),
        pytest.param(
            LimitRules(client_per_day=1),
            ClientLimitError,
            "Limit per day of this client reached",
            id="client, day",
        ),
        pytest.param(
            LimitRules(per_day=1),
            DailyLimitError,
            "Daily limit of this deployment reached; it resets at midnight JST",
            id="day",
        ),
    ],
)
def test_each_limit_has_an_error_which_shows_no_phone_number(
    rules: LimitRules, error_class: type[LimitExceededError], message: str
) -> None:
    limits = make_limits(rules)
    reserve(limits)
    with pytest.raises(error_class) as raised:
        reserve(limits)
    assert str(raised.value) == message
    assert not any(character.isdigit() for character in str(raised.value))


def test_the_day_is_japans() -> None:
    limits = make_limits(LimitRules(per_day=1))
    reserve(limits, datetime.fromisoformat("2026-11-22T23:59:59+09:00"))
    reserve(limits, datetime.fromisoformat("2026-11-22T15:00:00+00:00"))
    with pytest.raises(DailyLimitError) as raised:
        reserve(limits, datetime.fromisoformat("2026-11-23T14:59:00+00:00"))
    assert raised.value.retry_after_s == 60


def test_zero_means_no_limit_and_costs_no_write() -> None:
    counters = InMemoryCounterStore()
    limits = make_limits(LimitRules(), counters)
    for _ in range(100):
        reserve(limits)
    refund(limits)
    assert counters.writes == 0


def test_an_exempt_number_has_no_limit_but_counts_for_its_client() -> None:
    limits = make_limits(LimitRules(recipient_per_minute=1, client_per_hour=3, exempt=frozenset({RECIPIENT})))
    for _ in range(3):
        reserve(limits)
    with pytest.raises(ClientLimitError):
        reserve(limits)


def test_each_number_and_each_client_has_limits_of_its_own() -> None:
    limits = make_limits(LimitRules(recipient_per_minute=1, client_per_hour=2))
    reserve(limits)
    reserve(limits, recipient=OTHER_RECIPIENT)
    reserve(limits, recipient="+819000000003", client="other")


def test_a_recipient_limit_uses_nothing_of_client_and_day() -> None:
    limits = make_limits(LimitRules(recipient_per_minute=1, client_per_hour=2, per_day=2))
    reserve(limits)
    for _ in range(5):
        with pytest.raises(RecipientLimitError):
            reserve(limits)
    reserve(limits, recipient=OTHER_RECIPIENT)


def test_a_client_limit_uses_nothing_of_the_recipient() -> None:
    limits = make_limits(LimitRules(recipient_per_day=2, client_per_hour=1))
    reserve(limits)
    for _ in range(5):
        with pytest.raises(ClientLimitError):
            reserve(limits)
    reserve(limits, client="other")


def test_a_limit_known_as_reached_costs_no_write() -> None:
    counters = InMemoryCounterStore()
    limits = make_limits(LimitRules(recipient_per_day=9, client_per_hour=1), counters)
    reserve(limits)
    with pytest.raises(ClientLimitError):
        reserve(limits)
    writes = counters.writes
    with pytest.raises(ClientLimitError):
        reserve(limits)
    assert counters.writes == writes


def test_idle_containers_waste_no_more_than_they_have_sent() -> None:
    counters = InMemoryCounterStore()
    rules = LimitRules(per_day=1_000_000)
    containers = [make_limits(rules, counters) for _ in range(50)]
    for number, container in enumerate(containers):
        for _ in range(number + 1):
            reserve(container)
    [day] = counters.counters.values()
    assert day["granted"] <= 2 * sum(range(51))


def test_a_container_wastes_a_thousandth_of_the_limit_at_most() -> None:
    counters = InMemoryCounterStore()
    limits = make_limits(LimitRules(per_day=10_000), counters)
    for sent in range(1, 2000):
        reserve(limits)
        [day] = counters.counters.values()
        assert day["granted"] - sent <= 10
    assert counters.writes < 2000 * 0.11


def test_a_refunded_submission_may_be_sent_again() -> None:
    limits = make_limits(LimitRules(recipient_per_day=1, client_per_hour=1, per_day=1))
    for _ in range(3):
        reserve(limits)
        refund(limits)
    reserve(limits)
    with pytest.raises(LimitExceededError):
        reserve(limits)


def test_a_refund_after_its_window_adds_nothing_to_the_next() -> None:
    limits = make_limits(LimitRules(recipient_per_minute=1, client_per_hour=1))
    reserve(limits)
    later = START + timedelta(hours=1)
    reserve(limits, later)
    refund(limits)
    with pytest.raises(LimitExceededError):
        reserve(limits, later)


@pytest.mark.parametrize("operation", ["increment", "take_block"])
@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NOT_APPLIED], ids=str)
def test_an_unanswered_call_raises_and_the_limit_is_not_exceeded(operation: str, answer: Answer) -> None:
    rules = LimitRules(recipient_per_day=3, client_per_hour=3, per_day=3)
    limits = make_limits(rules, flaky(InMemoryCounterStore(), **{operation: [answer]}))
    with pytest.raises(StoreUnavailableError):
        reserve(limits)
    reserved = 0
    for _ in range(9):
        try:
            reserve(limits)
        except LimitExceededError:
            continue
        reserved += 1
    assert 2 <= reserved <= 3
