"""The check of a code and the cancellation: one winner, nothing after the deadline, no guessing. (I8, I31)"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from switchboard.domain.errors import (
    AlreadyVerifiedError,
    CodeNotReadyError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    ResourceNotFoundError,
    StoreUnavailableError,
    SwitchboardError,
    TooManyAttemptsError,
    VerificationCanceledError,
    VerificationExpiredError,
    WrongCodeError,
    WrongCodeLimitError,
)
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.verifications import MAX_ATTEMPTS, Verification, VerificationState
from switchboard.ports.verifications import IvrCallMatch
from switchboard.usecases.verification.check import CheckResult
from tests.builders import (
    CLIENT,
    GRACE,
    HOLDING_MINUTES,
    LINE,
    MINUTE,
    OTHER_RECIPIENT,
    RECIPIENT,
    a_code_hash,
    a_start,
    a_verification,
    an_ivr_call,
    an_outcome,
)
from tests.fakes import START, Answer, FixedClock, InMemoryCounterStore, InMemoryVerificationStore, flaky
from tests.verification_systems import WRONG_CODES_PER_HOUR, VerificationSystem, assembled_for_verification

CODE, WRONG = "314159", "271828"
CALL_OUT = VerificationMode.CALL_OUT
DEADLINE = START + HOLDING_MINUTES * MINUTE
HOUR = timedelta(hours=1)
US, SECOND = timedelta(microseconds=1), timedelta(seconds=1)
S = VerificationState


@dataclass(slots=True)
class Bench:
    """A system with a virtual clock, and what its stores hold."""

    clock: FixedClock = field(default_factory=FixedClock)
    store: InMemoryVerificationStore = field(default_factory=lambda: InMemoryVerificationStore(grace=GRACE))
    counters: InMemoryCounterStore = field(default_factory=InMemoryCounterStore)

    def build(self, store: Any = None, counters: Any = None) -> VerificationSystem:
        return assembled_for_verification(
            store=store or self.store, counters=counters or self.counters, clock=self.clock
        )

    def call_out(self, verification_id: str = "v1", **facts: Any) -> Verification:
        """Store an accepted call whose code has been reported."""
        code = a_code_hash(CODE, verification_id)
        verification = a_verification(
            verification_id, **{"mode": CALL_OUT, "repeat_calls": 1, "codes": (code,), **facts}
        )
        self.store.create(verification)
        return verification

    def counted(self) -> int:
        """Return the wrong codes that are counted for all numbers."""
        return sum(count for counters in self.counters.counters.values() for count in counters.values())


@pytest.fixture
def bench() -> Bench:
    return Bench()


def end_of(system: VerificationSystem, code: str, *, key: str | None = None, name: str = "v1") -> object:
    """Check a code; return whether the answer was replayed, or the class of the error."""
    try:
        return system.check(name, code, client=CLIENT, key=key).replayed
    except SwitchboardError as error:
        return type(error)


def test_the_right_code_verifies_one_caller_only(bench: Bench) -> None:
    bench.call_out()
    system = bench.build()
    verified = system.check("v1", CODE, client=CLIENT)
    assert (verified.replayed, verified.verification.verified_at) == (False, START)
    assert verified.verification.attempts_left == MAX_ATTEMPTS
    bench.clock.advance(MINUTE)
    assert [end_of(system, code) for code in (CODE, WRONG, CODE)] == [AlreadyVerifiedError] * 3
    assert bench.store.get("v1") == verified.verification
    assert bench.counted() == 0


@pytest.mark.parametrize(
    ("key", "code", "after", "end"),
    [
        ("winner", CODE, timedelta(0), True),
        ("winner", CODE, 10 * MINUTE - US, True),
        ("winner", CODE, 10 * MINUTE, AlreadyVerifiedError),
        ("winner", WRONG, MINUTE, IdempotencyKeyReusedError),
        ("winner", WRONG, 10 * MINUTE, AlreadyVerifiedError),
        ("another", CODE, MINUTE, AlreadyVerifiedError),
        (None, CODE, MINUTE, AlreadyVerifiedError),
        ("winner", CODE, 20 * MINUTE - US, AlreadyVerifiedError),
        ("winner", CODE, 20 * MINUTE, VerificationExpiredError),
    ],
    ids=[
        "at once",
        "just within ten minutes",
        "after ten minutes",
        "another code",
        "another code after ten minutes",
        "another key",
        "no key",
        "just before the deadline",
        "at the deadline",
    ],
)
def test_only_the_winners_key_is_answered_again(
    bench: Bench, key: str | None, code: str, after: timedelta, end: object
) -> None:
    bench.call_out(holding_minutes=20)
    system = bench.build()
    assert end_of(system, CODE, key="winner") is False
    bench.clock.advance(after)
    assert end_of(system, code, key=key) is end


def test_a_key_of_another_client_is_another_key(bench: Bench) -> None:
    bench.call_out()
    system = bench.build()
    assert end_of(system, CODE, key="winner") is False
    with pytest.raises(ResourceNotFoundError):
        system.check("v1", CODE, client="another", key="winner")
    stored = bench.store.get("v1")
    assert stored is not None
    assert stored.check is not None
    assert "winner" not in str(stored.check.key)


@pytest.mark.parametrize("verified", [False, True], ids=["pending", "verified"])
@pytest.mark.parametrize("key", [None, "winner"], ids=["no key", "the winner's key"])
@pytest.mark.parametrize("code", [CODE, WRONG], ids=["right", "wrong"])
@pytest.mark.parametrize("at", [DEADLINE, DEADLINE + US, DEADLINE + SECOND], ids=["at", "1 us after", "1 s after"])
def test_every_check_from_the_deadline_on_is_too_late(
    bench: Bench, at: datetime, code: str, key: str | None, verified: bool
) -> None:
    bench.call_out()
    system = bench.build()
    if verified:
        assert end_of(system, CODE, key="winner") is False
    bench.clock.sleep_until(at)
    assert end_of(system, code, key=key) is VerificationExpiredError
    assert bench.counted() == 0


@pytest.mark.parametrize("before", [US, SECOND], ids=["1 us", "1 s"])
def test_a_check_just_before_the_deadline_counts(bench: Bench, before: timedelta) -> None:
    bench.call_out("v1")
    bench.call_out("v2")
    system = bench.build()
    bench.clock.sleep_until(DEADLINE - before)
    assert end_of(system, WRONG, name="v2") is WrongCodeError
    assert end_of(system, CODE) is False


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"codes": ()}, CodeNotReadyError),
        ({"canceled_at": START}, VerificationCanceledError),
        ({"attempts_used": MAX_ATTEMPTS}, TooManyAttemptsError),
        ({"outcomes": {"first": an_outcome(OutcomeKind.REJECTED)}}, VerificationExpiredError),
        ({"outcomes": {"first": an_outcome(OutcomeKind.NOT_SENT)}}, VerificationExpiredError),
        ({"holding_minutes": 0}, VerificationExpiredError),
        ({"mode": VerificationMode.CALL_IN, "repeat_calls": None}, InvalidRequestError),
    ],
    ids=["no code yet", "canceled", "all attempts used", "rejected", "not sent", "no time", "call in"],
)
@pytest.mark.parametrize("code", [CODE, WRONG], ids=["right", "wrong"])
def test_a_code_that_cannot_be_compared_counts_nothing(
    bench: Bench, facts: dict[str, Any], error: type[SwitchboardError], code: str
) -> None:
    verification = bench.call_out(**facts)
    assert end_of(bench.build(), code, key="key") is error
    assert bench.store.get("v1") == verification
    assert bench.counted() == 0


@pytest.mark.parametrize("kind", [OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN, None], ids=str)
def test_a_pending_or_unknown_verification_can_be_checked(bench: Bench, kind: OutcomeKind | None) -> None:
    bench.call_out(outcomes={"first": an_outcome(kind)} if kind else {})
    assert end_of(bench.build(), CODE) is False


def test_a_wrong_code_counts_down_the_attempts(bench: Bench) -> None:
    bench.call_out()
    system = bench.build()
    messages = []
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(WrongCodeError) as wrong:
            system.check("v1", WRONG, client=CLIENT, key="key")
        messages.append(str(wrong.value))
    assert messages == [
        "The code does not match. 4 attempts left",
        "The code does not match. 3 attempts left",
        "The code does not match. 2 attempts left",
        "The code does not match. 1 attempt left",
        "The code does not match. 0 attempts left",
    ]
    with pytest.raises(TooManyAttemptsError, match=r"^All 5 attempts for this verification are used$"):
        system.check("v1", CODE, client=CLIENT, key="key")


def test_guesses_at_100_verifications_of_a_number_share_ten(bench: Bench) -> None:
    system = bench.build()
    for number in range(100):
        bench.call_out(f"v{number}", claim_id=f"c{number}", client=CLIENT)
    ends = Counter(end_of(system, WRONG, name=f"v{number}") for _ in range(5) for number in range(100))
    assert ends == {WrongCodeError: WRONG_CODES_PER_HOUR, WrongCodeLimitError: 490}
    # From then on the right code is refused like a wrong one.
    assert end_of(system, CODE, name="v99") is WrongCodeLimitError
    assert (bench.store.rows["v99"].order or a_verification()).check is None
    with pytest.raises(WrongCodeLimitError) as limited:
        system.check("v99", CODE, client=CLIENT)
    assert limited.value.retry_after_s == HOUR.total_seconds() - START.minute * 60 - START.second


@pytest.mark.parametrize("code", [CODE, WRONG], ids=["right", "wrong"])
def test_the_state_comes_before_the_limit_of_the_number(bench: Bench, code: str) -> None:
    bench.call_out("v0")
    bench.call_out("v1")
    system = bench.build()
    counters = bench.counters

    class Exhausting:
        """Counters that other guesses, five of them at v1, exhaust between the read of a check and its write."""

        def __getattr__(self, name: str) -> Any:
            def exhaust(*args: Any, **kwargs: Any) -> Any:
                for guess in range(WRONG_CODES_PER_HOUR):
                    end_of(system, WRONG, name=f"v{guess % 2}")
                return getattr(counters, name)(*args, **kwargs)

            return exhaust

    assert end_of(bench.build(counters=Exhausting()), code) is TooManyAttemptsError


def test_another_number_and_the_next_hour_have_limits_of_their_own(bench: Bench) -> None:
    system = bench.build()
    for number in range(3):
        bench.call_out(f"v{number}", holding_minutes=120)
    bench.call_out("other", recipient=OTHER_RECIPIENT)
    ends = [end_of(system, WRONG, name=f"v{number}") for number in range(3) for _ in range(4)]
    assert ends == [WrongCodeError] * 10 + [WrongCodeLimitError] * 2
    assert end_of(system, CODE, name="other") is False
    bench.clock.advance(HOUR)
    assert end_of(system, CODE, name="v2") is False


def test_a_right_code_is_counted_for_no_limit(bench: Bench) -> None:
    system = bench.build()
    for number in range(3 * WRONG_CODES_PER_HOUR):
        bench.call_out(f"v{number}")
        assert end_of(system, CODE, name=f"v{number}") is False
    assert bench.counted() == 0


@pytest.mark.parametrize("code", [CODE, WRONG], ids=["right", "wrong"])
def test_without_the_limits_store_no_caller_learns_anything(bench: Bench, code: str) -> None:
    verification = bench.call_out()
    silent = flaky(bench.counters, increment=[Answer.NOT_APPLIED], find_exhausted=[Answer.NOT_APPLIED] * 2)
    with pytest.raises(StoreUnavailableError):
        bench.build(counters=silent).check("v1", code, client=CLIENT)
    assert bench.store.get("v1") == verification


def test_a_lost_answer_does_not_cost_the_winner_its_success(bench: Bench) -> None:
    bench.call_out()
    store = flaky(bench.store, record_right_code=[Answer.LOST])
    counters = flaky(bench.counters, find_exhausted=[Answer.LOST])
    assert bench.build(store, counters).check("v1", CODE, client=CLIENT).replayed is False


def test_a_winner_without_any_answer_is_replayed_under_its_key(bench: Bench) -> None:
    bench.call_out()
    store = flaky(bench.store, record_right_code=[Answer.LOST] * 2)
    system = bench.build(store)
    assert end_of(system, CODE, key="winner") is StoreUnavailableError
    assert end_of(system, CODE) is AlreadyVerifiedError
    assert end_of(system, CODE, key="winner") is True


class Overtaken:
    """A store in which another request decides between the read of a check and its write."""

    def __init__(self, store: InMemoryVerificationStore, decide: Any) -> None:
        self._store = store
        self._decide = decide

    def __getattr__(self, name: str) -> Any:
        def write(*args: Any, **kwargs: Any) -> Any:
            self._decide()
            return getattr(self._store, name)(*args, **kwargs)

        return write if name in {"record_right_code", "record_wrong_code"} else getattr(self._store, name)


@pytest.mark.parametrize("code", [CODE, WRONG], ids=["right", "wrong"])
@pytest.mark.parametrize("decision", ["verified", "canceled", "exhausted", "verified with the same key"])
def test_a_check_that_is_overtaken_is_answered_with_the_decision(bench: Bench, decision: str, code: str) -> None:
    bench.call_out()
    plain = bench.build()

    def decide() -> None:
        match decision:
            case "verified":
                end_of(plain, CODE)
            case "verified with the same key":
                end_of(plain, CODE, key="key")
            case "canceled":
                plain.cancel("v1", client=CLIENT)
            case "exhausted":
                for _ in range(MAX_ATTEMPTS):
                    bench.store.record_wrong_code("v1", at=bench.clock.now())

    expected = {
        "verified": AlreadyVerifiedError,
        "canceled": VerificationCanceledError,
        "exhausted": TooManyAttemptsError,
        "verified with the same key": True if code == CODE else IdempotencyKeyReusedError,
    }
    assert end_of(bench.build(Overtaken(bench.store, decide)), code, key="key") is expected[decision]
    assert bench.counted() == (code == WRONG)


def test_a_missing_verification_costs_as_much_as_a_wrong_code(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both stores get as many calls and the code is hashed once, also without anything to compare it with."""
    operations: list[str] = []

    class Watched:
        def __init__(self, port: object) -> None:
            self._port = port

        def __getattr__(self, name: str) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                operations.append(name)
                return getattr(self._port, name)(*args, **kwargs)

            return call

    system = bench.build(Watched(bench.store), Watched(bench.counters))
    bench.call_out()
    operations.clear()
    assert end_of(system, WRONG) is WrongCodeError
    for_a_wrong_code = operations.copy()
    operations.clear()
    for verification_id, client in 5 * (("nothing", CLIENT), ("-", CLIENT), ("v1", "another")):
        with pytest.raises(ResourceNotFoundError):
            system.check(verification_id, WRONG, client=client)
    assert operations == for_a_wrong_code * 15


@pytest.mark.parametrize("kind", [OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN, OutcomeKind.NOT_SENT, None], ids=str)
@pytest.mark.parametrize("mode", VerificationMode)
def test_an_open_verification_is_canceled_once_and_for_all(
    bench: Bench, mode: VerificationMode, kind: OutcomeKind | None
) -> None:
    bench.store.create(a_verification(mode=mode, outcomes={"first": an_outcome(kind)} if kind else {}))
    system = bench.build()
    first = system.cancel("v1", client=CLIENT)
    assert first.canceled_at == START
    bench.clock.advance(HOUR)
    assert system.cancel("v1", client=CLIENT) == first
    view = system.query.one("v1", client=CLIENT)
    assert (view.status.state, view.status.final) == (S.CANCELED, True)


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"called_at": START}, AlreadyVerifiedError),
        ({"holding_minutes": 0}, VerificationExpiredError),
        ({"outcomes": {"first": an_outcome(OutcomeKind.REJECTED)}}, VerificationExpiredError),
    ],
    ids=["verified", "expired", "rejected"],
)
def test_a_verification_that_is_over_is_not_canceled(
    bench: Bench, facts: dict[str, Any], error: type[SwitchboardError]
) -> None:
    verification = a_verification(**facts)
    bench.store.create(verification)
    for _ in range(2):
        with pytest.raises(error):
            bench.build().cancel("v1", client=CLIENT)
    assert bench.store.get("v1") == verification


@pytest.mark.parametrize(
    ("verification_id", "client"), [("v1", "another"), ("nothing", CLIENT), ("-", CLIENT), ("", CLIENT)]
)
def test_another_clients_verification_is_not_canceled(bench: Bench, verification_id: str, client: str) -> None:
    verification = bench.call_out()
    with pytest.raises(ResourceNotFoundError):
        bench.build().cancel(verification_id, client=client)
    assert bench.store.get("v1") == verification


def test_a_cancellation_that_is_overtaken_by_the_call_is_refused(bench: Bench) -> None:
    bench.store.create(a_verification())
    record_canceled = bench.store.record_canceled

    def overtaken(verification_id: str, *, at: datetime) -> Any:
        bench.build().call(an_ivr_call())
        return record_canceled(verification_id, at=at)

    bench.store.record_canceled = overtaken  # type: ignore[method-assign]
    with pytest.raises(AlreadyVerifiedError):
        bench.build().cancel("v1", client=CLIENT)


def test_a_call_after_the_cancellation_is_kept_and_verifies_nothing(bench: Bench) -> None:
    system = bench.build()
    first = system.start(a_start(key="first", candidates=(LINE,))).order
    system.cancel(first.id, client=CLIENT)
    bench.clock.advance(MINUTE)
    assert system.call(an_ivr_call()) is IvrCallMatch.LATE
    canceled = system.query.one(first.id, client=CLIENT)
    assert (canceled.status.state, canceled.order.late_call_at) == (S.CANCELED, START + MINUTE)
    second = system.start(a_start(key="second", candidates=(LINE,))).order
    assert system.call(an_ivr_call()) is IvrCallMatch.MATCHED
    assert system.query.one(second.id, client=CLIENT).status.state is S.VERIFIED
    assert system.query.one(first.id, client=CLIENT).status.state is S.CANCELED


def test_a_repeated_start_finds_its_canceled_verification(bench: Bench) -> None:
    system = bench.build()
    started = system.start(a_start(key="first")).order
    system.cancel(started.id, client=CLIENT)
    replayed = system.start(a_start(key="first"))
    assert (replayed.replayed, replayed.status.state) == (True, S.CANCELED)


def test_a_repeated_cancellation_releases_the_line_that_the_first_did_not(bench: Bench) -> None:
    bench.store.create(a_verification())
    silent = flaky(bench.store, release_line=[Answer.NOT_APPLIED] * 2)
    with pytest.raises(StoreUnavailableError):
        bench.build(silent).cancel("v1", client=CLIENT)
    bench.clock.advance(MINUTE)
    bench.build(silent).cancel("v1", client=CLIENT)
    lease = bench.store.leases[RECIPIENT, LINE]
    assert (lease.until, lease.released_to) == (START + GRACE, CLIENT)


def test_a_lost_answer_of_a_cancellation_is_no_failure(bench: Bench) -> None:
    bench.store.create(a_verification())
    store = flaky(bench.store, record_canceled=[Answer.LOST], release_line=[Answer.LOST])
    assert bench.build(store).cancel("v1", client=CLIENT).canceled_at == START


def test_a_check_result_has_the_verified_verification(bench: Bench) -> None:
    bench.call_out()
    result = bench.build().check("v1", CODE, client=CLIENT)
    assert result == CheckResult(verification=bench.store.rows["v1"].order, replayed=False)  # type: ignore[arg-type]
