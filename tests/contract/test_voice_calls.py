"""Test what every VoiceCallStore does with ids, results and bytes.

A call is found by either id. Results are stored whenever they come. Bytes stay while another attempt may send them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from switchboard.domain.call_results import CallResult
from switchboard.domain.orders import Outcome, OutcomeKind
from switchboard.domain.voice_calls import MAX_RESULTS, CallResultFact, PreparedCall
from switchboard.ports.callbacks import EventPlace
from switchboard.ports.listing import ListingQuery
from switchboard.ports.voice_calls import VoiceCallStore
from switchboard.storage.voice_call.store import DynamoDbVoiceCallStore
from tests.builders import CALLED, CLIENT, DEADLINES, MINUTE, a_call, a_claim, an_outcome
from tests.contract.conftest import IMPLEMENTATIONS, RETENTION, Aws, choose
from tests.fakes import START, InMemoryVoiceCallStore
from tests.ids import describe_row

ACCEPTED = Outcome(OutcomeKind.ACCEPTED, START, facts={"call_id": "c1", "show_number": "1234", "request_id": "r1"})
_FACTS = {"facts": {"M": {"call_id": {"N": "5"}}}}


@pytest.fixture
def dynamodb_voice_calls(aws: Aws, state_table_name: str) -> DynamoDbVoiceCallStore:
    return DynamoDbVoiceCallStore(client=aws.dynamodb, table=state_table_name, deadlines=DEADLINES, retention=RETENTION)


@pytest.fixture(params=IMPLEMENTATIONS)
def calls(request: pytest.FixtureRequest) -> VoiceCallStore:
    return choose(request, partial(InMemoryVoiceCallStore, deadlines=DEADLINES), "dynamodb_voice_calls")


def test_a_created_call_comes_back_unchanged(calls: VoiceCallStore) -> None:
    call = a_call(play_times=2, volume=-5, tag="t", show_number="55", callback_expected=True)
    calls.create(call)
    assert calls.get("call1") == call


@pytest.mark.parametrize("kind", [OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN])
def test_a_call_is_found_by_the_id_that_the_provider_named(calls: VoiceCallStore, kind: OutcomeKind) -> None:
    call = a_call(callback_expected=True)
    calls.create(call)
    assert calls.token_of("c1") is None
    calls.record_outcome(call, call.claims[0], replace(ACCEPTED, kind=kind))
    stored = calls.get("call1")
    assert calls.token_of("c1") == "call1"
    assert stored is not None
    assert (stored.call_id, stored.shown_number, stored.request_id, stored.content) == ("c1", "1234", "r1", None)


@pytest.mark.parametrize("early", [True, False], ids=["before the outcome", "after the outcome"])
def test_a_result_is_stored_with_the_earliest_time_it_came(calls: VoiceCallStore, early: bool) -> None:
    call, known = a_call(callback_expected=True), []
    calls.create(call)
    if not early:
        calls.record_outcome(call, call.claims[0], ACCEPTED)
    for minutes, result in ((3, "b"), (2, "a"), (1, "b"), (3, "b")):
        known.append(calls.record_result(CallResult("c1", result), seen_at=START + minutes * MINUTE))
    calls.record_outcome(call, call.claims[0], ACCEPTED)
    stored = calls.get("call1")
    assert stored is not None
    assert known == [EventPlace.ORPHAN if early else EventPlace.RECORDED] * 4
    assert stored.reports == (CallResultFact("b", START + MINUTE), CallResultFact("a", START + 2 * MINUTE))
    page = calls.find(ListingQuery(recipient=CALLED, limit=10), client=CLIENT)
    assert list(page.items) == [stored]


def test_a_result_of_an_unknown_call_makes_no_call(calls: VoiceCallStore) -> None:
    assert calls.record_result(CallResult("c1", "a"), seen_at=START) is EventPlace.ORPHAN
    assert calls.token_of("c1") is None
    assert calls.get("c1") is None


def test_a_call_full_of_results_still_shows_the_newest_one(calls: VoiceCallStore) -> None:
    call = a_call(callback_expected=True)
    calls.create(call)
    calls.record_outcome(call, call.claims[0], ACCEPTED)
    for number in range(MAX_RESULTS):
        calls.record_result(CallResult("c1", f"{number:03d}"), seen_at=START)
    for minutes, result in ((1, "flood"), (3, "answered"), (2, "replayed late")):
        place = calls.record_result(CallResult("c1", result), seen_at=START + minutes * MINUTE)
        assert place is EventPlace.OVERFLOWED
    assert calls.record_result(CallResult("c1", "000"), seen_at=START) is EventPlace.RECORDED
    stored = calls.get("call1")
    assert stored is not None
    assert len(stored.reports) == MAX_RESULTS + 1
    assert stored.reports[-1] == CallResultFact("answered", START + 3 * MINUTE)


@pytest.mark.parametrize("timed_out", [False, True], ids=["in time", "after a time-out"])
def test_an_unsent_call_keeps_its_bytes_for_the_next_attempt(calls: VoiceCallStore, timed_out: bool) -> None:
    call = a_call(content=PreparedCall("the bytes"))
    calls.create(call)
    if timed_out:
        calls.record_timeout(call, at=START + 3 * MINUTE)
    calls.record_outcome(call, call.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    granted = calls.claim("call1", a_claim("second", at=START + 5 * MINUTE))
    assert granted.granted
    assert granted.order is not None
    assert granted.order.content == PreparedCall("the bytes")


@pytest.mark.parametrize("kind", [OutcomeKind.REJECTED, OutcomeKind.UNKNOWN])
def test_a_decided_call_without_a_pending_report_loses_its_bytes(calls: VoiceCallStore, kind: OutcomeKind) -> None:
    call = a_call()
    calls.create(call)
    written = calls.record_outcome(call, call.claims[0], an_outcome(kind))
    assert written.content is None
    assert list(calls.overdue(now=START + 9_999 * MINUTE, limit=10)) == []


def test_an_outcome_of_a_closed_call_does_not_bring_its_bytes_back(calls: VoiceCallStore) -> None:
    call = a_call()
    calls.create(call)
    calls.record_closed(call, at=START)
    closed = calls.get("call1")
    assert closed is not None
    written = calls.record_outcome(closed, call.claims[0], an_outcome(OutcomeKind.NOT_SENT))
    assert written.content is None


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("template_id", {"N": "5"}),
        ("tag", {"L": []}),
        ("show_number", {"M": {}}),
        ("callback_expected", {"S": "later"}),
        ("play_times", {"S": "later"}),
        ("content", {"M": {"body": {"B": b"x"}}}),
        ("outcomes", {"M": {"c": {"M": {"kind": {"S": "accepted"}, "at": {"S": "2026-11-22T03:04:05Z"}, **_FACTS}}}}),
    ],
    ids=describe_row,
)
def test_a_value_of_a_wrong_type_makes_its_call_alone_unreadable(
    aws: Aws,
    dynamodb_voice_calls: DynamoDbVoiceCallStore,
    state_table_name: str,
    attribute: str,
    value: dict[str, object],
) -> None:
    for number in range(2):
        dynamodb_voice_calls.create(a_call(f"call{number}"))
    aws.dynamodb.update_item(
        TableName=state_table_name,
        Key={"pk": {"S": "CALL#call0"}},
        UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": attribute},
        ExpressionAttributeValues={":value": value},
    )
    page = dynamodb_voice_calls.find(ListingQuery(limit=9), client=CLIENT)
    assert ([call.token for call in page.items], page.unreadable) == (["call1"], 1)
