"""Play a scenario by many schedules, and check every history against the system's promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from switchboard.domain.errors import SubmissionFailedError
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.messages import Message, SmsState
from switchboard.usecases.submission.submit_once import SubmissionResult
from tests.fakes import Ending
from tests.harness.schedules import Schedule
from tests.harness.stepping import CRASHES, Actor, Fault, History, play
from tests.harness.world import StuckError, World
from tests.systems import Parts


class Playable(Protocol):
    """A world whose invocations are played against each other."""

    @property
    def actors(self) -> Sequence[Actor]: ...


W = TypeVar("W", bound=Playable)

_TOLERATED_STORE_FAILURES = 1
_STORE_FAILURES = {Fault.NOT_APPLIED, Fault.ANSWER_LOST}
_LOST = {Ending.LOST_BUT_TAKEN, Ending.LOST_ON_THE_WAY, Ending.UNREADABLE}
_DENIALS = {SmsState.QUEUED, SmsState.FAILED, SmsState.REJECTED, SmsState.EXPIRED}
_UNDECIDED = {SmsState.UNKNOWN, SmsState.SUBMITTING}


class ViolationError(AssertionError):
    """A promise was broken."""

    def __init__(self, promise: str, violation: str) -> None:
        super().__init__(f"{promise}: {violation}")
        self.promise = promise


def explore(
    scenario: Callable[[Parts], World], schedules: Iterable[Schedule], *, faults: int, parts: Parts | None = None
) -> int:
    """Play every schedule, check each history against the promises, and return the number of histories.

    Raises:
        ViolationError: a history breaks a promise. The error has the history as a note.
    """
    classes = parts or Parts()
    return explore_worlds(lambda: scenario(classes), schedules, faults=faults, check=_check)


def explore_worlds(
    make: Callable[[], W], schedules: Iterable[Schedule], *, faults: int, check: Callable[[W, History], None]
) -> int:
    """Play every schedule in a new world made by `make`, and check each history by `check`."""
    histories = 0
    for schedule in schedules:
        world, history = make(), History()
        try:
            play(world.actors, schedule, history, faults=faults)
            check(world, history)
        except AssertionError as error:
            error.add_note(str(history))
            raise
        histories += 1
    return histories


def _check(world: World, history: History) -> None:
    if world.message is None:
        _reconcile(world)
        demand(not world.provider.submissions, "I2", "submitted without a stored claim")
        return
    _check_at_once(world, world.message, {fault for _, _, fault in history}, history)
    _check_answers(world)
    queued = _is_queued_in_time(world, world.message)
    _reconcile(world)
    message = world.message
    status = world.status()
    demand(len(world.provider.decided) <= 1, "I1", f"{len(world.provider.decided)} submissions")
    demand(not queued or len(world.provider.taken) == 1, "I2", "a queued message was never sent")
    demand(status.final or status.state is SmsState.UNKNOWN, "I2", f"stuck as {status}")
    demand(message.content is None, "I2", "its text outlasts its decision")
    stored = {report.status for report in message.reports}
    demand(world.acknowledged <= stored, "I5", f"{world.acknowledged - stored} acknowledged and not stored")
    if stored:
        demand(status.state is _expected_state(stored), "I6", f"{stored} read as {status.state}")


def _check_at_once(world: World, message: Message, faults: set[object], history: History) -> None:
    status, row = world.status(), world.row
    decided = world.provider.decided
    demand(len(decided) <= 1, "I1", f"{len(decided)} submissions")
    demand(status.final or (row is not None and row.due is not None), "I2", "it has no due time")
    store_failures = sum(1 for _, _, fault in history if fault in _STORE_FAILURES)
    if store_failures <= _TOLERATED_STORE_FAILURES and not faults.intersection(CRASHES):
        open_claims = {claim.id for claim in message.claims} - message.outcomes.keys() - message.timeouts.keys()
        demand(not open_claims, "I2", "a claim has no outcome without a crash")
    if decided:
        demand(not message.known_unsent, "I3", "it counts as unsent, and may have been sent")
    if world.provider.taken:
        demand(status.state not in _DENIALS, "I3", f"it was sent, and is called {status.state}")
    if faults.intersection(_LOST) and not message.reports and decided:
        demand(status.state in _UNDECIDED, "I3", f"its answer was lost, and it is called {status.state}")


def _check_answers(world: World) -> None:
    for answer in world.answers:
        if isinstance(answer, SubmissionResult) and not answer.replayed:
            outcome = answer.order.last_outcome
            accepted = outcome is not None and outcome.kind is OutcomeKind.ACCEPTED
            demand(not accepted or bool(world.provider.taken), "I3", "called accepted, and was not")
    if world.answers and all(answer is SubmissionFailedError for answer in world.answers):
        demand(not world.provider.taken, "I3", "every answer denies an accepted message")


def _reconcile(world: World) -> None:
    try:
        world.reconcile()
    except StuckError as stuck:
        raise ViolationError("I2", str(stuck)) from None


def _is_queued_in_time(world: World, message: Message) -> bool:
    in_time = world.clock.now() + timedelta(hours=1) < message.submit_before
    return message.known_unsent and message.queued_at is not None and in_time


def _expected_state(statuses: set[str]) -> SmsState:
    if "1" in statuses:
        return SmsState.DELIVERED
    return SmsState.UNDELIVERED if "18" in statuses else SmsState.EXPIRED


def demand(holds: bool, promise: str, violation: str) -> None:
    """Raise ViolationError unless the promise holds."""
    if not holds:
        raise ViolationError(promise, violation)
