"""The simulator as a whole: start it, point a client at `url`, end calls, script it and read it, stop it."""

import ssl
import time
from pathlib import Path

from sandbox.simulators.account import Log
from sandbox.simulators.biztel.calls import Call, CallSpec
from sandbox.simulators.biztel.clocks import SettableClock
from sandbox.simulators.biztel.config import SimulatorConfig
from sandbox.simulators.biztel.control import ROUTES
from sandbox.simulators.biztel.provider import Provider, RequestSeen
from sandbox.simulators.biztel.server import Handler
from sandbox.simulators.simulator import Simulator
from sandbox.simulators.waiting import Clock, Waiting


class BiztelSimulator(Simulator[Provider, RequestSeen]):
    """BIZTEL on a local address, from `start` (or entering a `with`) until `stop`.

    `clock` gives monotonic seconds and decides the burst limit, slow transfers and retries; a test that moves its own
    clock calls `wake` afterwards. `wall_clock` gives seconds since 1970 and decides dates, months and expiry until it
    is set otherwise. With `certificate` and `key` (PEM files) it speaks HTTPS, else HTTP. `log` gets a line per
    request and call action, without numbers or token.
    """

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
        waiting, settable = Waiting(clock), SettableClock(wall_clock)
        provider = Provider(config, clock=clock, wall_clock=settable, waiting=waiting, log=log)
        tls = None if certificate is None else _tls_context(certificate, key)
        super().__init__(provider, waiting=waiting, handler=Handler, routes=ROUTES, tls=tls)

    def stop(self) -> None:
        """End call actions first, for which a control request may be waiting; then as every simulator does."""
        self.waiting.stop()
        self.provider.call_actions.stop()
        super().stop()

    @property
    def calls(self) -> tuple[Call, ...]:
        """Return the calls that have ended, oldest first."""
        return self.provider.calls

    def finish(self, spec: CallSpec, *, wait: bool = True) -> Call:
        """End one call; with `wait`, return after its call action is over, retries included."""
        return self.finish_many(1, spec, wait=wait)[0]

    def finish_many(self, count: int, spec: CallSpec, *, wait: bool = False) -> tuple[Call, ...]:
        """End `count` calls at once; their call actions go out side by side, as many as `actions.AT_ONCE`."""
        return self.provider.finish_many(count, spec, wait=wait)


def _tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
