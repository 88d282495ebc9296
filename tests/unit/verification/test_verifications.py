"""The status of a verification, its code, its requests, and its IVR calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from switchboard.domain.errors import (
    InvalidRequestError,
    StoreUnavailableError,
)
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.verification.callbacks import CodeHash, VerificationMode
from switchboard.domain.verification.one_time_codes import CodeKey, derive_code, equals_code, hash_code, matches_hash
from switchboard.domain.verification.requests import VerificationRequest, VerificationRules, compose
from switchboard.domain.verification.verifications import (
    CodeCheck,
    Verification,
    VerificationLines,
    VerificationState,
    next_due,
    status_of,
)
from switchboard.ports.verifications import IvrCallMatch
from switchboard.usecases.verification.record_ivr_call import RecordIvrCall
from tests.builders import (
    CLIENT,
    DEADLINES,
    GRACE,
    LINE,
    MINUTE,
    OTHER_RECIPIENT,
    RECIPIENT,
    a_claim,
    a_start,
    a_verification,
    an_ivr_call,
    an_outcome,
)
from tests.fakes import START, Answer, FixedClock, InMemoryCallbackArchive, InMemoryVerificationStore, down, flaky
from tests.verification_systems import assembled_for_verification

DEADLINE = START + 10 * MINUTE
RULES = VerificationRules(
    pool=("05000000001", "05000000002"), holding_minutes=10, max_holding_minutes=30, max_repeat_calls=2
)
CALL_OUT = VerificationMode.CALL_OUT
S = VerificationState


def state_at(verification: Verification, at: Any = START + MINUTE) -> tuple[VerificationState, bool]:
    status = status_of(verification, deadlines=DEADLINES, now=at)
    return status.state, status.final


def ended(kind: OutcomeKind, **facts: Any) -> Verification:
    return a_verification(outcomes={"first": an_outcome(kind)}, **facts)


@pytest.mark.parametrize(
    ("verification", "before", "after"),
    [
        (a_verification(), (S.PENDING, False), (S.EXPIRED, True)),
        (ended(OutcomeKind.ACCEPTED), (S.PENDING, False), (S.EXPIRED, True)),
        (ended(OutcomeKind.UNKNOWN), (S.UNKNOWN, False), (S.EXPIRED, True)),
        (ended(OutcomeKind.REJECTED), (S.REJECTED, True), (S.REJECTED, True)),
        (ended(OutcomeKind.NOT_SENT), (S.REJECTED, False), (S.EXPIRED, True)),
        (ended(OutcomeKind.ACCEPTED, late_call_at=DEADLINE), (S.PENDING, False), (S.EXPIRED, True)),
        (ended(OutcomeKind.UNKNOWN, called_at=START), (S.VERIFIED, True), (S.VERIFIED, True)),
        (a_verification(check=CodeCheck("check", START)), (S.VERIFIED, True), (S.VERIFIED, True)),
        (a_verification(canceled_at=START), (S.CANCELED, True), (S.CANCELED, True)),
        (ended(OutcomeKind.REJECTED, canceled_at=START, late_call_at=START), (S.CANCELED, True), (S.CANCELED, True)),
    ],
    ids=[
        "claimed",
        "accepted",
        "unknown",
        "rejected",
        "not sent",
        "late call",
        "called",
        "checked",
        "canceled",
        "canceled before the answer, and called",
    ],
)
def test_the_state_before_and_after_the_deadline(
    verification: Verification, before: tuple[VerificationState, bool], after: tuple[VerificationState, bool]
) -> None:
    assert state_at(verification) == before
    assert state_at(verification, DEADLINE) == after


def test_a_verified_verification_stays_verified() -> None:
    facts: list[dict[str, Any]] = [
        {"outcomes": {"first": an_outcome(OutcomeKind.REJECTED)}},
        {"timeouts": {"first": START + MINUTE}},
        {"closed_at": DEADLINE},
        {"late_call_at": DEADLINE},
        {"attempts_used": 5},
    ]
    for order in permutations(facts, 3):
        merged = {name: value for fact in order for name, value in fact.items()}
        assert state_at(a_verification(called_at=START, **merged), DEADLINE + MINUTE) == (S.VERIFIED, True)


def test_the_holding_time_counts_from_the_last_claim() -> None:
    assert a_verification().expires_at == DEADLINE
    retried = ended(OutcomeKind.NOT_SENT, claims=(a_claim("first"), a_claim("second", at=START + MINUTE)))
    assert retried.expires_at == DEADLINE + MINUTE
    assert state_at(a_verification(holding_minutes=0), START) == (S.EXPIRED, True)


def test_a_verification_is_due_until_it_is_closed() -> None:
    assert next_due(a_verification(), deadlines=DEADLINES) == START + DEADLINES.submission_after_claim
    assert next_due(ended(OutcomeKind.ACCEPTED), deadlines=DEADLINES) == DEADLINE
    assert next_due(ended(OutcomeKind.REJECTED), deadlines=DEADLINES) is None
    assert next_due(ended(OutcomeKind.ACCEPTED, closed_at=DEADLINE), deadlines=DEADLINES) is None


def test_a_code_matches_only_its_own_keyed_hash() -> None:
    key, other = CodeKey("1", b"a" * 32), CodeKey("1", b"b" * 32)
    code_hash = hash_code(key, "0042", verification_id="v1", at=START, recipient=None)
    assert matches_hash(key, "0042", code_hash, verification_id="v1")
    assert not any(
        matches_hash(key, code, code_hash, verification_id="v1") for code in ("42", "00420", "", "0043", "\ud800")
    )
    assert not matches_hash(key, "0042", code_hash, verification_id="v2")
    assert not matches_hash(other, "0042", code_hash, verification_id="v1")
    assert "0042" not in repr(code_hash)
    assert "a" * 32 not in repr(key)


@pytest.mark.parametrize("length", range(4, 11))
def test_a_code_follows_from_key_id_and_generation_alone(length: int) -> None:
    key = CodeKey("1", b"a" * 32)
    codes = {
        derive_code(by, verification_id=verification_id, generation=generation, length=length)
        for by in (key, CodeKey("2", b"b" * 32))
        for verification_id in map(str, range(50))
        for generation in range(1, 5)
    }
    assert all(len(code) == length and code.isdigit() for code in codes)
    assert len(codes) > 380
    again = derive_code(key, verification_id="0", generation=1, length=length)
    assert equals_code(again, derive_code(key, verification_id="0", generation=1, length=length))
    assert not equals_code("\ud800", again)


def test_the_earliest_code_for_the_number_counts() -> None:
    foreign = CodeHash("1", b"1", START, OTHER_RECIPIENT)
    late = CodeHash("1", b"2", START + MINUTE, RECIPIENT)
    early = CodeHash("1", b"3", START, None)
    for codes in permutations((foreign, late, early)):
        assert a_verification(codes=codes).code == early
    assert a_verification(codes=(foreign,)).code is None


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"to": "03-0000-0001"}, {("to", "not_verifiable")}),
        ({"to": "0120-000-000", "line": "09000000001"}, {("to", "number_not_supported"), ("line", "invalid_line")}),
        ({"lines": VerificationLines.ANY, "to": "050-0000-0001"}, {("to", "not_verifiable")}),
        ({"to": "+1 202 555 0100", "mode": VerificationMode.CALL_OUT}, {("to", "not_verifiable")}),
        ({"line": "050-0000-0009"}, {("line", "unknown_line")}),
        ({"text": "a", "repeat_calls": 0}, {("text", "conflict"), ("repeat_calls", "conflict")}),
        ({"mode": VerificationMode.SMS_AND_CALL_IN}, {("text", "required")}),
        ({"holding_minutes": 31}, {("holding_minutes", "too_large")}),
        (
            {"mode": CALL_OUT, "holding_minutes": 999, "repeat_calls": 3},
            {("holding_minutes", "too_large"), ("repeat_calls", "too_large")},
        ),
        (
            {
                "mode": VerificationMode.SMS_AND_CALL_IN,
                "text": "a",
                "to": "03-0000-0001",
                "lines": VerificationLines.ANY,
            },
            {("to", "not_sms_capable")},
        ),
    ],
    ids=[
        "fixed line as mobile",
        "toll-free number",
        "IP phone",
        "overseas call out",
        "unknown line",
        "options of another mode",
        "no text",
        "too long a holding time",
        "too many rings for too long",
        "SMS to a fixed line",
    ],
)
def test_an_invalid_request_names_every_problem(fields: dict[str, Any], problems: set[tuple[str, str]]) -> None:
    defaults: dict[str, Any] = {"to": "090-0000-0001", "mode": VerificationMode.CALL_IN}
    with pytest.raises(InvalidRequestError) as refused:
        compose(VerificationRequest(**{**defaults, **fields}), rules=RULES)
    assert {(problem.field, problem.code) for problem in refused.value.problems} == problems


def test_a_request_without_options_gets_the_defaults() -> None:
    composed = compose(VerificationRequest(to="0900-000 0001", mode=VerificationMode.CALL_OUT), rules=RULES)
    assert (composed.recipient.e164, composed.candidates, composed.line) == (RECIPIENT, RULES.pool, None)
    assert (composed.holding_minutes, composed.repeat_calls) == (10, 1)
    named = compose(
        VerificationRequest(
            to="03-0000-0001", mode=VerificationMode.CALL_IN, lines=VerificationLines.FIXED, line="０５０-0000-0002"
        ),
        rules=RULES,
    )
    assert (named.candidates, named.line, named.repeat_calls) == (("05000000002",), "05000000002", None)


@pytest.mark.parametrize(("most", "default"), [(0, 0), (1, 1), (99, 1)], ids="at most {}".format)
def test_the_default_of_repeat_calls_keeps_the_maximum(most: int, default: int) -> None:
    request = VerificationRequest(to="090-0000-0001", mode=CALL_OUT)
    assert compose(request, rules=replace(RULES, max_repeat_calls=most)).repeat_calls == default


def test_a_request_may_use_the_largest_values() -> None:
    request = VerificationRequest(to="090-0000-0001", mode=CALL_OUT, holding_minutes=30, repeat_calls=2)
    composed = compose(request, rules=RULES)
    assert (composed.holding_minutes, composed.repeat_calls) == (30, 2)


def test_a_call_without_a_store_is_spooled_or_raises() -> None:
    archive = InMemoryCallbackArchive()
    calls = down(InMemoryVerificationStore)
    record = RecordIvrCall(calls=calls, leases=calls, archive=archive, clock=FixedClock(), grace=GRACE)
    assert record(an_ivr_call()) is IvrCallMatch.SPOOLED
    [spooled] = archive.spooled(limit=9)
    assert (spooled.event, spooled.seen_at) == (an_ivr_call(), START)
    nowhere = RecordIvrCall(
        calls=calls, leases=calls, archive=down(InMemoryCallbackArchive), clock=FixedClock(), grace=GRACE
    )
    with pytest.raises(StoreUnavailableError):
        nowhere(an_ivr_call())


def test_a_replayed_call_is_matched_by_the_lease_at_its_time() -> None:
    clock, store = FixedClock(), InMemoryVerificationStore(grace=GRACE)
    system = assembled_for_verification(store=store, clock=clock)
    system.start(a_start(key="first", candidates=(LINE,)))
    clock.advance(16 * MINUTE)
    later = system.start(a_start(key="second", candidates=(LINE,))).order
    assert system.call.record(an_ivr_call(), seen_at=START + MINUTE) is IvrCallMatch.NO_CANDIDATE
    assert system.query.one(later.id, client=CLIENT).status.state is S.PENDING


def test_a_verified_number_frees_its_line_after_the_grace() -> None:
    clock, store = FixedClock(), InMemoryVerificationStore(grace=GRACE)
    system = assembled_for_verification(store=store, clock=clock)
    first = system.start(a_start(key="first", candidates=(LINE,))).order
    system.call(an_ivr_call(smsid=first.id))
    assert store.leases[RECIPIENT, LINE].until == START + GRACE
    clock.advance(GRACE - timedelta(milliseconds=1))
    assert system.call(an_ivr_call()) is IvrCallMatch.DUPLICATE
    clock.advance(timedelta(milliseconds=1))
    assert not system.start(a_start(key="second", candidates=(LINE,))).replayed


def test_a_failure_to_shorten_the_lease_keeps_the_match() -> None:
    store = InMemoryVerificationStore(grace=GRACE)
    system = assembled_for_verification(store=store, calls=flaky(store, shorten_lease=[Answer.NOT_APPLIED]))
    started = system.start(a_start()).order
    assert system.call(an_ivr_call()) is IvrCallMatch.MATCHED
    assert system.query.one(started.id, client=CLIENT).status.state is S.VERIFIED
