"""The call action (コールアクション, section 2): tells the customer that a call's recordings are there."""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final
from urllib.parse import quote

from sandbox.simulators.account import Log
from sandbox.simulators.biztel.config import SimulatorConfig, compiled
from sandbox.simulators.biztel.recorded_calls import CallActionAttempt, RecordedCall, printable_id
from sandbox.simulators.biztel.wall_clock import SettableClock, in_japan
from sandbox.simulators.callbacks import NO_ANSWER, CallbackClient, CallbackRequest
from sandbox.simulators.clock_and_locks import Clock, StateLock

AT_ONCE: Final = 16
"""How many call actions are under way at the same time, at most."""


def prepared(config: SimulatorConfig, *, call_id: str, tel: str, date: str) -> CallbackRequest:
    """Return the request with the three variables expanded, URL-encoded as in the document's example.

    Raises ValueError when no address is set.
    """
    if config.action_url is None:
        raise ValueError("no action_url is set")
    values = {"ID": call_id, "TEL": tel, "DATE": date}
    encoded = {name: quote(value, safe="") for name, value in values.items()}
    url, body = _expanded(config.action_url, encoded), None
    headers = {"User-Agent": "biztel-simulator"}
    if url == config.action_url:
        pairs = "&".join(f"{name}={value}" for name, value in encoded.items())
        if config.action_place == "query":
            url += ("&" if "?" in url else "?") + pairs
        elif config.action_place == "form":
            body, headers["Content-Type"] = pairs.encode(), "application/x-www-form-urlencoded"
        else:
            shown = encoded if config.action_json_values == "encoded" else values
            body, headers["Content-Type"] = json.dumps(shown).encode(), "application/json"
    return CallbackRequest(
        method=config.action_method, url=url, headers={**headers, **config.action_headers}, body=body
    )


def is_error(config: SimulatorConfig, status: int, answer: str) -> bool:
    """Return whether an answer asks for another try."""
    pattern = compiled(config.action_error_pattern)
    by_status = config.action_status_is_error and not 200 <= status < 300
    return by_status or (pattern is not None and pattern.search(answer) is not None)


class CallActions:
    """Fires call actions, at most AT_ONCE at a time, and notes with each call how they went."""

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
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="biztel-action")
        self._stopping = False

    def fire(self, calls: Iterable[RecordedCall]) -> list[Future[None]]:
        """Tell the customer of each call, retries and copies included; the futures end when that is over."""
        copies = self._config().action_copies
        return [self._pool.submit(self._tell, call) for call in calls for _ in range(copies)]

    def stop(self) -> None:
        """Break off what is under way and join the threads."""
        self._stopping = True
        self._callback_client.abort()
        self._pool.shutdown()

    def _tell(self, call: RecordedCall) -> None:
        config = self._config()
        for attempt in range(1, config.action_retries + 2):
            action = self._try(call, config, attempt)
            again_at = self._clock() + config.action_retry_after_s
            self._lock.note(call.actions, action)
            self._log(f"action {action.method} {printable_id(call.call_id)} -> {action.answer or action.problem}")
            if not action.is_error or attempt > config.action_retries:
                return
            self._lock.until(again_at)
            if self._stopping:
                return

    def _try(self, call: RecordedCall, config: SimulatorConfig, attempt: int) -> CallActionAttempt:
        at = in_japan(self._wall_clock()).isoformat(timespec="milliseconds")
        action = CallActionAttempt(attempt=attempt, method=config.action_method, at=at)
        try:
            push = prepared(config, call_id=call.call_id, tel=call.tel, date=call.processed)
            action.answer, answer = self._callback_client.exchange(push, timeout_s=config.action_timeout_s)
            action.is_error = is_error(config, action.answer, answer)
        except NO_ANSWER as problem:
            action.problem = type(problem).__name__
        return action


def _expanded(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template
