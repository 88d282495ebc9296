"""A simulator as a whole: start it, point a client at its address, script it and read it, stop it."""

import ssl
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from sandbox.simulators.account import Account
from sandbox.simulators.controlling import PREFIX, Routes
from sandbox.simulators.couriers import Courier
from sandbox.simulators.listening import Listener
from sandbox.simulators.waiting import Waiting
from sandbox.simulators.wire import SimulatorHandler, SimulatorServer

P = TypeVar("P", bound=Account[Any, Any, Any])
R = TypeVar("R")


class Simulator(Generic[P, R]):
    """A provider P, which sees requests R, on a local address from `start` (or entering a `with`) until `stop`."""

    def __init__(
        self,
        provider: P,
        *,
        waiting: Waiting,
        handler: type[SimulatorHandler[P]],
        routes: Routes[P],
        couriers: Sequence[Courier] = (),
        by_hand: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Serve `provider` by `handler` and its control requests by `routes`, over TLS if given a context.

        With `by_hand` no thread does the couriers' jobs.
        """
        self.provider = provider
        self.waiting = waiting
        self._handler = handler
        self._routes = routes
        self._couriers = couriers
        self._by_hand = by_hand
        self._tls = tls
        self._listener = Listener()

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on `host` and `port` (0 picks a free one). Raises OSError when the port is taken."""
        server = SimulatorServer(
            (host, port), self._handler, provider=self.provider, routes=self._routes, wait=self.wait, tls=self._tls
        )
        self._listener.start(server)
        for courier in () if self._by_hand else self._couriers:
            courier.start()

    def stop(self) -> None:
        """Close every connection and join every thread. A simulator that was stopped is not started again."""
        if not self._listener.is_listening:
            return
        self.waiting.stop()
        for courier in self._couriers:
            courier.stop()
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
        self.waiting.wake()
        for courier in self._couriers:
            courier.wake()

    def deliver_due(self) -> int:
        """Do everything that is due in the calling thread; return how many jobs that was."""
        return sum(courier.run_due() for courier in self._couriers)

    def wait(self, seconds: float, met: Callable[[], bool] = lambda: False) -> None:
        """Wait by the simulator's clock, until `met()` holds, or until the simulator stops."""
        self.waiting.during(seconds, met)

    def wait_until(self, predicate: Callable[[], bool], *, timeout_s: float = 5.0) -> bool:
        """Wait in real time until something the simulator did makes `predicate()` true; return whether it is."""
        with self.waiting.changed:
            return self.waiting.changed.wait_for(predicate, timeout_s)
