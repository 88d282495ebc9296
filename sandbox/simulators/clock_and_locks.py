"""Waiting by the simulator's own clock, so that a test with a clock of its own never sleeps."""

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import TypeVar

Clock = Callable[[], float]
Job = Callable[[], object]
T = TypeVar("T")

# A wait looks at the clock again after this long at the latest, in case a test's clock moved unannounced.
_LONGEST_NAP_S = 1.0


class MovableClock:
    """`clock`, put forward by hand."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ahead_s = 0.0

    def __call__(self) -> float:
        return self._clock() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Put it forward by `seconds`."""
        with self._lock:
            self._ahead_s += seconds


class StateLock:
    """The lock around all state, and the waits that a change, the clock or the end of the simulator finishes."""

    def __init__(self, clock: Clock) -> None:
        self.changed = threading.Condition()
        self._clock = clock
        self._stopping = False

    def until(self, deadline: float, met: Callable[[], bool] = lambda: False) -> None:
        """Wait until the clock reads `deadline` or `met()` holds."""
        with self.changed:
            while not self._stopping and not met():
                remaining = deadline - self._clock()
                if remaining <= 0:
                    return
                self.changed.wait(min(remaining, _LONGEST_NAP_S))

    def during(self, seconds: float, met: Callable[[], bool] = lambda: False) -> None:
        """Wait for `seconds`, or until `met()` holds."""
        self.until(self._clock() + seconds, met)

    def note(self, among: list[T], what: T) -> None:
        """Put `what` last `among` others, and let every wait look again."""
        with self.changed:
            among.append(what)
            self.changed.notify_all()

    def wake(self) -> None:
        """Let every wait look again."""
        with self.changed:
            self.changed.notify_all()

    def stop(self) -> None:
        """End every wait, present and future."""
        with self.changed:
            self._stopping = True
            self.changed.notify_all()


class JobScheduler:
    """A heap of jobs by time, done one after another: by one thread, or by hand with `run_due`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()
        self._stopping = False

    def add(self, at: float, job: Job) -> None:
        """Have `job` done once the clock reads `at`."""
        with self._changed:
            heapq.heappush(self._heap, (at, next(self._numbers), job))
            self._changed.notify()

    def run_due(self) -> int:
        """Do everything that is due in the calling thread; return how many jobs that was."""
        done = 0
        while (job := self._take_due()) is not None:
            job()
            done += 1
        return done

    def run_until_stopped(self) -> None:
        """Do jobs as they fall due. The body of the lane's thread."""
        while not self._stopping:
            job = self._take_due()
            if job is None:
                self._nap()
            else:
                job()

    def clear(self) -> None:
        """Forget every job."""
        with self._changed:
            self._heap.clear()

    def wake(self) -> None:
        """Look at the clock again."""
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        """Let `run_until_stopped` return after the job under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _take_due(self) -> Job | None:
        with self._changed:
            if self._heap and self._heap[0][0] <= self._clock():
                return heapq.heappop(self._heap)[2]
            return None

    def _nap(self) -> None:
        with self._changed:
            if self._stopping:
                return
            nap = self._heap[0][0] - self._clock() if self._heap else _LONGEST_NAP_S
            if nap > 0:
                self._changed.wait(min(nap, _LONGEST_NAP_S))
