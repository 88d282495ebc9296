"""A system with one number that gets codes by SMS and may be called instead, and the invocations that meet there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from switchboard.domain.errors import StoreUnavailableError, SwitchboardError
from switchboard.domain.orders import Claim
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.one_time_codes import derive_code
from switchboard.domain.verification.verifications import (
    RESEND_AFTER,
    Fallback,
    Verification,
    channel_id,
)
from switchboard.ports.orders import ClaimAnswer
from switchboard.ports.verifications import FallbackQueue
from tests.builders import CLIENT, CODE_KEY, DEADLINES, GRACE, LINE, MINUTE, a_callback, a_start
from tests.fakes import (
    FixedClock,
    InMemoryCallbackArchive,
    InMemoryChannelStore,
    InMemoryVerificationStore,
    OpenGuard,
    ScriptedProvider,
)
from tests.harness.stepping import Actor, Crashed, SteppedGuard, SteppedProvider, step, stepped
from tests.harness.verification_world import FIRST
from tests.harness.world import StuckError
from tests.verification_systems import assembled_for_verification

CALL = channel_id(FIRST)
READ_OUT = "27182818"
AFTER = timedelta(seconds=60)
_LENGTH = 6
_ROUNDS_AT_MOST = 20


def code_of(generation: int) -> str:
    """Return the code in the SMS of this generation."""
    return derive_code(CODE_KEY, verification_id=FIRST, generation=generation, length=_LENGTH)


class WatchedChannels(InMemoryChannelStore):
    """Channels that note which calls were claimed although the verification was over."""

    def __init__(self, verifications: InMemoryVerificationStore) -> None:
        super().__init__(verifications, deadlines=DEADLINES)
        self.claimed_too_late: list[Claim] = []

    def claim_fallback(self, verification: Verification, channel: Verification) -> ClaimAnswer[Verification]:
        before, row = self.get(channel.id), self._verifications.get(verification.id)
        answer = super().claim_fallback(verification, channel)
        after = self.get(channel.id)
        is_new = after is not None and (before is None or len(after.claims) > len(before.claims))
        if is_new and row is not None and (row.verified_at is not None or row.canceled_at is not None):
            self.claimed_too_late.append(channel.claims[-1])
        return answer


class DelayedQueue(FallbackQueue):
    """A queue that hides each entry until its delay is over, as SQS does."""

    def __init__(self, clock: FixedClock) -> None:
        self._clock = clock
        self._entries: list[tuple[datetime, str]] = []

    def put_fallback(self, order_id: str, *, delay_s: int = 0) -> None:
        self._entries.append((self._clock.now() + timedelta(seconds=delay_s), order_id))

    def has_due(self) -> bool:
        """Tell whether an entry can be received."""
        return any(due <= self._clock.now() for due, _ in self._entries)

    def receive(self) -> str:
        """Take the entry that is due the longest."""
        entry = min(self._entries)
        self._entries.remove(entry)
        return entry[1]


@dataclass(frozen=True, slots=True)
class Verified:
    """One caller that learnt that its code is right. `code` says whose."""

    code: str


class CodeWorld:
    """A system and its `actors`, which are played against each other."""

    def __init__(
        self,
        store: type[InMemoryVerificationStore],
        channels: type[WatchedChannels] = WatchedChannels,
    ) -> None:
        self.clock = FixedClock()
        self.store = store(grace=GRACE, deadlines=DEADLINES)
        self.channels = channels(self.store)
        self.store.channels = self.channels
        self.queue = DelayedQueue(self.clock)
        self.archive = InMemoryCallbackArchive()
        self.provider = ScriptedProvider()
        self.actors: list[Actor] = []
        self.verified: list[Verified] = []
        self.cancellations = 0
        stepped_store = stepped(self.store, "verifications")
        self.system = assembled_for_verification(
            store=stepped_store,
            calls=stepped_store,
            codes=stepped_store,
            reports=stepped_store,
            channels=stepped(self.channels, "channels"),
            fallbacks=stepped(self.queue, "queue"),
            archive=stepped(self.archive, "archive"),
            provider=SteppedProvider(self.provider),
            guard=SteppedGuard(OpenGuard(self.clock)),
            clock=self.clock,
        )

    def submissions(self, order_id: str) -> int:
        """Return how often the provider may have been asked to send this order."""
        return sum(submission.smsid == order_id for submission in self.provider.decided)

    def taken(self, order_id: str) -> bool:
        """Tell whether the provider has the order."""
        return any(submission.smsid == order_id for submission in self.provider.taken)

    def start(self) -> None:
        """Add the request that starts the verification."""
        command = a_start(
            key="first",
            mode=VerificationMode.SMS_CODE,
            candidates=(LINE,),
            content=SmsContent(text="code {code}"),
            code_length=_LENGTH,
            fallback=Fallback(after=AFTER, repeat_calls=1),
        )
        self._add("start", lambda: self.system.start(command))

    def report(self, name: str, status: str = "18") -> None:
        """Add a report of the first SMS."""
        self._add(name, lambda: self.system.report(a_callback(status, FIRST)), after=FIRST)

    def read_out(self) -> None:
        """Add the report of the code that the call read out."""
        self._add("read out", lambda: self.system.report(a_callback("1", CALL, authcode=READ_OUT)), after=CALL)

    def work(self, name: str) -> None:
        """Add a worker of the queue, which handles one entry. An entry that fails is delivered again."""

        def body() -> None:
            order_id = self.queue.receive()
            try:
                self.system.fall_back(order_id)
            except (SwitchboardError, Crashed):
                self.queue.put_fallback(order_id)

        self.actors.append(Actor(name, body, ready=self.queue.has_due))

    def check(self, name: str, code: str, *, after: str = FIRST) -> None:
        """Add the check of a code, once the channel that brings it is sent."""

        def body() -> None:
            result = self.system.check(FIRST, code, client=CLIENT)
            self.verified += [] if result.replayed else [Verified(code)]

        self._add(name, body, after=after)

    def resend(self, name: str) -> None:
        """Add a resend, half a minute after the SMS before."""

        def body() -> None:
            self.clock.advance(RESEND_AFTER)
            self.system.resend(FIRST, client=CLIENT)

        self._add(name, body, after=FIRST)

    def cancel(self, *, after: str = FIRST) -> None:
        """Add the cancellation, once this channel is sent."""

        def body() -> None:
            self.system.cancel(FIRST, client=CLIENT)
            self.cancellations += 1

        self._add("cancellation", body, after=after)

    def let_time_pass(self) -> None:
        """Add the time of the fallback, and a sweep after it."""

        def body() -> None:
            step("time passes")
            self.clock.advance(AFTER + MINUTE)
            self.system.sweep()

        self._add("time", body, after=FIRST)

    def reconcile(self) -> None:
        """Work the queue off and sweep, without faults, until nothing is due."""
        for _ in range(_ROUNDS_AT_MOST):
            self._work_off()
            rows = [*self.store.rows.values(), *self.channels.rows.values()]
            due = [row.due for row in rows if row.due is not None]
            if not due and not self.archive.kept:
                return
            if due:
                self.clock.sleep_until(min(due))
            self.system.sweep()
        raise StuckError(f"still due after {_ROUNDS_AT_MOST} rounds")

    def _work_off(self) -> None:
        while self.queue.has_due():
            self.system.fall_back(self.queue.receive())

    def _add(self, name: str, act: Callable[[], object], *, after: str | None = None) -> None:
        def body() -> None:
            try:
                act()
            except (StoreUnavailableError, SwitchboardError, Crashed):
                return

        self.actors.append(Actor(name, body, ready=lambda: after is None or self.taken(after)))


def falls_back(store: type[InMemoryVerificationStore], channels: type[WatchedChannels] = WatchedChannels) -> CodeWorld:
    """Send a code that does not arrive, and check it or cancel while the number is called instead."""
    world = CodeWorld(store, channels)
    world.start()
    world.report("report")
    world.let_time_pass()
    world.work("worker")
    world.work("another worker")
    world.check("owner", code_of(1))
    world.read_out()
    world.check("listener", READ_OUT, after=CALL)
    world.cancel()
    return world


def rings(store: type[InMemoryVerificationStore], channels: type[WatchedChannels] = WatchedChannels) -> CodeWorld:
    """Call twice at the same time, and check the codes of the SMS and of the call while the caller cancels."""
    world = CodeWorld(store, channels)
    world.start()
    world.report("report")
    world.let_time_pass()
    world.work("worker")
    world.work("another worker")
    world.read_out()
    world.check("owner", code_of(1), after=CALL)
    world.check("another owner", code_of(1), after=CALL)
    world.check("listener", READ_OUT, after=CALL)
    world.cancel(after=CALL)
    return world


def resends(store: type[InMemoryVerificationStore], channels: type[WatchedChannels] = WatchedChannels) -> CodeWorld:
    """Send a code twice more at the same time, and check every code, while the first SMS is reported and called for."""
    world = CodeWorld(store, channels)
    world.start()
    world.resend("resend")
    world.resend("another resend")
    world.report("report")
    world.work("worker")
    for generation in (1, 2, 3):
        world.check(f"owner of code {generation}", code_of(generation))
    world.let_time_pass()
    return world
