"""A call's status is a function of its facts and of the time; its results do not change it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from switchboard.domain.orders import Claim, Outcome, OutcomeKind
from switchboard.domain.voice_calls import CallResultFact, VoiceCall, VoiceCallState, next_due, status_of
from tests.builders import DEADLINES, MINUTE, a_call
from tests.fakes import START

WINDOW = DEADLINES.delivery_after_claim
LOST = DEADLINES.submission_after_claim


def ended(kind: OutcomeKind | None, **facts: Any) -> VoiceCall:
    return a_call(outcomes={} if kind is None else {"first": Outcome(kind, START)}, **facts)


@pytest.mark.parametrize(
    ("kind", "callback", "after", "state", "final"),
    [
        (None, False, timedelta(0), VoiceCallState.SUBMITTING, False),
        (None, True, LOST, VoiceCallState.UNKNOWN, False),
        (None, False, LOST, VoiceCallState.UNKNOWN, True),
        (OutcomeKind.ACCEPTED, False, timedelta(0), VoiceCallState.ACCEPTED, True),
        (OutcomeKind.ACCEPTED, True, timedelta(0), VoiceCallState.ACCEPTED, False),
        (OutcomeKind.ACCEPTED, True, WINDOW, VoiceCallState.ACCEPTED, True),
        (OutcomeKind.UNKNOWN, True, timedelta(0), VoiceCallState.UNKNOWN, True),
        (OutcomeKind.REJECTED, True, timedelta(0), VoiceCallState.REJECTED, True),
        (OutcomeKind.NOT_SENT, True, timedelta(hours=23) - MINUTE, VoiceCallState.FAILED, False),
        (OutcomeKind.NOT_SENT, True, timedelta(hours=23), VoiceCallState.FAILED, True),
    ],
    ids=[
        "claimed",
        "timed out, callback",
        "timed out, no callback",
        "accepted, no callback",
        "accepted, callback",
        "accepted, callback, window closed",
        "unknown",
        "rejected",
        "not sent, token usable",
        "not sent, token expired",
    ],
)
def test_a_call_status_follows_submission_time_and_callback(
    kind: OutcomeKind | None, callback: bool, after: timedelta, state: VoiceCallState, final: bool
) -> None:
    for reports in ((), (CallResultFact("answered", START), CallResultFact("failed", START))):
        call = ended(kind, callback_expected=callback, reports=reports)
        status = status_of(call, deadlines=DEADLINES, now=START + after)
        assert (status.state, status.final) == (state, final)


@pytest.mark.parametrize(
    ("kind", "callback", "due"),
    [
        (None, False, START + LOST),
        (OutcomeKind.ACCEPTED, True, START + WINDOW),
        (OutcomeKind.ACCEPTED, False, None),
        (OutcomeKind.UNKNOWN, True, None),
        (OutcomeKind.REJECTED, True, None),
        (OutcomeKind.NOT_SENT, True, START + timedelta(hours=23)),
    ],
    ids=["claimed", "accepted, callback", "accepted", "unknown", "rejected", "not sent"],
)
def test_a_call_that_may_change_has_a_due_time(kind: OutcomeKind | None, callback: bool, due: object) -> None:
    assert next_due(ended(kind, callback_expected=callback), deadlines=DEADLINES) == due


def test_the_repr_of_a_call_hides_its_text() -> None:
    assert "{}" not in repr(a_call(claims=(Claim("first", START),)).content)
