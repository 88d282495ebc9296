"""A simulator as a whole: start it, point a client at its address, script it and read it, stop it."""

import ssl
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from sandbox.simulators.account import Account
from sandbox.simulators.callback_sender import CallbackSender
from sandbox.simulators.clock_and_locks import StateLock
from sandbox.simulators.control import PREFIX, Routes
from sandbox.simulators.http_server import SimulatorHandler, SimulatorServer
from sandbox.simulators.listener import Listener

P = TypeVar("P", bound=Account[Any, Any, Any])
R = TypeVar("R")


class Simulator(Generic[P, R]):
    """A provider P, which sees requests R, on a local address from `start` (or entering a `with`) until `stop`."""

    def __init__(
        self,
        provider: P,
        *,
        lock: StateLock,
        handler: type[SimulatorHandler[P]],
        routes: Routes[P],
        callback_senders: Sequence[CallbackSender] = (),
        by_hand: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Serve `provider` by `handler` and its control requests by `routes`, over TLS if given a context.

        With `by_hand` no thread does the couriers' jobs.
        """
        self.provider = provider
        self.lock = lock
        self._handler = handler
        self._routes = routes
        self._callback_senders = callback_senders
        self._by_hand = by_hand
        self._tls = tls
        self._listener = Listener()

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on `host` and `port` (0 picks a free one). Raises OSError when the port is taken."""
        server = SimulatorServer(
            (host, port), self._handler, provider=self.provider, routes=self._routes, wait=self.wait, tls=self._tls
        )
        self._listener.start(server)
        for callback_sender in () if self._by_hand else self._callback_senders:
            callback_sender.start()

    def stop(self) -> None:
        """Close every connection and join every thread. A simulator that was stopped is not started again."""
        if not self._listener.is_listening:
            return
        self.lock.stop()
        for callback_sender in self._callback_senders:
            callback_sender.stop()
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
    def requests(self) -> tuple[R, ...]:
        """Return the requests seen, oldest first."""
        return self.provider.requests

    def wake(self) -> None:
        """Tell every wait that the clock has moved."""
        self.lock.wake()
        for callback_sender in self._callback_senders:
            callback_sender.wake()

    def deliver_due(self) -> int:
        """Do everything that is due in the calling thread; return how many jobs that was."""
        return sum(callback_sender.run_due() for callback_sender in self._callback_senders)

    def wait(self, seconds: float, met: Callable[[], bool] = lambda: False) -> None:
        """Wait by the simulator's clock, until `met()` holds, or until the simulator stops."""
        self.lock.during(seconds, met)

    def wait_until(self, predicate: Callable[[], bool], *, timeout_s: float = 5.0) -> bool:
        """Wait in real time until something the simulator did makes `predicate()` true; return whether it is."""
        with self.lock.changed:
            return self.lock.changed.wait_for(predicate, timeout_s)
