"""A message's status is a function of its facts, of the status table and of the time. (I3, I6, I9)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from switchboard.domain.orders import Claim, Outcome, OutcomeKind
from switchboard.domain.sms.delivery import ReportFact
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus, is_smsid, next_due, status_of
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from tests.builders import DEADLINES, MINUTE, OTHER_RECIPIENT, RECIPIENT, a_message, an_outcome
from tests.fakes import START

SUBMISSION_END = START + DEADLINES.submission_after_claim
DELIVERY_END = START + DEADLINES.delivery_after_claim
REQUEST_END = START + DEADLINES.submission_after_request
INSTANT = timedelta(milliseconds=1)


def _ended(kind: OutcomeKind, **facts: Any) -> Message:
    return a_message(outcomes={"first": an_outcome(kind)}, **facts)


def _reported(*statuses: str, recipient: str | None = RECIPIENT, message: Message | None = None) -> Message:
    reports = tuple(ReportFact(status, recipient, START) for status in statuses)
    return replace(message or _ended(OutcomeKind.ACCEPTED), reports=reports)


def _status(message: Message, now: datetime = START) -> SmsStatus:
    return status_of(message, statuses=DELIVERY_STATUSES, deadlines=DEADLINES, now=now)


@pytest.mark.parametrize(
    ("message", "now", "state", "final"),
    [
        (a_message(), START, SmsState.SUBMITTING, False),
        (a_message(), SUBMISSION_END - INSTANT, SmsState.SUBMITTING, False),
        (a_message(), SUBMISSION_END, SmsState.UNKNOWN, False),
        (a_message(timeouts={"first": START}), START, SmsState.UNKNOWN, False),
        (a_message(), DELIVERY_END, SmsState.UNKNOWN, True),
        (_ended(OutcomeKind.UNKNOWN), START, SmsState.UNKNOWN, False),
        (_ended(OutcomeKind.UNKNOWN), DELIVERY_END, SmsState.UNKNOWN, True),
        (_ended(OutcomeKind.ACCEPTED), START, SmsState.ACCEPTED, False),
        (_ended(OutcomeKind.ACCEPTED), DELIVERY_END - INSTANT, SmsState.ACCEPTED, False),
        (_ended(OutcomeKind.ACCEPTED), DELIVERY_END, SmsState.EXPIRED, True),
        (_ended(OutcomeKind.REJECTED), START, SmsState.REJECTED, True),
        (_ended(OutcomeKind.NOT_SENT), START, SmsState.FAILED, False),
        (_ended(OutcomeKind.NOT_SENT, queued_at=START), START, SmsState.QUEUED, False),
        (_ended(OutcomeKind.NOT_SENT, queued_at=START), REQUEST_END - INSTANT, SmsState.QUEUED, False),
        (_ended(OutcomeKind.NOT_SENT, queued_at=START), REQUEST_END, SmsState.EXPIRED, True),
        (_ended(OutcomeKind.NOT_SENT), REQUEST_END, SmsState.EXPIRED, True),
    ],
    ids=[
        "claimed",
        "claimed, before the submission's deadline",
        "claimed, at the submission's deadline",
        "claimed, timed out",
        "claimed, after the delivery window",
        "unknown",
        "unknown, after the delivery window",
        "accepted",
        "accepted, before the end of the delivery window",
        "accepted, after the delivery window",
        "rejected",
        "not sent",
        "queued",
        "queued, before the end of its validity",
        "queued, after its validity",
        "not sent, after its validity",
    ],
)
def test_status_without_reports_follows_submission_and_time(
    message: Message, now: datetime, state: SmsState, final: bool
) -> None:
    assert _status(message, now) == SmsStatus(state=state, final=final)


@pytest.mark.parametrize(
    ("statuses", "open_state", "closed_state"),
    [
        (["14"], SmsState.IN_PROGRESS, SmsState.EXPIRED),
        (["18"], SmsState.UNDELIVERED, SmsState.UNDELIVERED),
        (["20"], SmsState.FAILED, SmsState.FAILED),
        (["14", "18"], SmsState.UNDELIVERED, SmsState.UNDELIVERED),
        (["18", "20"], SmsState.FAILED, SmsState.FAILED),
        (["999"], SmsState.ACCEPTED, SmsState.EXPIRED),
        (["999", "14"], SmsState.IN_PROGRESS, SmsState.EXPIRED),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_reported_status_may_change_until_delivery_window_closes(
    statuses: list[str], open_state: SmsState, closed_state: SmsState
) -> None:
    message = _reported(*statuses)
    assert _status(message, DELIVERY_END - INSTANT) == SmsStatus(state=open_state, final=False)
    assert _status(message, DELIVERY_END) == SmsStatus(state=closed_state, final=True)


@pytest.mark.parametrize("kind", OutcomeKind)
@pytest.mark.parametrize("before", [[], ["14"], ["18", "0"], ["20", "33"]], ids=["none", "14", "18+0", "20+33"])
@pytest.mark.parametrize("now", [START, DELIVERY_END + timedelta(days=30)], ids=["at once", "after 30 days"])
def test_delivered_overrides_all_reports_and_is_final_and_billable(
    kind: OutcomeKind, before: list[str], now: datetime
) -> None:
    status = _status(_reported(*before, "1", message=_ended(kind)), now)
    assert status == SmsStatus(state=SmsState.DELIVERED, final=True)
    assert status.billable


@pytest.mark.parametrize("state", [state for state in SmsState if state is not SmsState.DELIVERED])
def test_only_delivered_messages_are_billable(state: SmsState) -> None:
    assert not SmsStatus(state=state, final=True).billable


def test_a_report_for_another_number_changes_nothing() -> None:
    message = _ended(OutcomeKind.ACCEPTED)
    foreign = _reported("1", "20", recipient=OTHER_RECIPIENT, message=message)
    assert _status(foreign) == _status(message)
    assert foreign.updated_at == message.updated_at


def test_a_report_without_a_number_counts() -> None:
    assert _status(_reported("1", recipient=None)).state is SmsState.DELIVERED


def test_a_resubmitted_message_counts_from_its_last_claim() -> None:
    second = Claim(id="second", at=START + timedelta(hours=1))
    resubmitted = _ended(OutcomeKind.NOT_SENT, claims=(Claim("first", START), second))
    assert not resubmitted.known_unsent
    assert _status(resubmitted, second.at).state is SmsState.SUBMITTING
    assert _status(resubmitted, second.at + DEADLINES.submission_after_claim).state is SmsState.UNKNOWN


STATUSES = st.sampled_from([*DELIVERY_STATUSES.rows, "999", "その他"])
REPORTS = st.lists(STATUSES, max_size=6)
MESSAGES = st.builds(
    lambda kind, queued: _ended(kind, queued_at=START if queued else None) if kind else a_message(),
    st.sampled_from([None, *OutcomeKind]),
    st.booleans(),
)
MOMENTS = st.sampled_from([START, SUBMISSION_END, REQUEST_END, DELIVERY_END])


@given(message=MESSAGES, reports=REPORTS, now=MOMENTS, data=st.data())
def test_order_and_repetition_of_reports_do_not_change_the_status(
    message: Message, reports: Sequence[str], now: datetime, data: st.DataObject
) -> None:
    shuffled = data.draw(
        st.permutations([*reports, *data.draw(st.lists(st.sampled_from(reports)) if reports else st.just([]))])
    )
    once = _status(_reported(*reports, message=message), now)
    assert _status(_reported(*shuffled, message=message), now) == once


@given(message=MESSAGES, reports=REPORTS, more=REPORTS, now=MOMENTS)
def test_a_delivered_message_stays_delivered(
    message: Message, reports: list[str], more: list[str], now: datetime
) -> None:
    if _status(_reported(*reports, message=message), START).state is SmsState.DELIVERED:
        assert _status(_reported(*reports, *more, message=message), now).state is SmsState.DELIVERED


@given(message=MESSAGES, reports=REPORTS, now=MOMENTS)
def test_an_unknown_outcome_fails_only_by_a_report(message: Message, reports: list[str], now: datetime) -> None:
    outcome = message.last_outcome
    if outcome is None or outcome.kind is OutcomeKind.UNKNOWN:
        state = _status(_reported(*reports, message=message), now).state
        failing = {"0", "33", "20"} & set(reports)
        assert state is not SmsState.REJECTED
        assert failing or state is not SmsState.FAILED


@given(message=MESSAGES, reports=REPORTS, now=MOMENTS)
def test_a_message_without_final_status_has_a_due_time(message: Message, reports: list[str], now: datetime) -> None:
    reported = _reported(*reports, message=message)
    outcome = message.last_outcome
    # Only the time makes a refused message final if it has reports.
    assume(not reports or outcome is None or outcome.kind is not OutcomeKind.REJECTED)
    assert _status(reported, now).final or next_due(reported, deadlines=DEADLINES) is not None


@given(message=MESSAGES, reports=REPORTS)
def test_a_message_swept_at_every_due_time_becomes_final(message: Message, reports: list[str]) -> None:
    reported = _reported(*reports, message=message)
    last = max(DELIVERY_END, REQUEST_END)
    assert _status(reported, last).final


@pytest.mark.parametrize(
    ("message", "due"),
    [
        (a_message(), SUBMISSION_END),
        (a_message(timeouts={"first": START}), DELIVERY_END),
        (_ended(OutcomeKind.ACCEPTED), DELIVERY_END),
        (_ended(OutcomeKind.UNKNOWN), DELIVERY_END),
        (_ended(OutcomeKind.REJECTED), None),
        (_ended(OutcomeKind.NOT_SENT), REQUEST_END),
        (_ended(OutcomeKind.NOT_SENT, queued_at=START), START + DEADLINES.requeue_after_queued),
        (_ended(OutcomeKind.NOT_SENT, queued_at=START, submit_before=START + MINUTE), START + MINUTE),
        (_ended(OutcomeKind.ACCEPTED, closed_at=START), None),
        (a_message(claims=()), REQUEST_END),
        (a_message(claims=(), queued_at=START), START + DEADLINES.requeue_after_queued),
    ],
    ids=[
        "claimed",
        "timed out",
        "accepted",
        "unknown",
        "rejected",
        "not sent",
        "queued",
        "queued, short validity",
        "closed",
        "unclaimed",
        "unclaimed and queued",
    ],
)
def test_a_message_is_due_at_its_next_deadline(message: Message, due: datetime | None) -> None:
    assert next_due(message, deadlines=DEADLINES) == due


def test_queue_waiting_time_counts_from_the_last_attempt() -> None:
    tried = Outcome(OutcomeKind.NOT_SENT, START + timedelta(hours=2))
    waiting = a_message(outcomes={"first": tried}, queued_at=START)
    assert next_due(waiting, deadlines=DEADLINES) == tried.at + DEADLINES.requeue_after_queued


def test_updated_at_is_the_time_of_the_last_fact() -> None:
    assert a_message().updated_at == START
    later: list[dict[str, Any]] = [
        {"outcomes": {"first": an_outcome(OutcomeKind.ACCEPTED, at=START + MINUTE)}},
        {"timeouts": {"first": START + MINUTE}},
        {"queued_at": START + MINUTE},
        {"closed_at": START + MINUTE},
        {"reports": (ReportFact("1", None, START + MINUTE),)},
        {"claims": (Claim("first", START), Claim("second", START + MINUTE))},
    ]
    for fact in later:
        assert a_message(**fact).updated_at == START + MINUTE, fact


@pytest.mark.parametrize(
    ("text", "fits"), [("a" * 50, True), ("a" * 51, False), ("", False), ("a-b", False), ("é", False)]
)
def test_an_id_is_1_to_50_ascii_letters_and_digits(text: str, fits: bool) -> None:
    assert is_smsid(text) is fits
