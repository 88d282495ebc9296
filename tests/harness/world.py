"""One system with one message in it, and the invocations that may meet there."""

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
# Past the deadline of an open submission, and past that of a message waiting in the queue.
PAUSE = DEADLINES.requeue_after_queued + timedelta(minutes=1)
_ROUNDS_AT_MOST = 12


class StuckError(AssertionError):
    """Something is awaited for ever."""


class World:
    """One system with one message in it. `actors` are the invocations to be played against each other."""

    def __init__(self, parts: Parts) -> None:
        self.clock = FixedClock()
        self.store = parts.store(deadlines=DEADLINES)
        self.outbox = InMemoryOutbox()
        self.archive = InMemoryCallbackArchive()
        self.provider = ScriptedProvider()
        self.actors: list[Actor] = []
        self.acknowledged: set[str] = set()
        self.told: list[SubmissionResult[Message, SmsStatus] | type[SwitchboardError] | None] = []
        self.system = assembled(
            messages=stepped(self.store, "messages"),
            outbox=stepped(self.outbox, "outbox"),
            archive=stepped(self.archive, "archive"),
            provider=SteppedProvider(self.provider),
            guard=SteppedGuard(OpenGuard(self.clock)),
            clock=self.clock,
            parts=parts,
        )

    @property
    def row(self) -> StoredOrder[Message] | None:
        return self.store.rows.get(SMSID)

    @property
    def message(self) -> Message | None:
        return self.store.get(SMSID)

    def status(self) -> SmsStatus:
        return self.system.query.one(SMSID, client=CLIENT).status

    def post(self, name: str) -> None:
        """A caller's request, and what the caller is told."""

        def body() -> None:
            try:
                self.told.append(self.system.send(COMMAND))
            except SwitchboardError as error:
                self.told.append(type(error))
            except Crashed:
                self.told.append(None)

        self.actors.append(Actor(name, body))

    def deliver(self, name: str) -> None:
        """A delivery of one queue entry, which comes again unless it is done with."""

        def body() -> None:
            try:
                self.system.send_queued(SMSID)
            except (StoreUnavailableError, Crashed):
                self.outbox.entries.append(SMSID)

        self.actors.append(Actor(name, body))

    def deliver_from_outbox(self, name: str) -> None:
        """A delivery of what somebody puts into the queue."""

        def body() -> None:
            smsid = self.outbox.entries.popleft()
            try:
                self.system.send_queued(smsid)
            except (StoreUnavailableError, Crashed):
                self.outbox.entries.append(smsid)

        self.actors.append(Actor(name, body, ready=lambda: bool(self.outbox.entries)))

    def report(self, status: str) -> None:
        """The provider's callback, once it can have something to report. It does not come again."""

        def body() -> None:
            try:
                self.system.record(a_callback(status, SMSID))
            except (StoreUnavailableError, Crashed):
                return
            self.acknowledged.add(status)

        self.actors.append(Actor(f"report {status}", body, ready=lambda: bool(self.provider.taken)))

    def sweep_twice(self) -> None:
        """The sweep, a pause, and the sweep again."""

        def body() -> None:
            self._sweep_once()
            step("time passes")
            self.clock.advance(PAUSE)
            self._sweep_once()

        self.actors.append(Actor("sweep", body))

    def reconcile(self) -> None:
        """Nothing breaks any more: the queue is worked off and the sweep comes until nothing is awaited."""
        for _ in range(_ROUNDS_AT_MOST):
            while self.outbox.entries:
                self.system.send_queued(self.outbox.entries.popleft())
            row = self.row
            if row is None or (row.due is None and not self.archive.kept):
                return
            if row.due is not None:
                self.clock.sleep_until(row.due)
            self.system.sweep()
        raise StuckError(f"still waiting after {_ROUNDS_AT_MOST} rounds: {row}")

    def _sweep_once(self) -> None:
        try:
            self.system.sweep()
        except (StoreUnavailableError, Crashed):
            return
