"""A system with one message, and the invocations that may meet there."""

from __future__ import annotations

from datetime import timedelta

from switchboard.domain.errors import StoreUnavailableError, SwitchboardError
from switchboard.domain.sms.messages import Message, SmsStatus
from switchboard.usecases.submission.submit_once import SubmissionResult, derive_id
from tests.builders import CLIENT, DEADLINES, a_callback, a_command
from tests.fakes import FixedClock, InMemoryCallbackArchive, InMemoryOutbox, OpenGuard, ScriptedProvider, StoredOrder
from tests.harness.stepping import Actor, Crashed, SteppedGuard, SteppedProvider, step, stepped
from tests.systems import Parts, assembled

COMMAND = a_command()
SMSID = derive_id(client=CLIENT, key="order-1")
# After the deadline of an open submission and of a queued message.
PAUSE = DEADLINES.requeue_after_queued + timedelta(minutes=1)
_ROUNDS_AT_MOST = 12


class StuckError(AssertionError):
    """An item stays due for ever."""


class World:
    """A system with one message, and its `actors`, which are played against each other."""

    def __init__(self, parts: Parts) -> None:
        self.clock = FixedClock()
        self.store = parts.store(deadlines=DEADLINES)
        self.outbox = InMemoryOutbox()
        self.archive = InMemoryCallbackArchive()
        self.provider = self._build_provider()
        self.actors: list[Actor] = []
        self.acknowledged: set[str] = set()
        self.answers: list[SubmissionResult[Message, SmsStatus] | type[SwitchboardError] | None] = []
        self.system = assembled(
            messages=stepped(self.store, "messages"),
            outbox=stepped(self.outbox, "outbox"),
            archive=stepped(self.archive, "archive"),
            provider=SteppedProvider(self.provider),
            guard=SteppedGuard(OpenGuard(self.clock)),
            clock=self.clock,
            parts=parts,
        )

    def _build_provider(self) -> ScriptedProvider:
        return ScriptedProvider()

    @property
    def row(self) -> StoredOrder[Message] | None:
        return self.store.rows.get(SMSID)

    @property
    def message(self) -> Message | None:
        return self.store.get(SMSID)

    def status(self) -> SmsStatus:
        return self.system.query.one(SMSID, client=CLIENT).status

    def post(self, name: str) -> None:
        """Add a caller's request, and note its answer."""

        def body() -> None:
            try:
                self.answers.append(self.system.send(COMMAND))
            except SwitchboardError as error:
                self.answers.append(type(error))
            except Crashed:
                self.answers.append(None)

        self.actors.append(Actor(name, body))

    def deliver(self, name: str) -> None:
        """Add a delivery of the message's queue entry, which is delivered again unless it succeeds."""

        def body() -> None:
            try:
                self.system.send_queued(SMSID)
            except (StoreUnavailableError, Crashed):
                self.outbox.entries.append(SMSID)

        self.actors.append(Actor(name, body))

    def deliver_from_outbox(self, name: str) -> None:
        """Add a delivery of the next entry that an invocation puts into the queue."""

        def body() -> None:
            smsid = self.outbox.entries.popleft()
            try:
                self.system.send_queued(smsid)
            except (StoreUnavailableError, Crashed):
                self.outbox.entries.append(smsid)

        self.actors.append(Actor(name, body, ready=lambda: bool(self.outbox.entries)))

    def report(self, status: str) -> None:
        """Add the provider's callback, after the provider has the message. It is not repeated."""

        def body() -> None:
            try:
                self.system.record(a_callback(status, SMSID))
            except (StoreUnavailableError, Crashed):
                return
            self.acknowledged.add(status)

        self.actors.append(Actor(f"report {status}", body, ready=lambda: bool(self.provider.taken)))

    def sweep_twice(self) -> None:
        """Add a sweep, a pause, and another sweep."""

        def body() -> None:
            self._sweep_once()
            step("time passes")
            self.clock.advance(PAUSE)
            self._sweep_once()

        self.actors.append(Actor("sweep", body))

    def reconcile(self) -> None:
        """Empty the queue and sweep without faults until nothing is due."""
        for _ in range(_ROUNDS_AT_MOST):
            while self.outbox.entries:
                self.system.send_queued(self.outbox.entries.popleft())
            row = self.row
            if row is None or (row.due is None and not self.archive.kept):
                return
            if row.due is not None:
                self.clock.sleep_until(row.due)
            self.system.sweep()
        raise StuckError(f"still due after {_ROUNDS_AT_MOST} rounds: {row}")

    def _sweep_once(self) -> None:
        try:
            self.system.sweep()
        except (StoreUnavailableError, Crashed):
            return
