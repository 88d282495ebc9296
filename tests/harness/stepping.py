"""Play actors against each other, one port operation at a time, with the faults that the schedule chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar, cast

from greenlet import getcurrent, greenlet

from switchboard.domain.errors import (
    LockedOutError,
    ProviderError,
    RateLimitTimeoutError,
    StoreUnavailableError,
)
from switchboard.domain.sms.messages import SmsSubmission
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.providers import Receipt
from tests.fakes import Ending, ScriptedProvider, ScriptedSubmitter, provider_error
from tests.harness.schedules import Schedule

P = TypeVar("P")


class Crashed(BaseException):
    """The invocation crashed, like a Lambda that was killed. No handler of the code under test may catch it."""


class Fault(StrEnum):
    """A fault of one operation."""

    CRASH_BEFORE = "crash_before"
    NOT_APPLIED = "not_applied"
    ANSWER_LOST = "answer_lost"
    CRASH_AFTER = "crash_after"
    NO_SLOT = "no_slot"
    LOCKED_OUT = "locked_out"


CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
_AT_A_READ = (Fault.NOT_APPLIED, Fault.CRASH_BEFORE)
_AT_A_WRITE = (Fault.NOT_APPLIED, Fault.ANSWER_LOST, *CRASHES)
_AT_OPENING = (Ending.NOT_SENT, Fault.CRASH_BEFORE)
_AT_SUBMITTING = (*(ending for ending in Ending if ending is not Ending.ACCEPTED), *CRASHES)
_AT_ACQUIRING = (Fault.NO_SLOT, Fault.LOCKED_OUT, Fault.NOT_APPLIED, *CRASHES)
_READS = frozenset({"get", "find", "overdue", "spooled", "lease", "is_suppressed", "mark_of", "owed", "read"})
_NO_CALLS = frozenset({"clock_ahead_s"})


class History(list[tuple[str, str, StrEnum | None]]):
    """The steps in their order: the actor, the operation, and its fault."""

    def __str__(self) -> str:
        return "\n".join(f"{actor}: {operation}" + (f" [{fault}]" if fault else "") for actor, operation, fault in self)


def step(operation: str, faults: Sequence[StrEnum] = ()) -> StrEnum | None:
    """Let the schedule move another actor first, and return the fault of this operation. Outside a play: None."""
    hub = getcurrent().parent
    return None if hub is None else cast("StrEnum | None", hub.switch((operation, faults)))


class _SteppedStore:
    def __init__(self, store: object, name: str) -> None:
        self._store = store
        self._name = name

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(self._store, operation)
        if operation in _NO_CALLS:
            return call
        label = f"{self._name}.{operation}"
        faults = _AT_A_READ if operation in _READS else _AT_A_WRITE

        def stepped(*args: object, **kwargs: object) -> object:
            fault = step(label, faults)
            if fault is None:
                return call(*args, **kwargs)
            if fault is Fault.CRASH_BEFORE:
                raise Crashed
            if fault is Fault.NOT_APPLIED:
                raise StoreUnavailableError(label)
            call(*args, **kwargs)
            if fault is Fault.ANSWER_LOST:
                raise StoreUnavailableError(label)
            raise Crashed

        self.__dict__[operation] = stepped
        return stepped


def stepped(store: P, name: str) -> P:
    """Wrap the store so that each of its operations is a step."""
    return cast("P", _SteppedStore(store, name))


class SteppedProvider(ScriptedSubmitter):
    """A provider whose operations are steps. The schedule chooses the ending of a submission."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self._provider = provider

    def prepare(self, submission: SmsSubmission) -> SmsSubmission:
        return self._provider.prepare(submission)

    def open(self) -> None:
        fault = step("provider.open", _AT_OPENING)
        if fault is Fault.CRASH_BEFORE:
            raise Crashed
        if fault is not None:
            raise provider_error(Ending.NOT_SENT)

    def submit(self, prepared: SmsSubmission) -> Receipt:
        fault = step("provider.submit", _AT_SUBMITTING)
        if fault is Fault.CRASH_BEFORE:
            raise Crashed
        receipt = self._provider.end(prepared, fault if isinstance(fault, Ending) else Ending.ACCEPTED)
        if fault is Fault.CRASH_AFTER:
            raise Crashed
        return receipt


class SteppedGuard(ProviderGuard):
    """A guard whose operations are steps."""

    def __init__(self, guard: ProviderGuard) -> None:
        self._guard = guard

    def acquire(self, *, latest: datetime, order_id: str = "") -> datetime:
        fault = step("guard.acquire", _AT_ACQUIRING)
        if fault in CRASHES:
            raise Crashed
        if fault is Fault.NO_SLOT:
            raise RateLimitTimeoutError("scripted")
        if fault is Fault.LOCKED_OUT:
            raise LockedOutError("scripted", reason="authentication")
        if fault is not None:
            raise StoreUnavailableError("guard.acquire")
        return self._guard.acquire(latest=latest, order_id=order_id)

    def is_stale(self, slot: datetime) -> bool:
        return self._guard.is_stale(slot)

    def record_result(self, error: ProviderError | None) -> None:
        fault = step("guard.record_result", _AT_A_READ)
        if fault is Fault.CRASH_BEFORE:
            raise Crashed
        if fault is not None:
            raise StoreUnavailableError("guard.record_result")
        self._guard.record_result(error)


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Actor:
    """One invocation. It begins when it is `ready`; `body` handles its own crash."""

    name: str
    body: Callable[[], None]
    ready: Callable[[], bool] = _always


def play(actors: Sequence[Actor], schedule: Schedule, history: History, *, faults: int) -> None:
    """Play one history to its end, with at most this many faults. Errors of an actor pass through."""
    waiting = list(actors)
    moving: list[tuple[str, greenlet, tuple[str, Sequence[StrEnum]]]] = []
    while True:
        for actor in tuple(waiting):
            if actor.ready():
                waiting.remove(actor)
                process = greenlet(actor.body)
                stop = process.switch()
                if not process.dead:
                    moving.append((actor.name, process, stop))
        if not moving:
            return
        name, process, (operation, possible_faults) = moving.pop(schedule.pick(len(moving)))
        fault = None
        if faults and possible_faults:
            choice = schedule.rarely(len(possible_faults) + 1)
            if choice:
                fault = possible_faults[choice - 1]
                faults -= 1
        history.append((name, operation, fault))
        stop = process.switch(fault)
        if not process.dead:
            moving.insert(0, (name, process, stop))
