"""The optional callback after a call has ended, in the form that was configured."""

import http.client
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.records import Call, Callback
from sandbox.simulators.baidu_vms.signing import date_text
from sandbox.simulators.pushing import Pusher
from sandbox.simulators.waiting import Clock, Lane, Waiting


class Callbacks:
    """Sends callbacks one after another, each when its call has ended."""

    def __init__(
        self, *, waiting: Waiting, clock: Clock, config: Callable[[], SimulatorConfig], log: Callable[[str], None]
    ) -> None:
        self._waiting = waiting
        self._clock = clock
        self._config = config
        self._log = log
        self._pusher = Pusher()
        self._lane = Lane(clock)
        self._thread: threading.Thread | None = None

    def begin(self, call: Call, *, copies: int) -> None:
        """Schedule the callbacks of a call that was just placed."""
        for _ in range(copies):
            self._lane.add(call.ends_at_s, partial(self._send_scheduled, call))

    def send(self, call: Call) -> Callback:
        """Send one callback of `call` in the calling thread and return it."""
        config = self._config()
        facts = {
            "call_id": call.call_id,
            "tag": call.tag,
            "number": call.number,
            "show_number": call.show_number,
            "result": config.callback_results.get(call.result, call.result),
            "ended_at": date_text(datetime.fromtimestamp(call.ends_at_s, UTC)),
        }
        fields = {name: facts[fact] for fact, name in config.callback_fields.items()}
        callback = Callback(at_s=self._clock(), fields=fields)
        try:
            if config.callback_url is None:
                raise ConnectionError("no callback_url is set")
            callback.answer = self._pusher.send(
                config.callback_url,
                method=config.callback_method,
                fields=fields,
                timeout_s=config.callback_timeout_s,
                as_json=config.callback_form == "json",
            )
        except (OSError, http.client.HTTPException, ValueError) as problem:
            callback.problem = type(problem).__name__
        with self._waiting.changed:
            call.callbacks.append(callback)
            self._waiting.changed.notify_all()
        self._log(f"callback {call.call_id} -> {callback.answer or callback.problem}")
        return callback

    def start(self) -> None:
        """Start the thread that sends them."""
        self._thread = threading.Thread(target=self._lane.run_until_stopped, name="baidu_vms-callbacks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Break off what is under way and join the thread."""
        self._lane.stop()
        self._pusher.abort()
        if self._thread is not None:
            self._thread.join()

    def run_due(self) -> int:
        """Send everything that is due in the calling thread; return how many callbacks were looked at."""
        return self._lane.run_due()

    def wake(self) -> None:
        """Look at the clock again."""
        self._lane.wake()

    def clear(self) -> None:
        """Forget everything still to come."""
        self._lane.clear()

    def _send_scheduled(self, call: Call) -> None:
        if self._config().callback_url is not None:
            self.send(call)
