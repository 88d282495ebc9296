"""What every store of verifications does with leases, calls, codes and attempts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from switchboard.domain.errors import StoreUnavailableError, VerificationOpenError
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.verification.verifications import (
    MAX_ATTEMPTS,
    CodeHash,
    Verification,
    VerificationLines,
    VerificationMode,
)
from switchboard.ports.verifications import IvrCallMatch
from switchboard.storage.verification.store import DynamoDbVerificationStore
from tests.builders import (
    GRACE,
    HOLDING_MINUTES,
    LINE,
    MINUTE,
    OTHER_LINE,
    OTHER_RECIPIENT,
    RECIPIENT,
    a_claim,
    a_notice,
    a_verification,
    an_outcome,
)
from tests.fakes import START

if TYPE_CHECKING:
    from tests.contract.conftest import Aws, Verifications

DEADLINE = START + HOLDING_MINUTES * MINUTE
INSTANT = timedelta(milliseconds=1)
CALL_OUT = VerificationMode.CALL_OUT


def a_code(digest: bytes = b"1", *, recipient: str | None = None) -> CodeHash:
    return CodeHash(salt=b"s", digest=digest, at=START, recipient=recipient)


def stored(kept: Verifications, verification_id: str = "v1") -> Verification:
    verification = kept.store.get(verification_id)
    assert verification is not None
    return verification


@pytest.mark.parametrize(
    "verification",
    [
        a_verification(),
        a_verification(mode=VerificationMode.SMS_AND_CALL_IN, content=SmsContent(text="日本語")),
        a_verification(mode=CALL_OUT, repeat_calls=0, lines=VerificationLines.ANY, holding_minutes=0),
    ],
)
def test_a_verification_reads_back_as_it_was_created(kept: Verifications, verification: Verification) -> None:
    kept.store.create(verification)
    assert kept.store.get("v1") == verification


def test_a_second_verification_of_the_same_number_and_line_is_refused_and_leaves_nothing(kept: Verifications) -> None:
    kept.store.create(a_verification())
    with pytest.raises(VerificationOpenError) as refused:
        kept.store.create(a_verification("v2", at=START + MINUTE))
    assert 0 < refused.value.retry_after_s <= (DEADLINE + GRACE - START).total_seconds()
    assert kept.store.get("v2") is None


@pytest.mark.parametrize(
    "other", [{"line": OTHER_LINE}, {"recipient": OTHER_RECIPIENT}, {"mode": CALL_OUT, "repeat_calls": 1}]
)
def test_another_line_another_number_and_a_call_out_are_free(kept: Verifications, other: dict[str, Any]) -> None:
    kept.store.create(a_verification())
    assert kept.store.create(a_verification("v2", **other)).granted


def test_the_line_is_free_a_grace_after_the_deadline_and_not_before(kept: Verifications) -> None:
    kept.store.create(a_verification())
    with pytest.raises(VerificationOpenError):
        kept.store.create(a_verification("v2", at=DEADLINE + GRACE - INSTANT))
    assert kept.store.create(a_verification("v2", at=DEADLINE + GRACE)).granted
    lease = kept.calls.lease(recipient=RECIPIENT, line=LINE)
    assert lease is not None
    assert (lease.verification_id, lease.since) == ("v2", DEADLINE + GRACE)


def test_a_creation_repeated_because_its_answer_was_lost_is_granted_again(kept: Verifications) -> None:
    for _ in range(2):
        assert kept.store.create(a_verification()).granted


def test_an_id_that_is_taken_is_refused_with_what_stands_there_on_any_line(kept: Verifications) -> None:
    kept.store.create(a_verification())
    for line in (LINE, OTHER_LINE):
        answer = kept.store.create(a_verification(claim_id="second", line=line))
        assert (answer.granted, answer.order) == (False, a_verification())
    assert kept.calls.lease(recipient=RECIPIENT, line=OTHER_LINE) is None


@pytest.mark.parametrize("kind", [OutcomeKind.NOT_SENT, OutcomeKind.REJECTED])
def test_what_was_not_taken_frees_its_line_at_once(kept: Verifications, kind: OutcomeKind) -> None:
    verification = a_verification()
    kept.store.create(verification)
    kept.store.record_outcome(verification, verification.claims[0], an_outcome(kind))
    assert kept.store.create(a_verification("v2", at=START + INSTANT)).granted


@pytest.mark.parametrize("kind", [OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN])
def test_what_was_or_may_have_been_taken_keeps_its_line(kept: Verifications, kind: OutcomeKind) -> None:
    verification = a_verification()
    kept.store.create(verification)
    kept.store.record_outcome(verification, verification.claims[0], an_outcome(kind))
    with pytest.raises(VerificationOpenError):
        kept.store.create(a_verification("v2", at=START + MINUTE))


def test_an_attempt_that_ended_late_does_not_free_the_line_of_the_next(kept: Verifications) -> None:
    verification, unsent = a_verification(), an_outcome(OutcomeKind.NOT_SENT)
    kept.store.create(verification)
    kept.store.record_outcome(verification, verification.claims[0], unsent)
    assert kept.store.claim("v1", a_claim("second", at=START + MINUTE)).granted
    kept.store.record_outcome(verification, verification.claims[0], unsent)
    with pytest.raises(VerificationOpenError):
        kept.store.create(a_verification("v2", at=START + MINUTE))


def test_a_further_claim_takes_the_line_again_and_moves_the_deadline(kept: Verifications) -> None:
    verification = a_verification()
    kept.store.create(verification)
    kept.store.record_outcome(verification, verification.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    second = a_claim("second", at=START + 5 * MINUTE)
    answer = kept.store.claim("v1", second)
    assert answer.granted
    assert answer.order == stored(kept)
    assert stored(kept).expires_at == DEADLINE + 5 * MINUTE
    assert kept.store.claim("v1", second).granted
    assert kept.calls.record_call("v1", a_notice(), seen_at=DEADLINE + MINUTE) is IvrCallMatch.MATCHED


def test_a_further_claim_is_refused_while_another_has_the_line(kept: Verifications) -> None:
    verification = a_verification()
    kept.store.create(verification)
    kept.store.record_outcome(verification, verification.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    kept.store.create(a_verification("v2", at=START + MINUTE))
    with pytest.raises(VerificationOpenError):
        kept.store.claim("v1", a_claim("second", at=START + MINUTE))
    assert len(stored(kept).claims) == 1


def test_a_claim_on_nothing_is_refused(kept: Verifications) -> None:
    answer = kept.store.claim("v1", a_claim("first"))
    assert (answer.granted, answer.order) == (False, None)


def test_a_call_out_is_claimed_again_without_a_lease(kept: Verifications) -> None:
    verification = a_verification(mode=CALL_OUT, repeat_calls=1)
    kept.store.create(verification)
    assert not kept.store.claim("v1", a_claim("second")).granted
    kept.store.record_outcome(verification, verification.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    assert kept.store.claim("v1", a_claim("second", at=START + MINUTE)).granted
    assert stored(kept).expires_at == DEADLINE + MINUTE
    assert kept.calls.lease(recipient=RECIPIENT, line=LINE) is None


def test_the_first_call_in_time_is_recorded_and_repeats_are_harmless(kept: Verifications) -> None:
    kept.store.create(a_verification())
    fits = [
        kept.calls.record_call("v1", a_notice(), seen_at=at)
        for at in (START + MINUTE, START + 2 * MINUTE, DEADLINE + MINUTE)
    ]
    assert fits == [IvrCallMatch.MATCHED, IvrCallMatch.DUPLICATE, IvrCallMatch.DUPLICATE]
    assert (stored(kept).called_at, stored(kept).late_call_at) == (START + MINUTE, None)


def test_a_call_counts_up_to_the_deadline_and_is_late_from_it_on(kept: Verifications) -> None:
    kept.store.create(a_verification())
    kept.store.create(a_verification("v2", line=OTHER_LINE))
    assert kept.calls.record_call("v1", a_notice(), seen_at=DEADLINE - INSTANT) is IvrCallMatch.MATCHED
    other = a_notice(line=OTHER_LINE)
    assert kept.calls.record_call("v2", other, seen_at=DEADLINE) is IvrCallMatch.LATE
    assert kept.calls.record_call("v2", other, seen_at=DEADLINE + MINUTE) is IvrCallMatch.DUPLICATE
    late = stored(kept, "v2")
    assert (late.called_at, late.late_call_at) == (None, DEADLINE)


def test_a_call_in_time_that_was_held_counts_though_a_late_one_was_recorded_before(kept: Verifications) -> None:
    kept.store.create(a_verification())
    kept.calls.record_call("v1", a_notice(), seen_at=DEADLINE + MINUTE)
    assert kept.calls.record_call("v1", a_notice(), seen_at=START + MINUTE) is IvrCallMatch.MATCHED
    assert stored(kept).verified_at == START + MINUTE


@pytest.mark.parametrize(
    "other", [{"line": OTHER_LINE}, {"recipient": OTHER_RECIPIENT}, {"mode": VerificationMode.SMS_AND_CALL_IN}]
)
def test_a_call_for_something_else_changes_nothing(kept: Verifications, other: dict[str, Any]) -> None:
    kept.store.create(a_verification())
    assert kept.calls.record_call("v1", a_notice(**other), seen_at=START) is IvrCallMatch.FOREIGN
    assert kept.store.get("v1") == a_verification()


def test_a_call_for_nothing_makes_nothing(kept: Verifications) -> None:
    assert kept.calls.record_call("v1", a_notice(), seen_at=START) is IvrCallMatch.NO_CANDIDATE
    assert kept.store.create(a_verification()).granted


def test_a_lease_is_shortened_by_its_own_holder_and_never_lengthened(kept: Verifications) -> None:
    kept.store.create(a_verification())
    lease = kept.calls.lease(recipient=RECIPIENT, line=LINE)
    assert lease is not None
    for until, ends in [(MINUTE, MINUTE), (2 * MINUTE, MINUTE)]:
        kept.calls.shorten_lease(lease, recipient=RECIPIENT, line=LINE, until=START + until)
        now = kept.calls.lease(recipient=RECIPIENT, line=LINE)
        assert now == replace(lease, until=START + ends)
    other = replace(lease, claim_id="another")
    kept.calls.shorten_lease(other, recipient=RECIPIENT, line=LINE, until=START)
    assert kept.calls.lease(recipient=RECIPIENT, line=LINE) == replace(lease, until=START + MINUTE)
    kept.calls.shorten_lease(lease, recipient=OTHER_RECIPIENT, line=LINE, until=START)
    assert kept.calls.lease(recipient=OTHER_RECIPIENT, line=LINE) is None


def test_the_first_code_for_a_number_stays(kept: Verifications) -> None:
    kept.store.create(a_verification(mode=CALL_OUT, repeat_calls=1))
    for code in (a_code(b"1"), a_code(b"2"), a_code(b"3", recipient=OTHER_RECIPIENT)):
        kept.codes.record_code("v1", code)
    assert stored(kept).codes == (a_code(b"1"), a_code(b"3", recipient=OTHER_RECIPIENT))
    assert stored(kept).code == a_code(b"1")


def test_attempts_are_counted_up_to_the_last_one(kept: Verifications) -> None:
    kept.store.create(a_verification(mode=CALL_OUT, repeat_calls=1))
    counted = [kept.store.count_attempt("v1") for _ in range(MAX_ATTEMPTS + 2)]
    assert [each.attempts_left if each else None for each in counted] == [4, 3, 2, 1, 0, None, None]
    assert kept.store.count_attempt("-") is None


def test_the_first_right_code_in_time_is_recorded(kept: Verifications) -> None:
    kept.store.create(a_verification(mode=CALL_OUT, repeat_calls=1))
    assert kept.store.record_checked("v1", at=DEADLINE) is None
    for at in (START + MINUTE, START + 2 * MINUTE):
        checked = kept.store.record_checked("v1", at=at)
        assert checked is not None
        assert checked.verified_at == START + MINUTE
    assert kept.store.record_checked("-", at=START) is None


def test_of_32_starts_at_once_one_gets_the_line(dynamodb_verifications: DynamoDbVerificationStore) -> None:
    def start(number: int) -> bool:
        try:
            return dynamodb_verifications.create(a_verification(f"v{number}", claim_id=f"c{number}")).granted
        except VerificationOpenError:
            return False

    with ThreadPoolExecutor(32) as callers:
        assert sum(callers.map(start, range(32))) == 1


def test_of_32_guesses_at_once_five_are_counted(dynamodb_verifications: DynamoDbVerificationStore) -> None:
    dynamodb_verifications.create(a_verification(mode=CALL_OUT, repeat_calls=1))
    with ThreadPoolExecutor(32) as guesses:
        counted = list(guesses.map(lambda _: dynamodb_verifications.count_attempt("v1"), range(32)))
    assert sum(each is not None for each in counted) == MAX_ATTEMPTS


def _cancelling(aws: Aws, codes: list[str], times: int) -> Callable[..., Any]:
    """Makes the next `times` transactions fail with these reasons, before moto sees them."""
    left = iter(range(times))

    def cancel(**_: Any) -> Any:
        if next(left, None) is None:
            return None
        error = aws.dynamodb.exceptions.TransactionCanceledException(
            {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": [{"Code": c} for c in codes]},
            "TransactWriteItems",
        )
        raise error

    return cancel


@pytest.mark.parametrize("conflicts", [1, 2, 3])
def test_a_transaction_that_met_anothers_write_is_tried_again_a_few_times(
    aws: Aws, dynamodb_verifications: DynamoDbVerificationStore, conflicts: int
) -> None:
    cancel = _cancelling(aws, ["TransactionConflict", "None"], conflicts)
    event = "before-call.dynamodb.TransactWriteItems"
    aws.dynamodb.meta.events.register(event, cancel)
    try:
        if conflicts < 3:
            assert dynamodb_verifications.create(a_verification()).granted
        else:
            with pytest.raises(StoreUnavailableError):
                dynamodb_verifications.create(a_verification())
    finally:
        aws.dynamodb.meta.events.unregister(event, cancel)
