"""Test what every store of verifications does with leases, calls, codes and attempts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from switchboard.domain.errors import StoreUnavailableError, VerificationOpenError
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.delivery import MAX_ORPHANS, ReportFact
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.verification.callbacks import CodeHash, VerificationMode
from switchboard.domain.verification.verifications import MAX_ATTEMPTS, CodeCheck, Verification, VerificationLines
from switchboard.ports.callbacks import EventPlace, ReportStore
from switchboard.ports.orders import MessageStore
from switchboard.ports.verifications import IvrCallMatch
from switchboard.storage.verification.store import DynamoDbVerificationStore
from tests.builders import (
    CLIENT,
    GRACE,
    HOLDING_MINUTES,
    LINE,
    MINUTE,
    OTHER_LINE,
    OTHER_RECIPIENT,
    RECIPIENT,
    a_claim,
    a_message,
    a_notice,
    a_report,
    a_verification,
    an_outcome,
    ids_of,
)
from tests.fakes import START

if TYPE_CHECKING:
    from tests.contract.conftest import Aws, VerificationStores

DEADLINE = START + HOLDING_MINUTES * MINUTE
INSTANT = timedelta(milliseconds=1)
CALL_OUT = VerificationMode.CALL_OUT


def a_code(digest: bytes = b"1", *, recipient: str | None = None) -> CodeHash:
    return CodeHash(key_version="1", digest=digest, at=START, recipient=recipient)


def a_check(check_id: str = "check", *, at: datetime = START, key: str | None = None) -> CodeCheck:
    return CodeCheck(id=check_id, at=at, key=key)


def read(stores: VerificationStores, verification_id: str = "v1") -> Verification:
    verification = stores.verifications.get(verification_id)
    assert verification is not None
    return verification


@pytest.mark.parametrize(
    "verification",
    [
        pytest.param(a_verification(), id="call in"),
        pytest.param(
            a_verification(mode=VerificationMode.SMS_AND_CALL_IN, content=SmsContent(text="日本語")),
            id="SMS and call in",
        ),
        pytest.param(
            a_verification(mode=CALL_OUT, repeat_calls=0, lines=VerificationLines.ANY, holding_minutes=0), id="call out"
        ),
    ],
)
def test_a_created_verification_comes_back_unchanged(stores: VerificationStores, verification: Verification) -> None:
    stores.verifications.create(verification)
    assert stores.verifications.get("v1") == verification


@pytest.mark.parametrize("mode", VerificationMode)
def test_orphans_do_not_take_the_id_of_a_verification(
    dynamodb_verifications: DynamoDbVerificationStore, dynamodb_messages: ReportStore, mode: VerificationMode
) -> None:
    for number in range(MAX_ORPHANS):
        dynamodb_messages.record_report(a_report("1", "v1", recipient=f"+8190{number:08d}"), seen_at=START)
    verification = a_verification(mode=mode, repeat_calls=0 if mode is CALL_OUT else None)
    assert dynamodb_verifications.create(verification).granted
    assert not dynamodb_verifications.create(replace(verification, claims=(a_claim("second"),))).granted
    # One of them names the verification's own number.
    reports = (ReportFact("1", START),)
    assert dynamodb_verifications.get("v1") == replace(verification, reports=reports)


def test_messages_and_verifications_share_one_name_space(
    dynamodb_verifications: DynamoDbVerificationStore, dynamodb_messages: MessageStore
) -> None:
    dynamodb_verifications.create(a_verification("both"))
    answer = dynamodb_messages.create(a_message("both", client="client2"))
    assert (answer.granted, answer.order, answer.owner) == (False, None, CLIENT)
    dynamodb_messages.create(a_message("other", client="client2"))
    refused = dynamodb_verifications.create(a_verification("other", line=OTHER_LINE))
    assert (refused.granted, refused.order, refused.owner) == (False, None, "client2")


def test_a_delivered_call_leaves_the_deadline_of_its_verification(
    dynamodb_verifications: DynamoDbVerificationStore, dynamodb_messages: ReportStore
) -> None:
    dynamodb_verifications.create(a_verification(mode=CALL_OUT, repeat_calls=0))
    assert dynamodb_messages.record_report(a_report("1", "v1"), seen_at=START) is EventPlace.RECORDED
    overdue = dynamodb_verifications.overdue(now=START + timedelta(days=30), limit=10)
    assert ids_of(overdue) == ["v1"]


def test_a_second_verification_on_a_leased_line_is_refused(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification())
    with pytest.raises(VerificationOpenError) as raised:
        stores.verifications.create(a_verification("v2", at=START + MINUTE))
    assert 0 < raised.value.retry_after_s <= (DEADLINE + GRACE - START).total_seconds()
    assert stores.verifications.get("v2") is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"line": OTHER_LINE}, id="another line"),
        pytest.param({"recipient": OTHER_RECIPIENT}, id="another number"),
        pytest.param({"mode": CALL_OUT, "repeat_calls": 1}, id="a call out"),
    ],
)
def test_a_verification_elsewhere_needs_no_free_lease(stores: VerificationStores, other: dict[str, Any]) -> None:
    stores.verifications.create(a_verification())
    assert stores.verifications.create(a_verification("v2", **other)).granted


def test_a_line_is_free_from_a_grace_after_the_deadline_on(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification())
    with pytest.raises(VerificationOpenError):
        stores.verifications.create(a_verification("v2", at=DEADLINE + GRACE - INSTANT))
    assert stores.verifications.create(a_verification("v2", at=DEADLINE + GRACE)).granted
    lease = stores.calls.lease(recipient=RECIPIENT, line=LINE)
    assert lease is not None
    assert (lease.verification_id, lease.since) == ("v2", DEADLINE + GRACE)


def test_a_creation_repeated_after_a_lost_answer_is_granted(stores: VerificationStores) -> None:
    for _ in range(2):
        assert stores.verifications.create(a_verification()).granted


def test_a_second_verification_of_the_same_id_is_refused_with_the_first(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification())
    for line in (LINE, OTHER_LINE):
        answer = stores.verifications.create(a_verification(claim_id="second", line=line))
        assert (answer.granted, answer.order) == (False, a_verification())
    assert stores.calls.lease(recipient=RECIPIENT, line=OTHER_LINE) is None


@pytest.mark.parametrize("kind", [OutcomeKind.NOT_SENT, OutcomeKind.REJECTED])
def test_a_verification_that_was_not_accepted_frees_its_line_at_once(
    stores: VerificationStores, kind: OutcomeKind
) -> None:
    verification = a_verification()
    stores.verifications.create(verification)
    stores.verifications.record_outcome(verification, verification.claims[0], an_outcome(kind))
    assert stores.verifications.create(a_verification("v2", at=START + INSTANT)).granted


@pytest.mark.parametrize("kind", [OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN])
def test_a_verification_that_may_be_accepted_keeps_its_line(stores: VerificationStores, kind: OutcomeKind) -> None:
    verification = a_verification()
    stores.verifications.create(verification)
    stores.verifications.record_outcome(verification, verification.claims[0], an_outcome(kind))
    with pytest.raises(VerificationOpenError):
        stores.verifications.create(a_verification("v2", at=START + MINUTE))


def test_a_late_outcome_does_not_free_the_line_of_the_next_claim(stores: VerificationStores) -> None:
    verification, unsent = a_verification(), an_outcome(OutcomeKind.NOT_SENT)
    stores.verifications.create(verification)
    stores.verifications.record_outcome(verification, verification.claims[0], unsent)
    assert stores.verifications.claim("v1", a_claim("second", at=START + MINUTE)).granted
    stores.verifications.record_outcome(verification, verification.claims[0], unsent)
    with pytest.raises(VerificationOpenError):
        stores.verifications.create(a_verification("v2", at=START + MINUTE))


def test_a_further_claim_takes_the_line_and_moves_the_deadline(stores: VerificationStores) -> None:
    verification = a_verification()
    stores.verifications.create(verification)
    stores.verifications.record_outcome(verification, verification.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    second = a_claim("second", at=START + 5 * MINUTE)
    answer = stores.verifications.claim("v1", second)
    assert answer.granted
    assert answer.order == read(stores)
    assert read(stores).expires_at == DEADLINE + 5 * MINUTE
    assert stores.verifications.claim("v1", second).granted
    assert stores.calls.record_call("v1", a_notice(), seen_at=DEADLINE + MINUTE) is IvrCallMatch.MATCHED


def test_a_further_claim_on_a_leased_line_is_refused(stores: VerificationStores) -> None:
    verification = a_verification()
    stores.verifications.create(verification)
    stores.verifications.record_outcome(verification, verification.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    stores.verifications.create(a_verification("v2", at=START + MINUTE))
    with pytest.raises(VerificationOpenError):
        stores.verifications.claim("v1", a_claim("second", at=START + MINUTE))
    assert len(read(stores).claims) == 1


def test_a_claim_on_no_verification_is_refused(stores: VerificationStores) -> None:
    answer = stores.verifications.claim("v1", a_claim("first"))
    assert (answer.granted, answer.order) == (False, None)


def test_a_call_out_is_claimed_again_without_a_lease(stores: VerificationStores) -> None:
    verification = a_verification(mode=CALL_OUT, repeat_calls=1)
    stores.verifications.create(verification)
    assert not stores.verifications.claim("v1", a_claim("second")).granted
    stores.verifications.record_outcome(verification, verification.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    assert stores.verifications.claim("v1", a_claim("second", at=START + MINUTE)).granted
    assert read(stores).expires_at == DEADLINE + MINUTE
    assert stores.calls.lease(recipient=RECIPIENT, line=LINE) is None


def test_the_first_call_in_time_is_recorded_and_later_ones_change_nothing(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification())
    matches = [
        stores.calls.record_call("v1", a_notice(), seen_at=at)
        for at in (START + MINUTE, START + 2 * MINUTE, DEADLINE + MINUTE)
    ]
    assert matches == [IvrCallMatch.MATCHED, IvrCallMatch.DUPLICATE, IvrCallMatch.DUPLICATE]
    assert (read(stores).called_at, read(stores).late_call_at) == (START + MINUTE, None)


def test_a_call_is_late_from_the_deadline_on(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification())
    stores.verifications.create(a_verification("v2", line=OTHER_LINE))
    assert stores.calls.record_call("v1", a_notice(), seen_at=DEADLINE - INSTANT) is IvrCallMatch.MATCHED
    other = a_notice(line=OTHER_LINE)
    assert stores.calls.record_call("v2", other, seen_at=DEADLINE) is IvrCallMatch.LATE
    assert stores.calls.record_call("v2", other, seen_at=DEADLINE + MINUTE) is IvrCallMatch.DUPLICATE
    late = read(stores, "v2")
    assert (late.called_at, late.late_call_at) == (None, DEADLINE)


def test_a_call_in_time_counts_after_a_late_one_was_recorded(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification())
    stores.calls.record_call("v1", a_notice(), seen_at=DEADLINE + MINUTE)
    assert stores.calls.record_call("v1", a_notice(), seen_at=START + MINUTE) is IvrCallMatch.MATCHED
    assert read(stores).verified_at == START + MINUTE


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"line": OTHER_LINE}, id="another line"),
        pytest.param({"recipient": OTHER_RECIPIENT}, id="another number"),
        pytest.param({"mode": VerificationMode.SMS_AND_CALL_IN}, id="another mode"),
    ],
)
def test_a_call_that_does_not_match_changes_nothing(stores: VerificationStores, other: dict[str, Any]) -> None:
    stores.verifications.create(a_verification())
    assert stores.calls.record_call("v1", a_notice(**other), seen_at=START) is IvrCallMatch.FOREIGN
    assert stores.verifications.get("v1") == a_verification()


def test_a_call_for_no_verification_makes_none(stores: VerificationStores) -> None:
    assert stores.calls.record_call("v1", a_notice(), seen_at=START) is IvrCallMatch.NO_CANDIDATE
    assert stores.verifications.create(a_verification()).granted


def test_a_lease_is_only_shortened_and_only_by_its_own_claim(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification())
    lease = stores.calls.lease(recipient=RECIPIENT, line=LINE)
    assert lease is not None
    for until, ends in [(MINUTE, MINUTE), (2 * MINUTE, MINUTE)]:
        stores.calls.shorten_lease(lease, recipient=RECIPIENT, line=LINE, until=START + until)
        shortened = stores.calls.lease(recipient=RECIPIENT, line=LINE)
        assert shortened == replace(lease, until=START + ends)
    other = replace(lease, claim_id="another")
    stores.calls.shorten_lease(other, recipient=RECIPIENT, line=LINE, until=START)
    assert stores.calls.lease(recipient=RECIPIENT, line=LINE) == replace(lease, until=START + MINUTE)
    stores.calls.shorten_lease(lease, recipient=OTHER_RECIPIENT, line=LINE, until=START)
    assert stores.calls.lease(recipient=OTHER_RECIPIENT, line=LINE) is None


def test_the_first_code_for_a_number_stays(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification(mode=CALL_OUT, repeat_calls=1))
    for code in (a_code(b"1"), a_code(b"2"), a_code(b"3", recipient=RECIPIENT), a_code(b"4", recipient=RECIPIENT)):
        assert stores.codes.record_code("v1", code)
    assert read(stores).codes == (a_code(b"1"), a_code(b"3", recipient=RECIPIENT))
    assert read(stores).code == a_code(b"1")


def test_codes_of_other_numbers_take_no_room_from_the_true_one(stores: VerificationStores) -> None:
    """A sender of forged reports cannot fill the item with codes. (I28)"""
    stores.verifications.create(a_verification(mode=CALL_OUT, repeat_calls=1))
    others = [a_code(recipient=f"+8190{number:08d}") for number in range(1_000, 1_100)]
    assert not any(stores.codes.record_code("v1", code) for code in others)
    assert read(stores).codes == ()
    assert stores.codes.record_code("v1", a_code(b"1", recipient=RECIPIENT))
    assert read(stores).code == a_code(b"1", recipient=RECIPIENT)


def test_a_code_for_no_verification_makes_none(stores: VerificationStores) -> None:
    assert not stores.codes.record_code("v1", a_code())
    assert stores.verifications.create(a_verification(mode=CALL_OUT, repeat_calls=1)).granted


def test_wrong_codes_are_counted_up_to_the_maximum(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification(mode=CALL_OUT, repeat_calls=1))
    answers = [stores.verifications.record_wrong_code("v1", at=START) for _ in range(MAX_ATTEMPTS + 2)]
    assert [answer.written for answer in answers] == [True] * MAX_ATTEMPTS + [False] * 2
    assert [answer.verification and answer.verification.attempts_left for answer in answers] == [4, 3, 2, 1, 0, 0, 0]
    refused = stores.verifications.record_right_code("v1", a_check())
    assert (refused.written, refused.verification) == (False, read(stores))
    assert read(stores).verified_at is None
    for nothing in (
        stores.verifications.record_wrong_code("-", at=START),
        stores.verifications.record_right_code("-", a_check()),
        stores.verifications.record_canceled("-", at=START),
    ):
        assert (nothing.written, nothing.verification) == (False, None)


def test_one_check_with_the_right_code_verifies(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification(mode=CALL_OUT, repeat_calls=1))
    first, second = a_check("first", at=START + MINUTE, key="key"), a_check("second", at=START + 2 * MINUTE)
    answers = [stores.verifications.record_right_code("v1", check) for check in (first, second, first)]
    assert [answer.written for answer in answers] == [True, False, True]
    assert [answer.verification for answer in answers] == [read(stores)] * 3
    assert (read(stores).check, read(stores).verified_at) == (first, first.at)
    assert not stores.verifications.record_wrong_code("v1", at=START + 2 * MINUTE).written
    assert read(stores).attempts_left == MAX_ATTEMPTS


@pytest.mark.parametrize(("at", "written"), [(DEADLINE - INSTANT, True), (DEADLINE, False)], ids=["before", "at"])
def test_nothing_is_decided_from_the_deadline_on(stores: VerificationStores, at: datetime, written: bool) -> None:
    for verification_id in ("wrong", "right", "canceled"):
        stores.verifications.create(a_verification(verification_id, mode=CALL_OUT, repeat_calls=1))
    assert stores.verifications.record_wrong_code("wrong", at=at).written is written
    assert stores.verifications.record_right_code("right", a_check(at=at)).written is written
    assert stores.verifications.record_canceled("canceled", at=at).written is written


def test_a_canceled_verification_is_never_verified(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification())
    canceled = stores.verifications.record_canceled("v1", at=START + MINUTE)
    assert (canceled.written, canceled.verification) == (True, read(stores))
    assert not stores.verifications.record_canceled("v1", at=START + 2 * MINUTE).written
    matches = [stores.calls.record_call("v1", a_notice(), seen_at=START + minutes * MINUTE) for minutes in (0, 2)]
    assert matches == [IvrCallMatch.LATE, IvrCallMatch.DUPLICATE]
    assert not stores.verifications.record_right_code("v1", a_check(at=START + MINUTE)).written
    assert not stores.verifications.record_wrong_code("v1", at=START + MINUTE).written
    current = read(stores)
    assert (current.canceled_at, current.closed_at) == (START + MINUTE, START + MINUTE)
    assert (current.verified_at, current.late_call_at) == (None, START)


def test_a_verified_verification_is_never_canceled(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification())
    stores.calls.record_call("v1", a_notice(), seen_at=START)
    stores.verifications.create(a_verification("v2", mode=CALL_OUT, repeat_calls=1))
    stores.verifications.record_right_code("v2", a_check())
    for verification_id in ("v1", "v2"):
        assert not stores.verifications.record_canceled(verification_id, at=START).written
        assert read(stores, verification_id).canceled_at is None


def test_a_canceled_verification_is_no_longer_due_nor_claimed(stores: VerificationStores) -> None:
    verification = a_verification()
    stores.verifications.create(verification)
    stores.verifications.record_outcome(verification, verification.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    stores.verifications.record_canceled("v1", at=START + MINUTE)
    assert list(stores.verifications.overdue(now=DEADLINE + 24 * 60 * MINUTE, limit=9)) == []
    assert not stores.verifications.claim("v1", a_claim("second", at=START + MINUTE)).granted


def test_a_canceled_line_is_free_for_its_client_and_later_for_others(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification())
    for _ in range(2):  # a repeated cancellation changes nothing
        stores.verifications.record_canceled("v1", at=START + MINUTE)
        stores.verifications.release_line(read(stores))
    with pytest.raises(VerificationOpenError):
        stores.verifications.create(a_verification("v2", client="another", at=START + MINUTE + GRACE - INSTANT))
    assert stores.verifications.create(a_verification("v3", at=START + MINUTE)).granted
    with pytest.raises(VerificationOpenError):
        stores.verifications.create(a_verification("v4", at=START + MINUTE + GRACE))


def test_a_canceled_line_is_free_for_others_after_the_grace(stores: VerificationStores) -> None:
    stores.verifications.create(a_verification())
    stores.verifications.record_canceled("v1", at=START + MINUTE)
    stores.verifications.release_line(read(stores))
    other = a_verification("v2", claim_id="second", client="another", at=START + MINUTE + GRACE)
    assert stores.verifications.create(other).granted
    # A release that comes late does not touch the next verification's lease.
    stores.verifications.release_line(read(stores))
    lease = stores.calls.lease(recipient=RECIPIENT, line=LINE)
    assert lease is not None
    assert (lease.verification_id, lease.released_to) == ("v2", None)


def test_one_of_32_starts_at_once_gets_the_line(dynamodb_verifications: DynamoDbVerificationStore) -> None:
    def start(number: int) -> bool:
        try:
            return dynamodb_verifications.create(a_verification(f"v{number}", claim_id=f"c{number}")).granted
        except VerificationOpenError:
            return False

    with ThreadPoolExecutor(32) as callers:
        assert sum(callers.map(start, range(32))) == 1


def test_five_of_32_guesses_at_once_are_counted(dynamodb_verifications: DynamoDbVerificationStore) -> None:
    dynamodb_verifications.create(a_verification(mode=CALL_OUT, repeat_calls=1))
    with ThreadPoolExecutor(32) as guesses:
        answers = list(guesses.map(lambda _: dynamodb_verifications.record_wrong_code("v1", at=START), range(32)))
    assert sum(answer.written for answer in answers) == MAX_ATTEMPTS


def test_one_of_32_right_codes_and_cancellations_at_once_decides(
    dynamodb_verifications: DynamoDbVerificationStore,
) -> None:
    dynamodb_verifications.create(a_verification(mode=CALL_OUT, repeat_calls=1))

    def decide(number: int) -> bool:
        if number % 2:
            return dynamodb_verifications.record_canceled("v1", at=START).written
        return dynamodb_verifications.record_right_code("v1", a_check(str(number))).written

    with ThreadPoolExecutor(32) as callers:
        assert sum(callers.map(decide, range(32))) == 1


def _build_canceller(aws: Aws, codes: list[str], times: int) -> Callable[..., Any]:
    """Build an event handler that cancels the next `times` transactions with these reasons."""
    remaining = iter(range(times))

    def cancel(**_: Any) -> Any:
        if next(remaining, None) is None:
            return None
        raise aws.dynamodb.exceptions.TransactionCanceledException(
            {
                "Error": {"Code": "TransactionCanceledException"},
                "CancellationReasons": [{"Code": code} for code in codes],
            },
            "TransactWriteItems",
        )

    return cancel


@pytest.mark.parametrize("conflicts", [1, 2, 3], ids="{} conflicts".format)
def test_a_transaction_in_conflict_is_tried_three_times(
    aws: Aws, dynamodb_verifications: DynamoDbVerificationStore, conflicts: int
) -> None:
    cancel = _build_canceller(aws, ["TransactionConflict", "None"], conflicts)
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
