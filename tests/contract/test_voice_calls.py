"""What every VoiceCallStore does: a call is found by either id, results are kept whenever they come, bytes stay while
another attempt may send them."""

from __future__ import annotations

import pytest

from switchboard.domain.orders import Outcome, OutcomeKind
from switchboard.domain.voice_calls import CallResult, CallResultFact, PreparedCall
from switchboard.ports.listing import ListingQuery
from switchboard.ports.voice_calls import VoiceCallStore
from switchboard.storage.voice_call.store import DynamoDbVoiceCallStore
from tests.builders import CALLED, CLIENT, DEADLINES, MINUTE, a_call, a_claim, an_outcome
from tests.contract.conftest import IMPLEMENTATIONS, RETENTION, Aws
from tests.fakes import START, InMemoryVoiceCallStore
from tests.tables import state_table

ACCEPTED = Outcome(OutcomeKind.ACCEPTED, START, facts={"call_id": "c1", "show_number": "1234", "request_id": "r1"})


@pytest.fixture(params=IMPLEMENTATIONS)
def calls(request: pytest.FixtureRequest) -> VoiceCallStore:
    if request.param == "in memory":
        return InMemoryVoiceCallStore(deadlines=DEADLINES)
    aws: Aws = request.getfixturevalue("aws")
    table = aws.unique("calls")
    aws.dynamodb.create_table(**state_table(table))
    return DynamoDbVoiceCallStore(client=aws.dynamodb, table=table, deadlines=DEADLINES, retention=RETENTION)


def test_every_fact_of_a_call_is_kept(calls: VoiceCallStore) -> None:
    call = a_call(play_times=2, volume=-5, tag="t", show_number="55", callback_expected=True)
    calls.create(call)
    assert calls.get("call1") == call


def test_an_accepted_call_is_found_by_the_providers_id(calls: VoiceCallStore) -> None:
    call = a_call(callback_expected=True)
    calls.create(call)
    assert calls.token_of("c1") is None
    calls.record_outcome(call, call.claims[0], ACCEPTED)
    stored = calls.get("call1")
    assert calls.token_of("c1") == "call1"
    assert stored is not None
    assert (stored.call_id, stored.shown_number, stored.request_id, stored.content) == ("c1", "1234", "r1", None)


@pytest.mark.parametrize("early", [True, False])
def test_a_result_is_kept_whenever_it_comes_and_at_the_time_it_first_came(calls: VoiceCallStore, early: bool) -> None:
    call, ours = a_call(callback_expected=True), []
    calls.create(call)
    if not early:
        calls.record_outcome(call, call.claims[0], ACCEPTED)
    for minutes, result in ((3, "b"), (2, "a"), (1, "b"), (3, "b")):
        ours.append(calls.record_result(CallResult("c1", result), seen_at=START + minutes * MINUTE))
    calls.record_outcome(call, call.claims[0], ACCEPTED)
    stored = calls.get("call1")
    assert stored is not None
    assert ours == [not early] * 4
    assert stored.reports == (CallResultFact("b", START + MINUTE), CallResultFact("a", START + 2 * MINUTE))
    page = calls.find(ListingQuery(recipient=CALLED, limit=10), client=CLIENT)
    assert list(page.items) == [stored]


def test_a_result_makes_no_call(calls: VoiceCallStore) -> None:
    assert not calls.record_result(CallResult("c1", "a"), seen_at=START)
    assert calls.token_of("c1") is None
    assert calls.get("c1") is None


@pytest.mark.parametrize("silence", [False, True])
def test_the_bytes_stay_for_another_attempt_also_where_a_silence_was_concluded(
    calls: VoiceCallStore, silence: bool
) -> None:
    call = a_call(content=PreparedCall("the bytes"))
    calls.create(call)
    if silence:
        calls.record_timeout(call, at=START + 3 * MINUTE)
    calls.record_outcome(call, call.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    granted = calls.claim("call1", a_claim("second", at=START + 5 * MINUTE))
    assert granted.granted
    assert granted.order is not None
    assert granted.order.content == PreparedCall("the bytes")


@pytest.mark.parametrize("kind", [OutcomeKind.REJECTED, OutcomeKind.UNKNOWN])
def test_the_bytes_are_forgotten_once_it_is_decided_and_nothing_is_awaited(
    calls: VoiceCallStore, kind: OutcomeKind
) -> None:
    call = a_call()
    calls.create(call)
    written = calls.record_outcome(call, call.claims[0], an_outcome(kind))
    assert written.content is None
    assert list(calls.overdue(now=START + 9_999 * MINUTE, limit=10)) == []


def test_a_closed_call_does_not_get_its_bytes_back(calls: VoiceCallStore) -> None:
    call = a_call()
    calls.create(call)
    calls.record_closed(call, at=START)
    closed = calls.get("call1")
    assert closed is not None
    written = calls.record_outcome(closed, call.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    assert written.content is None
