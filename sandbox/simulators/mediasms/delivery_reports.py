"""Delivery reports (送達結果通知 API): a message's changes of status in time, and a push for each that is told."""

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sandbox.simulators.account import Log
from sandbox.simulators.callback_sender import CallbackSender
from sandbox.simulators.clock_and_locks import Clock, StateLock
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.document_tables import ECHOED, NEVER_PUSHED, STATUS_NAMES
from sandbox.simulators.mediasms.numbers import NumberScript
from sandbox.simulators.mediasms.records import Message, Report, printable_smsid

_LANES: Final = 4
_COPY_AFTER_S: Final = 0.05


class DeliveryReportSender(CallbackSender):
    """Schedules transitions and reports. A slow receiver delays those of one smsid but never reorders them; what is
    out of order is so because it was scripted."""

    def __init__(self, *, lock: StateLock, clock: Clock, config: Callable[[], SimulatorConfig], log: Log) -> None:
        super().__init__(clock, name="mediasms-reports", lanes=_LANES)
        self._lock = lock
        self._config = config
        self._log = log
        self._random = random.Random(0)

    def begin(self, message: Message, script: NumberScript) -> None:
        """Schedule everything `script` says of `message`, counted from its acceptance."""
        config = self._config()
        for transition in script.transitions:
            at_s = message.at_s + transition.after_s * config.report_time_factor
            self._at(at_s, partial(self._change, message, transition.status), key=message.smsid)
        if message.wants_reports:
            for at_s, status in self._pushes(message.at_s, script, config):
                self._at(at_s, partial(self._push, message, status, 1), key=message.smsid)

    def tell(self, message: Message, status: int, at_s: float, *, authcode: str | None = None) -> None:
        """Change `message`'s status at `at_s`, and report that, with `authcode`, if it was asked for."""
        self._at(at_s, partial(self._change, message, status), key=message.smsid)
        if message.wants_reports and status not in NEVER_PUSHED:
            for copy in range(self._config().report_copies):
                again_s = at_s + copy * _COPY_AFTER_S
                self._at(again_s, partial(self._push, message, status, 1, authcode), key=message.smsid)

    def push_now(self, fields: Mapping[str, str], status: int, message: Message | None) -> Report:
        """Push one report in the calling thread and return it; it is kept with `message` if there is one."""
        return self._send(fields, status=status, message=message, attempt=1)

    def _pushes(self, accepted_at_s: float, script: NumberScript, config: SimulatorConfig) -> list[tuple[float, int]]:
        pushes = [
            (after_s + copy * _COPY_AFTER_S, transition.status)
            for transition in script.transitions
            for after_s in transition.push_times
            for copy in range(config.report_copies)
        ]
        pushes.sort(key=lambda push: push[0])
        times = [accepted_at_s + after_s * config.report_time_factor for after_s, _ in pushes]
        statuses = [status for _, status in pushes]
        if config.report_order == "reversed":
            statuses.reverse()
        elif config.report_order == "shuffled":
            self._random.shuffle(statuses)
        return list(zip(times, statuses, strict=True))

    def _change(self, message: Message, status: int) -> None:
        with self._lock.changed:
            message.status = status
            message.transitions.append((status, self._clock()))
            self._lock.changed.notify_all()

    def _push(self, message: Message, status: int, attempt: int, authcode: str | None = None) -> None:
        config = self._config()
        if config.report_url is None:
            return
        echoed = {name: value for name, value in message.parameters.items() if name in ECHOED}
        if authcode is not None:
            echoed["authcode"] = authcode
        report = self._send(echoed, status=status, message=message, attempt=attempt)
        if not report.was_taken and attempt <= config.report_retries:
            again_s = self._clock() + config.report_retry_after_s
            self._at(again_s, partial(self._push, message, status, attempt + 1, authcode), key=message.smsid)

    def _send(self, asked: Mapping[str, str], *, status: int, message: Message | None, attempt: int) -> Report:
        config = self._config()
        value = STATUS_NAMES.get(status, str(status)) if config.status_style == "name" else str(status)
        fields = {**dict.fromkeys(ECHOED, ""), **asked, "status": value}
        report = Report(
            smsid=fields["smsid"],
            status=status,
            value=value,
            method=config.report_method,
            attempt=attempt,
            at_s=self._clock(),
        )
        report.answer, report.problem = self._callback_client.send(
            config.report_url, method=config.report_method, fields=fields, timeout_s=config.report_timeout_s
        )
        if message is not None:
            self._lock.note(message.reports, report)
        self._log(f"report {status} {printable_smsid(report.smsid)} -> {report.answer or report.problem}")
        return report
