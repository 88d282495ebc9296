"""A call's result is acknowledged once it is durable, and shown as if the table had taken it at once. (I5, I7)"""

from __future__ import annotations

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.orders import Outcome, OutcomeKind
from switchboard.domain.voice_calls import CallResult, CallResultFact
from switchboard.ports.callbacks import CallbackArchive, RawCallback, SpooledEvent
from switchboard.ports.voice_calls import CallResultStore
from switchboard.storage.retrying import CALL_RESULTS, RAW_CALLBACKS, retrying
from switchboard.usecases.operations.reconcile_overdue import SweepAction
from switchboard.usecases.operations.sweep import SweepOverdue
from switchboard.usecases.voice_call.record_result import RecordCallResult, ResultOutcome
from tests.builders import DEADLINES, MINUTE, a_call
from tests.fakes import (
    START,
    Answer,
    FixedClock,
    InMemoryCallbackArchive,
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


def recorder(calls: CallResultStore, archive: CallbackArchive, clock: FixedClock | None = None) -> RecordCallResult:
    return RecordCallResult(
        calls=retrying(calls, *CALL_RESULTS),
        archive=retrying(archive, *RAW_CALLBACKS),
        clock=clock or FixedClock(),
    )


def sweep(calls: CallResultStore, archive: CallbackArchive) -> SweepOverdue:
    return SweepOverdue(
        reports=down(InMemoryMessageStore),
        archive=archive,
        reconcile=[],
        results=retrying(calls, *CALL_RESULTS),
    )


def shown(calls: InMemoryVoiceCallStore) -> tuple[CallResultFact, ...]:
    call = calls.get("call1")
    assert call is not None
    return call.reports


def test_a_result_that_the_store_takes_is_not_held(calls: InMemoryVoiceCallStore) -> None:
    archive = InMemoryCallbackArchive()
    assert recorder(calls, archive)(RESULT) is ResultOutcome.RECORDED
    assert recorder(calls, archive)(CallResult("c2", "answered")) is ResultOutcome.UNMATCHED
    assert not archive.kept


def test_a_result_that_the_store_cannot_take_is_held_and_recorded_by_the_sweep_as_of_its_coming(
    calls: InMemoryVoiceCallStore,
) -> None:
    clock, archive = FixedClock(), InMemoryCallbackArchive()
    assert recorder(down(InMemoryVoiceCallStore), archive, clock)(RESULT) is ResultOutcome.SPOOLED
    clock.advance(MINUTE)
    recorder(down(InMemoryVoiceCallStore), archive, clock)(RESULT)
    assert shown(calls) == ()
    assert sweep(calls, archive)()[SweepAction.EVENT_REPLAYED] == 2
    assert shown(calls) == (CallResultFact("answered", START),)
    assert not archive.kept


def test_a_result_that_is_heard_again_before_the_sweep_is_shown_as_of_its_first_coming(
    calls: InMemoryVoiceCallStore,
) -> None:
    clock, archive = FixedClock(), InMemoryCallbackArchive()
    recorder(down(InMemoryVoiceCallStore), archive, clock)(RESULT)
    clock.advance(MINUTE)
    assert recorder(calls, archive, clock)(RESULT) is ResultOutcome.RECORDED
    sweep(calls, archive)()
    assert shown(calls) == (CallResultFact("answered", START),)


def test_a_held_result_that_came_before_the_calls_own_answer_is_found_with_it() -> None:
    calls, archive = InMemoryVoiceCallStore(deadlines=DEADLINES), InMemoryCallbackArchive()
    recorder(down(InMemoryVoiceCallStore), archive)(RESULT)
    sweep(calls, archive)()
    call = a_call(callback_expected=True)
    calls.create(call)
    calls.record_outcome(call, call.claims[0], Outcome(OutcomeKind.ACCEPTED, START, facts={"call_id": "c1"}))
    assert shown(calls) == (CallResultFact("answered", START),)


@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NOT_APPLIED])
def test_a_result_whose_writing_got_no_answer_is_there_in_the_end(
    calls: InMemoryVoiceCallStore, answer: Answer
) -> None:
    archive = InMemoryCallbackArchive()
    assert recorder(flaky(calls, record_result=[answer] * 2), archive)(RESULT) is ResultOutcome.SPOOLED
    sweep(calls, archive)()
    assert shown(calls) == (CallResultFact("answered", START),)


def test_a_result_that_can_be_kept_nowhere_is_not_acknowledged() -> None:
    with pytest.raises(StoreUnavailableError):
        recorder(down(InMemoryVoiceCallStore), down(InMemoryCallbackArchive))(RESULT)


def test_a_held_result_stays_held_while_the_store_does_not_answer() -> None:
    archive = InMemoryCallbackArchive()
    archive.spool(SpooledEvent(RESULT, START))
    with pytest.raises(StoreUnavailableError):
        sweep(down(InMemoryVoiceCallStore), archive)()
    assert len(archive.kept) == 1


def test_a_held_result_that_could_not_be_let_go_of_does_no_harm(calls: InMemoryVoiceCallStore) -> None:
    archive = InMemoryCallbackArchive()
    archive.spool(SpooledEvent(RESULT, START))
    with pytest.raises(StoreUnavailableError):
        sweep(calls, flaky(archive, remove=[Answer.NOT_APPLIED]))()
    sweep(calls, archive)()
    assert shown(calls) == (CallResultFact("answered", START),)
    assert not archive.kept


def test_what_is_held_and_unreadable_is_put_into_quarantine_and_the_rest_goes_on(calls: InMemoryVoiceCallStore) -> None:
    archive, raw = InMemoryCallbackArchive(), RawCallback("spool", "", "spool/0", "application/json", b"{}")
    archive.spool(SpooledEvent(raw, START - MINUTE))
    archive.spool(SpooledEvent(RESULT, START))
    done = sweep(calls, archive)()
    assert done == {SweepAction.EVENT_QUARANTINED: 1, SweepAction.EVENT_REPLAYED: 1}
    assert archive.quarantined == [(raw, "spooled and unreadable", START - MINUTE)]
    assert shown(calls) == (CallResultFact("answered", START),)
    assert not archive.kept


def test_what_is_unreadable_stays_held_where_it_cannot_be_put_into_quarantine(calls: InMemoryVoiceCallStore) -> None:
    archive = InMemoryCallbackArchive()
    archive.spool(SpooledEvent(RawCallback("spool", "", "spool/0", "application/json", b"{}"), START))
    with pytest.raises(StoreUnavailableError):
        sweep(calls, flaky(archive, quarantine=[Answer.NOT_APPLIED]))()
    assert len(archive.kept) == 1
