"""What is scheduled never leaves early, what is canceled or suppressed never leaves, however they race. (I36)"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import pytest

from switchboard.domain.errors import StoreUnavailableError, SubmissionFailedError
from switchboard.usecases.sms.send_queued import QueuedOutcome
from tests.builders import RECIPIENT
from tests.depth import at_depth
from tests.fakes import Answer, InMemoryMessageStore, InMemoryOutbox, ScriptedProvider, flaky
from tests.harness.explorer import explore_worlds
from tests.harness.scheduled import (
    MUTANTS,
    SEND_AT,
    ScheduledWorld,
    SendsIfTheReadFails,
    cancellation,
    check_schedule,
    races,
    schedule,
    suppression,
)
from tests.harness.schedules import RandomSchedule, Schedule, every_schedule, random_schedules
from tests.harness.world import COMMAND, SMSID
from tests.systems import Parts, assembled

Scenario = Callable[[Parts], ScheduledWorld]

EXHAUSTIVE = [
    pytest.param(cancellation, at_depth(usual=2, proof=3), 1, at_depth(usual=270, proof=2_400), id="cancellation"),
    pytest.param(suppression, at_depth(usual=3, proof=4), 1, at_depth(usual=1_000, proof=3_400), id="suppression"),
    pytest.param(schedule, at_depth(usual=1, proof=2), 1, at_depth(usual=70, proof=1_400), id="schedule"),
]
SEEDS = at_depth(usual=[1], proof=[1, 2])
HISTORIES = at_depth(usual=1_000, proof=5_000)


def _explore(scenario: Scenario, schedules: Iterable[Schedule], *, faults: int, parts: Parts | None = None) -> int:
    return explore_worlds(partial(scenario, parts or Parts()), schedules, faults=faults, check=check_schedule)


@pytest.mark.parametrize(("scenario", "deviations", "faults", "at_least"), EXHAUSTIVE)
def test_no_history_within_the_bounds_breaks_the_promise(
    scenario: Scenario, deviations: int, faults: int, at_least: int
) -> None:
    assert _explore(scenario, every_schedule(deviations=deviations), faults=faults) >= at_least


@pytest.mark.parametrize("seed", SEEDS)
def test_no_random_history_breaks_the_promise(seed: int) -> None:
    assert _explore(races, random_schedules(seed=seed, count=HISTORIES), faults=3) == HISTORIES


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


def _send_while_suppressions_are_unreadable(parts: Parts) -> tuple[type[BaseException] | None, int]:
    """Send to a suppressed number while the store does not answer; return the error and the number of submissions."""
    store, provider = InMemoryMessageStore(), ScriptedProvider()
    store.suppressed.add(RECIPIENT)
    messages = flaky(store, is_suppressed=[Answer.NOT_APPLIED, Answer.NOT_APPLIED])
    try:
        assembled(messages=messages, provider=provider, parts=parts).send(COMMAND)
    except SubmissionFailedError as error:
        return type(error.cause), len(provider.submissions)
    return None, len(provider.submissions)


def test_an_unreadable_suppression_sends_nothing() -> None:
    assert _send_while_suppressions_are_unreadable(Parts()) == (StoreUnavailableError, 0)


def test_a_system_that_sends_all_the_same_would_be_noticed() -> None:
    assert _send_while_suppressions_are_unreadable(Parts(submission=SendsIfTheReadFails)) == (None, 1)


def test_a_queued_message_waits_while_suppressions_are_unreadable() -> None:
    world = ScheduledWorld(Parts())
    outbox = InMemoryOutbox()
    messages = flaky(world.store, is_suppressed=[Answer.NOT_APPLIED, Answer.NOT_APPLIED])
    world.clock.sleep_until(SEND_AT)

    outcome = assembled(messages=messages, provider=world.provider, clock=world.clock, outbox=outbox).send_queued(SMSID)

    assert (outcome, list(outbox.entries)) == (QueuedOutcome.REQUEUED, [SMSID])
    assert not world.provider.submissions
