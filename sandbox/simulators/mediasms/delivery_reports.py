"""Sends delivery reports (送達結果通知 API): changes a message's status in time, and reports each reportable change."""

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sandbox.simulators.account import Log
from sandbox.simulators.callback_sender import CallbackSender
from sandbox.simulators.clock_and_locks import Clock, StateLock
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.document_tables import NEVER_PUSHED, REPORT_PARAMETERS, STATUS_NAMES
from sandbox.simulators.mediasms.numbers import NumberScript
from sandbox.simulators.mediasms.records import Message, Report, printable_smsid

_SCHEDULERS: Final = 4
_COPY_AFTER_S: Final = 0.05


class DeliveryReportSender(CallbackSender):
    """The schedule of status changes and reports.

    A slow receiver delays the reports of one smsid and never reorders them: only a script puts them out of order.
    """

    def __init__(self, *, lock: StateLock, clock: Clock, config: Callable[[], SimulatorConfig], log: Log) -> None:
        super().__init__(clock, name="mediasms-reports", schedulers=_SCHEDULERS)
        self._lock = lock
        self._config = config
        self._log = log
        self._random = random.Random(0)

    def begin(self, message: Message, script: NumberScript) -> None:
        """Schedule every status change and report in the `script` of `message`, counted from its acceptance."""
        config = self._config()
        for transition in script.transitions:
            at_s = message.at_s + transition.after_s * config.report_time_factor
            self._schedule(at_s, partial(self._change_status, message, transition.status), key=message.smsid)
        if message.wants_reports:
            for at_s, status in self._plan_reports(message.at_s, script, config):
                self._schedule(at_s, partial(self._report, message, status, 1), key=message.smsid)

    def schedule_status(self, message: Message, status: int, at_s: float, *, authcode: str | None = None) -> None:
        """Change the status of `message` at `at_s` and, if the request wants reports, report it with `authcode`."""
        self._schedule(at_s, partial(self._change_status, message, status), key=message.smsid)
        if message.wants_reports and status not in NEVER_PUSHED:
            for copy in range(self._config().report_copies):
                copy_at_s = at_s + copy * _COPY_AFTER_S
                self._schedule(copy_at_s, partial(self._report, message, status, 1, authcode), key=message.smsid)

    def push_report(self, fields: Mapping[str, str], status: int, message: Message | None) -> Report:
        """Send one report in the calling thread, record it with `message` if there is one, and return it."""
        return self._send(fields, status=status, message=message, attempt=1)

    def _plan_reports(
        self, accepted_at_s: float, script: NumberScript, config: SimulatorConfig
    ) -> list[tuple[float, int]]:
        reports = [
            (after_s + copy * _COPY_AFTER_S, transition.status)
            for transition in script.transitions
            for after_s in transition.push_times
            for copy in range(config.report_copies)
        ]
        reports.sort(key=lambda report: report[0])
        times = [accepted_at_s + after_s * config.report_time_factor for after_s, _ in reports]
        statuses = [status for _, status in reports]
        if config.report_order == "reversed":
            statuses.reverse()
        elif config.report_order == "shuffled":
            self._random.shuffle(statuses)
        return list(zip(times, statuses, strict=True))

    def _change_status(self, message: Message, status: int) -> None:
        with self._lock:
            message.status = status
            message.transitions.append((status, self._clock()))
            self._lock.wake()

    def _report(self, message: Message, status: int, attempt: int, authcode: str | None = None) -> None:
        config = self._config()
        if config.report_url is None:
            return
        fields = {name: value for name, value in message.parameters.items() if name in REPORT_PARAMETERS}
        if authcode is not None:
            fields["authcode"] = authcode
        report = self._send(fields, status=status, message=message, attempt=attempt)
        if not report.is_acknowledged and attempt <= config.report_retries:
            retry_at_s = self._clock() + config.report_retry_after_s
            retry = partial(self._report, message, status, attempt + 1, authcode)
            self._schedule(retry_at_s, retry, key=message.smsid)

    def _send(self, parameters: Mapping[str, str], *, status: int, message: Message | None, attempt: int) -> Report:
        config = self._config()
        value = STATUS_NAMES.get(status, str(status)) if config.status_style == "name" else str(status)
        fields = {**dict.fromkeys(REPORT_PARAMETERS, ""), **parameters, "status": value}
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
            self._lock.append(message.reports, report)
        self._log(f"report {status} {printable_smsid(report.smsid)} -> {report.answer or report.problem}")
        return report
