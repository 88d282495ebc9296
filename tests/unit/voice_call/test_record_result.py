"""A call result is acknowledged after it is durable, and shown as if the table had taken it at once. (I5, I7)"""

from __future__ import annotations

import pytest

from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.orders import Outcome, OutcomeKind
from switchboard.domain.voice_calls import CallResultFact
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


def reports_of(calls: InMemoryVoiceCallStore) -> tuple[CallResultFact, ...]:
    call = calls.get("call1")
    assert call is not None
    return call.reports


def test_a_recorded_result_is_not_spooled(calls: InMemoryVoiceCallStore) -> None:
    archive = InMemoryCallbackArchive()
    assert recorder(calls, archive)(RESULT) is ResultOutcome.RECORDED
    assert recorder(calls, archive)(CallResult("c2", "answered")) is ResultOutcome.UNMATCHED
    assert not archive.kept


def test_a_result_without_a_store_is_replayed_with_its_time(
    calls: InMemoryVoiceCallStore,
) -> None:
    clock, archive = FixedClock(), InMemoryCallbackArchive()
    assert recorder(down(InMemoryVoiceCallStore), archive, clock)(RESULT) is ResultOutcome.SPOOLED
    clock.advance(MINUTE)
    recorder(down(InMemoryVoiceCallStore), archive, clock)(RESULT)
    assert reports_of(calls) == ()
    assert sweep(calls, archive)()[SweepAction.EVENT_REPLAYED] == 2
    assert reports_of(calls) == (CallResultFact("answered", START),)
    assert not archive.kept


def test_a_repeated_result_keeps_the_time_of_the_spooled_one(
    calls: InMemoryVoiceCallStore,
) -> None:
    clock, archive = FixedClock(), InMemoryCallbackArchive()
    recorder(down(InMemoryVoiceCallStore), archive, clock)(RESULT)
    clock.advance(MINUTE)
    assert recorder(calls, archive, clock)(RESULT) is ResultOutcome.RECORDED
    sweep(calls, archive)()
    assert reports_of(calls) == (CallResultFact("answered", START),)


def test_a_result_before_the_calls_answer_is_found_later() -> None:
    calls, archive = InMemoryVoiceCallStore(deadlines=DEADLINES), InMemoryCallbackArchive()
    recorder(down(InMemoryVoiceCallStore), archive)(RESULT)
    sweep(calls, archive)()
    call = a_call(callback_expected=True)
    calls.create(call)
    calls.record_outcome(call, call.claims[0], Outcome(OutcomeKind.ACCEPTED, START, facts={"call_id": "c1"}))
    assert reports_of(calls) == (CallResultFact("answered", START),)


@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NOT_APPLIED])
def test_a_result_with_lost_answers_is_recorded_in_the_end(calls: InMemoryVoiceCallStore, answer: Answer) -> None:
    archive = InMemoryCallbackArchive()
    assert recorder(flaky(calls, record_result=[answer] * 2), archive)(RESULT) is ResultOutcome.SPOOLED
    sweep(calls, archive)()
    assert reports_of(calls) == (CallResultFact("answered", START),)


def test_a_result_without_store_and_archive_raises() -> None:
    with pytest.raises(StoreUnavailableError):
        recorder(down(InMemoryVoiceCallStore), down(InMemoryCallbackArchive))(RESULT)


def test_a_spooled_result_stays_spooled_without_a_store() -> None:
    archive = InMemoryCallbackArchive()
    archive.spool(SpooledEvent(RESULT, START))
    with pytest.raises(StoreUnavailableError):
        sweep(down(InMemoryVoiceCallStore), archive)()
    assert len(archive.kept) == 1


def test_a_replayed_result_that_cannot_be_removed_is_harmless(calls: InMemoryVoiceCallStore) -> None:
    archive = InMemoryCallbackArchive()
    archive.spool(SpooledEvent(RESULT, START))
    with pytest.raises(StoreUnavailableError):
        sweep(calls, flaky(archive, remove=[Answer.NOT_APPLIED]))()
    sweep(calls, archive)()
    assert reports_of(calls) == (CallResultFact("answered", START),)
    assert not archive.kept


def test_an_unreadable_spooled_event_is_quarantined(calls: InMemoryVoiceCallStore) -> None:
    archive, raw = InMemoryCallbackArchive(), RawCallback("spool", "", "spool/0", "application/json", b"{}")
    archive.spool(SpooledEvent(raw, START - MINUTE))
    archive.spool(SpooledEvent(RESULT, START))
    done = sweep(calls, archive)()
    assert done == {SweepAction.EVENT_QUARANTINED: 1, SweepAction.EVENT_REPLAYED: 1}
    assert archive.quarantined == [(raw, "spooled and unreadable", START - MINUTE)]
    assert reports_of(calls) == (CallResultFact("answered", START),)
    assert not archive.kept


def test_an_unreadable_event_without_quarantine_stays_spooled(calls: InMemoryVoiceCallStore) -> None:
    archive = InMemoryCallbackArchive()
    archive.spool(SpooledEvent(RawCallback("spool", "", "spool/0", "application/json", b"{}"), START))
    with pytest.raises(StoreUnavailableError):
        sweep(calls, flaky(archive, quarantine=[Answer.NOT_APPLIED]))()
    assert len(archive.kept) == 1
