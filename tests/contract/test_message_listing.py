"""What every MessageStore finds: a client's messages, newest first, and the overdue ones, longest overdue first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.messages import Message
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.listing import ListingQuery
from switchboard.ports.orders import MessageStore
from tests.builders import CLIENT, DEADLINES, MINUTE, OTHER_RECIPIENT, RECIPIENT, a_claim, a_message, an_outcome
from tests.fakes import START


def _found(
    messages: MessageStore,
    *,
    client: str = CLIENT,
    recipient: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
) -> list[str]:
    """The ids on all pages, by pages of at most `limit`."""
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
    """Five messages, a minute apart but for two at once; the third is to another number, one is another client's."""
    for number, minutes in enumerate((0, 1, 2, 3, 3)):
        recipient = OTHER_RECIPIENT if number == 2 else RECIPIENT
        messages.create(a_message(f"sms{number}", at=START + minutes * MINUTE, recipient=recipient))
    messages.create(a_message("foreign", client="client2"))
    return messages


def test_a_client_sees_its_own_messages_newest_first(listed: MessageStore) -> None:
    assert _found(listed) == ["sms4", "sms3", "sms2", "sms1", "sms0"]
    assert _found(listed, client="client2") == ["foreign"]
    assert _found(listed, client="client3") == []


def test_messages_can_be_found_by_number(listed: MessageStore) -> None:
    assert _found(listed, recipient=RECIPIENT) == ["sms4", "sms3", "sms1", "sms0"]
    assert _found(listed, recipient=OTHER_RECIPIENT) == ["sms2"]
    assert _found(listed, client="client2", recipient=OTHER_RECIPIENT) == []


@pytest.mark.parametrize("recipient", [None, RECIPIENT])
@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_of_any_size_give_each_message_once(listed: MessageStore, recipient: str | None, limit: int) -> None:
    assert _found(listed, recipient=recipient, limit=limit) == _found(listed, recipient=recipient)


def test_since_is_inclusive_and_until_exclusive(listed: MessageStore) -> None:
    assert _found(listed, since=START + MINUTE) == ["sms4", "sms3", "sms2", "sms1"]
    assert _found(listed, until=START + MINUTE) == ["sms0"]
    assert _found(listed, since=START + MINUTE, until=START + 3 * MINUTE, limit=1) == ["sms2", "sms1"]


@pytest.mark.parametrize("until", [START, START - MINUTE])
def test_an_empty_span_of_time_finds_nothing(listed: MessageStore, until: datetime) -> None:
    assert _found(listed, since=START, until=until) == []


@pytest.mark.parametrize(
    "position",
    [
        "",
        "#",
        "nonsense",
        "x" * 24 + "#sms1",
        to_rfc3339(START),
        f"{to_rfc3339(START)}#",
        f"{to_rfc3339(START)}sms1",
        f"{to_rfc3339(START)}#sms-1",
        f"{to_rfc3339(START)}#sms\x00",
        f"{to_rfc3339(START)}#送信",
        f"{to_rfc3339(START)}#{'a' * 51}",
    ],
)
def test_a_position_that_was_never_handed_out_is_refused(listed: MessageStore, position: str) -> None:
    with pytest.raises(InvalidRequestError):
        listed.find(ListingQuery(limit=10, position=position), client=CLIENT)


@pytest.mark.parametrize(
    ("since", "until"), [(START + 10 * MINUTE, None), (None, START - 10 * MINUTE), (START + MINUTE, START)]
)
def test_a_position_outside_the_span_asked_for_is_refused(
    listed: MessageStore, since: datetime | None, until: datetime | None
) -> None:
    position = f"{to_rfc3339(START)}#sms0"
    with pytest.raises(InvalidRequestError):
        listed.find(ListingQuery(since=since, until=until, limit=10, position=position), client=CLIENT)


def _due(messages: MessageStore, now: datetime, *, limit: int = 100) -> list[str]:
    return [message.smsid for message in messages.overdue(now=now, limit=limit)]


def _open_until(messages: MessageStore, deadline: datetime) -> None:
    """The message is due then, and not before."""
    assert _due(messages, deadline - timedelta(milliseconds=1)) == []
    assert _due(messages, deadline) == ["sms1"]


def _written(messages: MessageStore, kind: OutcomeKind, *, queue: bool = False) -> Message:
    message = a_message()
    messages.create(message)
    return messages.record_outcome(message, message.claims[0], an_outcome(kind, at=START + MINUTE), queue=queue)


def test_the_longest_overdue_comes_first_and_no_more_than_asked_for(messages: MessageStore) -> None:
    for number in (2, 0, 1):
        messages.create(a_message(f"sms{number}", at=START + number * MINUTE))
    assert _due(messages, START + timedelta(days=1)) == ["sms0", "sms1", "sms2"]
    assert _due(messages, START + timedelta(days=1), limit=2) == ["sms0", "sms1"]


@pytest.mark.parametrize("kind", [OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN])
def test_what_may_have_been_sent_is_due_when_its_delivery_is_overdue(messages: MessageStore, kind: OutcomeKind) -> None:
    _written(messages, kind)
    _open_until(messages, START + DEADLINES.delivery_after_claim)


def test_what_was_rejected_is_never_due(messages: MessageStore) -> None:
    _written(messages, OutcomeKind.REJECTED)
    assert _due(messages, START + timedelta(days=400)) == []


def test_what_was_not_sent_is_due_when_it_may_no_longer_be(messages: MessageStore) -> None:
    message = _written(messages, OutcomeKind.NOT_SENT)
    _open_until(messages, message.submit_before)


def test_what_waits_in_the_queue_is_due_when_it_has_waited_long(messages: MessageStore) -> None:
    _written(messages, OutcomeKind.NOT_SENT, queue=True)
    _open_until(messages, START + MINUTE + DEADLINES.requeue_after_queued)


def test_a_new_claim_is_due_when_its_submission_is_overdue(messages: MessageStore) -> None:
    _written(messages, OutcomeKind.NOT_SENT, queue=True)
    messages.claim("sms1", a_claim("second", at=START + 5 * MINUTE))
    _open_until(messages, START + 5 * MINUTE + DEADLINES.submission_after_claim)


def test_what_was_silent_is_due_when_its_delivery_is_overdue(messages: MessageStore) -> None:
    message = a_message()
    messages.create(message)
    messages.record_timeout(message, at=START + 3 * MINUTE)
    _open_until(messages, START + DEADLINES.delivery_after_claim)


def test_what_is_closed_is_never_due(messages: MessageStore) -> None:
    messages.record_closed(_written(messages, OutcomeKind.ACCEPTED), at=START)
    assert _due(messages, START + timedelta(days=400)) == []


def test_what_is_postponed_is_due_then(messages: MessageStore) -> None:
    messages.postpone(_written(messages, OutcomeKind.ACCEPTED), until=START + 7 * MINUTE)
    _open_until(messages, START + 7 * MINUTE)


def test_postponing_is_void_once_another_claim_was_made(messages: MessageStore) -> None:
    before = _written(messages, OutcomeKind.NOT_SENT, queue=True)
    messages.claim("sms1", a_claim("second", at=START + MINUTE))
    messages.postpone(before, until=START + timedelta(days=9))
    _open_until(messages, START + MINUTE + DEADLINES.submission_after_claim)


def test_postponing_what_is_closed_does_not_open_it(messages: MessageStore) -> None:
    message = _written(messages, OutcomeKind.ACCEPTED)
    messages.record_closed(message, at=START)
    messages.postpone(message, until=START)
    assert _due(messages, START + timedelta(days=400)) == []
