"""Sends the optional callback after a call has ended, in the configured form."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from sandbox.simulators.account import Log
from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.records import Callback, VoiceCall
from sandbox.simulators.baidu_vms.signatures import format_date
from sandbox.simulators.callback_sender import CallbackSender
from sandbox.simulators.clock_and_locks import Clock, StateLock


class CallResultSender(CallbackSender):
    """The schedule of callbacks: each is sent when its call has ended, one after another."""

    def __init__(self, *, lock: StateLock, clock: Clock, config: Callable[[], SimulatorConfig], log: Log) -> None:
        super().__init__(clock, name="baidu_vms-callbacks")
        self._lock = lock
        self._config = config
        self._log = log

    def begin(self, call: VoiceCall, *, copies: int) -> None:
        """Schedule the callbacks of a new call."""
        for _ in range(copies):
            self._schedule(call.ends_at_s, partial(self._send_scheduled, call))

    def send(self, call: VoiceCall) -> Callback:
        """Send one callback of `call` in the calling thread and return it."""
        config = self._config()
        facts = {
            "call_id": call.call_id,
            "tag": call.tag,
            "number": call.number,
            "show_number": call.show_number,
            "result": config.callback_results.get(call.result, call.result),
            "ended_at": format_date(datetime.fromtimestamp(call.ends_at_s, UTC)),
        }
        fields = {name: facts[fact] for fact, name in config.callback_fields.items()}
        callback = Callback(at_s=self._clock(), fields=fields)
        callback.answer, callback.problem = self._callback_client.send(
            config.callback_url,
            method=config.callback_method,
            fields=fields,
            timeout_s=config.callback_timeout_s,
            as_json=config.callback_form == "json",
        )
        self._lock.append(call.callbacks, callback)
        self._log(f"callback {call.call_id} -> {callback.answer or callback.problem}")
        return callback

    def _send_scheduled(self, call: VoiceCall) -> None:
        if self._config().callback_url is not None:
            self.send(call)
