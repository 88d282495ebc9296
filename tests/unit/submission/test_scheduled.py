"""What is scheduled never leaves early, what is canceled or suppressed never leaves, however they race. (I36)"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import pytest

from tests.harness.explorer import explore_worlds
from tests.harness.scheduled import (
    MUTANTS,
    ScheduledWorld,
    cancellation,
    check_schedule,
    races,
    schedule,
    suppression,
)
from tests.harness.schedules import RandomSchedule, Schedule, every_schedule, random_schedules
from tests.systems import Parts

Scenario = Callable[[Parts], ScheduledWorld]

EXHAUSTIVE = [
    pytest.param(cancellation, 5, 1, 6_000, id="cancellation"),
    pytest.param(suppression, 5, 1, 6_000, id="suppression"),
    pytest.param(schedule, 3, 1, 2_000, id="schedule"),
]
RANDOM_SEEDS = [1, 2, 3]


def _explore(scenario: Scenario, schedules: Iterable[Schedule], *, faults: int, parts: Parts | None = None) -> int:
    return explore_worlds(partial(scenario, parts or Parts()), schedules, faults=faults, check=check_schedule)


@pytest.mark.parametrize(("scenario", "deviations", "faults", "at_least"), EXHAUSTIVE)
def test_no_history_within_the_bounds_breaks_the_promise(
    scenario: Scenario, deviations: int, faults: int, at_least: int
) -> None:
    assert _explore(scenario, every_schedule(deviations=deviations), faults=faults) >= at_least


@pytest.mark.parametrize("seed", RANDOM_SEEDS)
def test_no_random_history_breaks_the_promise(seed: int) -> None:
    assert _explore(races, random_schedules(seed=seed, count=5_000), faults=3) == 5_000


def _is_caught(parts: Parts) -> bool:
    """Tell whether a history breaks the promise."""
    for number in range(3_000):
        for scenario in (races, cancellation, suppression, schedule):
            try:
                _explore(scenario, [RandomSchedule(number, fault_rate=0.2)], faults=2, parts=parts)
            except AssertionError as violation:
                if getattr(violation, "promise", None) == "I36":
                    return True
    return False


@pytest.mark.parametrize("parts", MUTANTS.values(), ids=MUTANTS)
def test_the_explorer_catches_the_mutant(parts: Parts) -> None:
    assert _is_caught(parts)
