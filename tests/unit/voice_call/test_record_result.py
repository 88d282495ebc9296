"""A call's result is acknowledged once it is durable, and shown as if the table had taken it at once. (I5, I7)"""

from __future__ import annotations

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.orders import Outcome, OutcomeKind
from switchboard.domain.voice_calls import CallResult, CallResultFact
from switchboard.ports.callbacks import CallbackVault, HeldReport, RawCallback
from switchboard.ports.voice_calls import CallReportStore
from switchboard.usecases.operations.reconcile_overdue import SweepAction
from switchboard.usecases.operations.sweep import SweepOverdue
from switchboard.usecases.voice_call.record_result import RecordCallResult, ResultOutcome
from tests.builders import DEADLINES, MINUTE, a_call
from tests.fakes import (
    START,
    Answer,
    FixedClock,
    InMemoryCallbackVault,
    InMemoryMessageStore,
    InMemoryVoiceCallStore,
    down,
    flaky,
)

RESULT = CallResult("c1", "answered")


@pytest.fixture
def calls() -> InMemoryVoiceCallStore:
    store = InMemoryVoiceCallStore(deadlines=DEADLINES)
    call = a_call(callback_expected=True)
    store.create(call)
    store.record_outcome(call, call.claims[0], Outcome(OutcomeKind.ACCEPTED, START, facts={"call_id": "c1"}))
    return store


def recorder(calls: CallReportStore, vault: CallbackVault, clock: FixedClock | None = None) -> RecordCallResult:
    return RecordCallResult(calls=calls, vault=vault, clock=clock or FixedClock())


def sweep(calls: CallReportStore, vault: CallbackVault) -> SweepOverdue:
    return SweepOverdue(reports=down(InMemoryMessageStore), vault=vault, settle=[], results=calls)


def shown(calls: InMemoryVoiceCallStore) -> tuple[CallResultFact, ...]:
    call = calls.get("call1")
    assert call is not None
    return call.reports


def test_a_result_that_the_store_takes_is_not_held(calls: InMemoryVoiceCallStore) -> None:
    vault = InMemoryCallbackVault()
    assert recorder(calls, vault)(RESULT) is ResultOutcome.RECORDED
    assert recorder(calls, vault)(CallResult("c2", "answered")) is ResultOutcome.UNMATCHED
    assert not vault.kept


def test_a_result_that_the_store_cannot_take_is_held_and_recorded_by_the_sweep_as_of_its_coming(
    calls: InMemoryVoiceCallStore,
) -> None:
    clock, vault = FixedClock(), InMemoryCallbackVault()
    assert recorder(down(InMemoryVoiceCallStore), vault, clock)(RESULT) is ResultOutcome.HELD
    clock.advance(MINUTE)
    recorder(down(InMemoryVoiceCallStore), vault, clock)(RESULT)
    assert shown(calls) == ()
    assert sweep(calls, vault)()[SweepAction.REPORT_RELEASED] == 2
    assert shown(calls) == (CallResultFact("answered", START),)
    assert not vault.kept


def test_a_result_that_is_heard_again_before_the_sweep_is_shown_as_of_its_first_coming(
    calls: InMemoryVoiceCallStore,
) -> None:
    clock, vault = FixedClock(), InMemoryCallbackVault()
    recorder(down(InMemoryVoiceCallStore), vault, clock)(RESULT)
    clock.advance(MINUTE)
    assert recorder(calls, vault, clock)(RESULT) is ResultOutcome.RECORDED
    sweep(calls, vault)()
    assert shown(calls) == (CallResultFact("answered", START),)


def test_a_held_result_that_came_before_the_calls_own_answer_is_found_with_it() -> None:
    calls, vault = InMemoryVoiceCallStore(deadlines=DEADLINES), InMemoryCallbackVault()
    recorder(down(InMemoryVoiceCallStore), vault)(RESULT)
    sweep(calls, vault)()
    call = a_call(callback_expected=True)
    calls.create(call)
    calls.record_outcome(call, call.claims[0], Outcome(OutcomeKind.ACCEPTED, START, facts={"call_id": "c1"}))
    assert shown(calls) == (CallResultFact("answered", START),)


@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NOT_APPLIED])
def test_a_result_whose_writing_got_no_answer_is_there_in_the_end(
    calls: InMemoryVoiceCallStore, answer: Answer
) -> None:
    vault = InMemoryCallbackVault()
    assert recorder(flaky(calls, record_result=[answer] * 2), vault)(RESULT) is ResultOutcome.HELD
    sweep(calls, vault)()
    assert shown(calls) == (CallResultFact("answered", START),)


def test_a_result_that_can_be_kept_nowhere_is_not_acknowledged() -> None:
    with pytest.raises(StoreUnavailableError):
        recorder(down(InMemoryVoiceCallStore), down(InMemoryCallbackVault))(RESULT)


def test_a_held_result_stays_held_while_the_store_does_not_answer() -> None:
    vault = InMemoryCallbackVault()
    vault.hold(HeldReport(RESULT, START))
    with pytest.raises(StoreUnavailableError):
        sweep(down(InMemoryVoiceCallStore), vault)()
    assert len(vault.kept) == 1


def test_a_held_result_that_could_not_be_let_go_of_does_no_harm(calls: InMemoryVoiceCallStore) -> None:
    vault = InMemoryCallbackVault()
    vault.hold(HeldReport(RESULT, START))
    with pytest.raises(StoreUnavailableError):
        sweep(calls, flaky(vault, release=[Answer.NOT_APPLIED]))()
    sweep(calls, vault)()
    assert shown(calls) == (CallResultFact("answered", START),)
    assert not vault.kept


def test_what_is_held_and_unreadable_is_put_into_quarantine_and_the_rest_goes_on(calls: InMemoryVoiceCallStore) -> None:
    vault, raw = InMemoryCallbackVault(), RawCallback("held", "", "held/0", "application/json", b"{}")
    vault.hold(HeldReport(raw, START - MINUTE))
    vault.hold(HeldReport(RESULT, START))
    done = sweep(calls, vault)()
    assert done == {SweepAction.REPORT_QUARANTINED: 1, SweepAction.REPORT_RELEASED: 1}
    assert vault.quarantined == [(raw, "held and unreadable", START - MINUTE)]
    assert shown(calls) == (CallResultFact("answered", START),)
    assert not vault.kept


def test_what_is_unreadable_stays_held_where_it_cannot_be_put_into_quarantine(calls: InMemoryVoiceCallStore) -> None:
    vault = InMemoryCallbackVault()
    vault.hold(HeldReport(RawCallback("held", "", "held/0", "application/json", b"{}"), START))
    with pytest.raises(StoreUnavailableError):
        sweep(calls, flaky(vault, quarantine=[Answer.NOT_APPLIED]))()
    assert len(vault.kept) == 1
