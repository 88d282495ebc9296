"""Nothing is sent twice, nothing is lost and no outcome is invented, in every order and with every fault.

(I1, I2, I3, I5, I6, I7)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from switchboard.domain.orders import OutcomeKind
from tests.depth import at_depth
from tests.fakes import Answer, Ending, InMemoryMessageStore, ScriptedProvider, flaky
from tests.harness.explorer import explore
from tests.harness.mutants import MUTANTS, Mutant
from tests.harness.scenarios import crowd, early_reports, late_delivery, queued_world, two_callers, two_deliveries
from tests.harness.schedules import RandomSchedule, every_schedule, random_schedules
from tests.harness.world import COMMAND, SMSID, World
from tests.systems import Parts, assembled

Scenario = Callable[[Parts], World]


@dataclass(frozen=True, slots=True)
class Exploration:
    """One scenario, its largest number of deviations (None: every history) and its largest number of faults."""

    scenario: Scenario
    deviations: int | None
    faults: int
    at_least: int

    def __str__(self) -> str:
        return f"{self.scenario.__name__}, {self.deviations} deviations, {self.faults} faults"


EXHAUSTIVE = [
    Exploration(two_deliveries, at_depth(usual=3, proof=None), 2, at_least=at_depth(usual=3_500, proof=9_000)),
    Exploration(early_reports, at_depth(usual=2, proof=3), 2, at_least=at_depth(usual=1_800, proof=15_000)),
    Exploration(two_callers, at_depth(usual=2, proof=3), 1, at_least=at_depth(usual=2_100, proof=16_000)),
    Exploration(crowd, at_depth(usual=1, proof=2), 2, at_least=at_depth(usual=100, proof=4_500)),
]
RANDOM = [
    (crowd, at_depth(usual=2_000, proof=5_000)),
    (two_callers, at_depth(usual=1_000, proof=3_000)),
    (early_reports, at_depth(usual=2_000, proof=6_000)),
]
SEEDS = at_depth(usual=[1], proof=[1, 2, 3, 4])


@pytest.mark.proof
def test_the_explorations_have_a_hundred_thousand_histories() -> None:
    exhaustive = sum(exploration.at_least for exploration in EXHAUSTIVE)
    assert exhaustive + len(SEEDS) * sum(count for _, count in RANDOM) >= 100_000


@pytest.mark.parametrize("exploration", EXHAUSTIVE, ids=str)
def test_no_history_within_the_bounds_breaks_a_promise(exploration: Exploration) -> None:
    schedules = every_schedule(deviations=exploration.deviations)
    assert explore(exploration.scenario, schedules, faults=exploration.faults) >= exploration.at_least


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("scenario", "count"), RANDOM, ids=lambda value: getattr(value, "__name__", str(value)))
def test_no_random_history_breaks_a_promise(scenario: Scenario, count: int, seed: int) -> None:
    schedules = random_schedules(seed=seed, count=count)
    assert explore(scenario, schedules, faults=3) == count


def _find_broken_promise(parts: Parts, promises: frozenset[str]) -> str | None:
    """Return the first of these promises that a history breaks."""
    for number in range(4_000):
        for scenario in (crowd, two_callers, early_reports, late_delivery):
            try:
                explore(scenario, [RandomSchedule(number, fault_rate=0.2)], faults=2, parts=parts)
            except AssertionError as violation:
                broken = getattr(violation, "promise", None)
                if broken in promises:
                    return str(broken)
    return None


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_explorer_catches_the_mutant(mutant: Mutant) -> None:
    assert _find_broken_promise(mutant.parts, mutant.breaks) is not None


def test_two_deliveries_of_one_entry_submit_once() -> None:
    world = queued_world(Parts())
    for _ in range(2):
        world.system.send_queued(SMSID)
    assert len(world.provider.submissions) == 1


@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NOT_APPLIED])
def test_a_queued_claim_with_a_lost_answer_is_submitted_once(answer: Answer) -> None:
    world = queued_world(Parts())
    system = assembled(messages=flaky(world.store, claim=[answer]), provider=world.provider)
    system.send_queued(SMSID)
    assert len(world.provider.taken) == 1


@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NOT_APPLIED])
def test_a_new_claim_with_a_lost_answer_is_submitted_once(answer: Answer) -> None:
    provider = ScriptedProvider()
    system = assembled(messages=flaky(InMemoryMessageStore(), create=[answer]), provider=provider)
    assert not system.send(COMMAND).replayed
    assert len(provider.taken) == 1


@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NOT_APPLIED])
@pytest.mark.parametrize("ending", Ending)
def test_an_outcome_with_a_lost_answer_is_recorded_once(answer: Answer, ending: Ending) -> None:
    world = queued_world(Parts())
    messages = flaky(world.store, record_outcome=[answer])
    assembled(messages=messages, provider=ScriptedProvider(ending)).send_queued(SMSID)
    row = world.row
    assert row is not None
    assert row.order is not None
    assert row.order.last_outcome is not None
    unsent = [outcome for outcome in row.order.outcomes.values() if outcome.kind is OutcomeKind.NOT_SENT]
    assert row.not_sent == len(unsent)
