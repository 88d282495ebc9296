"""Clocks that tests can move, and the locks, waits and job schedules that go by them, so that no test has to sleep."""

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Final, Self, TypeVar

Clock = Callable[[], float]
Job = Callable[[], object]
Condition = Callable[[], bool]
T = TypeVar("T")

# A wait reads the clock again after this long at the latest: a test may have moved its clock without calling `wake`.
_MAX_NAP_S: Final = 1.0


def never() -> bool:
    """Return False: the condition of a wait that only time ends."""
    return False


class MovableClock:
    """A clock that runs like another one and can be put forward by hand."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ahead_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self._clock() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Put the clock forward by `seconds`."""
        with self._lock:
            self._ahead_s += seconds


class StateLock:
    """The lock around the state of one simulator, entered by `with`, and the waits for a change of that state.

    A wait ends when its condition holds, when the clock reads its time, or when the simulator stops.
    """

    def __init__(self, clock: Clock) -> None:
        self._changed = threading.Condition()
        self._clock = clock
        self._stopping = False

    def __enter__(self) -> Self:
        self._changed.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._changed.release()

    def wait_until(self, time_s: float, condition: Condition = never) -> None:
        """Wait until the clock reads `time_s` or `condition()` holds."""
        with self._changed:
            while not self._stopping and not condition():
                remaining_s = time_s - self._clock()
                if remaining_s <= 0:
                    return
                self._changed.wait(min(remaining_s, _MAX_NAP_S))

    def wait_for(self, seconds: float, condition: Condition = never) -> None:
        """Wait for `seconds`, or until `condition()` holds."""
        self.wait_until(self._clock() + seconds, condition)

    def wait_in_real_time(self, condition: Condition, *, timeout_s: float) -> bool:
        """Wait until a change of the state makes `condition()` hold, and return whether it does."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def append(self, items: list[T], item: T) -> None:
        """Append `item` to `items`, and let every wait check its condition."""
        with self._changed:
            items.append(item)
            self._changed.notify_all()

    def wake(self) -> None:
        """Let every wait check its condition and the clock."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """End every wait, present and future."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()


class JobScheduler:
    """Jobs ordered by time and done one after another: by one thread, or by hand with `run_due`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()
        self._stopping = False

    def add(self, time_s: float, job: Job) -> None:
        """Schedule `job` for the moment when the clock reads `time_s`."""
        with self._changed:
            heapq.heappush(self._heap, (time_s, next(self._numbers), job))
            self._changed.notify()

    def run_due(self) -> int:
        """Do every job that is due in the calling thread, and return their number."""
        count = 0
        while (job := self._take_due()) is not None:
            job()
            count += 1
        return count

    def run_until_stopped(self) -> None:
        """Do each job when it is due. This is the body of the scheduler's thread."""
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
        """Let the thread read the clock again."""
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
            nap_s = self._heap[0][0] - self._clock() if self._heap else _MAX_NAP_S
            if nap_s > 0:
                self._changed.wait(min(nap_s, _MAX_NAP_S))
