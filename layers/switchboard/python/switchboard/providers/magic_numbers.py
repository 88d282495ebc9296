"""Answer the test orders of the magic numbers as MediaSMS or Baidu VMS would, without a connection to either."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import FieldProblem, InvalidRequestError, OutcomeUnknownError
from switchboard.domain.orders import Order
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.timestamps import to_rfc3339
from switchboard.domain.verification.callbacks import IvrCallEvent, ParsedDeliveryReport, VerificationMode
from switchboard.domain.verification.verifications import Verification
from switchboard.domain.voice_calls import VoiceCall
from switchboard.ports.clock import Clock
from switchboard.ports.magic_numbers import ScriptedEvent, ScriptQueue
from switchboard.ports.providers import Receipt
from switchboard.providers.baidu_vms.answers import read_receipt
from switchboard.providers.baidu_vms.response_codes import ERROR_ROWS
from switchboard.providers.mediasms.response_codes import ACCEPTED_CODE
from switchboard.providers.transport import Answer

READ_OUT_CODE: Final = "1234"
"""The code that a call to a magic number reads out."""

_SMS_MODES: Final = frozenset({VerificationMode.SMS_CODE, VerificationMode.SMS_AND_CALL_IN})


@dataclass(frozen=True, slots=True)
class _Number:
    """A number of the MediaSMS table. Times are seconds after the submission.

    `reports` are the statuses of an SMS. `dials_at` are the IVR callbacks of a call to our line. `answers_call` is the
    first call that the phone's owner answers, None for no call. `delay_s` is the time until the answer comes.
    """

    reports: tuple[tuple[int, str], ...] = ((1, "14"), (2, "1"))
    dials_at: tuple[int, ...] = ()
    answers_call: int | None = 1
    lost: bool = False
    delay_s: int = 0


_MEDIASMS: Final[Mapping[str, _Number]] = MappingProxyType(
    {
        f"+8190000000{last:02}": number
        for last, number in {
            1: _Number(),
            2: _Number(((1, "14"), (2, "18"), (4, "1"))),
            3: _Number(((1, "14"), (2, "0"))),
            4: _Number(()),
            5: _Number(((10, "14"), (11, "1")), lost=True),
            6: _Number((), lost=True, answers_call=None),
            7: _Number(delay_s=2),
            8: _Number(((1, "1"), (2, "18"), (3, "14"), (4, "1"), (5, "14"), (6, "18"))),
            9: _Number(((1, "14"), (2, "99"), (3, "1"))),
            10: _Number(((0, "14"), (2, "1")), delay_s=1),
            11: _Number(dials_at=(1, 2)),
            12: _Number(dials_at=(10,)),
            13: _Number(dials_at=(0,), delay_s=1),
            14: _Number(answers_call=None),
            15: _Number(answers_call=None),
            16: _Number(answers_call=3),
            17: _Number(((1, "14"), (2, "18"))),
        }.items()
    }
)


@dataclass(frozen=True, slots=True)
class _Called:
    """A number of the Baidu VMS table: the HTTP answer to its call, None if it is lost, and its callbacks."""

    status: int | None = 200
    body: Mapping[str, str] | None = None
    callbacks: tuple[str, ...] = ()
    delay_s: int = 0


_BAIDU_VMS: Final[Mapping[str, _Called]] = MappingProxyType(
    {
        f"+86138{last:08}": called
        for last, called in {
            1: _Called(callbacks=("answered",)),
            2: _Called(callbacks=("unanswered",)),
            3: _Called(callbacks=("answered",), delay_s=2),
            **dict.fromkeys((4, 5, 6, 7), _Called(None)),
            8: _Called(500, {"code": "InternalError", "message": "We encountered an internal error."}),
            9: _Called(503, {}),
            10: _Called(200, {}),
            11: _Called(callbacks=("answered", "answered")),
            12: _Called(200, {"dateCreate": ""}),
            # One number for each row of the document's tables, which have 1, 14 and 13 rows.
            **{
                number: _Called(row.http_status, {"code": row.code, "message": row.message or row.code})
                for number, row in zip((100, *range(101, 115), *range(201, 214)), ERROR_ROWS, strict=True)
            },
        }.items()
    }
)


class MagicNumberTable:
    """The MagicNumbers of both providers. Its only I/O is to put events into the queue."""

    def __init__(self, *, queue: ScriptQueue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock

    def check(self, order: Order[Any]) -> None:
        if order.recipient not in (_BAIDU_VMS if isinstance(order, VoiceCall) else _MEDIASMS):
            problem = FieldProblem("to", "must be a magic number: this is a test key", "not_a_magic_number")
            raise InvalidRequestError(problem)

    def submit(self, order: Order[Any]) -> Receipt:
        self.check(order)
        for place, event in enumerate(self.events_of(order)):
            self._queue.put_event(order.id, place, delay_s=event.after_s)
        if isinstance(order, VoiceCall):
            return self._place_call(order)
        number = _MEDIASMS[order.recipient]
        self._pause(number.delay_s)
        if number.lost:
            raise OutcomeUnknownError("the magic number never answers", provider="mediasms", operation="test")
        return Receipt(provider_code=ACCEPTED_CODE)

    def events_of(self, order: Order[Any]) -> Sequence[ScriptedEvent]:
        if isinstance(order, VoiceCall):
            results = _BAIDU_VMS[order.recipient].callbacks if order.callback_expected else ()
            return [
                ScriptedEvent(after_s, CallResult(_call_id(order), result)) for after_s, result in enumerate(results, 1)
            ]
        number = _MEDIASMS[order.recipient]
        mode = order.mode if isinstance(order, Verification) else None
        if isinstance(order, Verification) and mode is VerificationMode.CALL_OUT:
            return _called_out_events(order, number)
        sends_sms = mode is None or mode in _SMS_MODES
        events = [_report(order, after_s, status) for after_s, status in number.reports] if sends_sms else []
        if isinstance(order, Verification) and mode in {VerificationMode.CALL_IN, VerificationMode.SMS_AND_CALL_IN}:
            # The provider lists no smsid for these callbacks.
            call = IvrCallEvent(recipient=order.recipient, line=order.line, mode=order.mode, smsid=None)
            events += [ScriptedEvent(after_s, call) for after_s in number.dials_at]
        return events

    def _place_call(self, call: VoiceCall) -> Receipt:
        called = _BAIDU_VMS[call.recipient]
        self._pause(called.delay_s)
        if called.status is None:
            raise OutcomeUnknownError("the magic number never answers", provider="baidu_vms", operation="test")
        placed = {"callId": _call_id(call), "dateCreate": to_rfc3339(self._clock.now())}
        if called.body is None:
            body = placed
        else:
            body = {**placed, **called.body} if "dateCreate" in called.body else dict(called.body)
        content = json.dumps(body).encode()
        return read_receipt(Answer(status=called.status, headers={}, body=content, delimited=True), operation="test")

    def _pause(self, seconds: int) -> None:
        if seconds:
            self._clock.sleep_until(self._clock.now() + timedelta(seconds=seconds))


def _called_out_events(call: Verification, number: _Number) -> list[ScriptedEvent]:
    if number.lost and not number.reports:
        return []
    begins_s = 10 if number.lost else 1
    answers = number.answers_call is not None and number.answers_call <= 1 + (call.repeat_calls or 0)
    end = _report(call, begins_s + 1, "1", authcode=READ_OUT_CODE) if answers else _report(call, begins_s + 1, "0")
    return [_report(call, begins_s, "14"), end]


def _report(order: Order[Any], after_s: int, status: str, *, authcode: str | None = None) -> ScriptedEvent:
    report = DeliveryReport(smsid=order.id, status=status, recipient=order.recipient)
    return ScriptedEvent(after_s, ParsedDeliveryReport(report=report, authcode=authcode))


def _call_id(call: VoiceCall) -> str:
    """Return the id that stands for the provider's. It follows from the call, so that its callbacks name it too."""
    return hashlib.sha256(f"test {call.id}".encode()).hexdigest()[:32]
