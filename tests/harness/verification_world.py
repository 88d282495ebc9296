"""One system with a telephone number that two callers want verified, and the invocations that may meet there."""

from __future__ import annotations

from dataclasses import dataclass

from switchboard.domain.errors import StoreUnavailableError, SwitchboardError, WrongCodeError
from switchboard.domain.orders import Status
from switchboard.domain.verification.verifications import (
    Verification,
    VerificationMode,
    VerificationState,
)
from switchboard.ports.verifications import IvrCallMatch
from switchboard.usecases.submission.submit_once import SubmissionResult, derive_id
from tests.builders import CLIENT, DEADLINES, GRACE, HOLDING_MINUTES, LINE, MINUTE, a_callback, a_notice, a_start
from tests.fakes import FixedClock, InMemoryCallbackArchive, InMemoryVerificationStore, OpenGuard, ScriptedProvider
from tests.harness.stepping import Actor, Crashed, SteppedGuard, SteppedProvider, step, stepped
from tests.harness.world import StuckError
from tests.verification_systems import assembled_for_verification

FIRST, SECOND = (derive_id(client=CLIENT, key=key) for key in ("first", "second"))
CODE, WRONG = "314159", "271828"
# Past the deadline, and not past the grace: nobody else can have the number and the line yet.
PAUSE = HOLDING_MINUTES * MINUTE + GRACE / 2
_ROUNDS_AT_MOST = 12


@dataclass(frozen=True, slots=True)
class Called:
    """One callback: what was made of it (None if the invocation died or answered with an error), and whether it was
    handed in before the deadline."""

    outcome: IvrCallMatch | None
    in_time: bool


class VerificationWorld:
    """`actors` are the invocations to be played against each other. Both callers want the same number and line."""

    def __init__(self, store: type[InMemoryVerificationStore], mode: VerificationMode) -> None:
        self.clock = FixedClock()
        self.store = store(grace=GRACE, deadlines=DEADLINES)
        self.archive = InMemoryCallbackArchive()
        self.provider = ScriptedProvider()
        self.mode = mode
        self.actors: list[Actor] = []
        self.calls: list[Called] = []
        self.compared = 0
        self.right_ones = 0
        self.code_kept = False
        self.told: list[
            tuple[str, SubmissionResult[Verification, Status[VerificationState]] | type[SwitchboardError] | None]
        ] = []
        kept = stepped(self.store, "verifications")
        self.system = assembled_for_verification(
            store=kept,
            calls=kept,
            codes=kept,
            archive=stepped(self.archive, "archive"),
            provider=SteppedProvider(self.provider),
            guard=SteppedGuard(OpenGuard(self.clock)),
            clock=self.clock,
        )

    def taken(self, verification_id: str) -> bool:
        """The provider has it."""
        return any(each.smsid == verification_id for each in self.provider.taken)

    def state_of(self, verification_id: str) -> VerificationState:
        return self.system.query.one(verification_id, client=CLIENT).status.state

    def post(self, name: str, key: str) -> None:
        """A caller's request, and what the caller is told."""
        repeats = 1 if self.mode is VerificationMode.CALL_OUT else None
        command = a_start(key=key, mode=self.mode, candidates=(LINE,), repeat_calls=repeats)

        def body() -> None:
            try:
                self.told.append((key, self.system.start(command)))
            except SwitchboardError as error:
                self.told.append((key, type(error)))
            except Crashed:
                self.told.append((key, None))

        self.actors.append(Actor(name, body))

    def call(self, name: str) -> None:
        """The first caller's number dials in, once the provider can know of it: the callback names no id."""

        def body() -> None:
            in_time = self._is_in_time()
            try:
                self.calls.append(Called(self.system.call(a_notice(mode=self.mode)), in_time))
            except (StoreUnavailableError, Crashed):
                self.calls.append(Called(None, in_time))

        self.actors.append(Actor(name, body, ready=lambda: self.taken(FIRST)))

    def read_out(self) -> None:
        """The delivery report that brings the code, once the provider has called."""
        callback = a_callback("1", FIRST, authcode=CODE)

        def body() -> None:
            try:
                self.system.report(callback)
            except (StoreUnavailableError, Crashed):
                return
            self.code_kept = True

        self.actors.append(Actor("read out", body, ready=lambda: self.taken(FIRST)))

    def check(self, name: str, code: str) -> None:
        """Somebody tells a code, once there may be one."""

        def body() -> None:
            try:
                self.system.check(FIRST, code, client=CLIENT)
            except WrongCodeError:
                self.compared += 1
            except (SwitchboardError, Crashed):
                return
            else:
                self.compared += 1
                self.right_ones += code == CODE

        self.actors.append(Actor(name, body, ready=lambda: self.code_kept))

    def sweep_twice(self) -> None:
        """The sweep, a pause past the deadline, and the sweep again."""

        def body() -> None:
            self._sweep_once()
            step("time passes")
            self.clock.advance(PAUSE)
            self._sweep_once()

        self.actors.append(Actor("sweep", body))

    def reconcile(self) -> None:
        """Nothing breaks any more: the sweep comes until nothing is awaited."""
        for _ in range(_ROUNDS_AT_MOST):
            due = [row.due for row in self.store.rows.values() if row.due is not None]
            if not due and not self.archive.kept:
                return
            if due:
                self.clock.sleep_until(min(due))
            self.system.sweep()
        raise StuckError(f"still waiting after {_ROUNDS_AT_MOST} rounds")

    def _is_in_time(self) -> bool:
        verification = self.store.get(FIRST)
        return verification is not None and self.clock.now() < verification.expires_at

    def _sweep_once(self) -> None:
        try:
            self.system.sweep()
        except (StoreUnavailableError, Crashed):
            return


def two_callers(store: type[InMemoryVerificationStore]) -> VerificationWorld:
    """Two callers want one number and line, one of them twice; the number calls twice, and the sweep comes."""
    world = VerificationWorld(store, VerificationMode.CALL_IN)
    world.post("caller", "first")
    world.post("caller again", "first")
    world.post("another", "second")
    world.call("callback")
    world.call("callback again")
    world.sweep_twice()
    return world


def guesses(store: type[InMemoryVerificationStore]) -> VerificationWorld:
    """A number is called, the code arrives, six wrong ones and the right one are told, and the sweep comes."""
    world = VerificationWorld(store, VerificationMode.CALL_OUT)
    world.post("caller", "first")
    world.read_out()
    for number in range(6):
        world.check(f"guess {number}", WRONG)
    world.check("owner", CODE)
    world.sweep_twice()
    return world
