"""The simulator as a whole: start it, point a client at `url`, script it and read it, stop it."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from sandbox.simulators.controlling import PREFIX
from sandbox.simulators.listening import Listener
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.provider import Provider
from sandbox.simulators.mediasms.records import Message, RequestSeen
from sandbox.simulators.mediasms.server import SEND_PATH, SimulatorServer
from sandbox.simulators.mediasms.verdicts import Verdict
from sandbox.simulators.waiting import Clock, MovableClock, Waiting


class MediaSmsSimulator:
    """MediaSMS on a local address, from `start` (or entering a `with`) until `stop`.

    `clock` gives monotonic seconds and decides the sliding second, delays, holding times and report times; a test that
    moves its own clock calls `wake` afterwards, and `advance` puts any clock forward. With `reports_by_hand` no thread
    calls phones or sends reports: `deliver_due` does, in the calling thread. `log` gets a line per request, report and
    call, without whole numbers, texts, credentials or the numbers read out.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        *,
        clock: Clock = time.monotonic,
        log: Callable[[str], None] = lambda _line: None,
        reports_by_hand: bool = False,
    ) -> None:
        self._clock = MovableClock(clock)
        self._by_hand = reports_by_hand
        self.waiting = Waiting(self._clock)
        self.provider = Provider(config, clock=self._clock, waiting=self.waiting, log=log)
        self._listener = Listener()

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on `host` and `port` (0 picks a free one). Raises OSError when the port is taken."""
        self._listener.start(SimulatorServer((host, port), self))
        if not self._by_hand:
            self.provider.delivery.start()
            self.provider.exchange.start()

    def stop(self) -> None:
        """Close every connection and join every thread. A simulator that was stopped is not started again."""
        if not self._listener.is_listening:
            return
        self.waiting.stop()
        self.provider.exchange.stop()
        self.provider.delivery.stop()
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
        """Return the whole address of the send API."""
        return self._listener.origin + SEND_PATH

    @property
    def control_url(self) -> str:
        """Return the address under which the control requests are, with its final slash."""
        return self._listener.origin + PREFIX

    @property
    def messages(self) -> tuple[Message, ...]:
        """Return everything accepted, oldest first."""
        return self.provider.messages

    @property
    def requests(self) -> tuple[RequestSeen, ...]:
        """Return the requests seen, oldest first."""
        return self.provider.requests

    def wake(self) -> None:
        """Tell every wait that the clock has moved."""
        self.waiting.wake()
        self.provider.exchange.wake()
        self.provider.delivery.wake()

    @property
    def now_s(self) -> float:
        """Return what the simulator's clock reads."""
        return self._clock()

    def advance(self, seconds: float) -> None:
        """Put the simulator's clock forward, past holding times and delays."""
        self._clock.advance(seconds)
        self.wake()

    def deliver_due(self) -> int:
        """Do every call, transition, report and IVR callback that is due, in the calling thread; return how many there
        were."""
        return self.provider.exchange.run_due() + self.provider.delivery.run_due()

    def wait_until(self, predicate: Callable[[], bool], *, timeout_s: float = 5.0) -> bool:
        """Wait in real time until something the simulator did makes `predicate()` true; return whether it is."""
        with self.waiting.changed:
            return self.waiting.changed.wait_for(predicate, timeout_s)

    def wait_for_answer(self, verdict: Verdict) -> None:
        """Wait as long as the answer to a request is to be held back."""
        if not verdict.wait_s:
            return
        message = verdict.message
        told: Sequence[object] = ()
        if message is not None and verdict.until_told is not None:
            told = message.reports if verdict.until_told == "report" else message.callbacks
        self.waiting.until(self._clock() + verdict.wait_s, lambda: bool(told))
