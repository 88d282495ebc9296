"""Record the callbacks that a test order's magic number causes, as if its provider had sent them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from switchboard.domain.call_results import CallResult
from switchboard.domain.orders import Order
from switchboard.domain.verification.callbacks import IvrCallEvent
from switchboard.ports.magic_numbers import MagicNumbers
from switchboard.usecases.sms.record_report import RecordDeliveryReport
from switchboard.usecases.verification.record_ivr_call import RecordIvrCall
from switchboard.usecases.voice_call.record_result import RecordCallResult


class ScriptOutcome(StrEnum):
    """The end of one scripted event."""

    PLAYED = "played"
    NO_TEST_ORDER = "no_test_order"
    """No test order has this id and event: nothing was recorded."""


class PlayScript:
    """The queue's part of a test order. `find` returns any kind of order by its id."""

    def __init__(
        self,
        *,
        find: Callable[[str], Order[Any] | None],
        magic_numbers: MagicNumbers,
        record_report: RecordDeliveryReport,
        record_ivr_call: RecordIvrCall,
        record_result: RecordCallResult,
    ) -> None:
        self._find = find
        self._magic_numbers = magic_numbers
        self._record_report = record_report
        self._record_ivr_call = record_ivr_call
        self._record_result = record_result

    def __call__(self, order_id: str, place: int) -> ScriptOutcome:
        """Record the event at this place of the order's script, by the use case of the provider's own callback.

        Raises:
            StoreUnavailableError: the entry has to be delivered again later.
        """
        order = self._find(order_id)
        events = self._magic_numbers.events_of(order) if order is not None and order.test else ()
        if not 0 <= place < len(events):
            return ScriptOutcome.NO_TEST_ORDER
        event = events[place].event
        if isinstance(event, IvrCallEvent):
            self._record_ivr_call(event)
        elif isinstance(event, CallResult):
            self._record_result(event)
        else:
            self._record_report(event)
        return ScriptOutcome.PLAYED
