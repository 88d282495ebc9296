"""Callers, callbacks, guesses, cancellations and the sweep keep every promise, in every order and with every fault.

(I1, I2, I5, I7, I8, I9, I31)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import pytest

from switchboard.domain.errors import SubmissionFailedError
from switchboard.domain.orders import Claim, Outcome
from switchboard.domain.verification.callbacks import IvrCallEvent, VerificationMode
from switchboard.domain.verification.verifications import MAX_ATTEMPTS, Verification, VerificationState
from switchboard.ports.orders import ClaimAnswer
from switchboard.ports.verifications import IvrCallMatch, Lease
from tests.depth import at_depth
from tests.fakes import InMemoryCounterStore, InMemoryVerificationStore
from tests.harness.explorer import demand, explore_worlds
from tests.harness.schedules import RandomSchedule, every_schedule, random_schedules
from tests.harness.stepping import History
from tests.harness.verification_world import (
    FIRST,
    OF_ANOTHER_CLIENT,
    SECOND,
    VerificationWorld,
    calls_and_cancellations,
    guesses,
    guesses_near_the_limit,
    right_codes_and_cancellations,
    two_callers,
)
from tests.harness.world import StuckError
from tests.verification_systems import WRONG_CODES_PER_HOUR

Scenario = Callable[[type[InMemoryVerificationStore]], VerificationWorld]

IN_TIME_MATCHES = {IvrCallMatch.MATCHED, IvrCallMatch.DUPLICATE, IvrCallMatch.SPOOLED}
LATE_MATCHES = {IvrCallMatch.LATE, IvrCallMatch.DUPLICATE, IvrCallMatch.SPOOLED}


def check_promises(world: VerificationWorld, history: History) -> None:
    for verification_id in (FIRST, SECOND):
        submissions = [sms for sms in world.provider.decided if sms.smsid == verification_id]
        demand(len(submissions) <= 1, "I1", f"{len(submissions)} submissions")
        answers = [answer for key, answer in world.answers if (key == "first") == (verification_id == FIRST)]
        if answers and all(answer is SubmissionFailedError for answer in answers):
            demand(not world.taken(verification_id), "I3", "every answer denies a start that happened")
    if world.mode is not VerificationMode.CALL_OUT:
        demand(
            not (world.taken(FIRST) and world.taken(SECOND)),
            "I8",
            "two verifications had the number and the line at once",
        )
    cancelable = any(operation.endswith("record_canceled") for _, operation, _ in history)
    for call in world.calls:
        allowed = IN_TIME_MATCHES if call.in_time else LATE_MATCHES
        if cancelable:
            allowed = IN_TIME_MATCHES | LATE_MATCHES
        demand(call.match is None or call.match in allowed, "I8", f"{call} for an accepted verification")
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
        demand(verification.content is None, "I2", "its text outlasts its decision")
        verified_at = verification.verified_at
        demand(verified_at is None or verified_at < verification.expires_at, "I9", "verified after its deadline")
    first = world.store.get(FIRST)
    canceled = first is not None and first.canceled_at is not None
    acknowledged = any(call.in_time and call.match in IN_TIME_MATCHES for call in world.calls)
    if acknowledged and not canceled:
        demand(world.state_of(FIRST) is VerificationState.VERIFIED, "I7", "a call in time does not count")
    matched = any(call.match is IvrCallMatch.MATCHED for call in world.calls)
    demand(not (matched and canceled), "I8", "a call verified a canceled verification, or the reverse")
    if world.cancellations:
        demand(world.state_of(FIRST) is VerificationState.CANCELED, "I31", "an answer calls it canceled, and it is not")
    if first is not None:
        demand(not canceled or first.verified_at is None, "I31", "it is verified and canceled")
    theirs = world.store.get(OF_ANOTHER_CLIENT)
    demand(theirs is None or theirs.called_at is None, "I8", "a callback of the first verified another client's")
    demand(not (canceled and world.taken(OF_ANOTHER_CLIENT)), "I8", "another client had the line within the grace")
    second = world.store.get(SECOND)
    demand(second is None or second.called_at is None, "I8", "a callback of the first verified the second")
    compared = world.wrong_codes + world.right_codes
    demand(compared <= MAX_ATTEMPTS, "attempts", f"{compared} codes were compared")
    counted = sum(count for counters in world.counters.counters.values() for count in counters.values())
    demand(counted >= world.wrong_codes, "I31", "a caller learnt of a wrong code that is not counted")
    demand(counted <= WRONG_CODES_PER_HOUR, "I31", f"{counted} wrong codes of one number were compared")
    demand(world.right_codes <= 1, "I31", f"{world.right_codes} callers learnt that the number is verified")
    if world.right_codes:
        demand(world.state_of(FIRST) is VerificationState.VERIFIED, "I2", "an answer calls it verified, and it is not")


def _reconcile(world: VerificationWorld) -> None:
    try:
        world.reconcile()
    except StuckError as stuck:
        demand(False, "I2", str(stuck))


@pytest.mark.parametrize(
    ("scenario", "deviations", "faults", "at_least"),
    [
        (two_callers, at_depth(usual=1, proof=2), 1, at_depth(usual=110, proof=1_500)),
        (guesses, 1, 1, 80),
        (guesses_near_the_limit, 1, 1, 40),
        (right_codes_and_cancellations, 1, 1, 80),
        (calls_and_cancellations, at_depth(usual=1, proof=2), 1, at_depth(usual=90, proof=1_000)),
    ],
    ids=["two callers", "guesses", "guesses near the limit", "right codes", "cancellations"],
)
def test_no_history_within_the_bounds_breaks_a_promise(
    scenario: Scenario, deviations: int, faults: int, at_least: int
) -> None:
    histories = explore_worlds(
        lambda: scenario(InMemoryVerificationStore),
        every_schedule(deviations=deviations),
        faults=faults,
        check=check_promises,
    )
    assert histories >= at_least


@pytest.mark.parametrize(
    ("scenario", "count"),
    [
        (two_callers, at_depth(usual=2_000, proof=12_000)),
        (guesses, at_depth(usual=100, proof=400)),
        (guesses_near_the_limit, at_depth(usual=50, proof=200)),
        (right_codes_and_cancellations, at_depth(usual=100, proof=400)),
        (calls_and_cancellations, at_depth(usual=1_000, proof=4_000)),
    ],
    ids=["callers", "guesses", "guesses near the limit", "right codes", "cancellations"],
)
def test_no_random_history_breaks_a_promise(scenario: Scenario, count: int) -> None:
    explore_worlds(
        lambda: scenario(InMemoryVerificationStore),
        random_schedules(seed=7, count=count),
        faults=3,
        check=check_promises,
    )


class TakesLeasesOver(InMemoryVerificationStore):
    """A store that grants a lease although another verification holds it."""

    def _is_free(self, lease: Lease, order: Verification, claim: Claim) -> bool:
        return True


class FreesWhatIsUnknown(InMemoryVerificationStore):
    """A store that frees the line of a start whose answer was lost."""

    def _frees(self, outcome: Outcome) -> bool:
        return True


class ClaimsUnconditionally(InMemoryVerificationStore):
    """A store that grants every claim."""

    def create(self, order: Verification) -> ClaimAnswer[Verification]:
        answer = super().create(order)
        return ClaimAnswer(granted=True, order=answer.order or order)


class CountsLateCalls(InMemoryVerificationStore):
    """A store that counts late calls."""

    def _in_time(self, order: Verification, at: datetime) -> bool:
        return True


class DropsEarlyCalls(InMemoryVerificationStore):
    """A store that forgets a call which overtakes the start's own answer."""

    def record_call(self, verification_id: str, ivr_call: IvrCallEvent, *, seen_at: datetime) -> IvrCallMatch:
        row = self.rows.get(verification_id)
        if row is not None and row.order is not None and row.order.last_outcome is None:
            return IvrCallMatch.MATCHED
        return super().record_call(verification_id, ivr_call, seen_at=seen_at)


class LimitsNoAttempts(InMemoryVerificationStore):
    """A store that never refuses an attempt."""

    def _has_attempts(self, order: Verification) -> bool:
        return True


class VerifiesTwice(InMemoryVerificationStore):
    """A store in which a right code verifies what another check has verified."""

    def _may_verify(self, order: Verification, at: datetime) -> bool:
        return self._in_time(order, at) and order.canceled_at is None


class VerifiesWhatIsCanceled(InMemoryVerificationStore):
    """A store in which a right code verifies what its caller has canceled."""

    def _may_verify(self, order: Verification, at: datetime) -> bool:
        return self._in_time(order, at) and order.verified_at is None


class CancelsWhatIsVerified(InMemoryVerificationStore):
    """A store that cancels what is verified."""

    def _may_cancel(self, order: Verification, at: datetime) -> bool:
        return self._in_time(order, at) and order.canceled_at is None


class CallsVerifyWhatIsCanceled(InMemoryVerificationStore):
    """A store in which a call verifies what its caller has canceled."""

    def _may_be_called(self, order: Verification, seen_at: datetime) -> bool:
        return self._in_time(order, seen_at)


class ReleasesToEveryClient(InMemoryVerificationStore):
    """A store that gives a canceled verification's line to any client at once."""

    def _is_released(self, lease: Lease, order: Verification) -> bool:
        return lease.released_to is not None


class CountsWithoutLimit(InMemoryCounterStore):
    """Counters that refuse nothing."""

    def increment(
        self, key: str, limits: Mapping[str, int], *, weight: int = 1, expires_at: datetime
    ) -> Collection[str]:
        return super().increment(key, dict.fromkeys(limits, 1_000), weight=weight, expires_at=expires_at)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A wrong store, the scenario that shows it, and the promises of which it must break one."""

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
    "verifies twice": Mutant(VerifiesTwice, guesses, frozenset({"I31"})),
    "verifies what is canceled": Mutant(VerifiesWhatIsCanceled, right_codes_and_cancellations, frozenset({"I31"})),
    "cancels what is verified": Mutant(CancelsWhatIsVerified, right_codes_and_cancellations, frozenset({"I31"})),
    "cancels what was called": Mutant(CancelsWhatIsVerified, calls_and_cancellations, frozenset({"I8", "I31"})),
    "calls verify what is canceled": Mutant(
        CallsVerifyWhatIsCanceled, calls_and_cancellations, frozenset({"I8", "I31"})
    ),
    "releases to every client": Mutant(ReleasesToEveryClient, calls_and_cancellations, frozenset({"I8"})),
    "counts without a limit": Mutant(
        InMemoryVerificationStore,
        partial(guesses_near_the_limit, counters=CountsWithoutLimit),
        frozenset({"I31"}),
    ),
}


def _find_broken_promise(mutant: Mutant) -> str | None:
    for number in range(3_000):
        try:
            explore_worlds(
                lambda: mutant.scenario(mutant.store),
                [RandomSchedule(number, fault_rate=0.2)],
                faults=2,
                check=check_promises,
            )
        except AssertionError as violation:
            broken = getattr(violation, "promise", None)
            if broken in mutant.breaks:
                return str(broken)
    return None


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_explorer_catches_the_mutant(mutant: Mutant) -> None:
    assert _find_broken_promise(mutant) is not None
