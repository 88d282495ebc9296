"""Schedules decide which actor moves next and which fault happens: each schedule makes one history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Protocol


class Schedule(Protocol):
    """The decisions of one history."""

    def pick(self, count: int) -> int:
        """Choose one of 0 … count - 1; 0 continues with the same actor."""
        ...

    def rarely(self, count: int) -> int:
        """Choose one of 0 … count - 1; 0 means no fault."""
        ...


class RandomSchedule(Schedule):
    """A random schedule. The same seed gives the same history."""

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
    """Yield `count` different schedules. Another `seed` gives other ones."""
    return (RandomSchedule(seed * 1_000_003 + number) for number in range(count))


class PlannedSchedule(Schedule):
    """A schedule that follows its plan and then always chooses 0. It counts the choices of each decision."""

    def __init__(self, plan: Sequence[int]) -> None:
        self._plan = plan
        self._counts: list[int] = []

    def pick(self, count: int) -> int:
        number = len(self._counts)
        self._counts.append(count)
        return self._plan[number] if number < len(self._plan) else 0

    rarely = pick

    def successor(self, *, deviations: int | None) -> list[int] | None:
        """Return the next plan with at most this many choices other than 0, or None after the last plan."""
        choices = [*self._plan, *([0] * (len(self._counts) - len(self._plan)))]
        for place in reversed(range(len(choices))):
            before = sum(1 for choice in choices[:place] if choice)
            allowed = deviations is None or before < deviations
            if allowed and choices[place] + 1 < self._counts[place]:
                return [*choices[:place], choices[place] + 1]
        return None


def every_schedule(*, deviations: int | None = None) -> Iterator[PlannedSchedule]:
    """Yield the schedules of every history, or of those with at most this many choices other than 0.

    Each schedule must be played to its end before the next one is taken.
    """
    plan: list[int] | None = []
    while plan is not None:
        schedule = PlannedSchedule(plan)
        yield schedule
        plan = schedule.successor(deviations=deviations)
