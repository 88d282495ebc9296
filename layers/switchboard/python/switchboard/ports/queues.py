"""What a queue does with an entry that could not be handled."""

from __future__ import annotations

from typing import Protocol


class Redelivery(Protocol):
    """Decides when a queue delivers an entry again that failed, instead of the queue's own, long time-out."""

    def after(self, delay_s: int, *, queue: str, receipt: str) -> None:
        """`queue` is its name, `receipt` this delivery's. Raises StoreUnavailableError: the time-out then stands."""
        ...
