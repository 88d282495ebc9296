"""Simultaneous checks over DynamoDB: one right code wins, and guesses share the limit of their number. (I31)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from switchboard.domain.errors import (
    AlreadyVerifiedError,
    SwitchboardError,
    TooManyAttemptsError,
    VerificationCanceledError,
    WrongCodeError,
    WrongCodeLimitError,
)
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.verifications import MAX_ATTEMPTS
from switchboard.storage.sms.reports import DynamoDbCodeStore
from tests.builders import CLIENT, a_code_hash, a_verification
from tests.verification_systems import WRONG_CODES_PER_HOUR, VerificationSystem, assembled_for_verification

if TYPE_CHECKING:
    from switchboard.storage.limits import DynamoDbCounterStore
    from switchboard.storage.verification.store import DynamoDbVerificationStore
    from tests.contract.conftest import Aws

CODE, WRONG = "314159", "271828"


@pytest.fixture(params=[1])
def system(
    request: pytest.FixtureRequest,
    aws: Aws,
    state_table_name: str,
    dynamodb_verifications: DynamoDbVerificationStore,
    dynamodb_counters: DynamoDbCounterStore,
) -> VerificationSystem:
    """A system with as many verifications of one number as the parameter says, whose codes were reported."""
    codes = DynamoDbCodeStore(client=aws.dynamodb, table=state_table_name)
    for number in range(request.param):
        dynamodb_verifications.create(a_verification(f"v{number}", mode=VerificationMode.CALL_OUT, repeat_calls=1))
        codes.record_code(f"v{number}", a_code_hash(CODE, f"v{number}"))
    return assembled_for_verification(store=dynamodb_verifications, counters=dynamodb_counters)


def count_ends(system: VerificationSystem, checks: Iterable[tuple[str, str, str | None]]) -> Counter[object]:
    """Run all checks (id, code and key) at once; count how they ended: `replayed`, or the class of the error."""

    def check(one: tuple[str, str, str | None]) -> object:
        verification_id, code, key = one
        try:
            return system.check(verification_id, code, client=CLIENT, key=key).replayed
        except SwitchboardError as error:
            return type(error)

    with ThreadPoolExecutor(32) as callers:
        return Counter(callers.map(check, checks))


def test_one_of_32_right_codes_at_once_is_answered_with_200(system: VerificationSystem) -> None:
    assert count_ends(system, [("v0", CODE, None)] * 32) == {False: 1, AlreadyVerifiedError: 31}


def test_right_codes_at_once_under_one_key_are_one_success(system: VerificationSystem) -> None:
    assert count_ends(system, [("v0", CODE, "key")] * 32) == {False: 1, True: 31}


def test_right_codes_at_once_under_32_keys_have_one_winner(system: VerificationSystem) -> None:
    checks = [("v0", CODE, f"key-{number}") for number in range(32)]
    assert count_ends(system, checks) == {False: 1, AlreadyVerifiedError: 31}


def test_five_of_32_wrong_codes_at_once_are_compared(system: VerificationSystem) -> None:
    ends = count_ends(system, [("v0", WRONG, None)] * 32)
    assert ends[WrongCodeError] == MAX_ATTEMPTS
    assert set(ends) <= {WrongCodeError, TooManyAttemptsError, WrongCodeLimitError}
    assert count_ends(system, [("v0", CODE, None)]).keys() <= {TooManyAttemptsError, WrongCodeLimitError}


@pytest.mark.parametrize("system", [40], indirect=True, ids="{} verifications".format)
def test_ten_of_40_wrong_codes_at_40_verifications_are_compared(system: VerificationSystem) -> None:
    ends = count_ends(system, [(f"v{number}", WRONG, None) for number in range(40)])
    assert ends == {WrongCodeError: WRONG_CODES_PER_HOUR, WrongCodeLimitError: 30}
    assert count_ends(system, [("v39", CODE, None)]) == {WrongCodeLimitError: 1}


@pytest.mark.parametrize("system", [40], indirect=True, ids="{} verifications".format)
def test_a_right_code_among_wrong_ones_counts_if_it_is_early(
    system: VerificationSystem, dynamodb_verifications: DynamoDbVerificationStore
) -> None:
    checks = [(f"v{number}", CODE if number == 20 else WRONG, None) for number in range(40)]
    ends = count_ends(system, checks)
    verification = dynamodb_verifications.get("v20")
    assert verification is not None
    verified = int(verification.verified_at is not None)
    assert ends == Counter({False: verified, WrongCodeError: 10, WrongCodeLimitError: 30 - verified})


def test_of_checks_and_cancellations_at_once_one_decides(
    system: VerificationSystem, dynamodb_verifications: DynamoDbVerificationStore
) -> None:
    with ThreadPoolExecutor(1) as canceller:
        cancellation = canceller.submit(system.cancel, "v0", client=CLIENT)
        ends = count_ends(system, [("v0", CODE, None)] * 31)
        error = cancellation.exception()
    verification = dynamodb_verifications.get("v0")
    assert verification is not None
    if verification.canceled_at is None:
        assert (ends, type(error)) == ({False: 1, AlreadyVerifiedError: 30}, AlreadyVerifiedError)
    else:
        assert (ends, error) == ({VerificationCanceledError: 31}, None)
    assert (verification.canceled_at is None) is (verification.verified_at is not None)
