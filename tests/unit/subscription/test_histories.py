"""Whatever meets, the newest state of everything owed arrives: all states of the real use cases. (I35)"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.harness.explorer import ViolationError
from tests.harness.webhooks.explorer import Scenario, explore
from tests.harness.webhooks.invocations import Parts
from tests.harness.webhooks.mutants import MUTANTS
from tests.harness.webhooks.scenarios import CHANGES, DISABLED, DOWN, ENABLED, PROBE, RECOVERY, RELEASES, RETRY

USUAL = [
    (CHANGES, 1, 1, 2_000),
    (RETRY, 1, 1, 4_000),
    (RETRY, 0, 2, 6_500),
    (DOWN, 1, 1, 19_000),
    (PROBE, 1, 1, 21_000),
    (RELEASES, 1, 1, 1_500),
    (RELEASES, 0, 2, 3_000),
    (DISABLED, 1, 1, 5_500),
    (ENABLED, 0, 2, 34_000),
    (RECOVERY, 0, 1, 900),
]
"""A scenario, its faults, the invocations that run at once, and at least so many states."""
PROOF = [
    (CHANGES, 1, 2, 42_000),
    (RETRY, 1, 2, 100_000),
    (DOWN, 0, 2, 34_000),
    (PROBE, 0, 2, 200_000),
    (RELEASES, 1, 2, 55_000),
    (DISABLED, 1, 2, 350_000),
    (RECOVERY, 0, 2, 100_000),
]


def _name(value: object) -> str:
    return value.name if isinstance(value, Scenario) else str(value)


@pytest.mark.parametrize(("scenario", "faults", "at_once", "at_least"), USUAL, ids=_name)
def test_no_state_loses_or_forgets_what_is_owed(scenario: Scenario, faults: int, at_once: int, at_least: int) -> None:
    assert explore(replace(scenario, faults=faults, at_once=at_once)) >= at_least


@pytest.mark.proof
@pytest.mark.parametrize(("scenario", "faults", "at_once", "at_least"), PROOF, ids=_name)
def test_none_of_700000_states_loses_what_is_owed(scenario: Scenario, faults: int, at_once: int, at_least: int) -> None:
    assert sum(row[-1] for row in PROOF) >= 700_000
    assert explore(replace(scenario, faults=faults, at_once=at_once)) >= at_least


@pytest.mark.parametrize(("scenario", "parts"), MUTANTS.values(), ids=MUTANTS)
def test_the_explorer_catches_the_mutant(scenario: Scenario, parts: Parts) -> None:
    with pytest.raises(ViolationError, match="I35"):
        explore(scenario, parts)
