"""Puts the simulator of Baidu VMS together: start it, point a client at `url`, script it and read it, stop it."""

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
    """Baidu VMS on a local address, from `start` (or entering a `with`) until `stop`."""

    def __init__(
        self,
        config: SimulatorConfig,
        *,
        clock: Clock = time.time,
        log: Log = lambda _line: None,
        callbacks_by_hand: bool = False,
    ) -> None:
        """Prepare the simulator.

        Args:
            config: the settings to begin with.
            clock: gives Unix seconds. It decides signatures, tokens, calls under way and delays. A test that moves its
                own clock calls `wake` afterwards.
            log: gets a line for each request and callback, without numbers, texts or credentials.
            callbacks_by_hand: with it no thread sends callbacks; `deliver_due` does, in the calling thread.
        """
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
        """The calls that were placed, oldest first."""
        return self.provider.calls
