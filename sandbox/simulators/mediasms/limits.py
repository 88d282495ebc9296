"""Counts requests of one source address: accepted ones in a second, and 401s in a row."""

from typing import Final

from sandbox.simulators.rate_window import RateWindow

BLOCKING_401S: Final = 10


class ConsecutiveRefusals:
    """The number of consecutive 401 answers to one address; the tenth blocks it for good."""

    def __init__(self) -> None:
        self.length = 0

    @property
    def blocked(self) -> bool:
        """True if every further request of the address gets 555."""
        return self.length >= BLOCKING_401S

    def record(self, code: int) -> None:
        """Record an answer. No answer ends the block of a blocked address."""
        if self.blocked:
            return
        self.length = self.length + 1 if code == 401 else 0


class SourceAddress:
    """The counts of one source address."""

    def __init__(self) -> None:
        self.window = RateWindow()
        self.refusals = ConsecutiveRefusals()
