"""Test what every MessageStore does with the facts of one message: which claim is granted, and what stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from switchboard.domain.orders import Claim, Outcome, OutcomeKind
from switchboard.domain.sms.messages import Message, SmsContent, TextMeasure
from switchboard.ports.orders import MessageStore
from tests.builders import (
    CLIENT,
    CONTENT,
    DEADLINES,
    MINUTE,
    RECIPIENT,
    a_claim,
    a_message,
    a_report,
    an_outcome,
    ids_of,
)
from tests.fakes import START

MILLISECOND = timedelta(milliseconds=1)
SENT_KINDS = [OutcomeKind.ACCEPTED, OutcomeKind.REJECTED, OutcomeKind.UNKNOWN]


def _create(messages: MessageStore, message: Message) -> tuple[Message, Claim]:
    assert messages.create(message).granted
    return message, message.claims[0]


def _create_unsent(messages: MessageStore, *, queue: bool = False) -> Message:
    message, claim = _create(messages, a_message())
    return messages.record_outcome(message, claim, an_outcome(OutcomeKind.NOT_SENT), queue=queue)


def _read(messages: MessageStore, smsid: str = "sms1") -> Message:
    message = messages.get(smsid)
    assert message is not None
    return message


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(a_message(), id="usual"),
        pytest.param(
            a_message(measure=None, content=SmsContent(template_id="7", sender="Shop1", carrier="docomo")),
            id="template without a measure",
        ),
        pytest.param(
            a_message(content=SmsContent(text="日本語\n", text_au="au"), measure=TextMeasure(4, 7, 1)),
            id="text of its own for au",
        ),
        pytest.param(
            a_message(not_after=START + timedelta(hours=1), submit_before=START + timedelta(hours=1)), id="not after"
        ),
        pytest.param(
            a_message(claims=(), reference="spring", send_at=START + timedelta(days=2), queued_at=START), id="scheduled"
        ),
    ],
)
def test_a_created_message_comes_back_unchanged(messages: MessageStore, message: Message) -> None:
    messages.create(message)
    assert messages.get(message.smsid) == message


def test_an_unknown_id_has_no_message(messages: MessageStore) -> None:
    assert messages.get("nothing") is None


def test_a_second_message_of_the_same_id_is_refused_with_the_first(messages: MessageStore) -> None:
    first, _ = _create(messages, a_message())
    answer = messages.create(a_message(claim_id="second", fingerprint="another"))
    assert not answer.granted
    assert answer.order == first
    assert messages.get("sms1") == first


def test_a_creation_repeated_after_a_lost_answer_is_granted(messages: MessageStore) -> None:
    message, _ = _create(messages, a_message())
    again = messages.create(message)
    assert again.granted
    assert again.order == message


@pytest.mark.parametrize("kind", OutcomeKind)
def test_a_creation_repeated_after_its_outcome_is_refused(messages: MessageStore, kind: OutcomeKind) -> None:
    message, claim = _create(messages, a_message())
    messages.record_outcome(message, claim, an_outcome(kind))
    assert not messages.create(message).granted


def test_a_claim_is_refused_while_another_is_open(messages: MessageStore) -> None:
    message, _ = _create(messages, a_message())
    answer = messages.claim("sms1", a_claim("second", at=START + timedelta(hours=1)))
    assert not answer.granted
    assert answer.order == message


@pytest.mark.parametrize("kind", SENT_KINDS)
def test_a_claim_is_refused_if_the_message_may_be_sent_already(messages: MessageStore, kind: OutcomeKind) -> None:
    message, claim = _create(messages, a_message())
    messages.record_outcome(message, claim, an_outcome(kind))
    assert not messages.claim("sms1", a_claim("second")).granted


def test_a_claim_is_granted_if_the_message_is_known_create_unsent(messages: MessageStore) -> None:
    _create_unsent(messages)
    second = a_claim("second", at=START + MINUTE)
    answer = messages.claim("sms1", second)
    assert answer.granted
    assert answer.order == messages.get("sms1")
    assert _read(messages).last_claim == second
    assert not messages.claim("sms1", a_claim("third", at=START + MINUTE)).granted


def test_a_claim_repeated_after_a_lost_answer_is_granted(messages: MessageStore) -> None:
    _create_unsent(messages)
    second = a_claim("second")
    messages.claim("sms1", second)
    assert messages.claim("sms1", second).granted
    assert [claim.id for claim in _read(messages).claims] == ["first", "second"]


def test_a_claim_repeated_after_its_timeout_is_refused(messages: MessageStore) -> None:
    _create_unsent(messages, queue=True)
    second = a_claim("second")
    messages.claim("sms1", second)
    messages.record_timeout(_read(messages), at=START + 3 * MINUTE)
    assert not messages.claim("sms1", second).granted


def test_a_claim_is_refused_from_the_end_of_the_submission_time_on(messages: MessageStore) -> None:
    end = _create_unsent(messages).submit_before
    assert not messages.claim("sms1", a_claim("late", at=end)).granted
    assert messages.claim("sms1", a_claim("in time", at=end - timedelta(milliseconds=1))).granted


def test_a_claim_on_a_closed_message_is_refused(messages: MessageStore) -> None:
    messages.record_closed(_create_unsent(messages), at=START)
    assert not messages.claim("sms1", a_claim("second")).granted


def test_a_claim_on_no_message_is_refused(messages: MessageStore) -> None:
    messages.record_report(a_report("1", "orphan"), seen_at=START)
    for smsid in ("nothing", "orphan"):
        answer = messages.claim(smsid, a_claim("first"))
        assert not answer.granted
        assert answer.order is None


def test_the_first_outcome_of_a_claim_stays(messages: MessageStore) -> None:
    message, claim = _create(messages, a_message())
    first = an_outcome(OutcomeKind.ACCEPTED, code="200")
    messages.record_outcome(message, claim, first)
    later = messages.record_outcome(message, claim, an_outcome(OutcomeKind.NOT_SENT, at=START + MINUTE), queue=True)
    assert later.outcomes == {"first": first}
    assert later == messages.get("sms1")
    assert not messages.claim("sms1", a_claim("second")).granted


def test_a_repeated_outcome_counts_once(messages: MessageStore) -> None:
    message, claim = _create(messages, a_message())
    for _ in range(2):
        messages.record_outcome(message, claim, an_outcome(OutcomeKind.NOT_SENT), queue=True)
    assert messages.claim("sms1", a_claim("second")).granted
    assert not messages.claim("sms1", a_claim("third")).granted


def test_a_queued_message_keeps_its_content_and_its_queueing_time(messages: MessageStore) -> None:
    queued = _create_unsent(messages, queue=True)
    assert (queued.content, queued.queued_at) == (CONTENT, START)
    second = a_claim("second", at=START + MINUTE)
    granted = messages.claim("sms1", second).order
    assert granted is not None
    later = an_outcome(OutcomeKind.NOT_SENT, at=START + 2 * MINUTE)
    again = messages.record_outcome(granted, second, later, queue=True)
    assert (again.content, again.queued_at) == (CONTENT, START)
    assert again == messages.get("sms1")


@pytest.mark.parametrize("kind", OutcomeKind)
def test_content_is_deleted_with_an_outcome_outside_the_queue(messages: MessageStore, kind: OutcomeKind) -> None:
    message, claim = _create(messages, a_message())
    written = messages.record_outcome(message, claim, an_outcome(kind))
    assert written.content is None
    assert written.queued_at is None
    assert written == messages.get("sms1")


def test_an_outcome_of_no_message_makes_none(messages: MessageStore) -> None:
    message = a_message()
    messages.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.ACCEPTED))
    assert messages.get("sms1") is None


def test_a_timeout_is_recorded_once_and_deletes_the_content(messages: MessageStore) -> None:
    message, claim = _create(messages, a_message())
    messages.record_timeout(message, at=START + 2 * MINUTE)
    messages.record_timeout(message, at=START + 3 * MINUTE)
    stored = _read(messages)
    assert stored.timeouts == {claim.id: START + 2 * MINUTE}
    assert stored.content is None


def test_a_timeout_after_an_outcome_does_nothing(messages: MessageStore) -> None:
    message, claim = _create(messages, a_message())
    messages.record_outcome(message, claim, an_outcome(OutcomeKind.ACCEPTED))
    messages.record_timeout(message, at=START + MINUTE)
    assert _read(messages).timeouts == {}


def test_a_timeout_after_another_claim_does_nothing(messages: MessageStore) -> None:
    unsent = _create_unsent(messages)
    earlier = replace(unsent, outcomes={})
    messages.claim("sms1", a_claim("second"))
    messages.record_timeout(earlier, at=START + MINUTE)
    assert _read(messages).timeouts == {}


def test_an_outcome_after_the_timeout_is_recorded(messages: MessageStore) -> None:
    message, claim = _create(messages, a_message())
    messages.record_timeout(message, at=START + 2 * MINUTE)
    late = an_outcome(OutcomeKind.NOT_SENT, at=START + 3 * MINUTE)
    written = messages.record_outcome(message, claim, late, queue=True)
    assert written.last_outcome == late
    assert written.content == CONTENT
    assert messages.claim("sms1", a_claim("second", at=START + 4 * MINUTE)).granted


def test_closing_after_another_claim_does_nothing(messages: MessageStore) -> None:
    unsent = _create_unsent(messages)
    messages.claim("sms1", a_claim("second"))
    messages.record_closed(unsent, at=START)
    assert _read(messages).closed_at is None


def test_the_first_closing_stays_and_deletes_the_content(messages: MessageStore) -> None:
    queued = _create_unsent(messages, queue=True)
    messages.record_closed(queued, at=START + MINUTE)
    messages.record_closed(queued, at=START + 2 * MINUTE)
    stored = _read(messages)
    assert (stored.closed_at, stored.content) == (START + MINUTE, None)


def test_recording_facts_about_no_message_makes_none(messages: MessageStore) -> None:
    messages.record_timeout(a_message(), at=START)
    messages.record_closed(a_message(), at=START)
    messages.postpone(a_message(), until=START)
    assert messages.get("sms1") is None


def test_a_key_is_bound_to_one_id_only(messages: MessageStore) -> None:
    assert messages.bind_key("key1", "chosen", client=CLIENT, at=START)
    assert messages.bind_key("key1", "chosen", client=CLIENT, at=START + MINUTE)
    assert not messages.bind_key("key1", "another", client=CLIENT, at=START)


def test_a_key_bound_to_a_chosen_id_makes_no_message_of_its_own(messages: MessageStore) -> None:
    messages.bind_key("key1", "chosen", client=CLIENT, at=START)
    answer = messages.create(a_message("key1"))
    assert not answer.granted
    assert answer.order is None
    assert answer.owner == CLIENT
    assert messages.get("key1") is None


def test_a_key_that_made_a_message_is_bound_to_no_other_id(messages: MessageStore) -> None:
    messages.create(a_message("key1"))
    assert not messages.bind_key("key1", "chosen", client=CLIENT, at=START)
    assert messages.get("key1") == a_message("key1")


def test_a_new_message_is_due_when_its_submission_is_overdue(messages: MessageStore) -> None:
    messages.create(a_message())
    deadline = START + DEADLINES.submission_after_claim
    assert list(messages.overdue(now=deadline - timedelta(milliseconds=1), limit=10)) == []
    assert ids_of(messages.overdue(now=deadline, limit=10)) == ["sms1"]


def test_inquiries_are_kept_with_their_first_time(messages: MessageStore) -> None:
    message, claim = _create(messages, a_message())
    recorded = messages.record_outcome(message, claim, an_outcome(OutcomeKind.UNKNOWN))
    messages.record_asked(recorded, ["unknown_1"], at=START + MINUTE)
    messages.record_asked(recorded, ["unknown_1", "unknown_2"], at=START + 2 * MINUTE)
    assert _read(messages).asked == {"unknown_1": START + MINUTE, "unknown_2": START + 2 * MINUTE}
    assert _read(messages).outcomes == recorded.outcomes


def test_an_id_that_the_provider_does_not_know_is_kept_with_its_first_time(messages: MessageStore) -> None:
    _create(messages, a_message())
    messages.record_not_found("sms1", at=START + MINUTE)
    messages.record_not_found("sms1", at=START + 2 * MINUTE)
    messages.record_not_found("nothing", at=START)
    assert _read(messages).not_found_at == START + MINUTE
    assert messages.get("nothing") is None


@pytest.mark.parametrize("kind", list(OutcomeKind), ids=str)
def test_only_an_answer_of_the_provider_ends_an_attempt(messages: MessageStore, kind: OutcomeKind) -> None:
    """A permit that is named after the message may be taken from then on. A 401 is `not_sent`. (I13)"""
    assert messages.answered_at("sms1") is None
    message, claim = _create(messages, a_message())
    assert messages.answered_at("sms1") is None
    outcome = an_outcome(kind)
    messages.record_outcome(message, claim, outcome, queue=False)
    answered = kind in (OutcomeKind.ACCEPTED, OutcomeKind.REJECTED)
    assert messages.answered_at("sms1") == (outcome.at if answered else None)


def test_a_second_attempt_leaves_the_first_ones_permit_alone(messages: MessageStore) -> None:
    message = _create_unsent(messages)
    second = a_claim("second", at=START + MINUTE)
    assert messages.claim("sms1", second).granted
    messages.record_outcome(message, second, an_outcome(OutcomeKind.ACCEPTED), queue=False)
    assert messages.answered_at("sms1") is None


SEND_AT = START + timedelta(hours=1)
SCHEDULED = a_message(claims=(), send_at=SEND_AT, queued_at=START)


def test_no_claim_is_granted_before_the_time_of_a_message(messages: MessageStore) -> None:
    messages.create(SCHEDULED)
    early, due = (a_claim(name, at=at) for name, at in (("early", SEND_AT - MILLISECOND), ("due", SEND_AT)))

    assert not messages.claim("sms1", early).granted
    assert messages.claim("sms1", due).granted


@pytest.mark.parametrize(
    ("ahead", "due_at"),
    [
        pytest.param(timedelta(days=2), timedelta(days=2) - 15 * MINUTE, id="beyond the queue's delay"),
        pytest.param(timedelta(minutes=10), timedelta(minutes=11), id="within the queue's delay"),
    ],
)
def test_a_scheduled_message_is_due_for_the_sweep_in_time(
    messages: MessageStore, ahead: timedelta, due_at: timedelta
) -> None:
    message = replace(SCHEDULED, send_at=START + ahead, submit_before=START + ahead + timedelta(days=1))
    messages.create(message)

    assert ids_of(messages.overdue(now=START + due_at - MILLISECOND, limit=10)) == []
    assert ids_of(messages.overdue(now=START + due_at, limit=10)) == ["sms1"]


@pytest.mark.parametrize("message", [SCHEDULED, replace(SCHEDULED, send_at=None)], ids=["scheduled", "queued"])
def test_a_canceled_message_is_over_and_never_claimed(messages: MessageStore, message: Message) -> None:
    messages.create(message)

    answer = messages.record_canceled("sms1", at=START + MINUTE)
    again = messages.record_canceled("sms1", at=START + 2 * MINUTE)

    assert answer.granted
    assert not again.granted
    assert answer.order == again.order == _read(messages)
    assert _read(messages) == replace(message, canceled_at=START + MINUTE, closed_at=START + MINUTE, content=None)
    assert not messages.claim("sms1", a_claim("second", at=SEND_AT)).granted
    assert ids_of(messages.overdue(now=START + timedelta(days=90), limit=10)) == []


def test_a_message_whose_attempts_sent_nothing_can_be_canceled(messages: MessageStore) -> None:
    _create_unsent(messages, queue=True)
    assert messages.record_canceled("sms1", at=START + MINUTE).granted


@pytest.mark.parametrize("kind", [None, *SENT_KINDS], ids=str)
def test_a_message_that_may_have_been_sent_is_not_canceled(messages: MessageStore, kind: OutcomeKind | None) -> None:
    message, claim = _create(messages, a_message())
    if kind is not None:
        messages.record_outcome(message, claim, an_outcome(kind))
    before = _read(messages)

    answer = messages.record_canceled("sms1", at=START + MINUTE)

    assert (answer.granted, answer.order) == (False, before)
    assert _read(messages) == before


def test_a_message_that_is_over_is_not_canceled(messages: MessageStore) -> None:
    messages.create(SCHEDULED)
    assert not messages.record_canceled("sms1", at=SCHEDULED.submit_before).granted
    assert not messages.record_canceled("sms2", at=START).granted


def test_a_suppressed_outcome_comes_back_with_its_problem(messages: MessageStore) -> None:
    message, claim = _create(messages, a_message())
    messages.record_outcome(message, claim, Outcome(OutcomeKind.REJECTED, START, suppressed=True))
    outcome = _read(messages).last_outcome
    assert outcome is not None
    assert (outcome.suppressed, outcome.problem) == (True, "recipient_suppressed")


def test_no_number_is_suppressed_by_messages_to_it(messages: MessageStore) -> None:
    _create(messages, a_message())
    assert not messages.is_suppressed(RECIPIENT)
