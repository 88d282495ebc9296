"""MediaSMS is asked for a missing result at planned times, and its answer is a fact like a report. (I2, I3, I9)"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    LockedOutError,
    NotSentError,
    ProviderError,
    RateLimitTimeoutError,
    StoreUnavailableError,
    SwitchboardError,
    UnexpectedAnswerError,
)
from switchboard.domain.orders import Deadlines, InquiryRule, OutcomeKind
from switchboard.domain.sms.messages import Message, SmsState, due_inquiries, next_due, status_of
from switchboard.ports.providers import InquiryAnswer
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.usecases.operations.reconcile_overdue import ReconcileOverdue, SweepAction, SweepReport
from switchboard.usecases.sms.inquire import InquireResult, InquiryOutcome, PlanInquiries
from tests.builders import MINUTE, a_message, a_report, an_outcome
from tests.fakes import START, FixedClock, InMemoryMessageStore, InMemoryOutbox, ScriptedGuard, down

ASKING = Deadlines(inquiries=InquiryRule(enabled=True))
DECIDING = Deadlines(inquiries=InquiryRule(enabled=True, not_found_decides=True))
SILENT = Deadlines()
WINDOW = ASKING.delivery_after_claim


class _Source:
    """A ResultSource with one scripted answer."""

    def __init__(self, answer: InquiryAnswer | ProviderError) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def open(self) -> None:
        if isinstance(self.answer, NotSentError):
            raise self.answer

    def ask(self, order_id: str) -> InquiryAnswer:
        self.asked.append(order_id)
        if isinstance(self.answer, ProviderError):
            raise self.answer
        return self.answer


class _Setting:
    """One message in a store, the sweep over it, and the worker that asks."""

    def __init__(
        self, kind: OutcomeKind = OutcomeKind.UNKNOWN, *, deadlines: Deadlines = ASKING, limit: int = 9
    ) -> None:
        self.clock, self.outbox, self.deadlines = FixedClock(), InMemoryOutbox(), deadlines
        self.messages = InMemoryMessageStore(deadlines=deadlines)
        message = a_message()
        self.messages.create(message)
        self.messages.record_outcome(message, message.claims[0], an_outcome(kind))
        self.plan = PlanInquiries(messages=self.messages, queue=self.outbox, deadlines=deadlines, limit=limit)

    def status(self, message: Message, now: datetime) -> Any:
        return status_of(message, statuses=DELIVERY_STATUSES, deadlines=self.deadlines, now=now)

    def sweep(self, after: timedelta) -> dict[SweepAction, int]:
        self.clock.sleep_until(START + after)
        reconcile = ReconcileOverdue(
            orders=self.messages,
            clock=self.clock,
            status_of=self.status,
            next_due=lambda message: next_due(message, deadlines=self.deadlines),
            look_again_after=15 * MINUTE,
            outbox=self.outbox,
            plan_inquiry=self.plan,
        )
        report = SweepReport()
        reconcile(report, limit=200)
        if report.failure is not None:
            raise report.failure
        return dict(report.actions)

    def inquire(
        self, answer: InquiryAnswer | ProviderError, *guard_raises: SwitchboardError
    ) -> tuple[InquiryOutcome, _Source, ScriptedGuard]:
        source, guard = _Source(answer), ScriptedGuard(self.clock, *guard_raises)
        outcome = InquireResult(
            messages=self.messages,
            source=source,
            guard=guard,
            queue=self.outbox,
            clock=self.clock,
            deadlines=self.deadlines,
            statuses=DELIVERY_STATUSES,
            wait_budget=timedelta(seconds=3),
            postpone_s=30,
        )("sms1")
        return outcome, source, guard

    @property
    def message(self) -> Message:
        message = self.messages.get("sms1")
        assert message is not None
        return message

    @property
    def state(self) -> SmsState:
        state = self.status(self.message, self.clock.now()).state
        assert isinstance(state, SmsState)
        return state


def error_of(kind: type[ProviderError]) -> ProviderError:
    return kind("no", provider="mediasms", operation="ask_result")


def test_an_unknown_message_is_asked_for_after_1_10_and_60_minutes_and_before_its_window_closes() -> None:
    setting = _Setting()
    asked_at = []
    for minute in range(0, int(WINDOW / MINUTE) + 2):
        if SweepAction.INQUIRY_PLANNED in setting.sweep(minute * MINUTE):
            asked_at.append(minute)
    assert asked_at == [1, 10, 60, int(WINDOW / MINUTE) - 10]
    assert list(setting.outbox.inquiries) == ["sms1"] * 4
    assert sorted(setting.message.asked) == ["closing", "unknown_1", "unknown_2", "unknown_3"]
    assert setting.message.closed_at == START + WINDOW


def test_an_accepted_message_is_asked_for_once_before_its_window_closes() -> None:
    setting = _Setting(OutcomeKind.ACCEPTED)
    # Its deadline is that of its claim until the sweep moves it on.
    assert setting.sweep(2 * MINUTE) == {SweepAction.POSTPONED: 1}
    assert setting.sweep(WINDOW - 11 * MINUTE) == {}
    assert setting.sweep(WINDOW - 10 * MINUTE) == {SweepAction.INQUIRY_PLANNED: 1}
    assert setting.sweep(WINDOW - MINUTE) == {}
    assert setting.sweep(WINDOW) == {SweepAction.CLOSED: 1}


def test_a_timed_out_submission_is_asked_for_too() -> None:
    message = a_message(timeouts={"first": START})
    assert next_due(message, deadlines=ASKING) == START + MINUTE
    assert due_inquiries(message, deadlines=ASKING, now=START + 10 * MINUTE) == ["unknown_1", "unknown_2"]


@pytest.mark.parametrize("kind", [OutcomeKind.REJECTED, OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN])
def test_nothing_is_asked_without_the_result_api(kind: OutcomeKind) -> None:
    setting = _Setting(kind, deadlines=SILENT)
    for after in (MINUTE, 60 * MINUTE, WINDOW - MINUTE, WINDOW):
        assert SweepAction.INQUIRY_PLANNED not in setting.sweep(after)
    assert not setting.outbox.inquiries


def test_a_delivered_or_reported_message_is_not_asked_for() -> None:
    delivered, reported = _Setting(), _Setting()
    delivered.messages.record_report(a_report("1"), seen_at=START)
    reported.messages.record_report(a_report("14"), seen_at=START)
    # The report has taken the message off the deadlines' index.
    assert delivered.sweep(MINUTE) == {}
    assert reported.sweep(MINUTE) == {SweepAction.POSTPONED: 1}
    assert next_due(reported.message, deadlines=ASKING) == START + WINDOW - 10 * MINUTE


def test_one_question_after_an_outage_answers_all_that_are_overdue() -> None:
    setting = _Setting()
    assert setting.sweep(2 * 60 * MINUTE) == {SweepAction.INQUIRY_PLANNED: 1}
    assert sorted(setting.message.asked) == ["unknown_1", "unknown_2", "unknown_3"]


def test_the_inquiries_of_a_minute_are_bounded() -> None:
    setting = _Setting(limit=0)
    assert setting.sweep(MINUTE) == {SweepAction.POSTPONED: 1}
    assert not setting.outbox.inquiries
    assert setting.message.asked == {}


def test_a_queue_that_is_down_leaves_the_inquiry_to_the_next_sweep() -> None:
    setting = _Setting()
    setting.plan = PlanInquiries(messages=setting.messages, queue=down(InMemoryOutbox), deadlines=ASKING)
    with pytest.raises(StoreUnavailableError):
        setting.sweep(MINUTE)
    assert setting.message.asked == {}
    setting.plan = PlanInquiries(messages=setting.messages, queue=setting.outbox, deadlines=ASKING)
    assert setting.sweep(MINUTE) == {SweepAction.INQUIRY_PLANNED: 1}


@pytest.mark.parametrize(
    ("status", "state"),
    [("1", SmsState.DELIVERED), ("0", SmsState.FAILED), ("33", SmsState.FAILED), ("14", SmsState.IN_PROGRESS)],
)
def test_a_result_is_a_report_about_the_messages_own_number(status: str, state: SmsState) -> None:
    setting = _Setting()
    outcome, source, guard = setting.inquire(InquiryAnswer(status=status))
    assert (outcome, source.asked, guard.results) == (InquiryOutcome.REPORTED, ["sms1"], [None])
    [report] = setting.message.reports
    assert report.status == status
    assert setting.state is state


def test_an_unknown_id_is_evidence_that_decides_nothing() -> None:
    setting = _Setting()
    for minutes in (1, 10):
        setting.clock.sleep_until(START + minutes * MINUTE)
        assert setting.inquire(InquiryAnswer(status=None))[0] is InquiryOutcome.NOT_FOUND
    assert setting.message.not_found_at == START + MINUTE
    assert setting.message.updated_at == START + MINUTE
    assert setting.state is SmsState.UNKNOWN


def test_an_unknown_id_decides_if_the_deployment_says_so_until_a_report_comes() -> None:
    setting = _Setting(deadlines=DECIDING)
    setting.inquire(InquiryAnswer(status=None))
    assert setting.status(setting.message, START).final
    assert setting.state == "failed"
    assert setting.sweep(MINUTE) == {SweepAction.CLOSED: 1}
    assert not setting.outbox.entries
    setting.messages.record_report(a_report("1"), seen_at=START)
    assert setting.state == "delivered"


def test_an_unknown_id_says_nothing_about_an_accepted_message() -> None:
    setting = _Setting(OutcomeKind.ACCEPTED, deadlines=DECIDING)
    setting.inquire(InquiryAnswer(status=None))
    assert setting.state is SmsState.ACCEPTED


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (UnexpectedAnswerError, InquiryOutcome.UNANSWERED),
        (AuthenticationFailedError, InquiryOutcome.ACCOUNT_REJECTED),
        (AddressBlockedError, InquiryOutcome.ACCOUNT_REJECTED),
    ],
)
def test_a_refused_question_is_recorded_by_the_guard(kind: type[ProviderError], outcome: InquiryOutcome) -> None:
    setting, error = _Setting(), error_of(kind)
    ended, _, guard = setting.inquire(error)
    assert (ended, guard.results) == (outcome, [error])
    assert setting.state is SmsState.UNKNOWN


def test_a_question_without_a_slot_goes_back_into_the_queue() -> None:
    setting = _Setting()
    outcome, source, guard = setting.inquire(InquiryAnswer(status="1"), RateLimitTimeoutError("full"))
    assert (outcome, source.asked, guard.results) == (InquiryOutcome.POSTPONED, [], [])
    assert list(setting.outbox.inquiries) == ["sms1"]


def test_an_open_circuit_or_an_unreachable_provider_is_not_asked() -> None:
    setting = _Setting()
    locked = LockedOutError("open", reason="authentication")
    assert setting.inquire(InquiryAnswer(status="1"), locked)[:1] == (InquiryOutcome.UNANSWERED,)
    outcome, source, guard = setting.inquire(error_of(NotSentError))
    assert (outcome, source.asked, guard.results) == (InquiryOutcome.UNANSWERED, [], [])
    assert not setting.outbox.inquiries


def test_a_decided_message_is_not_asked_for_again() -> None:
    setting = _Setting()
    setting.messages.record_report(a_report("1"), seen_at=START)
    outcome, source, _ = setting.inquire(InquiryAnswer(status="0"))
    assert (outcome, source.asked) == (InquiryOutcome.NOTHING_TO_DO, [])


def test_nothing_is_due_if_the_provider_is_never_asked() -> None:
    assert due_inquiries(a_message(), deadlines=SILENT, now=START + 2 * WINDOW) == []
