"""What the provider counts for one source address: accepted requests in a second, and wrong credentials in a row."""

from typing import Final

from sandbox.simulators.rate_window import RateWindow

STREAK_THAT_BLOCKS: Final = 10


class UnauthorizedStreak:
    """Counts 401 answers in a row to one address; the tenth blocks it for good."""

    def __init__(self) -> None:
        self.length = 0

    @property
    def blocked(self) -> bool:
        """Return whether every further request of the address is a 555."""
        return self.length >= STREAK_THAT_BLOCKS

    def answered(self, code: int) -> None:
        """Take note of an answer; once blocked, nothing breaks the streak."""
        if self.blocked:
            return
        self.length = self.length + 1 if code == 401 else 0


class SourceAddress:
    """Everything counted for one source address."""

    def __init__(self) -> None:
        self.window = RateWindow()
        self.streak = UnauthorizedStreak()
