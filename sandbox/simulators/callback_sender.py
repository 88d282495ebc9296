"""Sends callbacks to the customer when they are due, in an order that no slow receiver can change."""

import threading
import zlib

from sandbox.simulators.callbacks import CallbackClient
from sandbox.simulators.clock_and_locks import Clock, Job, JobScheduler


class CallbackSender:
    """Scheduled callbacks: sent by one thread a scheduler between `start` and `stop`, or by hand with `run_due`."""

    def __init__(self, clock: Clock, *, name: str, schedulers: int = 1) -> None:
        self._clock = clock
        self._callback_client = CallbackClient()
        self._schedulers = [JobScheduler(clock) for _ in range(schedulers)]
        self._threads = [
            threading.Thread(target=scheduler.run_until_stopped, name=f"{name}-{number}", daemon=True)
            for number, scheduler in enumerate(self._schedulers)
        ]

    def start(self) -> None:
        """Start one thread for each scheduler."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Abort the callbacks under way and join the threads."""
        for scheduler in self._schedulers:
            scheduler.stop()
        self._callback_client.abort()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def run_due(self) -> int:
        """Do every job that is due in the calling thread, and return their number."""
        return sum(scheduler.run_due() for scheduler in self._schedulers)

    def wake(self) -> None:
        """Let the threads read the clock again."""
        for scheduler in self._schedulers:
            scheduler.wake()

    def clear(self) -> None:
        """Forget every job that is still to come."""
        for scheduler in self._schedulers:
            scheduler.clear()

    def _schedule(self, time_s: float, job: Job, *, key: str = "") -> None:
        """Schedule `job` for the moment when the clock reads `time_s`.

        Jobs with the same key share a scheduler, so they are never reordered.
        """
        self._schedulers[zlib.crc32(key.encode()) % len(self._schedulers)].add(time_s, job)
