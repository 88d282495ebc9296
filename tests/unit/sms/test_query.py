"""A caller sees its own messages, and does not learn whether others exist."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.domain.errors import InvalidRequestError, ResourceNotFoundError
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus
from switchboard.usecases.query import OrderFilter, QueryOrders
from tests.builders import CLIENT, DEADLINES, MINUTE, OTHER_RECIPIENT, RECIPIENT, a_message, a_report
from tests.fakes import START, FixedClock, InMemoryMessageStore
from tests.systems import assembled

SmsQuery = QueryOrders[Message, SmsStatus]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def messages() -> InMemoryMessageStore:
    """Store thirty messages a minute apart.

    Every tenth is delivered, every second goes to another number, and every seventh has a reference.
    """
    store = InMemoryMessageStore()
    for number in range(30):
        recipient = OTHER_RECIPIENT if number % 2 else RECIPIENT
        reference = "spring" if number % 7 == 0 else None
        store.create(
            a_message(f"sms{number:02d}", at=START + number * MINUTE, recipient=recipient, reference=reference)
        )
        if number % 10 == 0:
            store.record_report(a_report("1", f"sms{number:02d}", recipient=recipient), seen_at=START)
    return store


@pytest.fixture
def query(messages: InMemoryMessageStore, clock: FixedClock) -> SmsQuery:
    return assembled(messages=messages, clock=clock).query


def test_one_message_shows_its_present_status(query: SmsQuery, clock: FixedClock) -> None:
    assert query.one("sms01", client=CLIENT).status.state is SmsState.SUBMITTING
    clock.advance(MINUTE + DEADLINES.submission_after_claim)
    assert query.one("sms01", client=CLIENT).status.state is SmsState.UNKNOWN


@pytest.mark.parametrize(
    ("smsid", "client"),
    [("sms99", CLIENT), ("sms01", "client2"), ("sms01", "")],
    ids=["missing", "foreign", "no client"],
)
def test_missing_and_foreign_messages_give_the_same_error(query: SmsQuery, smsid: str, client: str) -> None:
    with pytest.raises(ResourceNotFoundError, match=r"^No such resource, or it belongs to another client$"):
        query.one(smsid, client=client)


def _list_all(query: SmsQuery, filter_: OrderFilter, *, limit: int, client: str = CLIENT) -> list[str]:
    smsids, position = [], None
    while True:
        page = query.many(filter_, client=client, limit=limit, position=position)
        assert len(page.items) <= limit
        smsids += [view.order.smsid for view in page.items]
        position = page.next_position
        if position is None:
            return smsids


@pytest.mark.parametrize("limit", [1, 7, 30, 100])
def test_a_list_holds_every_message_once_newest_first(query: SmsQuery, limit: int) -> None:
    assert _list_all(query, OrderFilter(), limit=limit) == [f"sms{number:02d}" for number in reversed(range(30))]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_state_filter_finds_all_matches_over_all_pages(query: SmsQuery, limit: int) -> None:
    assert _list_all(query, OrderFilter(state=SmsState.DELIVERED), limit=limit) == ["sms20", "sms10", "sms00"]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_a_reference_filter_finds_all_matches_over_all_pages(query: SmsQuery, limit: int) -> None:
    spring = [f"sms{number:02d}" for number in (28, 21, 14, 7, 0)]
    assert _list_all(query, OrderFilter(reference="spring"), limit=limit) == spring
    assert _list_all(query, OrderFilter(reference="spring", state=SmsState.DELIVERED), limit=limit) == ["sms00"]


def test_filters_can_be_combined(query: SmsQuery) -> None:
    combined = OrderFilter(recipient=RECIPIENT, since=START + 10 * MINUTE, until=START + 13 * MINUTE)
    assert _list_all(query, combined, limit=100) == ["sms12", "sms10"]
    assert _list_all(query, OrderFilter(recipient=OTHER_RECIPIENT, state=SmsState.DELIVERED), limit=3) == []


def test_another_client_sees_nothing(query: SmsQuery) -> None:
    assert _list_all(query, OrderFilter(), limit=100, client="client2") == []


def test_a_filter_without_matches_reads_a_bounded_part(
    query: SmsQuery,
) -> None:
    page = query.many(OrderFilter(state=SmsState.EXPIRED), client=CLIENT, limit=1, position=None)
    assert not page.items
    assert page.next_position is not None


def test_an_unknown_position_is_refused(query: SmsQuery) -> None:
    with pytest.raises(InvalidRequestError):
        query.many(OrderFilter(), client=CLIENT, limit=1, position="nonsense")


def test_a_list_shows_the_status_at_the_time_of_the_query(query: SmsQuery, clock: FixedClock) -> None:
    clock.advance(timedelta(days=10))
    assert len(_list_all(query, OrderFilter(state=SmsState.UNKNOWN), limit=10)) == 27
