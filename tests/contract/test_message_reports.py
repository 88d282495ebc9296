"""What every MessageStore does with reports: each is kept, whenever it comes, and none makes a message."""

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


def test_a_report_about_a_message_is_kept_with_the_time_it_came(messages: MessageStore) -> None:
    messages.create(a_message())
    assert messages.record_report(a_report("14"), seen_at=START + MINUTE)
    assert _reports(messages) == (ReportFact("14", RECIPIENT, START + MINUTE),)


def test_the_same_report_again_keeps_the_time_it_came_first(messages: MessageStore) -> None:
    messages.create(a_message())
    for minutes in (1, 2):
        assert messages.record_report(a_report("14"), seen_at=START + minutes * MINUTE)
    assert _reports(messages) == (ReportFact("14", RECIPIENT, START + MINUTE),)


def test_reports_stand_in_the_order_they_came(messages: MessageStore) -> None:
    messages.create(a_message())
    for minutes, status in ((2, "1"), (1, "18"), (2, "0")):
        messages.record_report(a_report(status), seen_at=START + minutes * MINUTE)
    assert [report.status for report in _reports(messages)] == ["18", "0", "1"]


@pytest.mark.parametrize("kind", OutcomeKind)
def test_a_report_that_overtakes_the_answer_is_kept(messages: MessageStore, kind: OutcomeKind) -> None:
    message = a_message()
    messages.create(message)
    messages.record_report(a_report("1"), seen_at=START)
    written = messages.record_outcome(message, message.claims[0], an_outcome(kind))
    assert [report.status for report in written.reports] == ["1"]


def test_a_report_on_a_closed_message_is_kept(messages: MessageStore) -> None:
    message = a_message()
    messages.create(message)
    messages.record_closed(message, at=START)
    assert messages.record_report(a_report("1"), seen_at=START)
    assert [report.status for report in _reports(messages)] == ["1"]


@pytest.mark.parametrize("status", ["ドコモ圏外・OFF", "a|b|c", "", " ", "未知 の状態", "#1", "report|1"])
def test_an_unlisted_status_is_kept_as_it_is(messages: MessageStore, status: str) -> None:
    messages.create(a_message())
    messages.record_report(a_report(status), seen_at=START)
    assert _reports(messages) == (ReportFact(status, RECIPIENT, START),)


def test_a_report_that_names_no_number_is_about_this_message(messages: MessageStore) -> None:
    messages.create(a_message())
    messages.record_report(a_report("1", recipient=None), seen_at=START)
    message = messages.get("sms1")
    assert message is not None
    assert message.recipient_reports == (ReportFact("1", None, START),)


def test_a_report_that_names_another_number_is_kept_and_says_nothing_about_this_one(messages: MessageStore) -> None:
    messages.create(a_message())
    messages.record_report(a_report("1", recipient=OTHER_RECIPIENT), seen_at=START)
    messages.record_report(a_report("1"), seen_at=START + MINUTE)
    message = messages.get("sms1")
    assert message is not None
    assert len(message.reports) == 2
    assert message.recipient_reports == (ReportFact("1", RECIPIENT, START + MINUTE),)


def test_a_report_for_an_id_that_is_not_ours_is_known_as_such_and_makes_no_message(messages: MessageStore) -> None:
    for _ in range(2):
        assert not messages.record_report(a_report("1", "orphan"), seen_at=START)
    assert messages.get("orphan") is None
    page = messages.find(ListingQuery(limit=10), client=CLIENT)
    assert not page.items


def test_an_id_that_has_reports_already_is_given_to_nobody(messages: MessageStore) -> None:
    messages.record_report(a_report("1"), seen_at=START)
    answer = messages.create(a_message())
    assert not answer.granted
    assert answer.order is None
    assert messages.get("sms1") is None


def test_a_report_does_not_change_who_may_submit(messages: MessageStore) -> None:
    message = a_message()
    messages.create(message)
    messages.record_report(a_report("14"), seen_at=START)
    assert not messages.claim("sms1", a_claim("second")).granted
    messages.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    assert messages.claim("sms1", a_claim("second")).granted
