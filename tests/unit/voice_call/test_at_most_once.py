"""A telephone rings at most once for one request, and exactly once if the token is honoured and relied on.

(I1, I2, I3, I5, I7, I15)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import chain

import pytest

from sandbox.simulators import baidu_vms
from switchboard.domain import voice_calls
from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.orders import Claim, Outcome, OutcomeKind
from switchboard.domain.voice_calls import VoiceCall
from switchboard.providers.baidu_vms.client import BaiduVmsClient
from switchboard.providers.baidu_vms.signer import Credentials
from switchboard.providers.transport import Connection
from switchboard.usecases.voice_call.record_result import RecordCallResult, ResultOutcome
from tests.builders import a_call_command
from tests.depth import at_depth
from tests.fakes import START, FixedClock, InMemoryVoiceCallStore, StoredOrder
from tests.fault_proxy import Ending, Fault, FaultProxy
from tests.harness.explorer import ViolationError
from tests.harness.schedules import RandomSchedule, every_schedule, random_schedules
from tests.harness.voice_calls import (
    CallParts,
    CallWorld,
    called_back,
    explore_calls,
    late_repeat,
    one_caller,
    two_callers,
)

pytestmark = pytest.mark.interleaved

IGNORED = CallParts(honours=False, relies=False)
RELIED_ON = CallParts(honours=True, relies=True)
SENT_ONLY = CallParts(honours=True, relies=False, callback_expected=False)
EVERY = pytest.mark.parametrize("parts", [IGNORED, RELIED_ON, SENT_ONLY], ids=["ignored", "relied on", "sent only"])
Scenario = Callable[[CallParts], CallWorld]


@EVERY
@pytest.mark.parametrize(
    ("scenario", "deviations", "faults", "at_least"),
    [
        (one_caller, None, 2, 130),
        (two_callers, at_depth(usual=1, proof=2), 2, at_depth(usual=50, proof=1_000)),
        (late_repeat, at_depth(usual=1, proof=3), 2, at_depth(usual=40, proof=3_000)),
    ],
    ids=["one caller", "two callers", "late repeat"],
)
def test_no_history_within_the_bounds_breaks_a_promise(
    parts: CallParts, scenario: Scenario, deviations: int | None, faults: int, at_least: int
) -> None:
    schedules = every_schedule(deviations=deviations)
    assert len(explore_calls(scenario, schedules, faults=faults, parts=parts)) >= at_least


@EVERY
@pytest.mark.parametrize("scenario", [two_callers, late_repeat])
def test_no_random_history_breaks_a_promise(parts: CallParts, scenario: Scenario) -> None:
    explore_calls(scenario, random_schedules(seed=1, count=at_depth(usual=300, proof=1_000)), faults=4, parts=parts)


class ClaimsUnconditionally(InMemoryVoiceCallStore):
    """A store that grants every claim."""

    def _may_claim(self, row: StoredOrder[VoiceCall], order: VoiceCall, claim: Claim) -> bool:
        return True


class UnknownIsUnsent(InMemoryVoiceCallStore):
    """A store that records a submission without a readable answer as not sent."""

    def record_outcome(self, order: VoiceCall, claim: Claim, outcome: Outcome, *, queue: bool = False) -> VoiceCall:
        kind = OutcomeKind.NOT_SENT if outcome.kind is OutcomeKind.UNKNOWN else outcome.kind
        return super().record_outcome(order, claim, Outcome(kind, outcome.at, facts=outcome.facts), queue=queue)


class ForgetsTheBytes(InMemoryVoiceCallStore):
    """A store that forgets the composed body, so that another attempt composes it anew."""

    keeps_unsent_content = False


class ForgetsTheId(InMemoryVoiceCallStore):
    """A store that finds no call by the provider's id."""

    def token_of(self, call_id: str) -> str | None:
        return None


class AcknowledgesWhatItLost(RecordCallResult):
    """A webhook that answers 200 although nothing was recorded or spooled."""

    def __call__(self, result: CallResult) -> ResultOutcome:
        try:
            self._calls.record_result(result, seen_at=self._clock.now())
        except StoreUnavailableError:
            return ResultOutcome.SPOOLED
        return ResultOutcome.RECORDED


@pytest.mark.parametrize(
    ("parts", "promise"),
    [
        (CallParts(honours=False, relies=True), "I1"),
        (CallParts(store=ClaimsUnconditionally), "I1"),
        (CallParts(store=UnknownIsUnsent), "I1"),
        (CallParts(store=ForgetsTheBytes), "I15"),
        (CallParts(store=ForgetsTheId), "I7"),
        (CallParts(record=AcknowledgesWhatItLost), "I5"),
    ],
    ids=[
        "relies on what is ignored",
        "claims at will",
        "unknown is unsent",
        "forgets the bytes",
        "forgets the id",
        "acknowledges what it lost",
    ],
)
def test_the_explorer_catches_the_mutant(parts: CallParts, promise: str) -> None:
    broken = set()
    every = ((called_back, schedule) for schedule in every_schedule(deviations=2))
    by_chance = (
        (scenario, RandomSchedule(number, fault_rate=0.2))
        for number in range(3_000)
        for scenario in (called_back, late_repeat, two_callers)
    )
    for scenario, schedule in chain(every, by_chance):
        try:
            explore_calls(scenario, [schedule], faults=2, parts=parts)
        except ViolationError as violation:
            broken.add(violation.promise)
        if promise in broken:
            return
    pytest.fail(f"only {broken} were seen to break")


def test_a_token_used_beyond_its_lifetime_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(now: datetime) -> datetime:
        return now + timedelta(hours=25)

    assert timedelta(hours=23) == voice_calls.TOKEN_USABLE_FOR
    monkeypatch.setattr("switchboard.usecases.voice_call.place.submit_before", too_late)
    with pytest.raises(ViolationError, match="too late"):
        explore_calls(late_repeat, every_schedule(deviations=2), faults=2, parts=SENT_ONLY)


def test_an_honoured_token_over_a_broken_wire_rings_once() -> None:
    """The client repeats only what the wire loses: a crash and a refusal end its repetitions."""
    worlds = explore_calls(one_caller, _only_wire_faults(), faults=3, parts=RELIED_ON)
    assert max(len(world.baidu.sent) for world in worlds) == 4
    assert {len(world.baidu.rings) for world in worlds} == {1}


class _OnlyWireFaults:
    """A schedule that breaks only exchanges, in the ways after which the client repeats its request."""

    def __init__(self, plan: tuple[int, ...]) -> None:
        self._plan = iter(plan)

    def pick(self, count: int) -> int:
        return 0

    def rarely(self, count: int) -> int:
        # Only exchanges can break in eight ways: the first six are the wire's.
        return next(self._plan, 0) if count == 1 + 6 + 2 else 0


def _only_wire_faults() -> Iterator[_OnlyWireFaults]:
    for first in range(6):
        for second in range(6):
            for third in range(6):
                yield _OnlyWireFaults((first, second, third))


class OneFault(FaultProxy):
    """A proxy that breaks one connection and lets the later ones through."""

    def __init__(self, upstream_port: int) -> None:
        super().__init__(upstream_port)
        self.next_fault: Fault | None = None

    def _relay(self, client: object, upstream: object, fault: Fault) -> None:
        next_fault, self.next_fault = self.next_fault or Fault(), None
        super()._relay(client, upstream, next_fault)  # type: ignore[arg-type]  # two sockets, passed on unchanged


KEYS = baidu_vms.SimulatorConfig(access_key="key", secret_key="nothing")
CREDENTIALS = Credentials(access_key_id="key", secret_access_key="nothing")


REQUEST_BYTES, ANSWER_BYTES = 900, 500
"""More bytes than either has."""


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("relied_on", [False, True], ids=["ignored", "relied on"])
def test_a_connection_cut_at_any_byte_rings_at_most_once(relied_on: bool, ending: Ending) -> None:
    with ExitStack() as stack:
        simulator = stack.enter_context(
            baidu_vms.BaiduVmsSimulator(KEYS, clock=START.timestamp, callbacks_by_hand=True)
        )
        simulator.provider.configure({"tokens": "honoured" if relied_on else "ignored"})
        proxy = stack.enter_context(OneFault(int(simulator.url.rpartition(":")[2])))
        proxy.fault = Fault(ending=ending)
        states = []
        cuts = [Fault(request_bytes=passed) for passed in range(0, REQUEST_BYTES, CUT_EVERY)]
        cuts += [Fault(response_bytes=passed) for passed in range(0, ANSWER_BYTES, CUT_EVERY)]
        for number, cut in enumerate(cuts):
            before = len(simulator.calls)
            proxy.next_fault = cut
            state = _place_through(proxy, relies=relied_on, key=f"notice-{number}")
            rings = len(simulator.calls) - before
            assert rings <= 1, cut
            assert state == "unknown" or (state, rings) == ("accepted", 1), cut
            assert state == "accepted" or not relied_on, cut
            states.append(state)
        assert states[-1] == "accepted"
        assert relied_on or states.count("unknown") > len(states) // 3


CUT_EVERY = at_depth(usual=25, proof=5)


def _place_through(proxy: FaultProxy, *, relies: bool, key: str) -> str:
    connection = Connection(origin=proxy.origin, provider="baidu_vms", allow_plain_http=True)
    client = BaiduVmsClient(
        credentials=lambda: CREDENTIALS,
        clock=FixedClock(),
        base_url=proxy.origin,
        connection=connection,
        rely_on_client_token=relies,
        allow_plain_http=True,
    )
    world = CallWorld(CallParts(relies=relies), client=client)
    try:
        placed = world.place(a_call_command(idempotency_key=key))
    finally:
        client.close()
    return placed.status.state.value
