"""A scheduled message is accepted at once and leaves at its time, or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from switchboard.domain.errors import (
    AlreadySubmittedError,
    ClientLimitError,
    InvalidRequestError,
    RecipientSuppressedError,
    ResourceNotFoundError,
    SubmissionFailedError,
)
from switchboard.domain.orders import Order
from switchboard.domain.sms.messages import Message, SmsState, SmsStatus
from switchboard.domain.sms.schedule import QuietHours, choose_send_at
from switchboard.usecases.sms.send_batch import BatchItem
from switchboard.usecases.sms.send_queued import QueuedOutcome
from switchboard.usecases.submission.submit_once import SubmissionResult
from tests.builders import CLIENT, DEADLINES, MINUTE, RECIPIENT, a_command
from tests.fakes import START, FixedClock, InMemoryMessageStore, InMemoryOutbox, NoLimits, ScriptedProvider
from tests.systems import System, assembled

SECOND = timedelta(seconds=1)
NIGHT = QuietHours.parse("21:00-08:00")


def japan(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC) - timedelta(hours=9)


@pytest.mark.parametrize(
    ("hours", "at", "expected"),
    [
        pytest.param("21:00-08:00", japan(22, 20, 59), japan(22, 20, 59), id="before they begin"),
        pytest.param("21:00-08:00", japan(22, 21), japan(23, 8), id="as they begin"),
        pytest.param("21:00-08:00", japan(23, 7, 59), japan(23, 8), id="after midnight"),
        pytest.param("21:00-08:00", japan(23, 8), japan(23, 8), id="as they end"),
        pytest.param("00:00-06:30", japan(23, 3), japan(23, 6, 30), id="within a day"),
        pytest.param("12:00-13:00", japan(23, 13), japan(23, 13), id="after those within a day"),
        pytest.param("08:00-08:00", japan(23, 8), japan(23, 8), id="none"),
    ],
)
def test_quiet_hours_move_a_time_to_their_end(hours: str, at: datetime, expected: datetime) -> None:
    assert QuietHours.parse(hours).skip(at) == expected


@pytest.mark.parametrize("text", ["", "21-8", "24:00-08:00", "21:00-08:60", "21:00-08:00 ", "9:00-21:00"])
def test_a_text_that_is_no_range_of_times_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        QuietHours.parse(text)


def test_a_time_is_rounded_up_to_the_second() -> None:
    half = START.replace(microsecond=500_000)
    assert choose_send_at(half, quiet_hours=None, now=START) == START.replace(microsecond=0) + SECOND
    assert choose_send_at(None, quiet_hours=NIGHT, now=japan(22, 12)) is None
    assert choose_send_at(None, quiet_hours=NIGHT, now=japan(22, 22)) == japan(23, 8)


class DelayedOutbox(InMemoryOutbox):
    """An outbox that notes the delays of its entries."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[int] = []

    def put(self, *orders: Order[Any], delay_s: int = 0) -> None:
        super().put(*orders, delay_s=delay_s)
        self.delays += [delay_s] * len(orders)


class NotedLimits(NoLimits):
    """Limits that note the times at which they count."""

    def __init__(self) -> None:
        self.times: list[datetime] = []
        self.full = False

    def reserve(self, *, recipient: str, client: str, weight: int, at: datetime, test: bool = False) -> None:
        if self.full:
            raise ClientLimitError("full", retry_after_s=60)
        self.times.append(at)


@dataclass(frozen=True, slots=True)
class Running:
    clock: FixedClock = field(default_factory=FixedClock)
    store: InMemoryMessageStore = field(default_factory=lambda: InMemoryMessageStore(deadlines=DEADLINES))
    provider: ScriptedProvider = field(default_factory=ScriptedProvider)
    outbox: DelayedOutbox = field(default_factory=DelayedOutbox)
    limits: NotedLimits = field(default_factory=NotedLimits)

    @property
    def system(self) -> System:
        return assembled(
            messages=self.store, outbox=self.outbox, provider=self.provider, clock=self.clock, limits=self.limits
        )

    def send(self, ahead: timedelta | None = 10 * MINUTE, **fields: Any) -> SubmissionResult[Message, SmsStatus]:
        send_at = None if ahead is None else START + ahead
        return self.system.send(a_command(send_at=send_at, **fields))


def test_a_message_within_the_queues_delay_waits_in_the_queue() -> None:
    running = Running()

    result = running.send(10 * MINUTE)

    send_at = START.replace(microsecond=0) + SECOND + 10 * MINUTE
    assert (result.status, result.replayed) == (SmsStatus(SmsState.SCHEDULED, final=False), False)
    assert (result.order.send_at, result.order.claims) == (send_at, ())
    assert result.order.submit_before == send_at + DEADLINES.submission_after_request
    assert running.outbox.delays == [601]
    assert running.limits.times == [send_at]
    assert not running.provider.submissions


def test_a_message_beyond_the_queues_delay_is_put_there_by_the_sweep_in_time() -> None:
    running = Running()
    running.send(timedelta(days=2))
    assert not running.outbox.entries

    running.clock.advance(timedelta(days=2) - 14 * MINUTE)
    running.system.sweep()

    assert running.outbox.delays == [14 * 60 + 1]


def test_an_entry_that_comes_early_goes_back_for_the_time_that_is_left() -> None:
    running = Running()
    smsid = running.send(10 * MINUTE).order.id
    running.clock.advance(9 * MINUTE)

    assert running.system.send_queued(smsid) is QueuedOutcome.EARLY
    assert running.outbox.delays == [601, 61]
    running.clock.advance(MINUTE + SECOND)
    assert running.system.send_queued(smsid) is QueuedOutcome.ACCEPTED
    assert len(running.provider.taken) == 1


def test_a_repeated_request_shows_the_message_also_after_its_time() -> None:
    running = Running()
    first = running.send(10 * MINUTE)
    running.clock.advance(20 * MINUTE)

    again = running.send(10 * MINUTE)

    assert again.replayed
    assert again.order == first.order
    assert again.status.state is SmsState.QUEUED
    assert running.outbox.delays == [601]


def test_quiet_hours_schedule_what_would_leave_in_them() -> None:
    running = Running(clock=FixedClock(japan(22, 22)))

    night = running.send(None, quiet_hours=True)
    running.clock.sleep_until(japan(23, 9))
    day = running.send(None, quiet_hours=True, idempotency_key="order-2")

    assert (night.status.state, night.order.send_at) == (SmsState.SCHEDULED, japan(23, 8))
    assert (day.status.state, day.order.send_at) == (SmsState.ACCEPTED, None)


@pytest.mark.parametrize(
    ("ahead", "fields", "problem"),
    [
        pytest.param(-SECOND, {}, ("send_at", "in_the_past"), id="past"),
        pytest.param(timedelta(days=30, seconds=1), {}, ("send_at", "too_far"), id="too far ahead"),
        pytest.param(MINUTE, {"not_after": START + MINUTE}, ("send_at", "conflict"), id="not before not_after"),
        pytest.param(
            timedelta(hours=10),
            {"quiet_hours": True, "not_after": START + timedelta(hours=12)},
            ("send_at", "conflict"),
            id="quiet hours end after not_after",
        ),
    ],
)
def test_an_impossible_time_is_refused(ahead: timedelta, fields: dict[str, Any], problem: tuple[str, str]) -> None:
    running = Running()

    with pytest.raises(InvalidRequestError) as refused:
        running.send(ahead, **fields)
    with pytest.raises(InvalidRequestError):
        running.system.send.check(a_command(send_at=START + ahead, **fields))

    assert [(found.field, found.code) for found in refused.value.problems] == [problem]
    assert not running.store.rows
    assert not running.limits.times


def test_a_scheduled_message_beyond_a_limit_is_refused_and_not_stored() -> None:
    running = Running()
    running.limits.full = True

    with pytest.raises(SubmissionFailedError) as refused:
        running.send(smsid="order1")

    assert isinstance(refused.value.cause, ClientLimitError)
    assert not running.store.rows.get("order1")
    assert all(binding.is_short for binding in running.store.bound.values())


def test_messages_of_a_batch_may_be_scheduled() -> None:
    running = Running()
    commands = [a_command(send_at=START + 10 * MINUTE), a_command(), a_command(send_at=START - SECOND)]

    items = running.system.send_batch(commands, client=CLIENT, key="batch-1")
    running.clock.advance(20 * MINUTE)
    again = running.system.send_batch(commands, client=CLIENT, key="batch-1")

    states = [item.state if isinstance(item, BatchItem) else type(item) for item in items]
    assert states == [SmsState.SCHEDULED, SmsState.QUEUED, InvalidRequestError]
    assert running.outbox.delays == [601, 0]
    assert [item.replayed for item in again if isinstance(item, BatchItem)] == [True, True]


@pytest.mark.parametrize("ahead", [10 * MINUTE, None], ids=["scheduled", "sent at once"])
def test_a_suppressed_number_is_refused(ahead: timedelta | None) -> None:
    running = Running()
    running.store.suppressed.add(RECIPIENT)

    for replayed in (False, ahead is None):
        with pytest.raises(SubmissionFailedError) as refused:
            running.send(ahead)
        assert isinstance(refused.value.cause, RecipientSuppressedError)
        assert refused.value.replayed is replayed
    [batch_item] = running.system.send_batch([a_command()], client=CLIENT, key="batch-1")

    assert isinstance(batch_item, RecipientSuppressedError)
    assert not running.provider.submissions
    assert not running.limits.times


def test_a_number_that_is_suppressed_meanwhile_ends_the_message() -> None:
    running = Running()
    smsid = running.send(10 * MINUTE).order.id
    running.store.suppressed.add(RECIPIENT)
    running.clock.advance(11 * MINUTE)

    assert running.system.send_queued(smsid) is QueuedOutcome.SUPPRESSED
    running.store.suppressed.clear()
    assert running.system.send_queued(smsid) is QueuedOutcome.NOTHING_TO_DO

    view = running.system.query.one(smsid, client=CLIENT)
    assert view.status == SmsStatus(SmsState.REJECTED, final=True)
    assert view.order.last_outcome is not None
    assert view.order.last_outcome.problem == "recipient_suppressed"
    assert view.order.content is None
    assert not running.provider.submissions


def test_a_canceled_message_never_leaves() -> None:
    running = Running()
    smsid = running.send(10 * MINUTE).order.id

    canceled = [running.system.cancel(smsid, client=CLIENT) for _ in range(2)]
    running.clock.advance(11 * MINUTE)

    assert canceled[0] == canceled[1]
    assert running.system.send_queued(smsid) is QueuedOutcome.NOTHING_TO_DO
    view = running.system.query.one(smsid, client=CLIENT)
    assert view.status == SmsStatus(SmsState.CANCELED, final=True)
    assert view.order.updated_at == view.order.canceled_at == START
    assert running.send(10 * MINUTE).status.state is SmsState.CANCELED
    assert not running.provider.submissions


def test_a_message_that_was_submitted_is_not_canceled() -> None:
    running = Running()
    smsid = running.send(None).order.id

    with pytest.raises(AlreadySubmittedError):
        running.system.cancel(smsid, client=CLIENT)


@pytest.mark.parametrize(
    ("smsid", "client"),
    [("unknown", CLIENT), ("order1", "client2"), ("no id!", CLIENT)],
    ids=["missing", "foreign", "no id"],
)
def test_only_a_clients_own_message_is_canceled(smsid: str, client: str) -> None:
    running = Running()
    running.send(10 * MINUTE, smsid="order1")

    with pytest.raises(ResourceNotFoundError):
        running.system.cancel(smsid, client=client)

    message = running.store.get("order1")
    assert message is not None
    assert message.canceled_at is None
