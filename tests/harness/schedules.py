"""Who moves next and what breaks: every answer to these questions makes one history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Protocol


class Schedule(Protocol):
    """Answers the questions of one history."""

    def pick(self, count: int) -> int:
        """One of 0 … count - 1; 0 goes on with what was going on."""
        ...

    def rarely(self, count: int) -> int:
        """One of 0 … count - 1; 0 breaks nothing."""
        ...


class RandomSchedule(Schedule):
    """The same seed gives the same history."""

    def __init__(self, seed: int, *, fault_rate: float = 0.1) -> None:
        self._random = Random(seed).random
        self._fault_rate = fault_rate

    def pick(self, count: int) -> int:
        return int(self._random() * count)

    def rarely(self, count: int) -> int:
        if self._random() >= self._fault_rate:
            return 0
        return 1 + int(self._random() * (count - 1))


def random_schedules(*, seed: int, count: int) -> Iterator[RandomSchedule]:
    """`count` different schedules, none of which another `seed` gives."""
    return (RandomSchedule(seed * 1_000_003 + number) for number in range(count))


class PlannedSchedule(Schedule):
    """Answers by its plan, then 0 to everything, and remembers how many answers each question had."""

    def __init__(self, plan: Sequence[int]) -> None:
        self._plan = plan
        self._counts: list[int] = []

    def pick(self, count: int) -> int:
        asked = len(self._counts)
        self._counts.append(count)
        return self._plan[asked] if asked < len(self._plan) else 0

    rarely = pick

    def successor(self, *, deviations: int | None) -> list[int] | None:
        """The next plan in order with at most that many answers other than 0, or None after the last."""
        answers = [*self._plan, *([0] * (len(self._counts) - len(self._plan)))]
        for place in reversed(range(len(answers))):
            before = sum(1 for answer in answers[:place] if answer)
            allowed = deviations is None or before < deviations
            if allowed and answers[place] + 1 < self._counts[place]:
                return [*answers[:place], answers[place] + 1]
        return None


def every_schedule(*, deviations: int | None = None) -> Iterator[PlannedSchedule]:
    """Every history, or with `deviations` every one that leaves the straight course at most so many times.

    Each schedule must be played to its end before the next is asked for.
    """
    plan: list[int] | None = []
    while plan is not None:
        schedule = PlannedSchedule(plan)
        yield schedule
        plan = schedule.successor(deviations=deviations)
