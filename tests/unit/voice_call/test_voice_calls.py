"""The status of a call follows from its facts and the time. A reported result does not change it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from switchboard.domain.orders import Claim, Outcome, OutcomeKind
from switchboard.domain.voice_calls import CallResultFact, VoiceCall, VoiceCallState, next_due, status_of
from tests.builders import DEADLINES, MINUTE, a_call
from tests.fakes import START

WINDOW = DEADLINES.delivery_after_claim
TIMEOUT = DEADLINES.submission_after_claim


def a_submitted_call(kind: OutcomeKind | None, **facts: Any) -> VoiceCall:
    return a_call(outcomes={} if kind is None else {"first": Outcome(kind, START)}, **facts)


@pytest.mark.parametrize(
    ("kind", "callback", "after", "state", "final"),
    [
        pytest.param(None, False, timedelta(0), VoiceCallState.SUBMITTING, False, id="in progress"),
        pytest.param(None, True, TIMEOUT, VoiceCallState.UNKNOWN, False, id="time-out, callback expected"),
        pytest.param(None, False, TIMEOUT, VoiceCallState.UNKNOWN, True, id="time-out, no callback"),
        pytest.param(
            OutcomeKind.ACCEPTED, False, timedelta(0), VoiceCallState.ACCEPTED, True, id="accepted, no callback"
        ),
        pytest.param(
            OutcomeKind.ACCEPTED, True, timedelta(0), VoiceCallState.ACCEPTED, False, id="accepted, callback expected"
        ),
        pytest.param(
            OutcomeKind.ACCEPTED, True, WINDOW, VoiceCallState.ACCEPTED, True, id="accepted, callback window over"
        ),
        pytest.param(OutcomeKind.UNKNOWN, True, timedelta(0), VoiceCallState.UNKNOWN, True, id="unknown"),
        pytest.param(OutcomeKind.REJECTED, True, timedelta(0), VoiceCallState.REJECTED, True, id="rejected"),
        pytest.param(
            OutcomeKind.NOT_SENT, True, timedelta(hours=23) - MINUTE, VoiceCallState.FAILED, False, id="not sent"
        ),
        pytest.param(
            OutcomeKind.NOT_SENT, True, timedelta(hours=23), VoiceCallState.FAILED, True, id="not sent, token too old"
        ),
    ],
)
def test_the_submission_and_the_time_decide_the_status(
    kind: OutcomeKind | None, callback: bool, after: timedelta, state: VoiceCallState, final: bool
) -> None:
    for reports in ((), (CallResultFact("answered", START), CallResultFact("failed", START))):
        call = a_submitted_call(kind, callback_expected=callback, reports=reports)
        status = status_of(call, deadlines=DEADLINES, now=START + after)
        assert (status.state, status.final) == (state, final)


@pytest.mark.parametrize(
    ("kind", "callback", "due"),
    [
        pytest.param(None, False, START + TIMEOUT, id="in progress"),
        pytest.param(OutcomeKind.ACCEPTED, True, START + WINDOW, id="accepted, callback expected"),
        pytest.param(OutcomeKind.ACCEPTED, False, None, id="accepted, no callback"),
        pytest.param(OutcomeKind.UNKNOWN, True, None, id="unknown"),
        pytest.param(OutcomeKind.REJECTED, True, None, id="rejected"),
        pytest.param(OutcomeKind.NOT_SENT, True, START + timedelta(hours=23), id="not sent"),
    ],
)
def test_a_call_that_may_still_change_is_due(kind: OutcomeKind | None, callback: bool, due: object) -> None:
    assert next_due(a_submitted_call(kind, callback_expected=callback), deadlines=DEADLINES) == due


def test_an_unknown_call_with_an_id_may_still_be_reported() -> None:
    claim = Claim("first", START)
    outcome = Outcome(OutcomeKind.UNKNOWN, START, facts={"call_id": "c1"})
    call = a_call(claims=(claim,), outcomes={claim.id: outcome}, callback_expected=True)
    assert next_due(call, deadlines=DEADLINES) == START + WINDOW
    for now, final in ((START, False), (START + WINDOW, True)):
        status = status_of(call, deadlines=DEADLINES, now=now)
        assert (status.state, status.final) == (VoiceCallState.UNKNOWN, final)


def test_the_spoken_content_is_in_no_repr() -> None:
    assert "{}" not in repr(a_call(claims=(Claim("first", START),)).content)
