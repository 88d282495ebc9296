"""Simulates the telephone exchange: takes calls on the account's lines, calls phones, sends the callbacks (IVRAPI)."""

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sandbox.simulators.account import Log
from sandbox.simulators.callback_sender import CallbackSender
from sandbox.simulators.clock_and_locks import Clock, StateLock
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.delivery_reports import DeliveryReportSender
from sandbox.simulators.mediasms.document_tables import DELIVERED, FAILED, PROCESSING
from sandbox.simulators.mediasms.ivr_requests import (
    Announcement,
    DialReason,
    DialResult,
    IvrRequest,
    PhoneCall,
    callback_fields,
    closing_time,
    match_call,
)
from sandbox.simulators.mediasms.numbers import Behaviour, CallEnding, NumberScript
from sandbox.simulators.mediasms.parameters import is_called_out, may_be_called_in
from sandbox.simulators.mediasms.records import Callback, Message, mask_number, printable_smsid

_COPY_AFTER_S: Final = 0.05


class TelephoneExchange(CallbackSender):
    """The exchange with every request that a call can decide. A callback means success (概要); no failure has one."""

    def __init__(
        self,
        *,
        lock: StateLock,
        clock: Clock,
        config: Callable[[], SimulatorConfig],
        delivery_reports: DeliveryReportSender,
        log: Log,
    ) -> None:
        super().__init__(clock, name="mediasms-exchange")
        self._lock = lock
        self._config = config
        self._delivery_reports = delivery_reports
        self._log = log
        self._random = random.Random(0)
        self._requests: list[IvrRequest] = []

    @property
    def requests(self) -> tuple[IvrRequest, ...]:
        """The requests of method 2, 4 or 5, oldest first."""
        with self._lock:
            return tuple(self._requests)

    def begin(self, message: Message, script: NumberScript) -> None:
        """Open an accepted message's holding time, and call its number if the request asks for a call."""
        called_out = is_called_out(message.parameters)
        if not called_out and not may_be_called_in(message.parameters):
            return
        request = IvrRequest(
            message=message,
            script=script,
            opened_s=message.at_s,
            closes_s=closing_time(message.parameters, self._config(), message.at_s),
        )
        with self._lock:
            self._requests.append(request)
        if called_out:
            self._begin_calling(request)
        elif script.behaviour is Behaviour.CALL_FIRST:
            self._schedule(message.at_s, partial(self.dial, request.number, request.line))

    def dial(self, number: str, line: str, *, hangs_up: bool = False) -> DialResult:
        """Let `number` dial `line` now. A success verifies one request and sends its callback; a failure sends none."""
        with self._lock:
            now = self._clock()
            request, reason = match_call(self._requests, number, line, now)
            if hangs_up:
                request, reason = None, DialReason.HUNG_UP
            if request is not None:
                request.verified_s = now
                self._schedule_callbacks(request, now)
            self._lock.wake()
        if request is not None:
            announcement = Announcement.SUCCESS
        else:
            announcement = Announcement.NOTHING if hangs_up else Announcement.FAILURE
        self._log(f"call {reason} {mask_number(number)}")
        return DialResult(heard=announcement, why=reason, smsid=request.message.smsid if request else None)

    def push_callback(self, smsid: str, parameters: Mapping[str, str]) -> Callback:
        """Send one callback in the calling thread, even if it is late, repeated or foreign, and return it.

        It repeats the latest request with `smsid`, if there is one; `parameters` replace or add to its fields.
        """
        requests = reversed(self.requests)
        request = next((request for request in requests if smsid and request.message.smsid == smsid), None)
        original = request.message.parameters if request else {}
        fields = {**callback_fields(original, self._config()), **parameters}
        return self._send(fields, request.message if request else None)

    def clear(self) -> None:
        """Forget every request and every job that is still to come."""
        with self._lock:
            self._requests.clear()
            super().clear()

    def _schedule_callbacks(self, request: IvrRequest, now: float) -> None:
        config = self._config()
        for after_s in request.script.ivr_pushed_after_s:
            for copy in range(config.ivr_copies):
                delay_s = (after_s + copy * _COPY_AFTER_S) * config.report_time_factor + config.ivr_after_s
                self._schedule(now + delay_s, partial(self._send_scheduled, request.message))

    def _send_scheduled(self, message: Message) -> None:
        config = self._config()
        if config.ivr_url is not None:
            self._send(callback_fields(message.parameters, config), message)

    def _send(self, fields: Mapping[str, str], message: Message | None) -> Callback:
        """Send one callback and return it. There is no retry: the document promises none."""
        config = self._config()
        callback = Callback(
            number=fields["mobilenumber"],
            line=fields["ipphone"],
            smsid=fields.get("smsid"),
            method=config.ivr_method,
            at_s=self._clock(),
        )
        callback.answer, callback.problem = self._callback_client.send(
            config.ivr_url, method=config.ivr_method, fields=fields, timeout_s=config.report_timeout_s
        )
        if message is not None:
            self._lock.append(message.callbacks, callback)
        smsid = printable_smsid(message.smsid if message else "")
        self._log(f"callback {smsid} -> {callback.answer or callback.problem}")
        return callback

    def _begin_calling(self, request: IvrRequest) -> None:
        config, message = self._config(), request.message
        digits = max(1, config.authcode_digits)
        request.number_to_read = f"{self._random.randrange(10**digits):0{digits}d}"
        self._schedule_status(request, PROCESSING, message.at_s)
        self._schedule_call(request, 1, message.at_s)

    def _schedule_call(self, request: IvrRequest, number: int, at_s: float) -> None:
        """Let the phone ring from `at_s` on, in the call of this `number`, until its script ends the call."""
        script = request.script.calls
        pick_up = script[min(number, len(script)) - 1]
        call = PhoneCall(started_s=at_s, rings=pick_up.after_rings, ending=pick_up.ending)
        ends_s = at_s + pick_up.after_rings * self._config().ring_s
        self._schedule(ends_s, partial(self._end_call, request, call, ends_s))

    def _end_call(self, request: IvrRequest, call: PhoneCall, at_s: float) -> None:
        with self._lock:
            request.calls.append(call)
            count = len(request.calls)
            if call.ending is CallEnding.ANSWERED:
                request.read_out = request.number_to_read
            self._lock.wake()
        self._log(f"called {mask_number(request.number)}: {call.ending}")
        next_call_s = at_s + self._config().call_again_after_s
        if call.ending is CallEnding.ANSWERED:
            self._schedule_status(request, DELIVERED, at_s)
        elif call.ending is CallEnding.NOT_ANSWERED and self._may_call_again(request, count, next_call_s):
            self._schedule_call(request, count + 1, next_call_s)
        else:
            self._schedule_status(request, FAILED, at_s)

    def _schedule_status(self, request: IvrRequest, status: int, at_s: float) -> None:
        in_every_report = self._config().authcode_in == "every_report"
        authcode = request.number_to_read if in_every_report else request.read_out
        self._delivery_reports.schedule_status(request.message, status, at_s, authcode=authcode)

    @staticmethod
    def _may_call_again(request: IvrRequest, count: int, next_call_s: float) -> bool:
        """Return whether another call is allowed after `count` calls.

        `repeatcall` is read as the number of calls after the first. No call begins after the holding time.
        """
        in_time = request.closes_s is None or next_call_s < request.closes_s
        return in_time and count <= int(request.message.parameters["repeatcall"])
