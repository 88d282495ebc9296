"""A system with one call and the provider's real client over a broken wire, and the promises about calls."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import cast

from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import (
    OutcomeUnknownError,
    ResourceNotFoundError,
    StoreUnavailableError,
    SubmissionFailedError,
    SwitchboardError,
)
from switchboard.domain.orders import Status
from switchboard.domain.voice_calls import (
    VoiceCall,
    VoiceCallContent,
    VoiceCallState,
    next_due,
    status_of,
    submission_of,
)
from switchboard.providers.baidu_vms.client import BaiduVmsClient
from switchboard.providers.baidu_vms.signer import Credentials
from switchboard.providers.transport import Answer, Connection, parse_endpoint
from switchboard.storage.retrying import (
    CALL_IDS,
    CALL_RESULTS,
    GUARD,
    RAW_CALLBACKS,
    RECONCILIATION,
    SUBMISSION,
    retrying,
)
from switchboard.usecases.operations.reconcile_overdue import ReconcileOverdue
from switchboard.usecases.operations.sweep import SweepOverdue
from switchboard.usecases.submission.attempt import Submission
from switchboard.usecases.submission.submit_once import SubmissionResult, SubmitOnce, derive_id
from switchboard.usecases.voice_call.place import PlaceCall
from switchboard.usecases.voice_call.query import QueryVoiceCalls
from switchboard.usecases.voice_call.record_result import RecordCallResult
from tests.builders import CLIENT, DEADLINES, a_call_command
from tests.fakes import (
    CountingIds,
    FixedClock,
    InMemoryCallbackArchive,
    InMemoryMessageStore,
    InMemoryVoiceCallStore,
    NoLimits,
    OpenGuard,
)
from tests.harness.explorer import ViolationError, demand
from tests.harness.schedules import Schedule
from tests.harness.stepping import CRASHES, Actor, Crashed, Fault, History, SteppedGuard, play, step, stepped

TOKEN = derive_id(client=CLIENT, key="notice-1")
ORIGIN = "http://127.0.0.1:9"
KEY = Credentials(access_key_id="key", secret_access_key="nothing")
PAUSE = DEADLINES.requeue_after_queued + timedelta(minutes=1)
A_DAY = timedelta(hours=24)
REMEMBERED = timedelta(hours=24)
RESULT = CallResult(call_id="c1", result="answered")
_ROUNDS_AT_MOST = 8


class Wire(StrEnum):
    """A fault of one request on its way."""

    LOST_ON_THE_WAY = "lost_on_the_way"
    LOST_BUT_TAKEN = "lost_but_taken"
    FULL = "full"
    BROKEN = "broken"
    BROKEN_BUT_TAKEN = "broken_but_taken"
    REFUSED = "refused"


_AT_AN_EXCHANGE = (*Wire, *CRASHES)
_TAKEN = {Wire.LOST_BUT_TAKEN, Wire.BROKEN_BUT_TAKEN, Fault.CRASH_AFTER}


@dataclass(slots=True)
class Baidu:
    """A provider that honours tokens as the document says (`honours`), or ignores them."""

    honours: bool
    clock: FixedClock
    rings: list[str] = field(default_factory=list)
    sent: list[tuple[str, bytes, datetime]] = field(default_factory=list)
    answered: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def take(self, token: str, now: datetime) -> str:
        """Ring a telephone, unless this token is remembered."""
        call_id, at = self.answered.get(token, ("", now))
        if not (self.honours and call_id and now < at + REMEMBERED):
            call_id = f"c{len(self.rings) + 1}"
            self.rings.append(call_id)
        self.answered[token] = (call_id, now)
        return call_id


class BrokenWire:
    """A Connection to the provider whose exchanges are steps."""

    origin = parse_endpoint(ORIGIN, allow_plain_http=True).origin

    def __init__(self, baidu: Baidu) -> None:
        self._baidu = baidu

    def open(self) -> None:
        """Do nothing."""

    def exchange(self, method: str, target: str, *, body: bytes, **_: object) -> Answer:
        """Send one request, and return its answer if it has one."""
        # A schedule may let hours pass between the decision and the request. A client never does.
        decided_at = self._baidu.clock.now()
        fault = step("baidu.exchange", _AT_AN_EXCHANGE)
        if fault is Fault.CRASH_BEFORE:
            raise Crashed
        token = target.partition("clientToken=")[2]
        self._baidu.sent.append((token, body, decided_at))
        call_id = self._baidu.take(token, decided_at) if fault is None or fault in _TAKEN else ""
        if fault is Fault.CRASH_AFTER:
            raise Crashed
        if fault in {Wire.LOST_ON_THE_WAY, Wire.LOST_BUT_TAKEN}:
            raise OutcomeUnknownError("lost", provider="baidu_vms", operation="place_call")
        if fault is None:
            return _answer(200, {"callId": call_id, "dateCreate": "", "showNum": "1234"})
        code, status = _REFUSALS.get(cast("Wire", fault), ("InternalError", 500))
        return _answer(status, {"code": code, "message": "scripted", "requestId": "r1"})


_REFUSALS = {Wire.FULL: ("QueueFull", 429), Wire.REFUSED: ("IllegalNumber", 400)}


def _answer(status: int, body: dict[str, str]) -> Answer:
    return Answer(status=status, headers={}, body=json.dumps(body).encode(), delimited=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParts:
    """The classes of a system and the behaviour of its provider, of which a mutant replaces one."""

    store: type[InMemoryVoiceCallStore] = InMemoryVoiceCallStore
    record: type[RecordCallResult] = RecordCallResult
    honours: bool = False
    relies: bool = False
    callback_expected: bool = True
    longest: timedelta = timedelta(hours=23)


class CallWorld:
    """A system with one call, and its `actors`, which are played against each other."""

    def __init__(self, parts: CallParts, *, client: BaiduVmsClient | None = None) -> None:
        self.parts = parts
        self.clock = FixedClock()
        self.baidu = Baidu(parts.honours, self.clock)
        self.store = parts.store(deadlines=DEADLINES)
        self.archive = InMemoryCallbackArchive()
        self.answers: list[SubmissionResult[VoiceCall, Status[VoiceCallState]] | type[SwitchboardError] | None] = []
        self.acknowledged = False
        self.actors: list[Actor] = []
        client = client or BaiduVmsClient(
            credentials=lambda: KEY,
            clock=self.clock,
            base_url=ORIGIN,
            connection=cast("Connection", BrokenWire(self.baidu)),
            rely_on_client_token=parts.relies,
            allow_plain_http=True,
        )
        calls = stepped(self.store, "calls")
        orders = retrying(calls, *SUBMISSION)
        results = retrying(calls, *CALL_RESULTS)
        # No two compositions are equal, as if each request met another version of the code.
        versions = itertools.count()

        def compose(recipient: str, content: VoiceCallContent) -> str:
            return client.compose(recipient, content) + " " * next(versions)

        ids = CountingIds()
        submit_once = SubmitOnce(
            orders=orders,
            submission=Submission(
                orders=orders,
                provider=client,
                submission_of=submission_of,
                guard=retrying(SteppedGuard(OpenGuard(self.clock)), *GUARD),
                clock=self.clock,
                wait_budget=timedelta(seconds=2),
                claim_lifetime=timedelta(seconds=20),
                queues=False,
            ),
            limits=NoLimits(),
            clock=self.clock,
            new_id=ids,
            status_of=_status_of,
        )
        self.place = PlaceCall(
            submit_once=submit_once,
            compose=compose,
            clock=self.clock,
            new_id=ids,
            callback_expected=parts.callback_expected,
        )
        archive = stepped(self.archive, "archive")
        self.record = parts.record(calls=results, archive=retrying(archive, *RAW_CALLBACKS), clock=self.clock)
        self.query = QueryVoiceCalls(calls=retrying(self.store, *CALL_IDS), clock=self.clock, status_of=_status_of)
        reconcile = ReconcileOverdue(
            orders=retrying(calls, *RECONCILIATION),
            clock=self.clock,
            status_of=_status_of,
            next_due=lambda call: next_due(call, deadlines=DEADLINES),
            look_again_after=DEADLINES.requeue_after_queued,
        )
        self.sweep = SweepOverdue(
            reports=InMemoryMessageStore(), archive=archive, reconcile=[reconcile], results=results
        )

    def post(self, name: str, *, after: timedelta = timedelta(0)) -> None:
        """Add a caller's request, and note its answer."""

        def body() -> None:
            if after:
                step("time passes")
                self.clock.advance(after)
            try:
                self.answers.append(self.place(a_call_command()))
            except SwitchboardError as error:
                self.answers.append(type(error))
            except Crashed:
                self.answers.append(None)

        self.actors.append(Actor(name, body))

    def callback(self) -> None:
        """Add the provider's callback, after a telephone has rung."""

        def body() -> None:
            try:
                self.record(RESULT)
            except (StoreUnavailableError, Crashed):
                return
            self.acknowledged = True

        self.actors.append(Actor("callback", body, ready=lambda: bool(self.baidu.rings)))

    def sweep_later(self) -> None:
        """Add a sweep after a pause."""

        def body() -> None:
            step("time passes")
            self.clock.advance(PAUSE)
            try:
                self.sweep()
            except (StoreUnavailableError, Crashed):
                return

        self.actors.append(Actor("sweep", body))

    def reconcile(self) -> None:
        """Sweep without faults until nothing is due."""
        for _ in range(_ROUNDS_AT_MOST):
            row = self.store.rows.get(TOKEN)
            if row is None or (row.due is None and not self.archive.kept):
                return
            if row.due is not None:
                self.clock.sleep_until(row.due)
            self.sweep()
        raise ViolationError("I2", "still due")


def _status_of(call: VoiceCall, now: datetime) -> Status[VoiceCallState]:
    return status_of(call, deadlines=DEADLINES, now=now)


def two_callers(parts: CallParts) -> CallWorld:
    """Make the same request twice at once, sweep, and call back."""
    world = CallWorld(parts)
    world.post("caller 1")
    world.post("caller 2")
    world.sweep_later()
    world.callback()
    return world


def one_caller(parts: CallParts) -> CallWorld:
    """Make one request."""
    world = CallWorld(parts)
    world.post("caller")
    return world


def called_back(parts: CallParts) -> CallWorld:
    """Make one request, and call back."""
    world = one_caller(parts)
    world.callback()
    return world


def late_repeat(parts: CallParts) -> CallWorld:
    """Make a request, repeat it after a while, and again after the provider has forgotten the token."""
    world = CallWorld(parts)
    world.post("caller")
    world.post("caller again", after=PAUSE)
    world.post("caller a day later", after=A_DAY - PAUSE)
    return world


def explore_calls(
    scenario: Callable[[CallParts], CallWorld], schedules: Iterable[Schedule], *, faults: int, parts: CallParts
) -> list[CallWorld]:
    """Play every schedule, and check each history against the promises.

    Raises:
        ViolationError: a history breaks a promise.
    """
    worlds = []
    for schedule in schedules:
        world, history = scenario(parts), History()
        try:
            play(world.actors, schedule, history, faults=faults)
            _check(world, history)
        except AssertionError as error:
            error.add_note(str(history))
            raise
        worlds.append(world)
    return worlds


def _check(world: CallWorld, history: History) -> None:
    baidu = world.baidu
    demand(len(baidu.rings) <= 1, "I1", f"it rang {len(baidu.rings)} times")
    demand(len({(token, body) for token, body, _ in baidu.sent}) <= 1, "I15", "the same token with other bytes")
    times = [at for _, _, at in baidu.sent]
    demand(not times or max(times) - min(times) < world.parts.longest, "I15", "the token was used too late")
    row = world.store.rows.get(TOKEN)
    if row is None or row.order is None:
        demand(not baidu.sent, "I2", "submitted without a stored claim")
        return
    view = world.query.one(TOKEN, client=CLIENT)
    if baidu.rings:
        demand(
            view.status.state not in {VoiceCallState.FAILED, VoiceCallState.REJECTED},
            "I3",
            "it rang, and its status denies it",
        )
    if world.answers and all(answer is SubmissionFailedError for answer in world.answers):
        demand(not baidu.rings, "I3", "every answer denies a call that rang")
    for answer in world.answers:
        if isinstance(answer, SubmissionResult) and answer.order.call_id is not None:
            demand(baidu.rings == [answer.order.call_id], "I3", "it is called accepted, and was not")
    demand(view.status.final or row.due is not None, "I2", "it has no due time")
    world.reconcile()
    after = world.query.one(TOKEN, client=CLIENT)
    demand(after.status.final, "I2", f"stuck as {after.status}")
    demand(row.order.content is None, "I2", "its text outlasts its decision")
    if after.order.call_id is not None:
        try:
            by_call_id = world.query.one(after.order.call_id, client=CLIENT)
        except ResourceNotFoundError:
            raise ViolationError("I7", "not found by the provider's id") from None
        demand(by_call_id.order.token == TOKEN, "I7", "not found by the provider's id")
        if world.acknowledged:
            results = [report.result for report in by_call_id.order.reports]
            demand(results == [RESULT.result], "I5", f"acknowledged, and {results} are shown")
    alone = len({actor for actor, _, _ in history}) == 1
    if alone and not any(fault for _, _, fault in history):
        demand(len(baidu.rings) == 1, "I2", "nothing went wrong, and it did not ring")
