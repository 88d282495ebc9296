"""Test what every MessageStore does with reports: each is stored, whenever it comes, and none makes a message."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.delivery import MAX_ORPHANS, MAX_UNLISTED_REPORTS, ReportFact
from switchboard.ports.callbacks import EventPlace
from switchboard.ports.listing import ListingQuery
from switchboard.ports.orders import MessageStore
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from tests.builders import CLIENT, MINUTE, OTHER_RECIPIENT, RECIPIENT, a_claim, a_message, a_report, an_outcome, ids_of
from tests.fakes import START


def _reports(messages: MessageStore) -> tuple[ReportFact, ...]:
    message = messages.get("sms1")
    assert message is not None
    return message.reports


def test_a_report_is_stored_with_the_time_it_came(messages: MessageStore) -> None:
    messages.create(a_message())
    assert messages.record_report(a_report("14"), seen_at=START + MINUTE) is EventPlace.RECORDED
    assert _reports(messages) == (ReportFact("14", START + MINUTE),)


def test_a_repeated_report_keeps_the_time_it_came_first(messages: MessageStore) -> None:
    messages.create(a_message())
    for minutes in (1, 2):
        place = messages.record_report(a_report("14"), seen_at=START + minutes * MINUTE)
        assert place is EventPlace.RECORDED
    assert _reports(messages) == (ReportFact("14", START + MINUTE),)


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
    assert messages.record_report(a_report("1"), seen_at=START) is EventPlace.RECORDED
    assert [report.status for report in _reports(messages)] == ["1"]


@pytest.mark.parametrize(
    "status",
    [
        pytest.param("ドコモ圏外・OFF", id="Japanese"),
        pytest.param("未知 の状態", id="Japanese with a space"),
        pytest.param("a|b|c", id="separators"),
        pytest.param("report|1", id="like an attribute's name"),
        pytest.param("#1", id="like a placeholder"),
        pytest.param(" ", id="blank"),
    ],
)
def test_an_unlisted_status_is_stored_unchanged(messages: MessageStore, status: str) -> None:
    messages.create(a_message())
    messages.record_report(a_report(status), seen_at=START)
    assert _reports(messages) == (ReportFact(status, START),)


def test_a_report_without_a_number_is_about_its_message(messages: MessageStore) -> None:
    messages.create(a_message())
    assert messages.record_report(a_report("1", recipient=None), seen_at=START) is EventPlace.RECORDED
    assert _reports(messages) == (ReportFact("1", START),)


def test_a_report_about_another_number_is_kept_apart(messages: MessageStore) -> None:
    messages.create(a_message())
    report = a_report("1", recipient=OTHER_RECIPIENT)
    for _ in range(2):
        assert messages.record_report(report, seen_at=START) is EventPlace.ORPHAN
    messages.record_report(a_report("14"), seen_at=START + MINUTE)
    assert _reports(messages) == (ReportFact("14", START + MINUTE),)


def test_a_report_for_an_unknown_id_makes_no_message(messages: MessageStore) -> None:
    for _ in range(2):
        assert messages.record_report(a_report("1", "orphan"), seen_at=START) is EventPlace.ORPHAN
    assert messages.get("orphan") is None
    page = messages.find(ListingQuery(limit=10), client=CLIENT)
    assert not page.items


def test_a_new_message_adopts_what_was_reported_for_its_number(messages: MessageStore) -> None:
    for minutes, status, recipient in ((3, "14", RECIPIENT), (2, "1", OTHER_RECIPIENT), (1, "0", None)):
        messages.record_report(a_report(status, recipient=recipient), seen_at=START + minutes * MINUTE)
    assert messages.create(a_message()).granted
    assert _reports(messages) == (ReportFact("14", START + 3 * MINUTE),)
    messages.record_report(a_report("14"), seen_at=START + 4 * MINUTE)
    assert _reports(messages) == (ReportFact("14", START + 3 * MINUTE),)


def test_orphans_in_any_number_do_not_take_an_id(messages: MessageStore) -> None:
    for number in range(MAX_ORPHANS + 5):
        place = messages.record_report(a_report("1", recipient=f"+8190{number:08d}"), seen_at=START)
        assert place is (EventPlace.ORPHAN if number < MAX_ORPHANS else EventPlace.OVERFLOWED)
    assert messages.bind_key("key1", "sms1", client=CLIENT, at=START)
    assert messages.create(a_message()).granted
    assert not messages.create(a_message(claim_id="second")).granted
    assert messages.record_report(a_report("1"), seen_at=START) is EventPlace.RECORDED
    assert _reports(messages) == (ReportFact("1", START),)


def test_orphans_do_not_hinder_an_idempotency_key(messages: MessageStore) -> None:
    messages.record_report(a_report("1", "key1"), seen_at=START)
    assert messages.bind_key("key1", "sms1", client=CLIENT, at=START)
    messages.record_report(a_report("14", "key1"), seen_at=START)
    assert not messages.bind_key("key1", "sms2", client=CLIENT, at=START)
    assert not messages.create(a_message("key1")).granted


def test_unlisted_statuses_beyond_the_bound_are_not_stored(messages: MessageStore) -> None:
    messages.create(a_message())
    statuses = [f"status {number:02d}" for number in range(MAX_UNLISTED_REPORTS + 5)]
    for status in statuses:
        place = messages.record_report(a_report(status), seen_at=START)
        assert place is (EventPlace.RECORDED if status < "status 20" else EventPlace.OVERFLOWED)
    assert messages.record_report(a_report(statuses[0]), seen_at=START) is EventPlace.RECORDED
    assert [report.status for report in _reports(messages)] == statuses[:MAX_UNLISTED_REPORTS]


@pytest.mark.parametrize("recipient", [RECIPIENT, None], ids=["with the number", "without a number"])
def test_every_listed_status_fits_into_a_full_message(messages: MessageStore, recipient: str | None) -> None:
    messages.create(a_message())
    _fill(messages)
    for status in DELIVERY_STATUSES.rows:
        report = a_report(status, recipient=recipient)
        assert messages.record_report(report, seen_at=START + MINUTE) is EventPlace.RECORDED
    assert {report.status for report in _reports(messages)} >= DELIVERY_STATUSES.rows.keys()


def _fill(messages: MessageStore) -> None:
    """Report what can be stored with one id beside its listed statuses, and some more."""
    for number in range(MAX_ORPHANS + 1):
        messages.record_report(a_report("1", recipient=f"+8190{number:08d}"), seen_at=START)
        messages.record_report(a_report(f"{number:02d}".ljust(64, "\U0001f4de")), seen_at=START)


@pytest.mark.parametrize("kind", [None, *OutcomeKind])
def test_a_delivered_message_has_no_deadline(messages: MessageStore, kind: OutcomeKind | None) -> None:
    message = a_message()
    messages.create(message)
    if kind is not None:
        queue = kind is OutcomeKind.NOT_SENT
        messages.record_outcome(message, message.claims[0], an_outcome(kind), queue=queue)
    messages.record_report(a_report("1"), seen_at=START + MINUTE)
    assert not list(messages.overdue(now=START + timedelta(days=30), limit=10))
    stored = messages.get("sms1")
    assert stored is not None
    assert (stored.content, stored.closed_at) == (None, START + MINUTE)
    assert not messages.claim("sms1", a_claim("second")).granted


@pytest.mark.parametrize(
    ("status", "recipient"),
    [
        *((status, RECIPIENT) for status in DELIVERY_STATUSES.rows if status != "1"),
        ("unlisted", RECIPIENT),
        ("1", OTHER_RECIPIENT),
    ],
)
def test_any_other_report_leaves_the_deadline(messages: MessageStore, status: str, recipient: str) -> None:
    messages.create(a_message())
    messages.record_report(a_report(status, recipient=recipient), seen_at=START)
    assert ids_of(messages.overdue(now=START + timedelta(days=30), limit=10)) == ["sms1"]


def test_a_report_does_not_change_which_claim_is_granted(messages: MessageStore) -> None:
    message = a_message()
    messages.create(message)
    messages.record_report(a_report("14"), seen_at=START)
    assert not messages.claim("sms1", a_claim("second")).granted
    messages.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    assert messages.claim("sms1", a_claim("second")).granted
