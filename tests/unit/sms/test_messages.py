"""The status of a message follows from its facts, the status table and the time. (I3, I6, I9)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from switchboard.domain.order_ids import is_order_id
from switchboard.domain.orders import Claim, Outcome, OutcomeKind
from switchboard.domain.sms.delivery import ReportFact
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus, next_due, status_of
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from tests.builders import DEADLINES, MINUTE, a_message, an_outcome
from tests.fakes import START

SUBMISSION_END = START + DEADLINES.submission_after_claim
DELIVERY_END = START + DEADLINES.delivery_after_claim
REQUEST_END = START + DEADLINES.submission_after_request
INSTANT = timedelta(milliseconds=1)


def a_submitted_message(kind: OutcomeKind, **facts: Any) -> Message:
    return a_message(outcomes={"first": an_outcome(kind)}, **facts)


def a_reported_message(*statuses: str, message: Message | None = None) -> Message:
    reports = tuple(ReportFact(status, START) for status in statuses)
    return replace(message or a_submitted_message(OutcomeKind.ACCEPTED), reports=reports)


def status_at(message: Message, now: datetime = START) -> SmsStatus:
    return status_of(message, statuses=DELIVERY_STATUSES, deadlines=DEADLINES, now=now)


@pytest.mark.parametrize(
    ("message", "now", "state", "final"),
    [
        pytest.param(a_message(), START, SmsState.SUBMITTING, False, id="in progress"),
        pytest.param(
            a_message(),
            SUBMISSION_END - INSTANT,
            SmsState.SUBMITTING,
            False,
            id="in progress, just before the time-out",
        ),
        pytest.param(a_message(), SUBMISSION_END, SmsState.UNKNOWN, False, id="in progress, at the time-out"),
        pytest.param(a_message(timeouts={"first": START}), START, SmsState.UNKNOWN, False, id="time-out recorded"),
        pytest.param(a_message(), DELIVERY_END, SmsState.UNKNOWN, True, id="no outcome, delivery window over"),
        pytest.param(a_submitted_message(OutcomeKind.UNKNOWN), START, SmsState.UNKNOWN, False, id="unknown"),
        pytest.param(
            a_submitted_message(OutcomeKind.UNKNOWN),
            DELIVERY_END,
            SmsState.UNKNOWN,
            True,
            id="unknown, delivery window over",
        ),
        pytest.param(a_submitted_message(OutcomeKind.ACCEPTED), START, SmsState.ACCEPTED, False, id="accepted"),
        pytest.param(
            a_submitted_message(OutcomeKind.ACCEPTED),
            DELIVERY_END - INSTANT,
            SmsState.ACCEPTED,
            False,
            id="accepted, just before the window ends",
        ),
        pytest.param(
            a_submitted_message(OutcomeKind.ACCEPTED),
            DELIVERY_END,
            SmsState.EXPIRED,
            True,
            id="accepted, delivery window over",
        ),
        pytest.param(a_submitted_message(OutcomeKind.REJECTED), START, SmsState.REJECTED, True, id="rejected"),
        pytest.param(a_submitted_message(OutcomeKind.NOT_SENT), START, SmsState.FAILED, False, id="not sent"),
        pytest.param(
            a_submitted_message(OutcomeKind.NOT_SENT, queued_at=START), START, SmsState.QUEUED, False, id="queued"
        ),
        pytest.param(
            a_submitted_message(OutcomeKind.NOT_SENT, queued_at=START),
            REQUEST_END - INSTANT,
            SmsState.QUEUED,
            False,
            id="queued, just before it expires",
        ),
        pytest.param(
            a_submitted_message(OutcomeKind.NOT_SENT, queued_at=START),
            REQUEST_END,
            SmsState.EXPIRED,
            True,
            id="queued, expired",
        ),
        pytest.param(
            a_submitted_message(OutcomeKind.NOT_SENT), REQUEST_END, SmsState.EXPIRED, True, id="not sent, expired"
        ),
    ],
)
def test_without_a_report_the_submission_and_the_time_decide(
    message: Message, now: datetime, state: SmsState, final: bool
) -> None:
    assert status_at(message, now) == SmsStatus(state=state, final=final)


@pytest.mark.parametrize(
    ("statuses", "open_state", "closed_state"),
    [
        pytest.param(["14"], SmsState.IN_PROGRESS, SmsState.EXPIRED, id="in progress"),
        pytest.param(["18"], SmsState.UNDELIVERED, SmsState.UNDELIVERED, id="undelivered"),
        pytest.param(["20"], SmsState.FAILED, SmsState.FAILED, id="failed"),
        pytest.param(["14", "18"], SmsState.UNDELIVERED, SmsState.UNDELIVERED, id="undelivered after in progress"),
        pytest.param(["18", "20"], SmsState.FAILED, SmsState.FAILED, id="failed after undelivered"),
        pytest.param(["999"], SmsState.ACCEPTED, SmsState.EXPIRED, id="unlisted"),
        pytest.param(["999", "14"], SmsState.IN_PROGRESS, SmsState.EXPIRED, id="in progress after unlisted"),
    ],
)
def test_a_reported_state_is_final_after_the_delivery_window(
    statuses: list[str], open_state: SmsState, closed_state: SmsState
) -> None:
    message = a_reported_message(*statuses)
    assert status_at(message, DELIVERY_END - INSTANT) == SmsStatus(state=open_state, final=False)
    assert status_at(message, DELIVERY_END) == SmsStatus(state=closed_state, final=True)


@pytest.mark.parametrize("kind", OutcomeKind)
@pytest.mark.parametrize(
    "before",
    [
        pytest.param([], id="no other report"),
        pytest.param(["14"], id="in progress before"),
        pytest.param(["18", "0"], id="undelivered before"),
        pytest.param(["20", "33"], id="failed before"),
    ],
)
@pytest.mark.parametrize(
    "now", [pytest.param(START, id="at once"), pytest.param(DELIVERY_END + timedelta(days=30), id="after 30 days")]
)
def test_delivered_overrides_all_and_is_final_and_billable(kind: OutcomeKind, before: list[str], now: datetime) -> None:
    status = status_at(a_reported_message(*before, "1", message=a_submitted_message(kind)), now)
    assert status == SmsStatus(state=SmsState.DELIVERED, final=True)
    assert status.billable


@pytest.mark.parametrize("state", [state for state in SmsState if state is not SmsState.DELIVERED])
def test_nothing_but_delivered_is_billable(state: SmsState) -> None:
    assert not SmsStatus(state=state, final=True).billable


def test_a_resubmitted_message_is_judged_by_its_last_claim() -> None:
    second = Claim(id="second", at=START + timedelta(hours=1))
    resubmitted = a_submitted_message(OutcomeKind.NOT_SENT, claims=(Claim("first", START), second))
    assert not resubmitted.known_unsent
    assert status_at(resubmitted, second.at).state is SmsState.SUBMITTING
    assert status_at(resubmitted, second.at + DEADLINES.submission_after_claim).state is SmsState.UNKNOWN


STATUSES = st.sampled_from([*DELIVERY_STATUSES.rows, "999", "その他"])
REPORTS = st.lists(STATUSES, max_size=6)
MESSAGES = st.builds(
    lambda kind, queued: a_submitted_message(kind, queued_at=START if queued else None) if kind else a_message(),
    st.sampled_from([None, *OutcomeKind]),
    st.booleans(),
)
MOMENTS = st.sampled_from([START, SUBMISSION_END, REQUEST_END, DELIVERY_END])


@given(message=MESSAGES, reports=REPORTS, now=MOMENTS, data=st.data())
def test_order_and_repetition_of_reports_do_not_matter(
    message: Message, reports: Sequence[str], now: datetime, data: st.DataObject
) -> None:
    shuffled = data.draw(
        st.permutations([*reports, *data.draw(st.lists(st.sampled_from(reports)) if reports else st.just([]))])
    )
    once = status_at(a_reported_message(*reports, message=message), now)
    assert status_at(a_reported_message(*shuffled, message=message), now) == once


@given(message=MESSAGES, reports=REPORTS, more=REPORTS, now=MOMENTS)
def test_delivered_is_never_taken_back(message: Message, reports: list[str], more: list[str], now: datetime) -> None:
    if status_at(a_reported_message(*reports, message=message), START).state is SmsState.DELIVERED:
        assert status_at(a_reported_message(*reports, *more, message=message), now).state is SmsState.DELIVERED


@given(message=MESSAGES, reports=REPORTS, now=MOMENTS)
def test_only_a_report_turns_an_unknown_outcome_into_failed(
    message: Message, reports: list[str], now: datetime
) -> None:
    outcome = message.last_outcome
    if outcome is None or outcome.kind is OutcomeKind.UNKNOWN:
        state = status_at(a_reported_message(*reports, message=message), now).state
        failing = {"0", "33", "20"} & set(reports)
        assert state is not SmsState.REJECTED
        assert failing or state is not SmsState.FAILED


@given(message=MESSAGES, reports=REPORTS, now=MOMENTS)
def test_a_message_that_is_not_final_is_due(message: Message, reports: list[str], now: datetime) -> None:
    reported = a_reported_message(*reports, message=message)
    outcome = message.last_outcome
    # A report about a rejected message: only the time makes its state final.
    assume(not reports or outcome is None or outcome.kind is not OutcomeKind.REJECTED)
    assert status_at(reported, now).final or next_due(reported, deadlines=DEADLINES) is not None


@given(message=MESSAGES, reports=REPORTS)
def test_every_message_is_final_in_the_end(message: Message, reports: list[str]) -> None:
    reported = a_reported_message(*reports, message=message)
    last = max(DELIVERY_END, REQUEST_END)
    assert status_at(reported, last).final


@pytest.mark.parametrize(
    ("message", "due"),
    [
        pytest.param(a_message(), SUBMISSION_END, id="in progress"),
        pytest.param(a_message(timeouts={"first": START}), DELIVERY_END, id="time-out recorded"),
        pytest.param(a_submitted_message(OutcomeKind.ACCEPTED), DELIVERY_END, id="accepted"),
        pytest.param(a_submitted_message(OutcomeKind.UNKNOWN), DELIVERY_END, id="unknown"),
        pytest.param(a_submitted_message(OutcomeKind.REJECTED), None, id="rejected"),
        pytest.param(a_submitted_message(OutcomeKind.NOT_SENT), REQUEST_END, id="not sent"),
        pytest.param(
            a_submitted_message(OutcomeKind.NOT_SENT, queued_at=START),
            START + DEADLINES.requeue_after_queued,
            id="queued",
        ),
        pytest.param(
            a_submitted_message(OutcomeKind.NOT_SENT, queued_at=START, submit_before=START + MINUTE),
            START + MINUTE,
            id="queued, expires first",
        ),
        pytest.param(a_submitted_message(OutcomeKind.ACCEPTED, closed_at=START), None, id="closed"),
        pytest.param(a_message(claims=()), REQUEST_END, id="no claim"),
        pytest.param(
            a_message(claims=(), queued_at=START), START + DEADLINES.requeue_after_queued, id="no claim, queued"
        ),
    ],
)
def test_a_message_is_due_by_its_next_deadline(message: Message, due: datetime | None) -> None:
    assert next_due(message, deadlines=DEADLINES) == due


def test_a_queued_message_is_due_after_its_last_attempt() -> None:
    outcome = Outcome(OutcomeKind.NOT_SENT, START + timedelta(hours=2))
    queued = a_message(outcomes={"first": outcome}, queued_at=START)
    assert next_due(queued, deadlines=DEADLINES) == outcome.at + DEADLINES.requeue_after_queued


def test_a_message_is_updated_by_its_last_fact() -> None:
    assert a_message().updated_at == START
    later: list[dict[str, Any]] = [
        {"outcomes": {"first": an_outcome(OutcomeKind.ACCEPTED, at=START + MINUTE)}},
        {"timeouts": {"first": START + MINUTE}},
        {"queued_at": START + MINUTE},
        {"closed_at": START + MINUTE},
        {"reports": (ReportFact("1", START + MINUTE),)},
        {"claims": (Claim("first", START), Claim("second", START + MINUTE))},
    ]
    for fact in later:
        assert a_message(**fact).updated_at == START + MINUTE, fact


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        pytest.param("a" * 50, True, id="50 letters"),
        pytest.param("a" * 51, False, id="51 letters"),
        pytest.param("", False, id="empty"),
        pytest.param("a-b", False, id="hyphen"),
        pytest.param("é", False, id="not ASCII"),
    ],
)
def test_an_order_id_has_the_form_that_mediasms_takes(text: str, fits: bool) -> None:
    assert is_order_id(text) is fits
