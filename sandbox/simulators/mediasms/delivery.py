"""Delivery reports (送達結果通知 API): a message's changes of status in time, and a push for each that is told."""

import http.client
import random
import threading
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sandbox.simulators.mediasms.codes import ECHOED, NEVER_PUSHED, STATUS_NAMES
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.numbers import NumberScript
from sandbox.simulators.mediasms.records import Message, Report, printable_smsid
from sandbox.simulators.pushing import Pusher
from sandbox.simulators.waiting import Clock, Lane, Waiting

_LANES: Final = 4
_COPY_AFTER_S: Final = 0.05


class Delivery:
    """Schedules transitions and reports. Reports of one smsid share a lane, so that a slow receiver delays but
    never reorders them; what is out of order is so because it was scripted."""

    def __init__(
        self, *, waiting: Waiting, clock: Clock, config: Callable[[], SimulatorConfig], log: Callable[[str], None]
    ) -> None:
        self._waiting = waiting
        self._clock = clock
        self._config = config
        self._log = log
        self._pusher = Pusher()
        self._lanes = [Lane(clock) for _ in range(_LANES)]
        self._threads: list[threading.Thread] = []
        self._random = random.Random(0)

    def begin(self, message: Message, script: NumberScript) -> None:
        """Schedule everything `script` says of `message`, counted from its acceptance."""
        config = self._config()
        lane = self._lane(message.smsid)
        for transition in script.transitions:
            at = message.at_s + transition.after_s * config.report_time_factor
            lane.add(at, partial(self._change, message, transition.status))
        if message.wants_reports:
            for at, status in self._pushes(message.at_s, script, config):
                lane.add(at, partial(self._push, message, status, 1))

    def tell(self, message: Message, status: int, at_s: float, *, authcode: str | None = None) -> None:
        """Change `message`'s status at `at_s`, and report that, with `authcode`, if it was asked for."""
        lane = self._lane(message.smsid)
        lane.add(at_s, partial(self._change, message, status))
        if message.wants_reports and status not in NEVER_PUSHED:
            for copy in range(self._config().report_copies):
                lane.add(at_s + copy * _COPY_AFTER_S, partial(self._push, message, status, 1, authcode))

    def push_now(self, fields: Mapping[str, str], status: int, message: Message | None) -> Report:
        """Push one report in the calling thread and return it; it is kept with `message` if there is one."""
        return self._send(fields, status=status, message=message, attempt=1)

    def start(self) -> None:
        """Start one thread a lane."""
        for number, lane in enumerate(self._lanes):
            thread = threading.Thread(target=lane.run_until_stopped, name=f"mediasms-reports-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Break off what is under way and join the threads."""
        for lane in self._lanes:
            lane.stop()
        self._pusher.abort()
        for thread in self._threads:
            thread.join()

    def run_due(self) -> int:
        """Do everything that is due in the calling thread; return how many transitions and pushes that was."""
        return sum(lane.run_due() for lane in self._lanes)

    def wake(self) -> None:
        """Look at the clock again."""
        for lane in self._lanes:
            lane.wake()

    def clear(self) -> None:
        """Forget everything still to come."""
        for lane in self._lanes:
            lane.clear()

    def _lane(self, smsid: str) -> Lane:
        return self._lanes[zlib.crc32(smsid.encode()) % _LANES]

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
        with self._waiting.changed:
            message.status = status
            message.transitions.append((status, self._clock()))
            self._waiting.changed.notify_all()

    def _push(self, message: Message, status: int, attempt: int, authcode: str | None = None) -> None:
        config = self._config()
        if config.report_url is None:
            return
        echoed = {name: value for name, value in message.parameters.items() if name in ECHOED}
        if authcode is not None:
            echoed["authcode"] = authcode
        report = self._send(echoed, status=status, message=message, attempt=attempt)
        if not report.was_taken and attempt <= config.report_retries:
            again = self._clock() + config.report_retry_after_s
            self._lane(message.smsid).add(again, partial(self._push, message, status, attempt + 1, authcode))

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
        try:
            if config.report_url is None:
                raise ConnectionError("no report_url is set")
            report.answer = self._pusher.send(
                config.report_url,
                method=config.report_method,
                fields=fields,
                timeout_s=config.report_timeout_s,
            )
        except (OSError, http.client.HTTPException, ValueError) as problem:
            report.problem = type(problem).__name__
        if message is not None:
            with self._waiting.changed:
                message.reports.append(report)
                self._waiting.changed.notify_all()
        self._log(f"report {status} {printable_smsid(report.smsid)} -> {report.answer or report.problem}")
        return report
