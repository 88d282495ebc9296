"""The simulator as a whole: start it, point a client at `url`, script it and read it, stop it."""

import time

from sandbox.simulators.account import Log
from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.control import ROUTES
from sandbox.simulators.baidu_vms.provider import Provider
from sandbox.simulators.baidu_vms.records import RequestRecord, VoiceCall
from sandbox.simulators.baidu_vms.server import Handler
from sandbox.simulators.clock_and_locks import Clock, StateLock
from sandbox.simulators.simulator import Simulator


class BaiduVmsSimulator(Simulator[Provider, RequestRecord]):
    """Baidu VMS on a local address, from `start` (or entering a `with`) until `stop`.

    `clock` gives Unix seconds and decides signatures, tokens, calls under way and delays; a test that moves its own
    clock calls `wake` afterwards. With `callbacks_by_hand` no thread sends callbacks: `deliver_due` does, in the
    calling thread. `log` gets a line per request and callback, without numbers, texts or credentials.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        *,
        clock: Clock = time.time,
        log: Log = lambda _line: None,
        callbacks_by_hand: bool = False,
    ) -> None:
        lock = StateLock(clock)
        provider = Provider(config, clock=clock, lock=lock, log=log)
        super().__init__(
            provider,
            lock=lock,
            handler=Handler,
            routes=ROUTES,
            callback_senders=(provider.call_results,),
            by_hand=callbacks_by_hand,
        )

    @property
    def calls(self) -> tuple[VoiceCall, ...]:
        """Return every call placed, oldest first."""
        return self.provider.calls
