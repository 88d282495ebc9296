"""What a simulator tells the customer later: each thing when it is due, in an order no slow receiver can change."""

import threading
import zlib

from sandbox.simulators.callbacks import CallbackClient
from sandbox.simulators.clock_and_locks import Clock, Job, JobScheduler


class CallbackSender:
    """Does jobs in lanes: in a thread a lane between `start` and `stop`, or by hand with `run_due`."""

    def __init__(self, clock: Clock, *, name: str, lanes: int = 1) -> None:
        self._clock = clock
        self._callback_client = CallbackClient()
        self._lanes = [JobScheduler(clock) for _ in range(lanes)]
        self._threads = [
            threading.Thread(target=lane.run_until_stopped, name=f"{name}-{number}", daemon=True)
            for number, lane in enumerate(self._lanes)
        ]

    def start(self) -> None:
        """Start one thread a lane."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Break off what is under way and join the threads."""
        for lane in self._lanes:
            lane.stop()
        self._callback_client.abort()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def run_due(self) -> int:
        """Do everything that is due in the calling thread; return how many jobs that was."""
        return sum(lane.run_due() for lane in self._lanes)

    def wake(self) -> None:
        """Look at the clock again."""
        for lane in self._lanes:
            lane.wake()

    def clear(self) -> None:
        """Forget everything still to come."""
        for lane in self._lanes:
            lane.clear()

    def _at(self, at_s: float, job: Job, *, key: str = "") -> None:
        """Have `job` done once the clock reads `at_s`; jobs of one key share a lane, and so are never reordered."""
        self._lanes[zlib.crc32(key.encode()) % len(self._lanes)].add(at_s, job)
