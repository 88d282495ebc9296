"""Never more than a limit in any window, whatever is sent when; and what is refused is counted nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import (
    ClientLimitError,
    DailyLimitError,
    LimitExceededError,
    RecipientLimitError,
    StoreUnavailableError,
)
from switchboard.guard.usage.usage_limits import CounterUsageLimits, UsageLimitRules
from switchboard.guard.usage.windows import Span, Window
from tests.builders import CLIENT, OTHER_RECIPIENT, RECIPIENT
from tests.fakes import START, Answer, InMemoryCounterStore, flaky

MIDNIGHT = datetime.fromisoformat("2026-11-23T00:00:00+09:00")
EVERY = UsageLimitRules(
    recipient_per_minute=2, recipient_per_hour=4, recipient_per_day=6, client_per_hour=7, per_day=11
)
INSTANTS = st.integers(-3 * 3600, 3 * 3600).map(lambda seconds: MIDNIGHT + timedelta(seconds=seconds))
# Many fall into one minute, some into its neighbours, and clocks may step back.
CROWDED = st.sampled_from([MIDNIGHT + timedelta(seconds=each) for each in (-70, -1, 0, 59, 60, 3599, 3600)])
SENDS = st.tuples(
    st.integers(0, 2), st.sampled_from([RECIPIENT, OTHER_RECIPIENT]), st.sampled_from(["a", "b"]), INSTANTS | CROWDED
)


def limits(rules: UsageLimitRules, counters: InMemoryCounterStore | None = None) -> CounterUsageLimits:
    return CounterUsageLimits(counters=counters or InMemoryCounterStore(), rules=rules)


def admit(guard: CounterUsageLimits, at: datetime = START, *, recipient: str = RECIPIENT, client: str = CLIENT) -> None:
    guard.reserve(recipient=recipient, client=client, at=at)


@given(sends=st.lists(SENDS, max_size=60))
def test_no_window_ever_holds_more_than_its_limit(sends: Sequence[tuple[int, str, str, datetime]]) -> None:
    counters = InMemoryCounterStore()
    containers = [limits(EVERY, counters) for _ in range(3)]
    held: Counter[object] = Counter()
    most = {Span.MINUTE: 2, Span.HOUR: 4, Span.DAY: 6}
    for container, recipient, client, at in sends:
        counted = {(recipient, Window.of(span, at)): limit for span, limit in most.items()}
        shared = {(client, Window.of(Span.HOUR, at)): 7, ("all", Window.of(Span.DAY, at)): 11}
        full = any(held[each] >= limit for each, limit in counted.items())
        try:
            admit(containers[container], at, recipient=recipient, client=client)
        except RecipientLimitError:
            assert full
            continue
        except (ClientLimitError, DailyLimitError):
            continue
        held.update([*counted, *shared])
        assert all(held[each] <= limit for each, limit in (counted | shared).items())


@given(sends=st.lists(CROWDED | INSTANTS, max_size=40))
def test_a_single_container_refuses_only_where_a_window_is_full(sends: Sequence[datetime]) -> None:
    guard = limits(UsageLimitRules(client_per_hour=3, per_day=5))
    held: Counter[Window] = Counter()
    for at in sorted(sends):
        windows = {Window.of(Span.HOUR, at): 3, Window.of(Span.DAY, at): 5}
        full = any(held[window] >= limit for window, limit in windows.items())
        try:
            admit(guard, at)
        except LimitExceededError:
            assert full
        else:
            assert not full
            held.update(windows.keys())


@given(at=INSTANTS)
def test_retry_after_is_the_first_moment_at_which_it_is_admitted(at: datetime) -> None:
    guard = limits(UsageLimitRules(recipient_per_minute=1, recipient_per_hour=2))
    admit(guard, at)
    with pytest.raises(RecipientLimitError) as refused:
        admit(guard, at)
    again = at + timedelta(seconds=refused.value.retry_after_s)
    with pytest.raises(RecipientLimitError):
        admit(guard, again - timedelta(seconds=1))
    admit(guard, again)


def test_of_several_full_windows_the_last_to_end_is_told() -> None:
    guard = limits(UsageLimitRules(recipient_per_minute=1, recipient_per_hour=1))
    at = MIDNIGHT + timedelta(minutes=20, seconds=0.5)
    admit(guard, at)
    with pytest.raises(RecipientLimitError, match="one hour") as refused:
        admit(guard, at)
    assert refused.value.retry_after_s == 40 * 60


@pytest.mark.parametrize(
    ("rules", "kind"),
    [
        (UsageLimitRules(recipient_per_day=1), RecipientLimitError),
        (UsageLimitRules(client_per_hour=1), ClientLimitError),
        (UsageLimitRules(per_day=1), DailyLimitError),
    ],
)
def test_each_limit_has_its_own_error_which_shows_no_number(
    rules: UsageLimitRules, kind: type[LimitExceededError]
) -> None:
    guard = limits(rules)
    admit(guard)
    with pytest.raises(kind) as refused:
        admit(guard)
    assert not any(character.isdigit() for character in str(refused.value))


def test_the_day_is_japans() -> None:
    guard = limits(UsageLimitRules(per_day=1))
    admit(guard, datetime.fromisoformat("2026-11-22T23:59:59+09:00"))
    admit(guard, datetime.fromisoformat("2026-11-22T15:00:00+00:00"))
    with pytest.raises(DailyLimitError) as refused:
        admit(guard, datetime.fromisoformat("2026-11-23T14:59:00+00:00"))
    assert refused.value.retry_after_s == 60


def test_zero_means_no_limit_and_costs_no_write() -> None:
    counters = InMemoryCounterStore()
    guard = limits(UsageLimitRules(), counters)
    for _ in range(100):
        admit(guard)
    guard.refund(recipient=RECIPIENT, client=CLIENT, at=START)
    assert counters.writes == 0


def test_an_exempt_number_has_no_limit_of_its_own_and_counts_for_its_client() -> None:
    guard = limits(UsageLimitRules(recipient_per_minute=1, client_per_hour=3, exempt=frozenset({RECIPIENT})))
    for _ in range(3):
        admit(guard)
    with pytest.raises(ClientLimitError):
        admit(guard)


def test_other_numbers_and_other_clients_have_limits_of_their_own() -> None:
    guard = limits(UsageLimitRules(recipient_per_minute=1, client_per_hour=2))
    admit(guard)
    admit(guard, recipient=OTHER_RECIPIENT)
    admit(guard, recipient="+819000000003", client="other")


def test_what_the_recipients_limit_refuses_uses_up_nothing_of_client_and_day() -> None:
    guard = limits(UsageLimitRules(recipient_per_minute=1, client_per_hour=2, per_day=2))
    admit(guard)
    for _ in range(5):
        with pytest.raises(RecipientLimitError):
            admit(guard)
    admit(guard, recipient=OTHER_RECIPIENT)


def test_what_the_clients_limit_refuses_uses_up_nothing_of_the_recipient() -> None:
    guard = limits(UsageLimitRules(recipient_per_day=2, client_per_hour=1))
    admit(guard)
    for _ in range(5):
        with pytest.raises(ClientLimitError):
            admit(guard)
    admit(guard, client="other")


def test_a_limit_that_is_known_to_be_reached_costs_no_write() -> None:
    counters = InMemoryCounterStore()
    guard = limits(UsageLimitRules(recipient_per_day=9, client_per_hour=1), counters)
    admit(guard)
    with pytest.raises(ClientLimitError):
        admit(guard)
    written = counters.writes
    with pytest.raises(ClientLimitError):
        admit(guard)
    assert counters.writes == written


def test_what_lies_idle_in_other_containers_is_no_more_than_they_have_sent() -> None:
    counters = InMemoryCounterStore()
    rules = UsageLimitRules(per_day=1_000_000)
    containers = [limits(rules, counters) for _ in range(50)]
    for number, container in enumerate(containers):
        for _ in range(number + 1):
            admit(container)
    [day] = counters.counters.values()
    assert day["granted"] <= 2 * sum(range(51))


def test_a_container_that_dies_takes_a_thousandth_of_the_limit_with_it_at_most() -> None:
    counters = InMemoryCounterStore()
    guard = limits(UsageLimitRules(per_day=10_000), counters)
    for sent in range(1, 2000):
        admit(guard)
        [day] = counters.counters.values()
        assert day["granted"] - sent <= 10
    assert counters.writes < 2000 * 0.11


def test_what_is_given_back_may_be_sent_again() -> None:
    guard = limits(UsageLimitRules(recipient_per_day=1, client_per_hour=1, per_day=1))
    for _ in range(3):
        admit(guard)
        guard.refund(recipient=RECIPIENT, client=CLIENT, at=START)
    admit(guard)
    with pytest.raises(LimitExceededError):
        admit(guard)


def test_what_is_given_back_after_its_window_is_no_more_room_in_the_next() -> None:
    guard = limits(UsageLimitRules(recipient_per_minute=1, client_per_hour=1))
    admit(guard)
    later = START + timedelta(hours=1)
    admit(guard, later)
    guard.refund(recipient=RECIPIENT, client=CLIENT, at=START)
    with pytest.raises(LimitExceededError):
        admit(guard, later)


@pytest.mark.parametrize("operation", ["increment", "take_block"])
@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NOT_APPLIED])
def test_without_an_answer_of_the_store_nothing_is_admitted_and_the_limit_holds(operation: str, answer: Answer) -> None:
    rules = UsageLimitRules(recipient_per_day=3, client_per_hour=3, per_day=3)
    guard = limits(rules, flaky(InMemoryCounterStore(), **{operation: [answer]}))
    with pytest.raises(StoreUnavailableError):
        admit(guard)
    admitted = 0
    for _ in range(9):
        try:
            admit(guard)
        except LimitExceededError:
            continue
        admitted += 1
    assert 2 <= admitted <= 3
