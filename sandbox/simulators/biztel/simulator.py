"""Puts the simulator of BIZTEL together: start it, point a client at `url`, end calls, script it, read it, stop it."""

import ssl
import time
from pathlib import Path

from sandbox.simulators.account import Log
from sandbox.simulators.biztel.config import SimulatorConfig
from sandbox.simulators.biztel.control import ROUTES
from sandbox.simulators.biztel.provider import Provider, RequestRecord
from sandbox.simulators.biztel.recorded_calls import CallSpec, RecordedCall
from sandbox.simulators.biztel.server import Handler
from sandbox.simulators.biztel.wall_clock import SettableClock
from sandbox.simulators.clock_and_locks import Clock, StateLock
from sandbox.simulators.simulator import Simulator


class BiztelSimulator(Simulator[Provider, RequestRecord]):
    """BIZTEL on a local address, from `start` (or entering a `with`) until `stop`."""

    def __init__(
        self,
        config: SimulatorConfig,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,
        log: Log = lambda _line: None,
    ) -> None:
        """Prepare the simulator.

        Args:
            config: the settings to begin with.
            certificate: a PEM file; with it the simulator speaks HTTPS, otherwise HTTP.
            key: the PEM file of the certificate's key.
            clock: gives monotonic seconds. It decides the rate limit, slow transfers and retries. A test that moves its
                own clock calls `wake` afterwards.
            wall_clock: gives seconds since 1970. It decides dates, months and expiry until another time is set.
            log: gets a line for each request and call action, without numbers or token.
        """
        lock, settable_clock = StateLock(clock), SettableClock(wall_clock)
        provider = Provider(config, clock=clock, wall_clock=settable_clock, lock=lock, log=log)
        tls = None if certificate is None else _create_tls_context(certificate, key)
        super().__init__(provider, lock=lock, handler=Handler, routes=ROUTES, tls=tls)

    def stop(self) -> None:
        """Stop call actions first, for which a control request may be waiting, and then stop as every simulator."""
        self.lock.stop()
        self.provider.call_actions.stop()
        super().stop()

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """The calls that have ended, oldest first."""
        return self.provider.calls

    def finish(self, spec: CallSpec, *, wait: bool = True) -> RecordedCall:
        """End one call and return it; with `wait`, only after its call action is over, retries included."""
        return self.finish_many(1, spec, wait=wait)[0]

    def finish_many(self, count: int, spec: CallSpec, *, wait: bool = False) -> tuple[RecordedCall, ...]:
        """End `count` calls at once and return them; with `wait`, only after their call actions are over."""
        return self.provider.end_calls(count, spec, wait=wait)


def _create_tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
