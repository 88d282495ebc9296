"""Puts the simulator of MediaSMS together: start it, point a client at `url`, script it and read it, stop it."""

import time

from sandbox.simulators.account import Log
from sandbox.simulators.clock_and_locks import Clock, MovableClock, StateLock
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.control import ROUTES
from sandbox.simulators.mediasms.provider import Provider
from sandbox.simulators.mediasms.records import Message, RequestRecord
from sandbox.simulators.mediasms.server import SEND_PATH, Handler
from sandbox.simulators.simulator import Simulator


class MediaSmsSimulator(Simulator[Provider, RequestRecord]):
    """MediaSMS on a local address, from `start` (or entering a `with`) until `stop`."""

    def __init__(
        self,
        config: SimulatorConfig,
        *,
        clock: Clock = time.monotonic,
        log: Log = lambda _line: None,
        reports_by_hand: bool = False,
    ) -> None:
        """Prepare the simulator.

        Args:
            config: the settings to begin with.
            clock: gives monotonic seconds. It decides the sliding second, delays, holding times and report times. A
                test that moves its own clock calls `wake` afterwards; `advance` puts any clock forward.
            log: gets a line for each request, report and call, without whole numbers, texts, credentials or the
                numbers read out.
            reports_by_hand: with it no thread calls phones or sends reports; `deliver_due` does, in the calling
                thread.
        """
        movable_clock = MovableClock(clock)
        lock = StateLock(movable_clock)
        provider = Provider(config, clock=movable_clock, lock=lock, log=log)
        super().__init__(
            provider,
            lock=lock,
            handler=Handler,
            routes=ROUTES,
            callback_senders=(provider.exchange, provider.delivery_reports),
            by_hand=reports_by_hand,
        )

    @property
    def url(self) -> str:
        """The whole address of the send API."""
        return super().url + SEND_PATH

    @property
    def messages(self) -> tuple[Message, ...]:
        """The accepted messages, oldest first."""
        return self.provider.messages

    def advance(self, seconds: float) -> None:
        """Put the simulator's clock forward, past holding times and delays."""
        self.provider.advance(seconds)
