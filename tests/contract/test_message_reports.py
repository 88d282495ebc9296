"""Test what every MessageStore does with reports: each is stored, whenever it comes, and none makes a message."""

from __future__ import annotations

import pytest

from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.delivery import ReportFact
from switchboard.ports.listing import ListingQuery
from switchboard.ports.orders import MessageStore
from tests.builders import CLIENT, MINUTE, OTHER_RECIPIENT, RECIPIENT, a_claim, a_message, a_report, an_outcome
from tests.fakes import START


def _reports(messages: MessageStore) -> tuple[ReportFact, ...]:
    message = messages.get("sms1")
    assert message is not None
    return message.reports


def test_a_report_is_stored_with_the_time_it_came(messages: MessageStore) -> None:
    messages.create(a_message())
    assert messages.record_report(a_report("14"), seen_at=START + MINUTE)
    assert _reports(messages) == (ReportFact("14", RECIPIENT, START + MINUTE),)


def test_a_repeated_report_keeps_the_time_it_came_first(messages: MessageStore) -> None:
    messages.create(a_message())
    for minutes in (1, 2):
        assert messages.record_report(a_report("14"), seen_at=START + minutes * MINUTE)
    assert _reports(messages) == (ReportFact("14", RECIPIENT, START + MINUTE),)


def test_reports_are_in_the_order_in_which_they_came(messages: MessageStore) -> None:
    messages.create(a_message())
    for minutes, status in ((2, "1"), (1, "18"), (2, "0")):
        messages.record_report(a_report(status), seen_at=START + minutes * MINUTE)
    assert [report.status for report in _reports(messages)] == ["18", "0", "1"]


@pytest.mark.parametrize("kind", OutcomeKind)
def test_a_report_that_overtakes_the_outcome_is_stored(messages: MessageStore, kind: OutcomeKind) -> None:
    message = a_message()
    messages.create(message)
    messages.record_report(a_report("1"), seen_at=START)
    written = messages.record_outcome(message, message.claims[0], an_outcome(kind))
    assert [report.status for report in written.reports] == ["1"]


def test_a_report_about_a_closed_message_is_stored(messages: MessageStore) -> None:
    message = a_message()
    messages.create(message)
    messages.record_closed(message, at=START)
    assert messages.record_report(a_report("1"), seen_at=START)
    assert [report.status for report in _reports(messages)] == ["1"]


@pytest.mark.parametrize(
    "status",
    [
        pytest.param("ドコモ圏外・OFF", id="Japanese"),
        pytest.param("未知 の状態", id="Japanese with a space"),
        pytest.param("a|b|c", id="separators"),
        pytest.param("report|1", id="like an attribute's name"),
        pytest.param("#1", id="like a placeholder"),
        pytest.param("", id="empty"),
        pytest.param(" ", id="blank"),
    ],
)
def test_an_unlisted_status_is_stored_unchanged(messages: MessageStore, status: str) -> None:
    messages.create(a_message())
    messages.record_report(a_report(status), seen_at=START)
    assert _reports(messages) == (ReportFact(status, RECIPIENT, START),)


def test_a_report_without_a_number_is_about_its_message(messages: MessageStore) -> None:
    messages.create(a_message())
    messages.record_report(a_report("1", recipient=None), seen_at=START)
    message = messages.get("sms1")
    assert message is not None
    assert message.recipient_reports == (ReportFact("1", None, START),)


def test_a_report_for_another_number_is_stored_but_is_not_the_recipients(messages: MessageStore) -> None:
    messages.create(a_message())
    messages.record_report(a_report("1", recipient=OTHER_RECIPIENT), seen_at=START)
    messages.record_report(a_report("1"), seen_at=START + MINUTE)
    message = messages.get("sms1")
    assert message is not None
    assert len(message.reports) == 2
    assert message.recipient_reports == (ReportFact("1", RECIPIENT, START + MINUTE),)


def test_a_report_for_an_unknown_id_makes_no_message(messages: MessageStore) -> None:
    for _ in range(2):
        assert not messages.record_report(a_report("1", "orphan"), seen_at=START)
    assert messages.get("orphan") is None
    page = messages.find(ListingQuery(limit=10), client=CLIENT)
    assert not page.items


def test_an_id_with_reports_cannot_be_the_id_of_a_new_message(messages: MessageStore) -> None:
    messages.record_report(a_report("1"), seen_at=START)
    answer = messages.create(a_message())
    assert not answer.granted
    assert answer.order is None
    assert messages.get("sms1") is None


def test_a_report_does_not_change_which_claim_is_granted(messages: MessageStore) -> None:
    message = a_message()
    messages.create(message)
    messages.record_report(a_report("14"), seen_at=START)
    assert not messages.claim("sms1", a_claim("second")).granted
    messages.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    assert messages.claim("sms1", a_claim("second")).granted
