"""The sweep times out, closes and requeues overdue messages, and never sends one. (I2, I9)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from switchboard.domain.errors import LockedOutError, RateLimitTimeoutError, SlotUnavailableError, StoreUnavailableError
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.messages import Message, SmsState, next_due
from switchboard.ports.callbacks import SpooledEvent
from switchboard.usecases.operations.reconcile_overdue import SweepAction
from tests.builders import CLIENT, DEADLINES, MINUTE, a_callback, a_claim, a_message, a_report, an_outcome
from tests.fakes import (
    START,
    Answer,
    FixedClock,
    InMemoryCallbackArchive,
    InMemoryMessageStore,
    InMemoryOutbox,
    OpenGuard,
    ScriptedProvider,
    down,
    flaky,
)
from tests.systems import REQUEUE_DELAY_S, System, assembled


class _Setting:
    """A system over fakes with one claimed message, and the fakes."""

    def __init__(self, messages: InMemoryMessageStore | None = None) -> None:
        self.clock = FixedClock()
        self.messages = messages or InMemoryMessageStore()
        self.outbox = InMemoryOutbox()
        self.archive = InMemoryCallbackArchive()
        self.provider = ScriptedProvider()
        self.system = self.over(self.messages)
        self.messages.create(a_message())

    def over(self, messages: InMemoryMessageStore) -> System:
        return assembled(
            messages=messages, outbox=self.outbox, archive=self.archive, provider=self.provider, clock=self.clock
        )

    def ended(self, kind: OutcomeKind, *, queue: bool = False) -> None:
        message = self.message
        self.messages.record_outcome(message, message.claims[-1], an_outcome(kind, at=self.clock.now()), queue=queue)

    def after(self, passed: timedelta) -> Counter[SweepAction]:
        """Sweep at this time after the beginning."""
        self.clock.sleep_until(START + passed)
        return self.system.sweep()

    @property
    def message(self) -> Message:
        message = self.messages.get("sms1")
        assert message is not None
        return message

    @property
    def due(self) -> datetime | None:
        return self.messages.rows["sms1"].due

    @property
    def state(self) -> SmsState:
        return self.system.query.one("sms1", client=CLIENT).status.state


@pytest.fixture
def setting() -> _Setting:
    return _Setting()


def test_a_message_before_its_deadline_is_left_alone(setting: _Setting) -> None:
    before = setting.message
    assert setting.after(DEADLINES.submission_after_claim - timedelta(milliseconds=1)) == Counter()
    assert setting.message == before


def test_a_lost_submission_is_unknown_and_loses_its_text(setting: _Setting) -> None:
    assert setting.after(DEADLINES.submission_after_claim) == Counter({SweepAction.SUBMISSION_LOST: 1})
    assert setting.message.content is None
    assert setting.state is SmsState.UNKNOWN
    assert setting.after(DEADLINES.submission_after_claim + MINUTE) == Counter()
    assert not setting.provider.submissions
    assert not setting.outbox.entries


@pytest.mark.parametrize("kind", [OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN])
def test_an_unreported_delivery_is_closed_with_its_window(setting: _Setting, kind: OutcomeKind) -> None:
    setting.ended(kind)
    setting.after(DEADLINES.submission_after_claim)
    assert setting.after(DEADLINES.delivery_after_claim - MINUTE) == Counter()
    assert setting.after(DEADLINES.delivery_after_claim) == Counter({SweepAction.CLOSED: 1})
    assert setting.message.closed_at == setting.clock.now()
    assert setting.after(DEADLINES.delivery_after_claim + MINUTE) == Counter()


def test_an_accepted_message_without_a_report_waits_for_one(setting: _Setting) -> None:
    setting.ended(OutcomeKind.ACCEPTED)
    assert setting.after(DEADLINES.submission_after_claim) == Counter({SweepAction.POSTPONED: 1})
    assert setting.due == START + DEADLINES.delivery_after_claim


@pytest.mark.parametrize("status", ["14", "18", "0", "999"])
def test_a_reported_message_is_closed_with_its_window(setting: _Setting, status: str) -> None:
    setting.ended(OutcomeKind.ACCEPTED)
    setting.system.record(a_callback(status))
    assert setting.after(DEADLINES.delivery_after_claim) == Counter({SweepAction.CLOSED: 1})


def test_a_lost_submission_with_a_report_loses_its_text(setting: _Setting) -> None:
    setting.system.record(a_callback("14"))
    assert setting.after(DEADLINES.submission_after_claim) == Counter({SweepAction.SUBMISSION_LOST: 1})
    assert setting.message.content is None
    assert setting.state is SmsState.IN_PROGRESS


def test_a_queued_message_is_requeued_after_a_while(setting: _Setting) -> None:
    setting.ended(OutcomeKind.NOT_SENT, queue=True)
    assert setting.after(DEADLINES.requeue_after_queued - MINUTE) == Counter()
    assert setting.after(DEADLINES.requeue_after_queued) == Counter({SweepAction.REQUEUED: 1})
    assert list(setting.outbox.entries) == ["sms1"]
    assert setting.after(DEADLINES.requeue_after_queued + MINUTE) == Counter()
    assert setting.system.send_queued("sms1").value == "accepted"


def test_a_message_without_a_queue_waits_for_the_next_sweep(setting: _Setting) -> None:
    setting.ended(OutcomeKind.NOT_SENT, queue=True)
    setting.clock.advance(DEADLINES.requeue_after_queued)
    broken = assembled(messages=setting.messages, outbox=down(InMemoryOutbox), clock=setting.clock)
    with pytest.raises(StoreUnavailableError):
        broken.sweep()
    assert setting.system.sweep() == Counter({SweepAction.REQUEUED: 1})


def test_other_overdue_messages_do_not_wait_for_the_queue(setting: _Setting) -> None:
    setting.ended(OutcomeKind.NOT_SENT, queue=True)
    setting.clock.advance(14 * MINUTE)
    setting.messages.create(a_message("sms2", at=setting.clock.now()))
    setting.clock.advance(3 * MINUTE)
    broken = assembled(messages=setting.messages, outbox=down(InMemoryOutbox), clock=setting.clock)

    with pytest.raises(StoreUnavailableError):
        broken.sweep()

    lost = setting.messages.get("sms2")
    assert lost is not None
    assert lost.timeouts
    assert setting.system.sweep() == Counter({SweepAction.REQUEUED: 1})


def test_a_message_queued_too_long_expires_and_is_not_sent(setting: _Setting) -> None:
    setting.ended(OutcomeKind.NOT_SENT, queue=True)
    assert setting.after(DEADLINES.submission_after_request) == Counter({SweepAction.CLOSED: 1})
    assert setting.state is SmsState.EXPIRED
    assert setting.message.content is None
    setting.system.send_queued("sms1")
    assert not setting.provider.submissions


class _ClosedGuard(OpenGuard):
    """A guard without a free slot."""

    def __init__(self, clock: FixedClock, error: LockedOutError | SlotUnavailableError) -> None:
        super().__init__(clock)
        self._error = error

    def acquire(self, *, latest: datetime, order_id: str = "") -> datetime:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [LockedOutError("open", reason="authentication"), RateLimitTimeoutError("full")],
    ids=["locked out", "no slot"],
)
def test_entries_do_not_multiply_behind_a_closed_guard(
    setting: _Setting, error: LockedOutError | SlotUnavailableError
) -> None:
    setting.ended(OutcomeKind.NOT_SENT, queue=True)
    setting.outbox.put(setting.message)
    closed = assembled(
        messages=setting.messages, outbox=setting.outbox, clock=setting.clock, guard=_ClosedGuard(setting.clock, error)
    )
    for round_number in range(24 * 60):
        for _ in range(len(setting.outbox.entries)):
            closed.send_queued(setting.outbox.entries.popleft())
        setting.clock.advance(timedelta(seconds=REQUEUE_DELAY_S))
        if round_number % 4 == 0:
            closed.sweep()
        assert len(setting.outbox.entries) <= 1


class _ClaimedDuringSweep(InMemoryMessageStore):
    """A store in which another invocation claims the message between the index and the item."""

    def overdue(self, *, now: datetime, limit: int) -> list[Message]:
        messages = super().overdue(now=now, limit=limit)
        for message in messages:
            assert self.claim(message.smsid, a_claim("second", at=now)).granted
        return [self.rows[message.smsid].order or message for message in messages]


def test_a_claim_during_the_sweep_keeps_its_own_deadline() -> None:
    setting = _Setting(_ClaimedDuringSweep())
    setting.ended(OutcomeKind.NOT_SENT, queue=True)
    setting.after(DEADLINES.requeue_after_queued)
    assert not setting.outbox.entries
    assert setting.due == setting.clock.now() + DEADLINES.submission_after_claim
    assert setting.state is SmsState.SUBMITTING


class _StaleIndex(InMemoryMessageStore):
    """A store whose index still names every message."""

    def overdue(self, *, now: datetime, limit: int) -> Iterable[Message]:  # type: ignore[override]
        return [row.order for row in self.rows.values() if row.order is not None]


@pytest.mark.parametrize("kind", [None, *OutcomeKind])
@pytest.mark.parametrize("queue", [False, True])
def test_a_stale_index_changes_nothing(kind: OutcomeKind | None, queue: bool) -> None:
    setting = _Setting(_StaleIndex())
    if kind is not None:
        setting.ended(kind, queue=queue and kind is OutcomeKind.NOT_SENT)
    before, due = setting.state, next_due(setting.message, deadlines=DEADLINES)
    setting.system.sweep()
    assert (setting.state, setting.due) == (before, due)
    assert not setting.outbox.entries
    assert setting.message.timeouts == {}


def test_a_round_takes_one_batch_the_longest_overdue_first() -> None:
    setting = _Setting()
    for number in range(250):
        setting.messages.create(a_message(f"other{number:03d}", at=START + timedelta(seconds=1 + number)))
    first = setting.after(timedelta(hours=1))
    assert first == Counter({SweepAction.SUBMISSION_LOST: 200})
    assert setting.message.timeouts
    assert setting.system.sweep() == Counter({SweepAction.SUBMISSION_LOST: 51})


def test_a_sweep_goes_on_until_its_time_is_over() -> None:
    setting = _Setting()
    for number in range(650):
        setting.messages.create(a_message(f"other{number:03d}", at=START + timedelta(seconds=1 + number)))
    setting.clock.advance(timedelta(hours=1))
    rounds = iter([False, True])
    assert setting.system.sweep(enough=lambda: next(rounds)) == Counter({SweepAction.SUBMISSION_LOST: 400})
    assert setting.system.sweep(enough=lambda: False) == Counter({SweepAction.SUBMISSION_LOST: 251})


def test_a_failed_part_is_left_out_of_later_rounds() -> None:
    setting = _Setting()
    for number in range(250):
        setting.messages.create(a_message(f"other{number:03d}", at=START + timedelta(seconds=1 + number)))
    setting.clock.advance(timedelta(hours=1))
    sweep = assembled(messages=setting.messages, archive=down(InMemoryCallbackArchive), clock=setting.clock).sweep
    with pytest.raises(StoreUnavailableError):
        sweep(enough=lambda: False)
    assert not setting.system.sweep()


def test_actions_before_a_store_failure_stand() -> None:
    setting = _Setting()
    setting.messages.create(a_message("sms2", at=START + MINUTE))
    setting.clock.advance(timedelta(hours=1))
    answers = [Answer.GIVEN, *[Answer.NOT_APPLIED] * 5]
    with pytest.raises(StoreUnavailableError):
        setting.over(flaky(setting.messages, record_timeout=answers)).sweep()
    assert setting.message.timeouts
    assert setting.system.sweep() == Counter({SweepAction.SUBMISSION_LOST: 1})


def test_overdue_messages_do_not_wait_for_the_archive(setting: _Setting) -> None:
    setting.clock.advance(DEADLINES.submission_after_claim)
    broken = assembled(messages=setting.messages, archive=down(InMemoryCallbackArchive), clock=setting.clock)
    with pytest.raises(StoreUnavailableError):
        broken.sweep()
    assert setting.state is SmsState.UNKNOWN
    assert setting.message.timeouts


@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NOT_APPLIED])
def test_a_write_with_a_lost_answer_is_retried(setting: _Setting, answer: Answer) -> None:
    setting.clock.advance(DEADLINES.submission_after_claim)
    done = setting.over(flaky(setting.messages, record_timeout=[answer])).sweep()
    assert done == Counter({SweepAction.SUBMISSION_LOST: 1})
    assert setting.message.timeouts == {"first": setting.clock.now()}


def test_spooled_reports_are_replayed_before_reconciling(setting: _Setting) -> None:
    setting.ended(OutcomeKind.ACCEPTED)
    setting.archive.spool(SpooledEvent(a_report("1"), START + MINUTE))
    done = setting.after(DEADLINES.delivery_after_claim)
    assert done == Counter({SweepAction.EVENT_REPLAYED: 1})
    assert setting.state is SmsState.DELIVERED


def test_an_outcome_after_the_timeout_still_counts(setting: _Setting) -> None:
    setting.after(DEADLINES.submission_after_claim)
    setting.ended(OutcomeKind.ACCEPTED)
    assert setting.state is SmsState.ACCEPTED
