"""Test what every MessageStore lists: a client's messages, newest first, and overdue ones, longest overdue first."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from unittest.mock import Mock

import pytest

from switchboard.domain.changes import ChangeKind
from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.messages import Message
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.listing import ListingQuery
from switchboard.ports.orders import MessageStore
from switchboard.storage.items import pending_partition, pending_partitions
from switchboard.usecases.subscription.views import ReadChanges
from tests.builders import (
    CLIENT,
    DEADLINES,
    MINUTE,
    OTHER_RECIPIENT,
    RECIPIENT,
    a_claim,
    a_message,
    a_report,
    an_outcome,
    ids_of,
)
from tests.fakes import START


def _list_ids(
    messages: MessageStore,
    *,
    client: str = CLIENT,
    recipient: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
) -> list[str]:
    """Return the ids on all pages of at most `limit` messages."""
    ids: list[str] = []
    query = ListingQuery(recipient=recipient, since=since, until=until, limit=limit)
    while True:
        page = messages.find(query, client=client)
        assert len(page.items) <= limit
        ids += [message.smsid for message in page.items]
        if page.next_position is None:
            return ids
        query = replace(query, position=page.next_position)


@pytest.fixture
def listed(messages: MessageStore) -> MessageStore:
    """Create five messages of the client and one of another client.

    The five are a minute apart, except the last two, which are of one moment. The third is to another number.
    """
    for number, minutes in enumerate((0, 1, 2, 3, 3)):
        recipient = OTHER_RECIPIENT if number == 2 else RECIPIENT
        messages.create(a_message(f"sms{number}", at=START + minutes * MINUTE, recipient=recipient))
    messages.create(a_message("foreign", client="client2"))
    return messages


def test_a_list_has_the_clients_own_messages_newest_first(listed: MessageStore) -> None:
    assert _list_ids(listed) == ["sms4", "sms3", "sms2", "sms1", "sms0"]
    assert _list_ids(listed, client="client2") == ["foreign"]
    assert _list_ids(listed, client="client3") == []


def test_a_list_for_a_number_has_only_the_messages_to_it(listed: MessageStore) -> None:
    assert _list_ids(listed, recipient=RECIPIENT) == ["sms4", "sms3", "sms1", "sms0"]
    assert _list_ids(listed, recipient=OTHER_RECIPIENT) == ["sms2"]
    assert _list_ids(listed, client="client2", recipient=OTHER_RECIPIENT) == []


@pytest.mark.parametrize("recipient", [None, RECIPIENT], ids=["all numbers", "one number"])
@pytest.mark.parametrize("limit", [1, 2, 3, 5], ids="limit {}".format)
def test_pages_of_any_size_have_each_message_once(listed: MessageStore, recipient: str | None, limit: int) -> None:
    assert _list_ids(listed, recipient=recipient, limit=limit) == _list_ids(listed, recipient=recipient)


def test_since_is_inclusive_and_until_exclusive(listed: MessageStore) -> None:
    assert _list_ids(listed, since=START + MINUTE) == ["sms4", "sms3", "sms2", "sms1"]
    assert _list_ids(listed, until=START + MINUTE) == ["sms0"]
    assert _list_ids(listed, since=START + MINUTE, until=START + 3 * MINUTE, limit=1) == ["sms2", "sms1"]


@pytest.mark.parametrize("until", [START, START - MINUTE], ids=["ends where it begins", "ends before it begins"])
def test_a_list_over_an_empty_span_is_empty(listed: MessageStore, until: datetime) -> None:
    assert _list_ids(listed, since=START, until=until) == []


@pytest.mark.parametrize(
    "position",
    [
        pytest.param("", id="empty"),
        pytest.param("#", id="only the separator"),
        pytest.param("nonsense", id="neither time nor separator"),
        pytest.param("x" * 24 + "#sms1", id="no time"),
        pytest.param(to_rfc3339(START), id="only a time"),
        pytest.param(f"{to_rfc3339(START)}#", id="no id"),
        pytest.param(f"{to_rfc3339(START)}sms1", id="no separator"),
        pytest.param(f"{to_rfc3339(START)}#sms-1", id="hyphen in the id"),
        pytest.param(f"{to_rfc3339(START)}#sms\x00", id="NUL in the id"),
        pytest.param(f"{to_rfc3339(START)}#送信", id="Japanese id"),
        pytest.param(f"{to_rfc3339(START)}#{'a' * 51}", id="id too long"),
    ],
)
def test_a_position_of_another_form_is_refused(listed: MessageStore, position: str) -> None:
    with pytest.raises(InvalidRequestError):
        listed.find(ListingQuery(limit=10, position=position), client=CLIENT)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        pytest.param(START + 10 * MINUTE, None, id="before the span"),
        pytest.param(None, START - 10 * MINUTE, id="after the span"),
        pytest.param(START + MINUTE, START, id="empty span"),
    ],
)
def test_a_position_outside_the_queried_span_is_refused(
    listed: MessageStore, since: datetime | None, until: datetime | None
) -> None:
    position = f"{to_rfc3339(START)}#sms0"
    with pytest.raises(InvalidRequestError):
        listed.find(ListingQuery(since=since, until=until, limit=10, position=position), client=CLIENT)


def _overdue_ids(messages: MessageStore, now: datetime, *, limit: int = 100) -> list[str]:
    return ids_of(messages.overdue(now=now, limit=limit))


def _assert_due_at(messages: MessageStore, deadline: datetime) -> None:
    """Check that the message is due at the deadline and not before."""
    assert _overdue_ids(messages, deadline - timedelta(milliseconds=1)) == []
    assert _overdue_ids(messages, deadline) == ["sms1"]


def _create_with_outcome(messages: MessageStore, kind: OutcomeKind, *, queue: bool = False) -> Message:
    message = a_message()
    messages.create(message)
    return messages.record_outcome(message, message.claims[0], an_outcome(kind, at=START + MINUTE), queue=queue)


def _ids_in_one_shard(count: int) -> list[str]:
    """Return ids of messages that are in one partition of the deadlines' index."""
    names = (f"sms{number}" for number in itertools.count())
    shard = pending_partition("sms", "SMS#sms0")
    return list(itertools.islice((name for name in names if pending_partition("sms", f"SMS#{name}") == shard), count))


def test_overdue_messages_come_longest_overdue_first_by_pages(messages: MessageStore) -> None:
    ids = _ids_in_one_shard(3)
    for number in (2, 0, 1):
        messages.create(a_message(ids[number], at=START + number * MINUTE))
    assert _overdue_ids(messages, START + timedelta(days=1)) == ids
    assert _overdue_ids(messages, START + timedelta(days=1), limit=2) == ids


def test_overdue_messages_are_found_in_every_shard(messages: MessageStore) -> None:
    ids = {f"sms{number}" for number in range(100)}
    for smsid in ids:
        messages.create(a_message(smsid, claim_id=smsid))
    assert {pending_partition("sms", f"SMS#{smsid}") for smsid in ids} == set(pending_partitions("sms"))
    assert set(_overdue_ids(messages, START + timedelta(days=1))) == ids


def test_a_message_that_may_be_sent_is_due_when_delivery_is_overdue(messages: MessageStore) -> None:
    _create_with_outcome(messages, OutcomeKind.UNKNOWN)
    _assert_due_at(messages, START + DEADLINES.delivery_after_claim)


def test_an_accepted_message_stays_due_when_its_submission_is(messages: MessageStore) -> None:
    message = _create_with_outcome(messages, OutcomeKind.ACCEPTED)
    _assert_due_at(messages, START + DEADLINES.submission_after_claim)
    messages.postpone(message, until=START + DEADLINES.delivery_after_claim)
    _assert_due_at(messages, START + DEADLINES.delivery_after_claim)


def test_a_rejected_message_is_never_overdue_ids(messages: MessageStore) -> None:
    _create_with_outcome(messages, OutcomeKind.REJECTED)
    assert _overdue_ids(messages, START + timedelta(days=400)) == []


def test_an_unsent_message_is_due_when_its_submission_time_ends(messages: MessageStore) -> None:
    message = _create_with_outcome(messages, OutcomeKind.NOT_SENT)
    _assert_due_at(messages, message.submit_before)


def test_a_queued_message_is_due_when_it_has_waited_long(messages: MessageStore) -> None:
    _create_with_outcome(messages, OutcomeKind.NOT_SENT, queue=True)
    _assert_due_at(messages, START + MINUTE + DEADLINES.requeue_after_queued)


def test_a_message_with_a_new_claim_is_due_when_submission_is_overdue(messages: MessageStore) -> None:
    _create_with_outcome(messages, OutcomeKind.NOT_SENT, queue=True)
    messages.claim("sms1", a_claim("second", at=START + 5 * MINUTE))
    _assert_due_at(messages, START + 5 * MINUTE + DEADLINES.submission_after_claim)


def test_a_timed_out_message_is_due_when_delivery_is_overdue(messages: MessageStore) -> None:
    message = a_message()
    messages.create(message)
    messages.record_timeout(message, at=START + 3 * MINUTE)
    _assert_due_at(messages, START + DEADLINES.delivery_after_claim)


def test_a_closed_message_is_never_overdue_ids(messages: MessageStore) -> None:
    messages.record_closed(_create_with_outcome(messages, OutcomeKind.ACCEPTED), at=START)
    assert _overdue_ids(messages, START + timedelta(days=400)) == []


def test_a_postponed_message_is_due_at_the_new_time(messages: MessageStore) -> None:
    messages.postpone(_create_with_outcome(messages, OutcomeKind.ACCEPTED), until=START + 7 * MINUTE)
    _assert_due_at(messages, START + 7 * MINUTE)


def test_postponing_does_nothing_after_another_claim(messages: MessageStore) -> None:
    before = _create_with_outcome(messages, OutcomeKind.NOT_SENT, queue=True)
    messages.claim("sms1", a_claim("second", at=START + MINUTE))
    messages.postpone(before, until=START + timedelta(days=9))
    _assert_due_at(messages, START + MINUTE + DEADLINES.submission_after_claim)


def test_postponing_a_closed_message_does_not_open_it(messages: MessageStore) -> None:
    message = _create_with_outcome(messages, OutcomeKind.ACCEPTED)
    messages.record_closed(message, at=START)
    messages.postpone(message, until=START)
    assert _overdue_ids(messages, START + timedelta(days=400)) == []


def test_a_recovery_finds_what_was_created_up_to_38_days_before_and_changed_since(messages: MessageStore) -> None:
    since, day = START + 5 * MINUTE, timedelta(days=1)
    for number in range(150):
        messages.create(a_message(f"new{number}", at=START + 6 * MINUTE + number * timedelta(seconds=1)))
    for smsid, age in {"unchanged": day, "yesterday": day, "scheduled": 38 * day, "older": 39 * day}.items():
        messages.create(a_message(smsid, at=since - age))
        if smsid != "unchanged":
            messages.record_report(a_report("1", smsid), seen_at=since + MINUTE)
    messages.create(a_message("foreign", at=since + MINUTE, client="client2"))
    lists = {ChangeKind.SMS: lambda query, client: messages.find(query, client=client)}
    views = ReadChanges(items=Mock(), describe=Mock(), rules_version="1", lists=lists, providers=())

    ids, pages, position = list[str](), 0, None
    while pages == 0 or position is not None:
        found, position = views.changed_since(ChangeKind.SMS, since, client=CLIENT, position=position)
        ids, pages = [*ids, *found], pages + 1

    assert pages == 2
    assert sorted(ids) == sorted([*(f"new{number}" for number in range(150)), "yesterday", "scheduled"])
