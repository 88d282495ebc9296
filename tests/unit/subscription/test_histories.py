"""Whatever meets, the newest state of everything owed arrives: the real use cases, operation by operation. (I35)"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.depth import at_depth
from tests.harness.explorer import ViolationError, explore_worlds
from tests.harness.schedules import every_schedule, random_schedules
from tests.harness.webhooks import (
    MUTANTS,
    Parts,
    WebhookWorld,
    busy_world,
    check_world,
    failing_world,
    probing_world,
    resting_world,
)

pytestmark = pytest.mark.interleaved

Scenario = Callable[[Parts], WebhookWorld]
EXHAUSTIVE: list[tuple[Scenario, int, int, int]] = [
    (failing_world, 3, 2, 2_000),
    (probing_world, 3, 2, 2_000),
    (busy_world, 2, 2, 1_000),
    (resting_world, 2, 1, 1_000),
]
"""A scenario, the most deviations from its simplest course, the most faults, and at least so many histories."""


@pytest.mark.parametrize(
    ("scenario", "deviations", "faults", "at_least"), EXHAUSTIVE, ids=[case[0].__name__ for case in EXHAUSTIVE]
)
def test_no_history_within_the_bounds_loses_the_last_state(
    scenario: Scenario, deviations: int, faults: int, at_least: int
) -> None:
    schedules = every_schedule(deviations=deviations)
    assert explore_worlds(partial(scenario, Parts()), schedules, faults=faults, check=check_world) >= at_least


@pytest.mark.parametrize("seed", at_depth(usual=[1], proof=[1, 2]))
@pytest.mark.parametrize("scenario", [busy_world, resting_world], ids=lambda value: value.__name__)
def test_no_random_history_loses_the_last_state(scenario: Scenario, seed: int) -> None:
    count = at_depth(usual=1_000, proof=4_000)
    schedules = random_schedules(seed=seed, count=count)
    assert explore_worlds(partial(scenario, Parts()), schedules, faults=3, check=check_world) == count


@pytest.mark.parametrize("parts", MUTANTS.values(), ids=MUTANTS)
def test_the_explorer_catches_the_mutant(parts: Parts) -> None:
    with pytest.raises(ViolationError, match="I35"):
        for scenario in (probing_world, failing_world):
            explore_worlds(partial(scenario, parts), every_schedule(deviations=3), faults=1, check=check_world)
