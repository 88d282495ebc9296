"""A system with one telephone number that two callers verify, and the invocations that may meet there."""

from __future__ import annotations

from dataclasses import dataclass

from switchboard.domain.errors import StoreUnavailableError, SwitchboardError, WrongCodeError
from switchboard.domain.orders import Status
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.verifications import Verification, VerificationState
from switchboard.guard.usage.wrong_codes import CounterWrongCodeLimit
from switchboard.ports.verifications import IvrCallMatch
from switchboard.usecases.submission.submit_once import SubmissionResult, derive_id
from tests.builders import (
    CLIENT,
    DEADLINES,
    GRACE,
    HOLDING_MINUTES,
    LINE,
    MINUTE,
    RECIPIENT,
    a_callback,
    a_start,
    an_ivr_call,
)
from tests.fakes import (
    FixedClock,
    InMemoryCallbackArchive,
    InMemoryCounterStore,
    InMemoryVerificationStore,
    OpenGuard,
    ScriptedProvider,
)
from tests.harness.stepping import Actor, Crashed, SteppedGuard, SteppedProvider, step, stepped
from tests.harness.world import StuckError
from tests.verification_systems import WRONG_CODES_PER_HOUR, assembled_for_verification

ANOTHER_CLIENT = "another"
FIRST, SECOND = (derive_id(client=CLIENT, key=key) for key in ("first", "second"))
OF_ANOTHER_CLIENT = derive_id(client=ANOTHER_CLIENT, key="theirs")
CODE, WRONG = "314159", "271828"
# After the deadline and within the grace: no other verification can have the number and the line yet.
PAUSE = HOLDING_MINUTES * MINUTE + GRACE / 2
LEFT_NEAR_THE_LIMIT = 2
_ROUNDS_AT_MOST = 12

Started = SubmissionResult[Verification, Status[VerificationState]]


@dataclass(frozen=True, slots=True)
class Called:
    """One callback. `match` is None if the invocation crashed or answered with an error."""

    match: IvrCallMatch | None
    in_time: bool


class VerificationWorld:
    """A system and its `actors`, which are played against each other. Both callers verify one number and line."""

    def __init__(
        self,
        store: type[InMemoryVerificationStore],
        mode: VerificationMode,
        *,
        counters: InMemoryCounterStore | None = None,
    ) -> None:
        self.clock = FixedClock()
        self.store = store(grace=GRACE, deadlines=DEADLINES)
        self.archive = InMemoryCallbackArchive()
        self.provider = ScriptedProvider()
        self.mode = mode
        self.actors: list[Actor] = []
        self.calls: list[Called] = []
        self.wrong_codes = 0
        self.right_codes = 0
        self.cancellations = 0
        self.counters = counters or InMemoryCounterStore()
        self.code_recorded = False
        self.answers: list[tuple[str, Started | type[SwitchboardError] | None]] = []
        stepped_store = stepped(self.store, "verifications")
        self.system = assembled_for_verification(
            store=stepped_store,
            calls=stepped_store,
            codes=stepped_store,
            counters=stepped(self.counters, "counters"),
            archive=stepped(self.archive, "archive"),
            provider=SteppedProvider(self.provider),
            guard=SteppedGuard(OpenGuard(self.clock)),
            clock=self.clock,
        )

    def taken(self, verification_id: str) -> bool:
        """Tell whether the provider has the verification."""
        return any(submission.smsid == verification_id for submission in self.provider.taken)

    def state_of(self, verification_id: str) -> VerificationState:
        return self.system.query.one(verification_id, client=CLIENT).status.state

    def post(self, name: str, key: str, *, client: str = CLIENT) -> None:
        """Add a caller's request, and note its answer."""
        repeats = 1 if self.mode is VerificationMode.CALL_OUT else None
        command = a_start(key=key, client=client, mode=self.mode, candidates=(LINE,), repeat_calls=repeats)

        def body() -> None:
            try:
                self.answers.append((key, self.system.start(command)))
            except SwitchboardError as error:
                self.answers.append((key, type(error)))
            except Crashed:
                self.answers.append((key, None))

        self.actors.append(Actor(name, body))

    def call(self, name: str) -> None:
        """Add the callback for the first caller's number, after the provider has the verification. It names no id."""

        def body() -> None:
            in_time = self._is_in_time()
            try:
                self.calls.append(Called(self.system.call(an_ivr_call(mode=self.mode)), in_time))
            except (StoreUnavailableError, Crashed):
                self.calls.append(Called(None, in_time))

        self.actors.append(Actor(name, body, ready=lambda: self.taken(FIRST)))

    def read_out(self) -> None:
        """Add the delivery report with the code, after the provider has called."""
        callback = a_callback("1", FIRST, authcode=CODE)

        def body() -> None:
            try:
                self.system.report(callback)
            except (StoreUnavailableError, Crashed):
                return
            self.code_recorded = True

        self.actors.append(Actor("read out", body, ready=lambda: self.taken(FIRST)))

    def check(self, name: str, code: str, *, key: str | None = None) -> None:
        """Add the check of a code, after the code may be there."""

        def body() -> None:
            try:
                result = self.system.check(FIRST, code, client=CLIENT, key=key)
            except WrongCodeError:
                self.wrong_codes += 1
            except (SwitchboardError, Crashed):
                return
            else:
                self.right_codes += not result.replayed

        self.actors.append(Actor(name, body, ready=lambda: self.code_recorded))

    def cancel(self, name: str) -> None:
        """Add the cancellation of the first verification, after the provider has it."""

        def body() -> None:
            try:
                self.system.cancel(FIRST, client=CLIENT)
            except (SwitchboardError, Crashed):
                return
            self.cancellations += 1

        self.actors.append(Actor(name, body, ready=lambda: self.taken(FIRST)))

    def sweep_twice(self) -> None:
        """Add a sweep, a pause past the deadline, and another sweep."""

        def body() -> None:
            self._sweep_once()
            step("time passes")
            self.clock.advance(PAUSE)
            self._sweep_once()

        self.actors.append(Actor("sweep", body))

    def reconcile(self) -> None:
        """Sweep without faults until nothing is due."""
        for _ in range(_ROUNDS_AT_MOST):
            due = [row.due for row in self.store.rows.values() if row.due is not None]
            if not due and not self.archive.kept:
                return
            if due:
                self.clock.sleep_until(min(due))
            self.system.sweep()
        raise StuckError(f"still due after {_ROUNDS_AT_MOST} rounds")

    def _is_in_time(self) -> bool:
        verification = self.store.get(FIRST)
        return verification is not None and self.clock.now() < verification.expires_at

    def _sweep_once(self) -> None:
        try:
            self.system.sweep()
        except (StoreUnavailableError, Crashed):
            return


def two_callers(store: type[InMemoryVerificationStore]) -> VerificationWorld:
    """Let two callers verify one number and line, one of them twice, let the number call twice, and sweep."""
    world = VerificationWorld(store, VerificationMode.CALL_IN)
    world.post("caller", "first")
    world.post("caller again", "first")
    world.post("another", "second")
    world.call("callback")
    world.call("callback again")
    world.sweep_twice()
    return world


def guesses(store: type[InMemoryVerificationStore]) -> VerificationWorld:
    """Call a number, report its code, check six wrong codes and the right one twice, and sweep."""
    world = VerificationWorld(store, VerificationMode.CALL_OUT)
    world.post("caller", "first")
    world.read_out()
    for number in range(6):
        world.check(f"guess {number}", WRONG)
    world.check("owner", CODE)
    world.check("owner again", CODE)
    world.sweep_twice()
    return world


def guesses_near_the_limit(
    store: type[InMemoryVerificationStore], *, counters: type[InMemoryCounterStore] = InMemoryCounterStore
) -> VerificationWorld:
    """Check three wrong codes and the right one, after as many wrong codes that the number has two left."""
    world = VerificationWorld(store, VerificationMode.CALL_OUT, counters=counters())
    limit = CounterWrongCodeLimit(counters=world.counters, per_hour=WRONG_CODES_PER_HOUR)
    for _ in range(WRONG_CODES_PER_HOUR - LEFT_NEAR_THE_LIMIT):
        limit.count(recipient=RECIPIENT, at=world.clock.now())
    world.post("caller", "first")
    world.read_out()
    for number in range(3):
        world.check(f"guess {number}", WRONG)
    world.check("owner", CODE)
    return world


def right_codes_and_cancellations(store: type[InMemoryVerificationStore]) -> VerificationWorld:
    """Call a number, report its code, and check the right code with and without a key while the caller cancels."""
    world = VerificationWorld(store, VerificationMode.CALL_OUT)
    world.post("caller", "first")
    world.read_out()
    world.check("owner", CODE)
    world.check("owner with a key", CODE, key="key")
    world.check("owner with a key again", CODE, key="key")
    world.cancel("cancellation")
    world.cancel("cancellation again")
    return world


def calls_and_cancellations(store: type[InMemoryVerificationStore]) -> VerificationWorld:
    """Let the number call twice while its caller cancels, and another client wait for the line."""
    world = VerificationWorld(store, VerificationMode.CALL_IN)
    world.post("caller", "first")
    world.cancel("cancellation")
    world.cancel("cancellation again")
    world.call("callback")
    world.call("callback again")
    world.post("another client", "theirs", client=ANOTHER_CLIENT)
    return world
