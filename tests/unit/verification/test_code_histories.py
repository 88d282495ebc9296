"""Reports, timers, checks, resends and cancellations of a code keep every promise, in every order and with faults.

(I1, I2, I31, I37)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from switchboard.domain.verification.verifications import Verification, VerificationState, channel_id
from tests.depth import at_depth
from tests.fakes import InMemoryVerificationStore
from tests.harness.code_world import CALL, CodeWorld, WatchedChannels, code_of, falls_back, resends, rings
from tests.harness.explorer import demand, explore_worlds
from tests.harness.schedules import RandomSchedule, every_schedule, random_schedules
from tests.harness.stepping import History
from tests.harness.verification_world import FIRST
from tests.harness.world import StuckError
from tests.verification_systems import verification_status

Scenario = Callable[[type[InMemoryVerificationStore], type[WatchedChannels]], CodeWorld]


def check_promises(world: CodeWorld, history: History) -> None:
    _check(world)
    try:
        world.reconcile()
    except StuckError as stuck:
        demand(False, "I2", str(stuck))
    _check(world)
    verification = world.store.get(FIRST)
    if verification is not None:
        state = verification_status(verification, world.clock.now()).state
        demand(state is not VerificationState.PENDING, "I2", "open after its deadline")
        demand(verification.content is None, "I2", "its template outlasts its end")


def _check(world: CodeWorld) -> None:
    verification = world.store.get(FIRST)
    for order_id in (FIRST, CALL, *(channel_id(FIRST, generation=generation) for generation in (2, 3, 4))):
        submissions = world.submissions(order_id)
        demand(submissions <= 1, "I37" if order_id == CALL else "I1", f"{submissions} submissions of one channel")
    demand(not world.channels.claimed_too_late, "I37", "a call was claimed after the end of its verification")
    demand(len(world.verified) <= 1, "I31", f"{len(world.verified)} callers learnt that the number is verified")
    if verification is None:
        return
    demand(verification.canceled_at is None or verification.verified_at is None, "I31", "verified and canceled")
    demand(not world.cancellations or verification.canceled_at is not None, "I31", "an answer calls it canceled")
    _check_code(world, verification)


def _check_code(world: CodeWorld, verification: Verification) -> None:
    """No resend is claimed after the check: the code that was right is still the valid one."""
    for verified in world.verified:
        for generation in range(1, len(verification.resends) + 2):
            if verified.code == code_of(generation) != code_of(verification.generation):
                taken_back = generation > 1 and verification.resends[generation - 2].unsent
                demand(taken_back, "I31", f"the ended code of generation {generation} verified the number")


@pytest.mark.parametrize(
    ("scenario", "deviations", "faults", "at_least"),
    [
        pytest.param(falls_back, 1, 1, 100, id="fallback"),
        pytest.param(rings, 1, 1, 100, id="call"),
        pytest.param(resends, 1, 1, 100, id="resends"),
    ],
)
def test_no_history_of_codes_within_the_bounds_breaks_a_promise(
    scenario: Scenario, deviations: int, faults: int, at_least: int
) -> None:
    histories = explore_worlds(
        lambda: scenario(InMemoryVerificationStore, WatchedChannels),
        every_schedule(deviations=deviations),
        faults=faults,
        check=check_promises,
    )
    assert histories >= at_least


@pytest.mark.parametrize(
    ("scenario", "count"),
    [
        pytest.param(falls_back, at_depth(usual=500, proof=1_500), id="fallback"),
        pytest.param(rings, at_depth(usual=500, proof=1_500), id="call"),
        pytest.param(resends, at_depth(usual=500, proof=1_500), id="resends"),
    ],
)
def test_no_random_history_of_codes_breaks_a_promise(scenario: Scenario, count: int) -> None:
    explore_worlds(
        lambda: scenario(InMemoryVerificationStore, WatchedChannels),
        random_schedules(seed=11, count=count),
        faults=3,
        check=check_promises,
    )


class CallsWhatIsOver(InMemoryVerificationStore):
    """A store that claims a call although the verification is over."""

    def may_have_channel(self, verification: Verification, at: object) -> bool:
        return True


class KeepsEndedCodes(InMemoryVerificationStore):
    """A store in which a right code verifies although a resend has ended it."""

    def _has_resends(self, order: Verification, resends: int) -> bool:
        return True


class VerifiesTwice(InMemoryVerificationStore):
    """A store in which a right code verifies what another check has verified."""

    def _may_verify(self, order: Verification, at: object) -> bool:
        return order.canceled_at is None


class CallsAgain(WatchedChannels):
    """Channels that grant every claim of the call."""

    def claim_fallback(self, verification: Verification, channel: Verification):  # type: ignore[no-untyped-def]
        answer = super().claim_fallback(verification, channel)
        return type(answer)(granted=True, order=channel)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A wrong system, the scenario that shows it, and the promise that it breaks."""

    scenario: Scenario
    breaks: str
    store: type[InMemoryVerificationStore] = InMemoryVerificationStore
    channels: type[WatchedChannels] = WatchedChannels


MUTANTS = {
    "calls what is over": Mutant(falls_back, "I37", store=CallsWhatIsOver),
    "calls again": Mutant(rings, "I37", channels=CallsAgain),
    "keeps ended codes": Mutant(resends, "I31", store=KeepsEndedCodes),
    "verifies twice": Mutant(rings, "I31", store=VerifiesTwice),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_explorer_of_codes_catches_the_mutant(mutant: Mutant) -> None:
    broken = set()
    for number in range(1_000):
        try:
            explore_worlds(
                lambda: mutant.scenario(mutant.store, mutant.channels),
                [RandomSchedule(number)],
                faults=2,
                check=check_promises,
            )
        except AssertionError as violation:
            broken.add(getattr(violation, "promise", None))
            if mutant.breaks in broken:
                return
    assert mutant.breaks in broken
