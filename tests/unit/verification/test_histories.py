"""One number, one line, two callers, callbacks, guesses and the sweep: over every order and every break.

(I1, I2, I5, I7, I8, I9)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pytest

from switchboard.domain.errors import SubmissionFailedError
from switchboard.domain.orders import Claim, Outcome
from switchboard.domain.verification.verifications import (
    MAX_ATTEMPTS,
    IvrCallEvent,
    Verification,
    VerificationMode,
    VerificationState,
)
from switchboard.ports.orders import ClaimAnswer
from switchboard.ports.verifications import IvrCallMatch, Lease
from tests.fakes import InMemoryVerificationStore
from tests.harness.explorer import demand, explore_worlds
from tests.harness.schedules import RandomSchedule, every_schedule, random_schedules
from tests.harness.stepping import History
from tests.harness.verification_world import FIRST, SECOND, VerificationWorld, guesses, two_callers
from tests.harness.world import StuckError

Scenario = Callable[[type[InMemoryVerificationStore]], VerificationWorld]

IN_TIME_OUTCOMES = {IvrCallMatch.MATCHED, IvrCallMatch.DUPLICATE, IvrCallMatch.SPOOLED}
LATE_OUTCOMES = {IvrCallMatch.LATE, IvrCallMatch.DUPLICATE, IvrCallMatch.SPOOLED}


def hold_against_the_promises(world: VerificationWorld, history: History) -> None:
    for verification_id in (FIRST, SECOND):
        submitted = [each for each in world.provider.decided if each.smsid == verification_id]
        demand(len(submitted) <= 1, "I1", f"{len(submitted)} submissions")
        told = [answer for key, answer in world.told if (key == "first") == (verification_id == FIRST)]
        if told and all(answer is SubmissionFailedError for answer in told):
            demand(not world.taken(verification_id), "I3", "every caller was told that it was not started, and it was")
    if world.mode is not VerificationMode.CALL_OUT:
        demand(not (world.taken(FIRST) and world.taken(SECOND)), "I8", "number and line were given twice at once")
    for call in world.calls:
        allowed = IN_TIME_OUTCOMES if call.in_time else LATE_OUTCOMES
        demand(call.outcome is None or call.outcome in allowed, "I8", f"{call} of one that was taken")
    _reconcile(world)
    _check_reconciled(world)


def _check_reconciled(world: VerificationWorld) -> None:
    for verification_id in (FIRST, SECOND):
        verification = world.store.get(verification_id)
        if verification is None:
            demand(not world.taken(verification_id), "I2", "submitted without a stored claim")
            continue
        state = world.state_of(verification_id)
        demand(state is not VerificationState.PENDING, "I9", "open after its deadline")
        demand(verification.content is None, "I2", "its text is kept though all is decided")
        verified_at = verification.verified_at
        demand(verified_at is None or verified_at < verification.expires_at, "I9", "verified after its deadline")
    acknowledged = any(call.in_time and call.outcome in IN_TIME_OUTCOMES for call in world.calls)
    if acknowledged:
        demand(world.state_of(FIRST) is VerificationState.VERIFIED, "I7", "it called in time, and does not count")
    second = world.store.get(SECOND)
    demand(second is None or second.called_at is None, "I8", "a callback of the first verified the second")
    demand(world.compared <= MAX_ATTEMPTS, "attempts", f"{world.compared} codes were compared")
    if world.right_ones:
        demand(world.state_of(FIRST) is VerificationState.VERIFIED, "I2", "told it is verified, and it is not")


def _reconcile(world: VerificationWorld) -> None:
    try:
        world.reconcile()
    except StuckError as stuck:
        demand(False, "I2", str(stuck))


@pytest.mark.parametrize(
    ("scenario", "deviations", "faults", "at_least"),
    [(two_callers, 2, 1, 1_500), (guesses, 1, 1, 80)],
    ids=["two callers", "guesses"],
)
def test_no_history_within_the_bounds_breaks_a_promise(
    scenario: Scenario, deviations: int, faults: int, at_least: int
) -> None:
    played = explore_worlds(
        lambda: scenario(InMemoryVerificationStore),
        every_schedule(deviations=deviations),
        faults=faults,
        check=hold_against_the_promises,
    )
    assert played >= at_least


@pytest.mark.parametrize(("scenario", "count"), [(two_callers, 12_000), (guesses, 400)], ids=["callers", "guesses"])
def test_no_random_history_breaks_a_promise(scenario: Scenario, count: int) -> None:
    explore_worlds(
        lambda: scenario(InMemoryVerificationStore),
        random_schedules(seed=7, count=count),
        faults=3,
        check=hold_against_the_promises,
    )


class TakesLeasesOver(InMemoryVerificationStore):
    """Another's lease is no obstacle."""

    def _is_free(self, held: Lease, order: Verification, claim: Claim) -> bool:
        return True


class FreesWhatIsUnknown(InMemoryVerificationStore):
    """A start whose answer was lost gives its line away."""

    def _frees(self, outcome: Outcome) -> bool:
        return True


class ClaimsUnconditionally(InMemoryVerificationStore):
    """The claim's condition is gone."""

    def create(self, order: Verification) -> ClaimAnswer[Verification]:
        answer = super().create(order)
        return ClaimAnswer(granted=True, order=answer.order or order)


class CountsLateCalls(InMemoryVerificationStore):
    """A call counts whenever it comes."""

    def _in_time(self, order: Verification, seen_at: datetime) -> bool:
        return True


class DropsEarlyCalls(InMemoryVerificationStore):
    """A call that overtakes the start's own answer is forgotten."""

    def record_call(self, verification_id: str, notice: IvrCallEvent, *, seen_at: datetime) -> IvrCallMatch:
        row = self.rows.get(verification_id)
        if row is not None and row.order is not None and row.order.last_outcome is None:
            return IvrCallMatch.MATCHED
        return super().record_call(verification_id, notice, seen_at=seen_at)


class LimitsNoAttempts(InMemoryVerificationStore):
    """Codes may be tried without end."""

    def _may_try(self, order: Verification) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Mutant:
    """A wrong store, where that shows, and the promises one of which it must be seen to break."""

    store: type[InMemoryVerificationStore]
    scenario: Scenario
    breaks: frozenset[str]


MUTANTS = {
    "takes leases over": Mutant(TakesLeasesOver, two_callers, frozenset({"I8"})),
    "frees what is unknown": Mutant(FreesWhatIsUnknown, two_callers, frozenset({"I8"})),
    "claims unconditionally": Mutant(ClaimsUnconditionally, two_callers, frozenset({"I1"})),
    "counts late calls": Mutant(CountsLateCalls, two_callers, frozenset({"I8", "I9"})),
    "drops early calls": Mutant(DropsEarlyCalls, two_callers, frozenset({"I7"})),
    "limits no attempts": Mutant(LimitsNoAttempts, guesses, frozenset({"attempts"})),
}


def _promise_broken_by(mutant: Mutant) -> str | None:
    for number in range(3_000):
        try:
            explore_worlds(
                lambda: mutant.scenario(mutant.store),
                [RandomSchedule(number, fault_rate=0.2)],
                faults=2,
                check=hold_against_the_promises,
            )
        except AssertionError as violation:
            broken = getattr(violation, "promise", None)
            if broken in mutant.breaks:
                return str(broken)
    return None


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_explorer_catches_the_mutant(mutant: Mutant) -> None:
    assert _promise_broken_by(mutant) is not None
