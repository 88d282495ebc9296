"""A callback without an id reaches only its own verification (I8), and every verification ends (I9)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.domain.verification.verifications import VerificationState
from tests.depth import at_depth
from tests.harness.telephony import RIGHT_MATCHES, Ledger, Telephony, Truth

SEEDS = at_depth(usual=(1,), proof=(1, 2))
MINUTES = at_depth(usual=1_000, proof=3_500)


def count_wrong_matches(ledger: Ledger) -> int:
    return sum(count for (truth, match), count in ledger.matches.items() if match not in RIGHT_MATCHES[truth])


@pytest.fixture(scope="module", params=SEEDS)
def day(request: pytest.FixtureRequest) -> Telephony:
    telephony = Telephony(request.param)
    telephony.play(minutes=MINUTES)
    return telephony


def test_the_simulated_day_has_every_kind_of_callback(day: Telephony) -> None:
    ledger = day.ledger
    counts = {truth: sum(n for (kind, _), n in ledger.matches.items() if kind is truth) for truth in Truth}
    share = {truth: count / sum(counts.values()) for truth, count in counts.items()}
    assert len(ledger.started) * len(SEEDS) >= at_depth(usual=1_400, proof=10_000)
    assert ledger.refused > 0
    assert share[Truth.LATE] > 0.04
    assert share[Truth.REPEATED] > 0.015
    assert share[Truth.FOREIGN] > 0.008


def test_every_callback_is_matched_correctly(day: Telephony) -> None:
    assert count_wrong_matches(day.ledger) == 0


def test_only_numbers_that_called_in_time_are_verified(day: Telephony) -> None:
    ledger = day.ledger
    states = {verification_id: day.state_of(verification_id) for verification_id in ledger.started}
    verified = {verification_id for verification_id, state in states.items() if state is VerificationState.VERIFIED}
    assert verified == ledger.called_in_time
    assert {states[verification_id] for verification_id in set(states) - verified} == {VerificationState.EXPIRED}


def test_only_late_calls_are_recorded_as_late(day: Telephony) -> None:
    verifications = [day.store.get(verification_id) for verification_id in day.ledger.started]
    late = {verification.id for verification in verifications if verification and verification.late_call_at}
    assert late == day.ledger.called_late


def test_overdue_verifications_are_closed_by_the_next_sweep(day: Telephony) -> None:
    assert day.ledger.overdue == []
    assert all(row.due is None for row in day.store.rows.values())


def test_callbacks_without_a_grace_are_matched_wrongly() -> None:
    telephony = Telephony(1, grace=timedelta(0))
    telephony.play(minutes=300)
    assert count_wrong_matches(telephony.ledger) > 0
