"""Sends the call action (コールアクション, section 2), which tells the customer that a call's recordings are there."""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final
from urllib.parse import quote

from sandbox.simulators.account import Log
from sandbox.simulators.biztel.config import SimulatorConfig, compile_pattern
from sandbox.simulators.biztel.recorded_calls import CallActionAttempt, RecordedCall, printable_id
from sandbox.simulators.biztel.wall_clock import SettableClock, japan_time
from sandbox.simulators.callbacks import CALLBACK_ERRORS, CallbackClient, CallbackRequest
from sandbox.simulators.clock_and_locks import Clock, StateLock

MAX_UNDER_WAY: Final = 16
"""The number of call actions that may be under way at the same time."""


def build_call_action(config: SimulatorConfig, *, call_id: str, tel: str, date: str) -> CallbackRequest:
    """Return the request with the three variables expanded, URL-encoded as in the document's example.

    Raises:
        ValueError: when no address is set.
    """
    if config.action_url is None:
        raise ValueError("no action_url is set")
    values = {"ID": call_id, "TEL": tel, "DATE": date}
    encoded = {name: quote(value, safe="") for name, value in values.items()}
    url, body = _expand_variables(config.action_url, encoded), None
    headers = {"User-Agent": "biztel-simulator"}
    if url == config.action_url:
        pairs = "&".join(f"{name}={value}" for name, value in encoded.items())
        if config.action_place == "query":
            url += ("&" if "?" in url else "?") + pairs
        elif config.action_place == "form":
            body, headers["Content-Type"] = pairs.encode(), "application/x-www-form-urlencoded"
        else:
            members = encoded if config.action_json_values == "encoded" else values
            body, headers["Content-Type"] = json.dumps(members).encode(), "application/json"
    return CallbackRequest(
        method=config.action_method, url=url, headers={**headers, **config.action_headers}, body=body
    )


def is_error(config: SimulatorConfig, status: int, answer: str) -> bool:
    """Return whether an answer asks for a retry."""
    pattern = compile_pattern(config.action_error_pattern)
    by_status = config.action_status_is_error and not 200 <= status < 300
    return by_status or (pattern is not None and pattern.search(answer) is not None)


class CallActions:
    """The call actions under way, at most MAX_UNDER_WAY; each attempt is recorded with its call."""

    def __init__(
        self,
        *,
        lock: StateLock,
        clock: Clock,
        wall_clock: SettableClock,
        config: Callable[[], SimulatorConfig],
        log: Log,
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._wall_clock = wall_clock
        self._config = config
        self._log = log
        self._callback_client = CallbackClient()
        self._pool = ThreadPoolExecutor(MAX_UNDER_WAY, thread_name_prefix="biztel-action")
        self._stopping = False

    def fire(self, calls: Iterable[RecordedCall]) -> list[Future[None]]:
        """Fire the call action of each call, and return futures that end with the last retry of each copy."""
        copies = self._config().action_copies
        return [self._pool.submit(self._send, call) for call in calls for _ in range(copies)]

    def stop(self) -> None:
        """Abort the call actions under way and join the threads."""
        self._stopping = True
        self._callback_client.abort()
        self._pool.shutdown()

    def _send(self, call: RecordedCall) -> None:
        config = self._config()
        for number in range(1, config.action_retries + 2):
            attempt = self._attempt(call, config, number)
            retry_at = self._clock() + config.action_retry_after_s
            self._lock.append(call.actions, attempt)
            self._log(f"action {attempt.method} {printable_id(call.call_id)} -> {attempt.answer or attempt.problem}")
            if not attempt.is_error or number > config.action_retries:
                return
            self._lock.wait_until(retry_at)
            if self._stopping:
                return

    def _attempt(self, call: RecordedCall, config: SimulatorConfig, number: int) -> CallActionAttempt:
        at = japan_time(self._wall_clock()).isoformat(timespec="milliseconds")
        attempt = CallActionAttempt(attempt=number, method=config.action_method, at=at)
        try:
            request = build_call_action(config, call_id=call.call_id, tel=call.tel, date=call.processed)
            attempt.answer, answer = self._callback_client.exchange(request, timeout_s=config.action_timeout_s)
            attempt.is_error = is_error(config, attempt.answer, answer)
        except CALLBACK_ERRORS as problem:
            attempt.problem = type(problem).__name__
        return attempt


def _expand_variables(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template
