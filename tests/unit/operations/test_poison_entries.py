"""One poison entry stops no loop of the sweep, wherever it is and however it fails. (I29)"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from switchboard.domain.errors import ConfigurationError, StoreRefusedError, StoreUnavailableError, UnreadableItemError
from switchboard.domain.recording.facts import ReadyFact, Recording
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.sms.messages import Message
from switchboard.domain.verification.callbacks import CodeHash
from switchboard.ports.callbacks import EventPlace, RawCallback, SpooledEvent
from switchboard.ports.listing import UnreadableItem
from switchboard.usecases.operations.reconcile_overdue import SweepAction, SweepReport, act_on_each
from switchboard.usecases.recording.requeue_overdue import RequeueOverdueRecordings
from tests.builders import DEADLINES, MINUTE, a_message, a_report
from tests.fakes import START, FixedClock, InMemoryCallbackArchive, InMemoryMessageStore, InMemoryOutbox
from tests.systems import System, assembled

PLACES = pytest.mark.parametrize("poison", [0, 1, 2], ids=["first", "middle", "last"])
NUMBERS = range(3)
OVERDUE = DEADLINES.submission_after_claim


def _id(number: int) -> str:
    return f"sms{number}"


class _PoisonReports(InMemoryMessageStore):
    """A store that does not take the reports of some messages."""

    def __init__(self, *poison: str, error: Exception) -> None:
        super().__init__()
        self._poison = poison
        self._error = error

    def record_report(self, report: DeliveryReport, *, seen_at: datetime) -> EventPlace:
        if report.smsid in self._poison:
            raise self._error
        return super().record_report(report, seen_at=seen_at)


def _spooled(messages: InMemoryMessageStore) -> tuple[System, InMemoryCallbackArchive]:
    archive = InMemoryCallbackArchive()
    for number in NUMBERS:
        messages.create(a_message(_id(number)))
        archive.spool(SpooledEvent(a_report("1", _id(number)), START + number * MINUTE))
    return assembled(messages=messages, archive=archive), archive


def _reported(messages: InMemoryMessageStore) -> set[str]:
    return {smsid for smsid, row in messages.rows.items() if row.order is not None and row.order.reports}


@PLACES
@pytest.mark.parametrize("error", [StoreRefusedError("ValidationException"), KeyError("a bug")], ids=["refused", "bug"])
def test_a_refused_event_goes_to_quarantine_and_the_rest_is_replayed(poison: int, error: Exception) -> None:
    messages = _PoisonReports(_id(poison), error=error)
    system, archive = _spooled(messages)
    assert system.sweep() == Counter({SweepAction.EVENT_REPLAYED: 2, SweepAction.EVENT_QUARANTINED: 1})
    assert _reported(messages) == {_id(number) for number in NUMBERS if number != poison}
    [(callback, reason, at)] = archive.quarantined
    assert (callback.route, reason) == ("mediasms_delivery", type(error).__name__)
    assert _id(poison).encode() in callback.body
    assert at == START + poison * MINUTE
    assert not archive.kept


def test_a_refused_report_keeps_the_hash_of_its_code_in_quarantine() -> None:
    code = CodeHash(key_version="v1", digest=b"\x01\xfe", at=START, recipient=None)
    archive = InMemoryCallbackArchive()
    archive.spool(SpooledEvent(a_report("1"), START, code=code))
    messages = _PoisonReports("sms1", error=StoreRefusedError("ValidationException"))
    assembled(messages=messages, archive=archive).sweep()
    [(callback, _, _)] = archive.quarantined
    assert json.loads(callback.body)["code"] == {"key": "v1", "digest": "01fe"}


@PLACES
def test_an_event_without_an_answer_stays_and_the_rest_is_replayed(poison: int) -> None:
    messages = _PoisonReports(_id(poison), error=StoreUnavailableError("one partition is throttled"))
    system, archive = _spooled(messages)
    with pytest.raises(StoreUnavailableError):
        system.sweep()
    assert _reported(messages) == {_id(number) for number in NUMBERS if number != poison}
    assert len(archive.kept) == 1
    assert not archive.quarantined


@PLACES
def test_an_unreadable_event_goes_to_quarantine_and_the_rest_is_replayed(poison: int) -> None:
    messages = InMemoryMessageStore()
    system, archive = _spooled(messages)
    handle = sorted(archive.kept)[poison]
    raw = RawCallback("spool", method="", query=handle, content_type="application/json", body=b"{}")
    archive.kept[handle] = SpooledEvent(raw, START, handle)
    assert system.sweep() == Counter({SweepAction.EVENT_REPLAYED: 2, SweepAction.EVENT_QUARANTINED: 1})
    assert len(_reported(messages)) == 2
    assert not archive.kept


def test_a_report_without_room_goes_to_quarantine() -> None:
    messages, archive = InMemoryMessageStore(), InMemoryCallbackArchive()
    messages.create(a_message())
    for number in range(25):
        archive.spool(SpooledEvent(a_report(f"status {number:02d}"), START))
    done = assembled(messages=messages, archive=archive).sweep()
    assert done == Counter({SweepAction.EVENT_REPLAYED: 20, SweepAction.EVENT_QUARANTINED: 5})
    assert {reason for _, reason, _ in archive.quarantined} == {"overflowed"}
    assert not archive.kept


class _PoisonOrders(InMemoryMessageStore):
    """A store that refuses every write to some messages, or only what is not a postponement."""

    def __init__(self, *poison: str, error: Exception, even_postponing: bool = False) -> None:
        super().__init__()
        self._poison = poison
        self._error = error
        self._even_postponing = even_postponing

    def record_timeout(self, order: Message, *, at: datetime) -> None:
        if order.id in self._poison:
            raise self._error
        super().record_timeout(order, at=at)

    def postpone(self, order: Message, *, until: datetime) -> None:
        if order.id in self._poison and self._even_postponing:
            raise self._error
        super().postpone(order, until=until)


def _lost(messages: InMemoryMessageStore) -> set[str]:
    return {smsid for smsid, row in messages.rows.items() if row.order is not None and row.order.timeouts}


@PLACES
@pytest.mark.parametrize(
    "error",
    [StoreRefusedError("ValidationException"), UnreadableItemError("KeyError"), KeyError("a bug")],
    ids=["refused", "unreadable after the write", "bug"],
)
def test_a_poison_order_is_postponed_and_the_rest_is_reconciled(poison: int, error: Exception) -> None:
    messages = _PoisonOrders(_id(poison), error=error)
    for number in NUMBERS:
        messages.create(a_message(_id(number)))
    clock, report = FixedClock(START + OVERDUE), SweepReport()
    assembled(messages=messages, clock=clock).sweep(report=report)
    assert _lost(messages) == {_id(number) for number in NUMBERS if number != poison}
    assert report.poison == [_id(poison)]
    assert messages.rows[_id(poison)].due == clock.now() + DEADLINES.requeue_after_queued


def test_orders_that_refuse_everything_do_not_hide_those_behind_them() -> None:
    poison = [f"a{number:03d}" for number in range(250)]
    messages = _PoisonOrders(*poison, error=StoreRefusedError("ValidationException"), even_postponing=True)
    for smsid in [*poison, "behind"]:
        messages.create(a_message(smsid, at=START + (MINUTE if smsid == "behind" else timedelta())))
    report = SweepReport()
    assembled(messages=messages, clock=FixedClock(START + timedelta(hours=1))).sweep(report=report)
    assert _lost(messages) == {"behind"}
    assert report.poison == poison


@PLACES
def test_threads_pass_over_a_poison_entry_and_count_the_rest(poison: int) -> None:
    report, unreadable = SweepReport(), UnreadableItem("key")
    acted: set[int] = set()

    def act(number: int) -> SweepAction:
        if number == poison:
            raise KeyError("a bug")
        acted.add(number)
        return SweepAction.CLOSED

    with ThreadPoolExecutor(4) as pool:
        handled = act_on_each([*range(200), unreadable], act, name=str, limit=200, report=report, pool=pool)
    assert handled == report.actions[SweepAction.CLOSED] == 199
    assert acted == set(range(200)) - {poison}
    assert report.poison == [str(poison), "key"]


def test_threads_handle_no_more_than_the_limit() -> None:
    report = SweepReport()
    with ThreadPoolExecutor(4) as pool:
        handled = act_on_each(range(500), lambda _: SweepAction.CLOSED, name=str, limit=70, report=report, pool=pool)
    assert handled == report.actions.total() == 70


def test_threads_end_the_round_while_the_store_is_down() -> None:
    report, tries = SweepReport(), itertools.count()

    def act(_: int) -> SweepAction:
        next(tries)
        raise StoreUnavailableError("down")

    with ThreadPoolExecutor(4) as pool:
        assert act_on_each(range(500), act, name=str, limit=400, report=report, pool=pool) == 0
    assert report.failure is not None
    assert next(tries) < 100


@pytest.mark.parametrize("threads", [False, True], ids=["one by one", "threads"])
def test_entries_before_a_failed_read_are_acted_on(threads: bool) -> None:
    def read() -> Iterator[int]:
        yield from range(3)
        raise StoreUnavailableError("the next page")

    report = SweepReport()
    with ThreadPoolExecutor(4) as pool, pytest.raises(StoreUnavailableError, match="the next page"):
        act_on_each(
            read(),
            lambda _: SweepAction.CLOSED,
            name=str,
            limit=9,
            report=report,
            pool=pool if threads else None,
        )
    assert report.actions == Counter({SweepAction.CLOSED: 3})


class _PoisonOutbox(InMemoryOutbox):
    """A queue that refuses one message for good."""

    def put(self, *orders: Any, delay_s: int = 0) -> None:
        if any(order.id == "sms1" for order in orders):
            raise StoreRefusedError("InvalidMessageContents")
        super().put(*orders, delay_s=delay_s)


def test_a_message_that_the_queue_refuses_does_not_hinder_the_others() -> None:
    messages, outbox, report = InMemoryMessageStore(), _PoisonOutbox(), SweepReport()
    for number in NUMBERS:
        messages.create(a_message(_id(number), claims=(), queued_at=START))
    clock = FixedClock(START + DEADLINES.requeue_after_queued)
    assembled(messages=messages, outbox=outbox, clock=clock).sweep(report=report)
    assert list(outbox.entries) == ["sms0", "sms2"]
    assert report.poison == ["sms1"]


def _a_recording(number: int) -> Recording:
    fact = ReadyFact(tel="", date="", called_at=None, at=START)
    return Recording(recording_id=f"r{number}", ready_facts=frozenset({fact}))


class _Recordings:
    """Three overdue recordings, of which one may be poison."""

    def __init__(self, poison: int, error: Exception | None) -> None:
        self._poison = poison
        self._error = error
        self.scheduled: list[str] = []

    def overdue(self, *, now: datetime, limit: int) -> Iterator[Recording | UnreadableItem]:
        for number in NUMBERS:
            unreadable = number == self._poison and self._error is None
            yield UnreadableItem(f"r{number}") if unreadable else _a_recording(number)

    def schedule(self, recording: Recording, *, due: datetime | None, at: datetime) -> None:
        if recording.recording_id == f"r{self._poison}" and self._error is not None:
            raise self._error
        self.scheduled.append(recording.recording_id)


class _Queue:
    def put(self, recording_id: str, *, delay_s: int = 0, backlog: bool = False, job_key: str | None = None) -> None:
        """Take every entry."""


@PLACES
@pytest.mark.parametrize(
    "error",
    [None, StoreRefusedError("ValidationException"), StoreUnavailableError("throttled")],
    ids=["unreadable", "refused", "no answer"],
)
def test_a_poison_recording_does_not_hinder_the_others(poison: int, error: Exception | None) -> None:
    recordings: Any = _Recordings(poison, error)
    requeue = RequeueOverdueRecordings(
        recordings=recordings, queue=_Queue(), clock=FixedClock(), look_again_after=MINUTE
    )
    report = SweepReport()
    assert requeue(report, limit=10) == 2
    assert recordings.scheduled == [f"r{number}" for number in NUMBERS if number != poison]
    is_outage = isinstance(error, StoreUnavailableError)
    assert (report.poison, report.failure) == (([], error) if is_outage else ([f"r{poison}"], None))


def _act_on(entries: Iterable[int | UnreadableItem], act: Callable[[int], SweepAction | None]) -> SweepReport:
    report = SweepReport()
    act_on_each(entries, act, name=str, limit=10, report=report)
    return report


def test_a_store_that_is_down_ends_the_round() -> None:
    tried: list[int] = []

    def act(number: int) -> SweepAction:
        tried.append(number)
        raise StoreUnavailableError("down")

    assert _act_on(range(100), act).failure is not None
    assert tried == [0, 1, 2]


def test_failures_apart_from_each_other_do_not_end_the_round() -> None:
    def act(number: int) -> SweepAction:
        if number % 2:
            raise StoreUnavailableError("throttled")
        return SweepAction.CLOSED

    assert _act_on(range(12), act).actions == Counter({SweepAction.CLOSED: 6})


def test_a_round_ends_after_a_thousand_poison_entries() -> None:
    report = _act_on((UnreadableItem(str(number)) for number in range(5_000)), lambda _: SweepAction.CLOSED)
    assert len(report.poison) == 1_000


def test_a_configuration_error_is_no_poison_entry() -> None:
    def act(number: int) -> SweepAction:
        raise ConfigurationError("a variable is missing")

    with pytest.raises(ConfigurationError):
        _act_on([1], act)
