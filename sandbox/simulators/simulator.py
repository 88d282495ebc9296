"""Runs a simulated provider: starts its server, sends its callbacks, and stops it."""

import ssl
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from sandbox.simulators.account import Account
from sandbox.simulators.callback_sender import CallbackSender
from sandbox.simulators.clock_and_locks import Condition, StateLock, never
from sandbox.simulators.control import PREFIX, Routes
from sandbox.simulators.http_server import SimulatorHandler, SimulatorServer
from sandbox.simulators.listener import Listener

P = TypeVar("P", bound=Account[Any, Any, Any])
R = TypeVar("R")


class Simulator(Generic[P, R]):
    """A provider P with requests R on a local address, from `start` (or entering a `with`) until `stop`."""

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
        """Prepare a server of `provider`.

        Args:
            provider: the state of the simulated account.
            lock: the lock around that state.
            handler: answers requests to the provider's API.
            routes: the control requests.
            callback_senders: started and stopped with the server.
            by_hand: with it no thread sends callbacks; `deliver_due` does.
            tls: with it the server speaks HTTPS.
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
        """Listen on `host` and `port`; port 0 is any free port.

        Raises:
            OSError: when the port is taken.
        """
        server = SimulatorServer(
            (host, port), self._handler, provider=self.provider, routes=self._routes, wait=self.wait, tls=self._tls
        )
        self._listener.start(server)
        for sender in () if self._by_hand else self._callback_senders:
            sender.start()

    def stop(self) -> None:
        """Close every connection and join every thread. A simulator cannot be started a second time."""
        if not self._listener.is_listening:
            return
        self.lock.stop()
        for sender in self._callback_senders:
            sender.stop()
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
        """The origin of the API, without a final slash."""
        return self._listener.origin

    @property
    def control_url(self) -> str:
        """The address of all control requests, with its final slash."""
        return self._listener.origin + PREFIX

    @property
    def requests(self) -> tuple[R, ...]:
        """The requests received, oldest first."""
        return self.provider.requests

    def wake(self) -> None:
        """Let every wait and every thread read the clock again."""
        self.lock.wake()
        for sender in self._callback_senders:
            sender.wake()

    def deliver_due(self) -> int:
        """Do every job that is due in the calling thread, and return their number."""
        return sum(sender.run_due() for sender in self._callback_senders)

    def wait(self, seconds: float, condition: Condition = never) -> None:
        """Wait for `seconds` by the simulator's clock, until `condition()` holds, or until the simulator stops."""
        self.lock.wait_for(seconds, condition)

    def wait_until(self, predicate: Callable[[], bool], *, timeout_s: float = 5.0) -> bool:
        """Wait in real time until a change makes `predicate()` true, and return whether it is."""
        return self.lock.wait_in_real_time(predicate, timeout_s=timeout_s)
