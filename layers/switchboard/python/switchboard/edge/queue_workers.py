"""Runs the entries of a queue's batch in worker threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from switchboard.edge.batch import StartTask

Entry = TypeVar("Entry")
Result = TypeVar("Result")


class SlotBatches(Protocol):
    """Reserves the slots of a batch together."""

    def batch(self, size: int, *, workers: int | None = None) -> AbstractContextManager[None]:
        """Reserve slots in blocks while the first `workers` send `size` requests."""
        ...


class QueueWorkers(Generic[Entry, Result]):
    """Workers that each handle one entry at a time, at slots that one write reserves for all of them.

    The slots of one block follow each other faster than one worker could get its answers.
    """

    def __init__(
        self, *, slots: SlotBatches, workers: Sequence[Callable[[Entry], Result]], bulk_queue: str, bulk_workers: int
    ) -> None:
        """Start no thread yet. Batches of the queue named `bulk_queue` get the first `bulk_workers` only."""
        self._slots = slots
        self._workers = workers
        self._bulk_queue = bulk_queue
        self._bulk_workers = bulk_workers
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
        count = self._bulk_workers if queue == self._bulk_queue else len(self._workers)
        self._free = SimpleQueue()
        for worker in self._workers[:count]:
            self._free.put(worker)
        with self._slots.batch(size, workers=count):
            yield lambda task: self._pool.submit(task).result


def limit_workers(workers: int, *, permits: int, containers: int) -> int:
    """Return how many workers a container may have so that all containers' workers find a permit, at least 1.

    More workers than permits would only wait for each other, each until its waiting budget ends.
    """
    return max(1, min(workers, permits // containers))
