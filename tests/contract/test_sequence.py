"""Test that each write of the stores raises a resource's sequence by its visible facts, and a repetition by none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from switchboard.domain.call_results import CallResult
from switchboard.domain.orders import Outcome, OutcomeKind
from switchboard.domain.recording.facts import (
    MAX_CORRECTIONS,
    Channel,
    FetchAttempt,
    FetchEnd,
    FetchOutcome,
    ParkingReason,
    ReadyFact,
    Role,
    RoleCorrection,
)
from switchboard.domain.verification.callbacks import CodeHash, VerificationMode
from switchboard.domain.verification.verifications import CodeCheck
from switchboard.domain.voice_calls import MAX_RESULTS, VoiceCall
from switchboard.ports.orders import MessageStore
from switchboard.ports.recordings import RecordingStore
from switchboard.ports.verifications import VerificationStore
from switchboard.ports.voice_calls import VoiceCallStore
from switchboard.storage.orders.store import DynamoDbOrderStore
from switchboard.storage.recording.store import DynamoDbRecordingStore
from switchboard.storage.sms.messages import DynamoDbMessageStore
from switchboard.storage.sms.reports import DynamoDbCodeStore
from switchboard.storage.verification.ivr_calls import DynamoDbIvrCallStore
from switchboard.storage.verification.store import DynamoDbVerificationStore
from switchboard.storage.voice_call.store import DynamoDbVoiceCallStore
from tests.builders import (
    DEADLINES,
    MINUTE,
    a_call,
    a_claim,
    a_message,
    a_notice,
    a_report,
    a_verification,
    an_outcome,
)
from tests.contract.conftest import RETENTION, Aws
from tests.fakes import START

READS = {"is_suppressed", "answered_at", "get", "find", "overdue", "parked", "token_of", "shard"}
UNSENT = OutcomeKind.NOT_SENT

Step = tuple[str, Callable[[], object], int]


def rises(read: Callable[[], Any], steps: list[Step], *, store: object, protocol: type) -> None:
    """Make each write twice and compare the rise of the sequence. Every write of the protocol has a step."""
    sequence = 0
    for name, write, rise in steps:
        write()
        sequence += rise
        assert read().sequence == sequence, name
        write()
        assert read().sequence == sequence, f"{name}, repeated"
    writes = {name for name in dir(protocol) if not name.startswith("_") and callable(getattr(protocol, name))}
    assert {name.split()[0] for name, _, _ in steps} >= {name for name in writes - READS if hasattr(store, name)}


def test_the_sequence_of_a_message_counts_its_visible_facts(dynamodb_messages: DynamoDbMessageStore) -> None:
    store, later = dynamodb_messages, START + MINUTE

    def message() -> Any:
        return store.get("sms1")

    steps: list[Step] = [
        ("create", lambda: store.create(a_message()), 2),
        ("bind_key", lambda: store.bind_key("key1", "sms1", client="client1", at=START), 0),
        ("release_key", lambda: store.release_key("key1", bound_at=START), 0),
        (
            "record_outcome not sent and queued",
            lambda: store.record_outcome(message(), a_claim("first"), an_outcome(UNSENT), queue=True),
            2,
        ),
        ("postpone", lambda: store.postpone(message(), until=later), 0),
        ("claim", lambda: store.claim("sms1", a_claim("second", at=later)), 1),
        ("record_timeout", lambda: store.record_timeout(message(), at=later), 1),
        (
            "record_outcome late",
            lambda: store.record_outcome(message(), a_claim("second"), an_outcome(OutcomeKind.UNKNOWN)),
            1,
        ),
        ("record_asked", lambda: store.record_asked(message(), ["closing"], at=later), 0),
        ("record_not_found", lambda: store.record_not_found("sms1", at=later), 1),
        ("record_report in progress", lambda: store.record_report(a_report("14"), seen_at=later), 1),
        ("record_report unlisted", lambda: store.record_report(a_report("999"), seen_at=later), 1),
        ("record_report of another", lambda: store.record_report(a_report("14", recipient="+8190"), seen_at=later), 0),
        # The report that decides closes the message too.
        ("record_report delivered", lambda: store.record_report(a_report("1"), seen_at=later), 2),
        ("record_closed", lambda: store.record_closed(message(), at=later), 0),
        ("record_canceled too late", lambda: store.record_canceled("sms1", at=later), 0),
    ]

    rises(message, steps, store=store, protocol=MessageStore)


def test_a_cancellation_of_a_scheduled_message_counts_twice(dynamodb_messages: DynamoDbMessageStore) -> None:
    store, later = dynamodb_messages, START + MINUTE
    store.create(a_message(claims=(), queued_at=START, send_at=later))
    sequences = []
    for _ in range(2):
        message = store.get("sms1")
        assert message is not None
        sequences.append(message.sequence)
        store.record_canceled("sms1", at=START)
    message = store.get("sms1")

    assert message is not None
    # The cancellation closes the message too.
    assert [*sequences, message.sequence] == [2, 4, 4]


def test_the_sequence_of_a_verification_counts_its_visible_facts(
    aws: Aws, state_table_name: str, dynamodb_verifications: DynamoDbVerificationStore
) -> None:
    store, later = dynamodb_verifications, START + MINUTE
    codes = DynamoDbCodeStore(client=aws.dynamodb, table=state_table_name)
    code = CodeHash(key_version="1", digest=b"1", at=START)
    wrong = iter([True, False])

    def verification() -> Any:
        return store.get("v1")

    steps: list[Step] = [
        ("create", lambda: store.create(a_verification(mode=VerificationMode.CALL_OUT)), 2),
        ("bind_key", lambda: store.bind_key("key1", "v1", client="client1", at=START), 0),
        ("release_key", lambda: store.release_key("key1", bound_at=START), 0),
        ("record_outcome", lambda: store.record_outcome(verification(), a_claim("first"), an_outcome(UNSENT)), 1),
        ("claim", lambda: store.claim("v1", a_claim("second", at=later)), 1),
        ("record_timeout", lambda: store.record_timeout(verification(), at=later), 1),
        ("postpone", lambda: store.postpone(verification(), until=later), 0),
        ("record_code", lambda: codes.record_code("v1", code), 1),
        ("record_wrong_code", lambda: next(wrong) and store.record_wrong_code("v1", at=later), 1),
        ("record_right_code", lambda: store.record_right_code("v1", CodeCheck("c", later)), 1),
        ("record_canceled too late", lambda: store.record_canceled("v1", at=later), 0),
        ("release_line", lambda: store.release_line(verification()), 0),
        ("record_closed", lambda: store.record_closed(verification(), at=later), 1),
    ]

    rises(verification, steps, store=store, protocol=VerificationStore)


def test_the_sequence_of_a_call_in_counts_the_call_and_the_cancellation(
    aws: Aws, state_table_name: str, dynamodb_verifications: DynamoDbVerificationStore
) -> None:
    store, later = dynamodb_verifications, START + MINUTE
    calls = DynamoDbIvrCallStore(client=aws.dynamodb, table=state_table_name)
    store.create(a_verification("v1"))
    store.create(a_verification("v2", line="05000000002"))
    sequences = []
    for write in (
        lambda: calls.record_call("v1", a_notice(), seen_at=later),
        # The cancellation closes the verification too.
        lambda: store.record_canceled("v2", at=later),
        lambda: calls.record_call("v2", a_notice(line="05000000002"), seen_at=later),
    ):
        write()
        write()
        sequences.append([order.sequence for order in (store.get("v1"), store.get("v2")) if order])

    assert sequences == [[3, 2], [3, 4], [3, 5]]


def test_the_sequence_of_a_voice_call_counts_the_facts_of_both_items(aws: Aws, state_table_name: str) -> None:
    store = DynamoDbVoiceCallStore(
        client=aws.dynamodb, table=state_table_name, deadlines=DEADLINES, retention=RETENTION
    )
    later = START + MINUTE
    accepted = Outcome(OutcomeKind.ACCEPTED, START, facts={"call_id": "c1"})

    def voice_call() -> Any:
        return store.get("call1")

    def record(result: str, minutes: int) -> object:
        return store.record_result(CallResult("c1", result), seen_at=START + minutes * MINUTE)

    steps: list[Step] = [
        ("create", lambda: store.create(a_call(callback_expected=True)), 2),
        ("bind_key", lambda: store.bind_key("key1", "call1", client="client1", at=START), 0),
        ("release_key", lambda: store.release_key("key1", bound_at=START), 0),
        ("record_timeout", lambda: store.record_timeout(voice_call(), at=later), 1),
        ("record_result before the answer", lambda: record("early", 5), 0),
        ("record_outcome", lambda: store.record_outcome(voice_call(), a_claim("first"), accepted), 2),
        ("record_result", lambda: record("answered", 5), 1),
        ("record_result earlier", lambda: record("answered", 4), 1),
        ("record_result all", lambda: [record(f"r{n}", 5) for n in range(MAX_RESULTS - 2)], MAX_RESULTS - 2),
        # The newest of those beyond is a fact of its own, and each one in its place a revision.
        ("record_result beyond", lambda: record("beyond", 5), 2),
        ("record_result beyond, newer", lambda: record("newer", 6), 1),
        ("postpone", lambda: store.postpone(voice_call(), until=later), 0),
        ("record_closed", lambda: store.record_closed(voice_call(), at=later), 1),
        ("claim", lambda: store.claim("call1", a_claim("second", at=later)), 0),
    ]

    rises(voice_call, steps, store=store, protocol=VoiceCallStore)


class ReadsOneAfterTheOther(DynamoDbVoiceCallStore):
    """A mutant that reads the results of a call after the call."""

    def get(self, order_id: str) -> VoiceCall | None:
        call = DynamoDbOrderStore.get(self, order_id)
        return self._add_reports([call])[0] if call is not None else None


@pytest.mark.parametrize(
    ("store_type", "has_one_view"),
    [
        pytest.param(DynamoDbVoiceCallStore, True, id="one transaction"),
        pytest.param(ReadsOneAfterTheOther, False, id="two reads"),
    ],
)
def test_no_two_views_of_a_voice_call_have_the_same_sequence(
    aws: Aws, state_table_name: str, store_type: type[DynamoDbVoiceCallStore], has_one_view: bool
) -> None:
    store = DynamoDbVoiceCallStore(
        client=aws.dynamodb, table=state_table_name, deadlines=DEADLINES, retention=RETENTION
    )
    reader = store_type(client=aws.dynamodb, table=state_table_name, deadlines=DEADLINES, retention=RETENTION)
    call = a_call(callback_expected=True)
    store.create(call)
    store.record_outcome(call, call.claims[0], Outcome(OutcomeKind.ACCEPTED, START, facts={"call_id": "c1"}))
    views = []

    def write_between(model: Any, **_: Any) -> None:
        if model.name != "GetItem":
            aws.dynamodb.meta.events.unregister("before-call.dynamodb", write_between)
            store.record_closed(call, at=START + MINUTE)
            views.append(store.get("call1"))
            store.record_result(CallResult("c1", "answered"), seen_at=START + MINUTE)

    aws.dynamodb.meta.events.register("before-call.dynamodb", write_between)
    views.append(reader.get("call1"))
    views.append(store.get("call1"))

    distinct = [view for place, view in enumerate(views) if view is not None and view not in views[:place]]
    assert (len({view.sequence for view in distinct}) == len(distinct)) is has_one_view


def test_the_sequence_of_a_recording_never_falls(aws: Aws, state_table_name: str) -> None:
    store = DynamoDbRecordingStore(client=aws.dynamodb, table=state_table_name, retention=RETENTION)
    due, later = START + MINUTE, START + 2 * MINUTE
    ready = ReadyFact(tel="09000000001", date="d", called_at=START, at=START)
    other = ReadyFact(tel="09000000002", date="d", called_at=START, at=later)
    attempt = FetchAttempt(id="a", channel=Channel.LEFT, at=START)
    withdrawn = FetchAttempt(id="w", channel=Channel.LEFT, at=START)
    failed = FetchOutcome(id="a", channel=Channel.LEFT, at=later, end=FetchEnd.FAILED)

    def recording() -> Any:
        return store.get("r1")

    def correct_many() -> None:
        for number in range(MAX_CORRECTIONS + 5):
            roles = (Role.OPERATOR, Role.CUSTOMER) if number % 2 else (Role.CUSTOMER, Role.OPERATOR)
            at = START + timedelta(days=1, seconds=number)
            store.correct(recording(), RoleCorrection(at=at, left=roles[0], right=roles[1]))

    def begin(begun: FetchAttempt) -> object:
        # A repetition after a lost answer has the recording that was read before.
        seen = replace(recording(), attempts=recording().attempts - {begun})
        return store.begin(seen, begun, due=due)

    once = iter([True, False])
    steps: list[Step] = [
        ("announce", lambda: store.announce("r1", ready, due=due), 1),
        ("announce differently", lambda: store.announce("r1", other, due=due), 1),
        ("park", lambda: store.park(recording(), reason=ParkingReason.OTHER_DATE, at=later), 1),
        ("begin", lambda: begin(attempt), 0),
        ("begin and withdraw", lambda: begin(withdrawn), 0),
        ("withdraw", lambda: store.withdraw("r1", withdrawn), 0),
        ("record_outcome", lambda: store.record_outcome("r1", failed), 1),
        ("schedule the end", lambda: store.schedule(recording(), due=None, at=later), 1),
        ("schedule anew", lambda: store.schedule(recording(), due=due, at=later), 0),
        ("schedule another end", lambda: store.schedule(recording(), due=None, at=later), 1),
        ("correct", lambda: correct_many() if next(once) else None, MAX_CORRECTIONS + 5),
    ]

    rises(recording, steps, store=store, protocol=RecordingStore)


def test_a_recording_without_passing_facts_has_one_view_for_a_sequence(aws: Aws, state_table_name: str) -> None:
    store = DynamoDbRecordingStore(client=aws.dynamodb, table=state_table_name, retention=RETENTION)
    store.announce("r1", ReadyFact(tel="", date="", called_at=None, at=START), due=START)
    before = store.get("r1")
    assert before is not None
    store.begin(before, FetchAttempt(id="a", channel=Channel.LEFT, at=START), due=START)
    after = store.get("r1")

    assert after is not None
    assert after != before
    assert (after.sequence, after.without_passing_facts()) == (before.sequence, before.without_passing_facts())
    assert after.changed_at == START
