"""The webhook answers 200 only after its report is durable. (I5, I7)"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.sms.messages import SmsState
from switchboard.domain.verification.callbacks import ParsedDeliveryReport
from switchboard.ports.callbacks import SpooledEvent
from switchboard.ports.orders import MessageStore
from switchboard.usecases.operations.reconcile_overdue import SweepAction
from switchboard.usecases.sms.record_report import ReportOutcome
from tests.builders import CLIENT, MINUTE, OTHER_RECIPIENT, RECIPIENT, a_callback, a_message, a_report
from tests.fakes import START, Answer, FixedClock, InMemoryCallbackArchive, InMemoryMessageStore, down, flaky
from tests.systems import assembled


@pytest.fixture
def messages() -> InMemoryMessageStore:
    store = InMemoryMessageStore()
    store.create(a_message())
    return store


def _statuses(messages: MessageStore) -> list[str]:
    message = messages.get("sms1")
    assert message is not None
    return [report.status for report in message.reports]


def test_a_report_for_a_message_is_recorded(messages: InMemoryMessageStore) -> None:
    assert assembled(messages=messages).record(a_callback("1")) is ReportOutcome.RECORDED
    assert _statuses(messages) == ["1"]


def test_a_duplicate_report_is_recorded_once(messages: InMemoryMessageStore) -> None:
    record = assembled(messages=messages).record
    assert [record(a_callback("1")) for _ in range(2)] == [ReportOutcome.RECORDED] * 2
    assert _statuses(messages) == ["1"]


def test_a_report_for_a_foreign_id_is_an_orphan(messages: InMemoryMessageStore) -> None:
    assert assembled(messages=messages).record(a_callback("1", "foreign")) is ReportOutcome.ORPHAN
    assert messages.get("foreign") is None


def test_a_report_without_a_store_is_spooled_and_replayed(messages: InMemoryMessageStore) -> None:
    clock, archive = FixedClock(), InMemoryCallbackArchive()
    broken = assembled(messages=down(InMemoryMessageStore), archive=archive, clock=clock)
    assert broken.record(a_callback("1")) is ReportOutcome.SPOOLED
    assert _statuses(messages) == []
    clock.advance(MINUTE)
    system = assembled(messages=messages, archive=archive, clock=clock)
    assert system.sweep()[SweepAction.EVENT_REPLAYED] == 1
    assert _statuses(messages) == ["1"]
    assert not archive.kept
    message = messages.get("sms1")
    assert message is not None
    assert message.reports[0].first_seen_at == START


@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NOT_APPLIED])
def test_a_report_with_a_lost_answer_is_recorded_in_the_end(messages: InMemoryMessageStore, answer: Answer) -> None:
    archive = InMemoryCallbackArchive()
    system = assembled(messages=flaky(messages, record_report=[answer] * 3), archive=archive)
    assert system.record(a_callback("1")) is ReportOutcome.SPOOLED
    assembled(messages=messages, archive=archive).sweep()
    assert _statuses(messages) == ["1"]


def test_a_report_without_store_and_archive_raises() -> None:
    broken = assembled(messages=down(InMemoryMessageStore), archive=down(InMemoryCallbackArchive))
    with pytest.raises(StoreUnavailableError):
        broken.record(a_callback("1"))


def test_a_spooled_report_stays_spooled_without_a_store(messages: InMemoryMessageStore) -> None:
    archive = InMemoryCallbackArchive()
    archive.spool(SpooledEvent(a_report("1"), START))
    system = assembled(messages=flaky(messages, record_report=[Answer.NOT_APPLIED] * 9), archive=archive)
    with pytest.raises(StoreUnavailableError):
        system.sweep()
    assert len(archive.kept) == 1


def test_a_replayed_report_that_cannot_be_removed_is_harmless(messages: InMemoryMessageStore) -> None:
    archive = InMemoryCallbackArchive()
    archive.spool(SpooledEvent(a_report("1"), START))
    with pytest.raises(StoreUnavailableError):
        assembled(messages=messages, archive=flaky(archive, remove=[Answer.NOT_APPLIED])).sweep()
    assembled(messages=messages, archive=archive).sweep()
    assert _statuses(messages) == ["1"]
    assert not archive.kept


REPORTS = st.lists(
    st.builds(
        a_report,
        st.sampled_from(["1", "0", "14", "18", "20", "999"]),
        recipient=st.sampled_from([RECIPIENT, OTHER_RECIPIENT, None]),
    ),
    max_size=4,
)


def _view_after(reports: Sequence[DeliveryReport]) -> tuple[SmsState, bool, frozenset[str]]:
    store = InMemoryMessageStore()
    store.create(a_message())
    system = assembled(messages=store)
    for report in reports:
        system.record(ParsedDeliveryReport(report=report))
    view = system.query.one("sms1", client=CLIENT)
    facts = frozenset(report.status for report in view.order.reports)
    return view.status.state, view.status.final, facts


@given(reports=REPORTS, repeated=st.data())
def test_order_and_repetition_of_reports_do_not_change_the_view(
    reports: list[DeliveryReport], repeated: st.DataObject
) -> None:
    duplicates = repeated.draw(st.lists(st.sampled_from(reports), max_size=3)) if reports else []
    views = {_view_after(order) for order in itertools.permutations(reports)}
    views.add(_view_after([*reports, *duplicates]))
    views.add(_view_after([*duplicates, *reports]))
    assert len(views) == 1
