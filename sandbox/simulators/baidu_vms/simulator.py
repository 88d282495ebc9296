"""The simulator as a whole: start it, point a client at `url`, script it and read it, stop it."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.provider import Provider
from sandbox.simulators.baidu_vms.records import Call, RequestSeen
from sandbox.simulators.baidu_vms.server import SimulatorServer
from sandbox.simulators.controlling import PREFIX
from sandbox.simulators.listening import Listener
from sandbox.simulators.waiting import Clock, Waiting


class BaiduVmsSimulator:
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
        log: Callable[[str], None] = lambda _line: None,
        callbacks_by_hand: bool = False,
    ) -> None:
        self._clock = clock
        self._by_hand = callbacks_by_hand
        self.waiting = Waiting(clock)
        self.provider = Provider(config, clock=clock, waiting=self.waiting, log=log)
        self._listener = Listener()

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on `host` and `port` (0 picks a free one). Raises OSError when the port is taken."""
        self._listener.start(SimulatorServer((host, port), self))
        if not self._by_hand:
            self.provider.callbacks.start()

    def stop(self) -> None:
        """Close every connection and join every thread. A simulator that was stopped is not started again."""
        if not self._listener.is_listening:
            return
        self.waiting.stop()
        self.provider.callbacks.stop()
        self._listener.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Return the origin of the API, without a slash at its end."""
        return self._listener.origin

    @property
    def control_url(self) -> str:
        """Return the address under which the control requests are, with its final slash."""
        return self._listener.origin + PREFIX

    @property
    def calls(self) -> tuple[Call, ...]:
        """Return every call placed, oldest first."""
        return self.provider.calls

    @property
    def requests(self) -> tuple[RequestSeen, ...]:
        """Return the requests seen, oldest first."""
        return self.provider.requests

    def wake(self) -> None:
        """Tell every wait that the clock has moved."""
        self.waiting.wake()
        self.provider.callbacks.wake()

    def deliver_due(self) -> int:
        """Send every callback that is due, in the calling thread; return how many there were."""
        return self.provider.callbacks.run_due()

    def wait_until(self, predicate: Callable[[], bool], *, timeout_s: float = 5.0) -> bool:
        """Wait in real time until something the simulator did makes `predicate()` true; return whether it is."""
        with self.waiting.changed:
            return self.waiting.changed.wait_for(predicate, timeout_s)

    def wait(self, seconds: float) -> None:
        """Wait as long as the answer to a request is to be held back; the configured offset does not shorten it."""
        if seconds:
            self.waiting.until(self._clock() + seconds)
