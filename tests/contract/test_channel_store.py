"""Test that every store of channels claims one together with its verification, or not at all. (I31, I37)"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.verifications import (
    CodeCheck,
    CodeRecipe,
    Fallback,
    Resend,
    Verification,
    channel_id,
)
from switchboard.ports.verifications import ChannelStore, VerificationStore
from switchboard.storage.verification.store import DynamoDbChannelStore, DynamoDbVerificationStore
from tests.builders import DEADLINES, GRACE, MINUTE, a_claim, a_verification, an_outcome, ids_of
from tests.contract.conftest import IMPLEMENTATIONS, RETENTION
from tests.fakes import START, InMemoryVerificationStore

if TYPE_CHECKING:
    from tests.contract.conftest import Aws

Stores = tuple[VerificationStore, ChannelStore]

CALL: Final = channel_id("v1")
_RECIPE: Final = CodeRecipe(length=6, key_version="1", origin="example.com")
_TEMPLATE: Final = SmsContent(text="コード {code}")


@pytest.fixture
def dynamodb_channels(aws: Aws, state_table_name: str) -> DynamoDbChannelStore:
    return DynamoDbChannelStore(client=aws.dynamodb, table=state_table_name, deadlines=DEADLINES, retention=RETENTION)


@pytest.fixture(params=IMPLEMENTATIONS)
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "in memory":
        fake = InMemoryVerificationStore(grace=GRACE, deadlines=DEADLINES)
        return fake, fake.channels
    return request.getfixturevalue("dynamodb_verifications"), request.getfixturevalue("dynamodb_channels")


def a_code(**facts: Any) -> Verification:
    """Build a verification by SMS that may fall back to a call."""
    fallback = Fallback(after=MINUTE, repeat_calls=1)
    return a_verification(
        mode=VerificationMode.SMS_CODE, content=_TEMPLATE, recipe=_RECIPE, **{"fallback": fallback, **facts}
    )


def a_channel(verification: Verification, claim_id: str, *, generation: int | None = None) -> Verification:
    """Build the channel of a call, or of a resent SMS with this generation of the code."""
    mode = VerificationMode.CALL_OUT if generation is None else VerificationMode.SMS_CODE
    return a_verification(
        channel_id(verification.id, generation=generation),
        at=START + MINUTE,
        claim_id=claim_id,
        mode=mode,
        repeat_calls=1 if generation is None else None,
        content=None if generation is None else _TEMPLATE,
        recipe=None if generation is None else _RECIPE,
        parent_id=verification.id,
        ends_at=verification.expires_at,
        first_generation=generation or 1,
    )


def a_resend(resend_id: str = "resend") -> Resend:
    return Resend(id=resend_id, at=START + MINUTE, key="key")


def started(stores: Stores, **facts: Any) -> Verification:
    verification = a_code(**facts)
    assert stores[0].create(verification).granted
    return verification


def read(stores: Stores) -> Verification:
    verification = stores[0].get("v1")
    assert verification is not None
    return verification


def resend(stores: Stores, verification: Verification, resend_id: str = "resend") -> bool:
    generation = len(verification.resends) + 2
    channel = a_channel(verification, resend_id, generation=generation)
    return stores[1].claim_resend(verification, channel, a_resend(resend_id)).granted


def call(stores: Stores, verification: Verification, claim_id: str = "call") -> bool:
    return stores[1].claim_fallback(verification, a_channel(verification, claim_id)).granted


def test_a_resend_is_claimed_with_its_verification(stores: Stores) -> None:
    verification = started(stores)

    assert resend(stores, verification)

    stored = read(stores)
    assert (stored.resends, stored.generation, stored.message_id) == ((a_resend(),), 2, "v1r2")
    assert stores[1].with_channels(stored).further == (a_channel(verification, "resend", generation=2),)


def test_a_call_is_claimed_with_its_verification(stores: Stores) -> None:
    verification = started(stores)

    assert call(stores, verification)

    stored = read(stores)
    assert stored.fallback == Fallback(after=MINUTE, repeat_calls=1, called_at=START + MINUTE)
    assert stores[1].with_channels(stored).further == (a_channel(verification, "call"),)


def verify(stores: Stores) -> None:
    by = VerificationMode.SMS_CODE
    assert stores[0].record_right_code("v1", CodeCheck(id="check", at=START + MINUTE, by=by)).written


def cancel(stores: Stores) -> None:
    assert stores[0].record_canceled("v1", at=START + MINUTE).written


def resend_meanwhile(stores: Stores) -> None:
    assert resend(stores, read(stores), "other")


@pytest.mark.parametrize("claim", [resend, call])
@pytest.mark.parametrize("meanwhile", [verify, cancel, resend_meanwhile])
def test_no_channel_is_claimed_after_what_was_recorded_meanwhile(
    stores: Stores, claim: Callable[[Stores, Verification], bool], meanwhile: Callable[[Stores], None]
) -> None:
    verification = started(stores)
    meanwhile(stores)
    before = read(stores)

    assert not claim(stores, verification)

    assert read(stores) == before
    assert stores[1].get(CALL) is None


@pytest.mark.parametrize("claim", [resend, call])
def test_no_channel_is_claimed_after_the_end(stores: Stores, claim: Callable[[Stores, Verification], bool]) -> None:
    verification = started(stores, holding_minutes=1)

    assert not claim(stores, verification)

    assert read(stores) == verification


@pytest.mark.parametrize("claim", [resend, call])
def test_no_channel_of_no_verification_is_claimed(
    stores: Stores, claim: Callable[[Stores, Verification], bool]
) -> None:
    assert not claim(stores, a_code())
    assert (stores[0].get("v1"), stores[1].get(CALL)) == (None, None)


def test_a_verification_without_a_fallback_gets_no_call(stores: Stores) -> None:
    verification = started(stores, fallback=None)
    assert not call(stores, verification)
    assert stores[1].get(CALL) is None


@pytest.mark.parametrize("claim", [resend, call])
def test_a_claim_repeated_after_a_lost_answer_makes_nothing_new(
    stores: Stores, claim: Callable[[Stores, Verification, str], bool]
) -> None:
    verification = started(stores)
    claim(stores, verification, "same")
    before = read(stores)

    claim(stores, verification, "same")

    assert read(stores) == before


def test_a_second_claim_of_a_call_under_way_is_refused(stores: Stores) -> None:
    verification = started(stores)
    assert call(stores, verification, "one")
    assert not call(stores, verification, "another")
    assert not call(stores, read(stores), "another")


def test_a_call_that_is_known_to_be_unsent_is_claimed_again(stores: Stores) -> None:
    call(stores, started(stores), "one")
    channel = stores[1].get(CALL)
    assert channel is not None
    unsent = stores[1].record_outcome(channel, a_claim("one"), an_outcome(OutcomeKind.NOT_SENT))
    claim = a_claim("two", at=START + 2 * MINUTE)

    answer = stores[1].claim_fallback(read(stores), replace(unsent, claims=(*unsent.claims, claim)))

    assert answer.granted
    stored = read(stores).fallback
    assert stored is not None
    assert stored.called_at == START + MINUTE


def test_an_unsent_resend_leaves_the_older_code_valid(stores: Stores) -> None:
    resend(stores, started(stores))

    stores[1].record_unsent_resend("v1", a_resend("other"), place=0)
    stores[1].record_unsent_resend("v1", a_resend(), place=1)
    assert read(stores).generation == 2
    stores[1].record_unsent_resend("v1", a_resend(), place=0)

    assert (read(stores).generation, read(stores).resends_used) == (1, 0)


def test_a_refused_call_is_recorded_once_it_was_claimed(stores: Stores) -> None:
    verification = started(stores)
    stores[1].record_refused_call("v1")
    assert read(stores) == verification
    call(stores, verification)

    stores[1].record_refused_call("v1")

    stored = read(stores).fallback
    assert stored is not None
    assert stored.refused


def test_channels_are_overdue_apart_from_their_verifications(stores: Stores) -> None:
    verification = started(stores)
    resend(stores, verification)
    call(stores, read(stores))
    later = START + timedelta(hours=1)

    assert ids_of(stores[0].overdue(now=later, limit=10)) == ["v1"]
    assert sorted(ids_of(stores[1].overdue(now=later, limit=10))) == [CALL, "v1r2"]


def test_one_of_32_claims_of_a_call_at_once_is_granted(
    dynamodb_verifications: DynamoDbVerificationStore, dynamodb_channels: DynamoDbChannelStore
) -> None:
    both = (dynamodb_verifications, dynamodb_channels)
    verification = started(both)
    with ThreadPoolExecutor(32) as pool:
        granted = list(pool.map(lambda number: call(both, verification, f"c{number}"), range(32)))

    assert sum(granted) == 1
