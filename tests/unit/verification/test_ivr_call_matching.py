"""Callbacks without an id reach exactly the verification that they are for, or none (I8), and silence ends (I9)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.domain.verification.verifications import VerificationState
from tests.harness.telephony import EXPLAINED, Ledger, Telephony, Truth

SEEDS = (1, 2)
MINUTES = 3_500


def unexplained(ledger: Ledger) -> int:
    return sum(count for (truth, outcome), count in ledger.outcomes.items() if outcome not in EXPLAINED[truth])


@pytest.fixture(scope="module", params=SEEDS)
def played(request: pytest.FixtureRequest) -> Telephony:
    telephony = Telephony(request.param)
    telephony.play(minutes=MINUTES)
    return telephony


def test_the_simulated_day_has_every_kind_of_callback(played: Telephony) -> None:
    ledger, calls = played.ledger, sum(played.ledger.outcomes.values())
    share = {truth: sum(n for (each, _), n in ledger.outcomes.items() if each is truth) / calls for truth in Truth}
    assert len(ledger.started) * len(SEEDS) >= 10_000
    assert ledger.refused > 0
    assert share[Truth.LATE] > 0.04
    assert share[Truth.REPEATED] > 0.015
    assert share[Truth.FOREIGN] > 0.008


def test_every_callback_is_matched_correctly(played: Telephony) -> None:
    assert unexplained(played.ledger) == 0


def test_only_numbers_that_called_in_time_are_verified(played: Telephony) -> None:
    ledger = played.ledger
    states = {each: played.state_of(each) for each in ledger.started}
    assert {each for each, state in states.items() if state is VerificationState.VERIFIED} == ledger.called_in_time
    others = set(states) - ledger.called_in_time
    assert {states[each] for each in others} == {VerificationState.EXPIRED}


def test_only_late_calls_are_recorded_as_late(played: Telephony) -> None:
    late = {each for each in played.ledger.started if (row := played.store.get(each)) and row.late_call_at}
    assert late == played.ledger.called_late


def test_overdue_verifications_are_closed_by_the_next_sweep(played: Telephony) -> None:
    assert played.ledger.overdue == []
    assert all(row.due is None for row in played.store.rows.values())


def test_callbacks_without_a_grace_are_matched_wrongly() -> None:
    telephony = Telephony(1, grace=timedelta(0))
    telephony.play(minutes=300)
    assert unexplained(telephony.ledger) > 0
