"""The simulator as a whole: start it, point a client at `url`, end calls, script it and read it, stop it."""

import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.simulators.biztel import control
from sandbox.simulators.biztel.actions import CallActions
from sandbox.simulators.biztel.calls import Call, CallSpec
from sandbox.simulators.biztel.clocks import SettableClock
from sandbox.simulators.biztel.config import SimulatorConfig
from sandbox.simulators.biztel.provider import Provider, RequestSeen
from sandbox.simulators.biztel.server import SimulatorServer
from sandbox.simulators.waiting import Clock, Waiting

# serve_forever looks this often whether it should end.
_POLL_S = 0.02


class BiztelSimulator:
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
        log: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._clock = clock
        self._tls = None if certificate is None else _tls_context(certificate, key)
        self.waiting = Waiting(clock)
        settable = SettableClock(wall_clock)
        self.provider = Provider(config, clock=clock, wall_clock=settable, waiting=self.waiting, log=log)
        self._actions = CallActions(
            waiting=self.waiting, clock=clock, wall_clock=settable, config=lambda: self.provider.config, log=log
        )
        self._server: SimulatorServer | None = None
        self._thread: threading.Thread | None = None

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on `host` and `port` (0 picks a free one). Raises OSError when the port is taken."""
        self._server = SimulatorServer((host, port), self, self._tls)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="biztel-accept", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and join every thread. A simulator that was stopped is not started again."""
        if self._server is None or self._thread is None:
            return
        self.waiting.stop()
        self._actions.stop()
        self._server.shutdown()
        self._thread.join()
        self._server.close_and_join()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Return the origin that stands before `/public/api/v1/monitor/…`."""
        if self._server is None:
            raise RuntimeError("the simulator is not running")
        host, port = self._server.server_address[:2]
        return f"{'http' if self._tls is None else 'https'}://{host!s}:{port}"

    @property
    def control_url(self) -> str:
        """Return the address under which the control requests are, with its final slash."""
        return self.url + control.PREFIX

    @property
    def calls(self) -> tuple[Call, ...]:
        """Return the calls that have ended, oldest first."""
        return self.provider.calls

    @property
    def requests(self) -> tuple[RequestSeen, ...]:
        """Return the downloads asked for, oldest first."""
        return self.provider.requests

    def finish(self, spec: CallSpec, *, wait: bool = True) -> Call:
        """End one call; with `wait`, return after its call action is over, retries included."""
        return self.finish_many(1, spec, wait=wait)[0]

    def finish_many(self, count: int, spec: CallSpec, *, wait: bool = False) -> tuple[Call, ...]:
        """End `count` calls at once; their call actions go out side by side, as many as `actions.AT_ONCE`."""
        calls = tuple(self.provider.finish(spec) for _ in range(count))
        if spec.announce:
            told = self._actions.fire(calls)
            for each in told if wait else []:
                each.result()
        return calls

    def tell_again(self, call: Call) -> None:
        """Fire the call action of a call once more, or for the first time, and wait until it is over."""
        for each in self._actions.fire([call]):
            each.result()

    def wake(self) -> None:
        """Tell every wait that the clock has moved."""
        self.waiting.wake()

    def wait(self, seconds: float) -> None:
        """Wait by the simulator's clock, or until it stops."""
        self.waiting.until(self._clock() + seconds)

    def wait_until(self, predicate: Callable[[], bool], *, timeout_s: float = 5.0) -> bool:
        """Wait in real time until something the simulator did makes `predicate()` true; return whether it is."""
        with self.waiting.changed:
            return self.waiting.changed.wait_for(predicate, timeout_s)


def _tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
