"""Ports of the status page: provider limits, the oldest pending deadline, and the depth of the queues, read only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from switchboard.domain.rate_limits import ProviderLimitState


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """The approximate number of a queue's messages: ready to receive, delayed, and received but not deleted yet."""

    waiting: int
    delayed: int
    under_way: int


class ProviderLimitReader(Protocol):
    """A reader of the states that the provider guards update."""

    def read(self, key: str) -> ProviderLimitState:
        """Return the present state, a new one if the key was never used.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        ...


class DeadlineReader(Protocol):
    """A reader of the pending deadlines."""

    def oldest_pending_deadline(self) -> datetime | None:
        """Return the earliest deadline of all open items, None if no item is open.

        A deadline well in the past means that the sweep does not keep up.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        ...


class QueueReader(Protocol):
    """A reader of one queue's depth."""

    def depth(self) -> QueueDepth:
        """Return the present depth.

        Raises:
            StoreUnavailableError: the queue did not answer.
        """
        ...
