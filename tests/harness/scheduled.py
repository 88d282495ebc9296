"""A world with one scheduled message, which is canceled and suppressed while it is delivered and swept. (I36)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from switchboard.domain.errors import AlreadySubmittedError, StoreError, StoreUnavailableError
from switchboard.domain.orders import Claim
from switchboard.domain.sms.messages import Message, SmsState, SmsSubmission
from switchboard.ports.orders import ClaimAnswer
from switchboard.ports.providers import Receipt
from switchboard.usecases.sms.send_queued import QueuedOutcome, SendQueuedSms
from switchboard.usecases.submission.attempt import Submission
from tests.builders import CLIENT, RECIPIENT, a_command
from tests.fakes import START, Ending, FixedClock, InMemoryMessageStore, ScriptedProvider, StoredOrder
from tests.harness.explorer import demand
from tests.harness.stepping import Actor, Crashed, History, step
from tests.harness.world import SMSID, World
from tests.systems import Parts

SEND_AT = START.replace(microsecond=0) + timedelta(minutes=10)


class TimedProvider(ScriptedProvider):
    """A provider that notes when each submission reached it."""

    def __init__(self, clock: FixedClock) -> None:
        super().__init__()
        self._clock = clock
        self.times: list[datetime] = []

    def end(self, submission: SmsSubmission, ending: Ending) -> Receipt:
        if ending is not Ending.NOT_SENT:
            self.times.append(self._clock.now())
        return super().end(submission, ending)


class ScheduledWorld(World):
    """A system with one scheduled message.

    `allowed` is how many submissions there may be once a cancellation or a suppression has been answered: those
    until then, and one more if a claim was open.
    """

    provider: TimedProvider

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.allowed: int | None = None
        self.system.send(a_command(send_at=SEND_AT))

    def _build_provider(self) -> TimedProvider:
        return TimedProvider(self.clock)

    def pass_time(self) -> None:
        """Add the moment at which the message is due."""

        def body() -> None:
            step("time passes")
            self.clock.sleep_until(SEND_AT)

        self.actors.append(Actor("clock", body))

    def deliver_when_due(self, name: str) -> None:
        """Add a delivery of the message's queue entry once its time has come."""
        self.deliver(name)
        self.actors.append(replace(self.actors.pop(), ready=lambda: self.clock.now() >= SEND_AT))

    def cancel(self) -> None:
        """Add a cancellation by the caller."""

        def body() -> None:
            try:
                self.system.cancel(SMSID, client=CLIENT)
            except (AlreadySubmittedError, StoreUnavailableError, Crashed):
                return
            self._allow(0)

        self.actors.append(Actor("cancellation", body))

    def suppress(self) -> None:
        """Add the suppression of the number."""

        def body() -> None:
            step("suppression")
            self.store.suppressed.add(RECIPIENT)
            message = self.message
            self._allow(1 if message is not None and message.submission_open else 0)

        self.actors.append(Actor("suppression", body))

    def reconcile(self) -> None:
        self.clock.sleep_until(SEND_AT)
        super().reconcile()

    def _allow(self, more: int) -> None:
        allowed = len(self.provider.submissions) + more
        self.allowed = allowed if self.allowed is None else min(self.allowed, allowed)


def races(parts: Parts) -> ScheduledWorld:
    """Deliver the entry early and twice in time, let the time come, cancel, suppress, and sweep."""
    world = ScheduledWorld(parts)
    world.deliver("early delivery")
    world.deliver_when_due("delivery 1")
    world.deliver_when_due("delivery 2")
    world.pass_time()
    world.cancel()
    world.suppress()
    world.sweep_twice()
    return world


def cancellation(parts: Parts) -> ScheduledWorld:
    """Deliver the entry twice, let the time come, and cancel."""
    world = ScheduledWorld(parts)
    world.deliver_when_due("delivery 1")
    world.deliver_when_due("delivery 2")
    world.pass_time()
    world.cancel()
    return world


def suppression(parts: Parts) -> ScheduledWorld:
    """Deliver the entry twice, let the time come, and suppress the number."""
    world = ScheduledWorld(parts)
    world.deliver_when_due("delivery 1")
    world.deliver_when_due("delivery 2")
    world.pass_time()
    world.suppress()
    return world


def schedule(parts: Parts) -> ScheduledWorld:
    """Deliver the entry early and twice in time, let the time come, and sweep."""
    world = ScheduledWorld(parts)
    world.deliver("early delivery")
    world.deliver_when_due("delivery 1")
    world.deliver_when_due("delivery 2")
    world.pass_time()
    world.sweep_twice()
    return world


def check_schedule(world: ScheduledWorld, history: History) -> None:
    """Check that nothing left early, or after it was canceled or suppressed, and that everything else left."""
    _check_submissions(world)
    world.reconcile()
    _check_submissions(world)
    status = world.status()
    demand(status.final or status.state in {SmsState.UNKNOWN, SmsState.ACCEPTED}, "I2", f"stuck as {status}")
    demand(len(world.provider.decided) <= 1, "I1", f"{len(world.provider.decided)} submissions")
    message = world.message
    unhindered = world.allowed is None and message is not None and message.canceled_at is None
    demand(not unhindered or bool(world.provider.decided) or status.state is SmsState.UNKNOWN, "I2", "it never left")


def _check_submissions(world: ScheduledWorld) -> None:
    early = [at for at in world.provider.times if at < SEND_AT]
    demand(not early, "I36", f"submitted early, at {early}")
    count = len(world.provider.submissions)
    demand(world.allowed is None or count <= world.allowed, "I36", f"{count} submissions, {world.allowed} allowed")


class ClaimsEarly(InMemoryMessageStore):
    """A store that grants claims before the time of the message."""

    def _may_claim(self, row: StoredOrder[Message], message: Message, claim: Claim) -> bool:
        return self._is_unsent(row, message, at=claim.at)


class ClaimsWhatIsCanceled(InMemoryMessageStore):
    """A store that grants claims on canceled messages, whose content is still there."""

    def record_canceled(self, smsid: str, *, at: datetime) -> ClaimAnswer[Message]:
        order = self.rows[smsid].order
        answer = super().record_canceled(smsid, at=at)
        row = self.rows[smsid]
        if answer.granted and row.order is not None:
            row.order = replace(row.order, closed_at=None, content=order.content if order else None)
        return answer


class CancelsUnchecked(InMemoryMessageStore):
    """A store that cancels messages whatever became of them."""

    def record_canceled(self, smsid: str, *, at: datetime) -> ClaimAnswer[Message]:
        row = self.rows[smsid]
        if row.order is not None:
            row.order = replace(row.order, canceled_at=at, closed_at=at, content=None)
        row.due = None
        return ClaimAnswer(granted=True, order=row.order)


class RemembersSuppressions(InMemoryMessageStore):
    """A store that reads whether a number is suppressed only once."""

    def is_suppressed(self, recipient: str) -> bool:
        self.known: dict[str, bool] = getattr(self, "known", {})
        return self.known.setdefault(recipient, super().is_suppressed(recipient))


class _Unread:
    """Orders whose suppressions are not read, or count only if the read succeeds."""

    def __init__(self, orders: object, *, reads: bool) -> None:
        self._orders = orders
        self._reads = reads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._orders, name)

    def is_suppressed(self, recipient: str) -> bool:
        if not self._reads:
            return False
        read: Callable[[str], bool] = getattr(self._orders, "is_suppressed")  # noqa: B009 - the wrapped store is an object
        try:
            return read(recipient)
        except StoreError:
            return False


class SendsIfTheReadFails(Submission[Message, SmsSubmission, SmsSubmission]):
    """A submission that takes a number for contactable if the store does not answer."""

    def __init__(self, **ports: Any) -> None:
        super().__init__(**{**ports, "orders": _Unread(ports["orders"], reads=True)})


class NeverReads(Submission[Message, SmsSubmission, SmsSubmission]):
    """A submission that reads no suppression."""

    def __init__(self, **ports: Any) -> None:
        super().__init__(**{**ports, "orders": _Unread(ports["orders"], reads=False)})


class ReadsBeforeTheClaim(SendQueuedSms):
    """A queue that reads the suppression before it claims."""

    def __call__(self, smsid: str) -> QueuedOutcome:
        return QueuedOutcome.SUPPRESSED if self._messages.is_suppressed(RECIPIENT) else super().__call__(smsid)


MUTANTS = {
    "claims early": Parts(store=ClaimsEarly),
    "claims what is canceled": Parts(store=ClaimsWhatIsCanceled),
    "cancels unchecked": Parts(store=CancelsUnchecked),
    "remembers suppressions": Parts(store=RemembersSuppressions),
    "never reads": Parts(submission=NeverReads),
    "reads before the claim": Parts(submission=NeverReads, send_queued=ReadsBeforeTheClaim),
}
