"""Runs the entries of a queue's batch in worker threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from typing import Final, Generic, Protocol, TypeVar

from switchboard.edge.batch import StartTask

Entry = TypeVar("Entry")
Result = TypeVar("Result")


SPARE_WORKERS: Final = 2
"""The workers of a batch beyond its permits."""


class SlotBatches(Protocol):
    """Reserves the slots of a batch together."""

    def batch(self, size: int, *, permits: int | None = None) -> AbstractContextManager[None]:
        """Reserve slots in blocks while workers that share `permits` permits send `size` requests."""
        ...


class QueueWorkers(Generic[Entry, Result]):
    """Workers that each handle one entry at a time, at slots that one write reserves for all of them.

    The slots of one block follow each other faster than one worker could get its answers. There are more workers than
    permits: while some claim a message or record an outcome, others send.
    """

    def __init__(
        self,
        *,
        slots: SlotBatches,
        workers: Sequence[Callable[[Entry], Result]],
        permits: int,
        bulk_queue: str,
        bulk_permits: int,
    ) -> None:
        """Start no thread yet. Batches of the queue named `bulk_queue` get up to `bulk_permits`, others `permits`."""
        self._slots = slots
        self._workers = workers
        self._bulk_queue = bulk_queue
        self._permits, self._bulk_permits = permits, bulk_permits
        self._pool = ThreadPoolExecutor(max_workers=len(workers))
        self._free: SimpleQueue[Callable[[Entry], Result]] = SimpleQueue()

    def __call__(self, entry: Entry) -> Result:
        """Handle one entry as soon as a worker is free."""
        worker = self._free.get()
        try:
            return worker(entry)
        finally:
            self._free.put(worker)

    @contextmanager
    def run_batch(self, size: int, *, queue: str) -> Iterator[StartTask]:
        """Yield `start(task)`, which runs one of `size` tasks in a thread and returns its result function."""
        permits = self._bulk_permits if queue == self._bulk_queue else self._permits
        self._free = SimpleQueue()
        for worker in self._workers[: permits + SPARE_WORKERS]:
            self._free.put(worker)
        with self._slots.batch(size, permits=permits):
            yield lambda task: self._pool.submit(task).result


def share_permits(most: int, *, permits: int, containers: int) -> int:
    """Return up to how many of the `permits` one of the `containers` takes, at most `most` and at least 1.

    The shares are rounded up, so that all permits are used: the container that comes last takes what is left.
    """
    return max(1, min(most, -(-permits // containers)))
