"""Test what only the DynamoDB MessageStore has: its cost, the expiry of its items, and its failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from switchboard.domain.errors import StoreRefusedError, StoreUnavailableError, UnreadableItemError
from switchboard.domain.orders import Claim, Outcome, OutcomeKind
from switchboard.domain.sms.delivery import MAX_ORPHANS, MAX_UNLISTED_REPORTS
from switchboard.domain.sms.messages import Message, SmsContent
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from switchboard.ports.callbacks import EventPlace
from switchboard.ports.listing import ListingQuery, UnreadableItem
from switchboard.ports.orders import MessageStore
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES, MAX_STATUS_LENGTH
from switchboard.storage.items import DUE_SHARDS, pending_partition, pending_partitions
from switchboard.storage.limits import DynamoDbCounterStore, DynamoDbProviderLimitStore
from switchboard.storage.sms.messages import DynamoDbMessageStore
from switchboard.usecases.submission.submit_once import derive_id
from tests.builders import (
    CLIENT,
    DEADLINES,
    MINUTE,
    RECIPIENT,
    a_callback,
    a_claim,
    a_command,
    a_message,
    a_report,
    an_outcome,
    ids_of,
)
from tests.contract.conftest import RETENTION, Aws
from tests.fakes import START, Ending, FixedClock, InMemoryOutbox, LimitRules, ScriptedProvider
from tests.ids import describe_row
from tests.systems import System, assembled


@dataclass(frozen=True, slots=True)
class _Running:
    clock: FixedClock
    provider: ScriptedProvider
    outbox: InMemoryOutbox
    system: System


@pytest.fixture
def running(dynamodb_messages: DynamoDbMessageStore, dynamodb_limits: DynamoDbProviderLimitStore) -> _Running:
    clock, provider, outbox = FixedClock(), ScriptedProvider(), InMemoryOutbox()
    guard = ProviderGuards(
        store=dynamodb_limits,
        key="state",
        new_container_id=lambda: "worker",
        settings=GuardSettings(requests_per_s=80),
        clock=clock,
        version=lambda: "v1",
    ).single
    # The first slot of a new state costs one write more.
    guard.acquire(latest=clock.now() + timedelta(seconds=1))
    clock.advance(timedelta(seconds=1))
    system = assembled(messages=dynamodb_messages, outbox=outbox, provider=provider, clock=clock, guard=guard)
    return _Running(clock, provider, outbox, system)


def test_a_send_costs_two_writes_one_for_its_slot_and_one_read(running: _Running, dynamodb_calls: list[str]) -> None:
    running.system.send(a_command())
    # The read is that of the number's suppression.
    assert dynamodb_calls == ["UpdateItem", "GetItem", "UpdateItem", "UpdateItem"]


def test_the_limits_of_a_recipient_cost_one_further_write(
    dynamodb_messages: DynamoDbMessageStore, dynamodb_counters: DynamoDbCounterStore, dynamodb_calls: list[str]
) -> None:
    rules = LimitRules(recipient_per_minute=3, recipient_per_hour=10, recipient_per_day=30)
    system = assembled(messages=dynamodb_messages, limits=rules.over(dynamodb_counters))
    system.send(a_command())
    assert dynamodb_calls == ["UpdateItem", "GetItem", "UpdateItem", "UpdateItem"]


def test_a_second_send_in_the_same_second_costs_the_same(running: _Running, dynamodb_calls: list[str]) -> None:
    running.system.send(a_command())
    running.system.send(a_command(idempotency_key="order-2"))
    assert dynamodb_calls == ["UpdateItem", "GetItem", "UpdateItem", "UpdateItem"] * 2


def test_a_replay_costs_one_refused_write(running: _Running, dynamodb_calls: list[str]) -> None:
    running.system.send(a_command())
    dynamodb_calls.clear()
    assert running.system.send(a_command()).replayed
    assert dynamodb_calls == ["UpdateItem"]


def test_a_queued_send_costs_two_writes_one_for_its_slot_and_one_read(
    running: _Running, dynamodb_calls: list[str]
) -> None:
    running.provider.script(Ending.RATE_LIMITED)
    running.system.send(a_command())
    running.clock.advance(timedelta(seconds=5))
    dynamodb_calls.clear()
    running.system.send_queued(running.outbox.entries.popleft())
    assert dynamodb_calls == ["UpdateItem", "GetItem", "UpdateItem", "UpdateItem"]
    dynamodb_calls.clear()
    running.system.send_queued(derive_id(client=CLIENT, key="order-1"))
    assert dynamodb_calls == ["UpdateItem"]


@pytest.mark.parametrize("status", [*DELIVERY_STATUSES.rows, "unlisted"])
def test_a_report_costs_one_write_and_reads_nothing(
    running: _Running, dynamodb_messages: DynamoDbMessageStore, dynamodb_calls: list[str], status: str
) -> None:
    dynamodb_messages.create(a_message())
    dynamodb_calls.clear()
    for _ in range(2):
        running.system.record(a_callback(status))
    assert dynamodb_calls == ["UpdateItem"] * 2


def test_an_orphan_costs_two_writes_and_reads_nothing(running: _Running, dynamodb_calls: list[str]) -> None:
    running.system.record(a_callback("1"))
    assert dynamodb_calls == ["UpdateItem"] * 2


def test_a_full_item_is_small_and_takes_the_true_report_in_one_write(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, state_table_name: str, dynamodb_calls: list[str]
) -> None:
    dynamodb_messages.create(a_message(content=SmsContent(text="\U0001f4de" * 700, text_au="\U0001f4de" * 700)))
    longest = "\U0001f4de" * (MAX_STATUS_LENGTH - 2)
    for number in range(MAX_ORPHANS + 1):
        for recipient in (RECIPIENT, f"+{number:030d}"):
            report = a_report(f"{number:02d}{longest}", recipient=recipient)
            place = dynamodb_messages.record_report(report, seen_at=START)
            assert (place is EventPlace.OVERFLOWED) is (number == MAX_ORPHANS)
    for status in DELIVERY_STATUSES.rows.keys() - {"1"}:
        dynamodb_messages.record_report(a_report(status), seen_at=START)
    assert sum(len(name.encode()) + len(value.encode()) for name, value in _items(aws, state_table_name)) < 40_000
    dynamodb_calls.clear()
    assert dynamodb_messages.record_report(a_report("1"), seen_at=START) is EventPlace.RECORDED
    assert dynamodb_calls == ["UpdateItem"]
    message = dynamodb_messages.get("sms1")
    assert message is not None
    assert len(message.reports) == MAX_UNLISTED_REPORTS + len(DELIVERY_STATUSES.rows)


def _items(aws: Aws, table: str) -> Iterable[tuple[str, str]]:
    """Return the names and values of the item's attributes."""
    return _attributes(aws, table).items()


def test_a_broken_item_hides_no_other_one(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, state_table_name: str
) -> None:
    for number in range(3):
        dynamodb_messages.create(a_message(f"sms{number}", at=START + number * MINUTE))
    _break(aws, state_table_name, "sms1")
    page = dynamodb_messages.find(ListingQuery(limit=10), client=CLIENT)
    assert ([message.smsid for message in page.items], page.unreadable) == (["sms2", "sms0"], 1)
    overdue = dynamodb_messages.overdue(now=START + timedelta(days=1), limit=1)
    assert sorted(ids_of(overdue)) == ["SMS#sms1", "sms0", "sms2"]
    with pytest.raises(UnreadableItemError, match=r"^read order: ValueError$"):
        dynamodb_messages.get("sms1")


WRONG_VALUES: dict[str, tuple[dict[str, object], ...]] = {
    "id": ({"N": "5"}, {"S": "another"}, {"NULL": True}, {"B": b"x"}),
    "client": ({"N": "5"}, {"NULL": True}),
    "recipient": ({"N": "81"}, {"SS": ["+819000000001"]}, {"M": {}}),
    "fingerprint": ({"N": "5"},),
    "reference": ({"N": "5"},),
    "created_at": ({"S": "later"}, {"S": "2026-11-22T03:04:05"}, {"N": "1"}),
    "submit_before": ({"S": "2026-11-22T03:04:05"},),
    "claims": ({"S": "later"}, {"L": []}, {"L": [{"M": {"id": {"N": "1"}, "at": {"S": "2026-11-22T03:04:05Z"}}}]}),
    "attempts": ({"N": "7"}, {"S": "1"}),
    "outcomes": (
        {"NULL": True},
        {"M": {"c": {"M": {"kind": {"S": "later"}, "at": {"S": "2026-11-22T03:04:05Z"}}}}},
        {"M": {"c": {"M": {"kind": {"S": "accepted"}, "at": {"S": "2026-11-22T03:04:05Z"}, "code": {"N": "200"}}}}},
    ),
    "measure": ({"S": "later"},),
    "content": ({"S": "later"}, {"M": {"text": {"N": "5"}}}, {"M": {"of_a_later_version": {"S": "x"}}}),
    "bulk": ({"S": "later"},),
    "report|1": ({"N": "5"}, {"NULL": True}, {"S": "2026-11-22T03:04:05"}),
}


@pytest.mark.parametrize(
    ("attribute", "value"),
    [(attribute, value) for attribute, values in WRONG_VALUES.items() for value in values],
    ids=describe_row,
)
def test_a_value_of_a_wrong_type_makes_its_item_alone_unreadable(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, state_table_name: str, attribute: str, value: dict[str, object]
) -> None:
    for number in range(2):
        dynamodb_messages.create(a_message(f"sms{number}", at=START + number * MINUTE))
    aws.dynamodb.update_item(
        TableName=state_table_name,
        Key={"pk": {"S": "SMS#sms0"}},
        UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": attribute},
        ExpressionAttributeValues={":value": value},
    )
    page = dynamodb_messages.find(ListingQuery(limit=10), client=CLIENT)
    assert ([message.smsid for message in page.items], page.unreadable) == (["sms1"], 1)
    assert set(ids_of(dynamodb_messages.overdue(now=START + timedelta(days=1), limit=9))) == {"SMS#sms0", "sms1"}


def _break(aws: Aws, table: str, smsid: str) -> None:
    """Write what a later version might write into the item."""
    aws.dynamodb.update_item(
        TableName=table,
        Key={"pk": {"S": f"SMS#{smsid}"}},
        UpdateExpression="SET created_at = :later",
        ExpressionAttributeValues={":later": {"S": "a form of a later version"}},
    )


def test_a_write_that_aws_refuses_for_good_is_no_outage(dynamodb_messages: DynamoDbMessageStore) -> None:
    with pytest.raises(StoreRefusedError, match=r"^create order: ValidationException$"):
        dynamodb_messages.create(a_message(content=SmsContent(text="x" * 450_000)))


def test_a_sweep_that_finds_nothing_costs_one_query_a_shard(running: _Running, dynamodb_calls: list[str]) -> None:
    running.system.send(a_command())
    dynamodb_calls.clear()
    assert not running.system.sweep()
    assert dynamodb_calls == ["Query"] * DUE_SHARDS


def _attributes(aws: Aws, table: str, smsid: str = "sms1") -> dict[str, str]:
    item = aws.dynamodb.get_item(TableName=table, Key={"pk": {"S": f"SMS#{smsid}"}})["Item"]
    return {name: str(next(iter(value.values()))) for name, value in item.items()}


EXPIRY = str(int((START + RETENTION).timestamp()))


def test_every_item_expires_at_the_end_of_its_retention(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, state_table_name: str
) -> None:
    dynamodb_messages.create(a_message())
    dynamodb_messages.record_report(a_report("1"), seen_at=START + timedelta(days=3))
    dynamodb_messages.record_report(a_report("1", "orphan"), seen_at=START)
    dynamodb_messages.record_report(a_report("14", "orphan"), seen_at=START + timedelta(days=3))
    dynamodb_messages.bind_key("key1", "sms1", client=CLIENT, at=START)
    for smsid in ("sms1", "orphan", "key1"):
        assert _attributes(aws, state_table_name, smsid)["expires_at"] == EXPIRY


def test_an_order_over_a_limit_expires_in_an_hour_until_it_is_claimed_again(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, state_table_name: str
) -> None:
    message, later = a_message(), START + timedelta(hours=2)
    dynamodb_messages.create(message)
    refused = Outcome(OutcomeKind.NOT_SENT, START, over_limit=True)
    assert dynamodb_messages.record_outcome(message, message.claims[0], refused).outcomes["first"] == refused
    hour = str(int((START + timedelta(hours=1)).timestamp()))
    assert _attributes(aws, state_table_name)["expires_at"] == hour
    assert dynamodb_messages.claim("sms1", Claim(id="second", at=later)).granted
    assert _attributes(aws, state_table_name)["expires_at"] == str(int((later + RETENTION).timestamp()))


def test_a_released_key_expires_in_an_hour_until_it_is_bound_again(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, state_table_name: str
) -> None:
    def bind_again(at: datetime) -> str:
        assert dynamodb_messages.bind_key("key1", "sms1", client=CLIENT, at=at)
        return str(int((at + RETENTION).timestamp()))

    bind_again(START)
    dynamodb_messages.release_key("key1", bound_at=START)
    hour = str(int((START + timedelta(hours=1)).timestamp()))
    assert _attributes(aws, state_table_name, "key1")["expires_at"] == hour
    later = bind_again(START + timedelta(minutes=5))
    dynamodb_messages.release_key("key1", bound_at=START)
    assert _attributes(aws, state_table_name, "key1")["expires_at"] == later
    dynamodb_messages.release_key("none", bound_at=START)


@pytest.mark.parametrize("throttled", [1, 2], ids=["one shard", "two shards"])
def test_a_throttled_shard_hinders_no_other_one(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, throttled: int
) -> None:
    shards = pending_partitions("sms")
    ids = {pending_partition("sms", f"SMS#sms{number}"): f"sms{number}" for number in range(200)}
    for smsid in ids.values():
        dynamodb_messages.create(a_message(smsid, claim_id=smsid))
    now = START + timedelta(days=1)
    failing = [shards[(int(now.timestamp()) + place) % DUE_SHARDS] for place in (3, 5)[:throttled]]

    def fail(params: dict[str, Any], **_: object) -> None:
        if json.loads(params["body"])["ExpressionAttributeValues"][":pending"]["S"] in failing:
            raise EndpointConnectionError(endpoint_url="throttled")

    aws.dynamodb.meta.events.register("before-call.dynamodb.Query", fail)
    found: list[Message | UnreadableItem] = []
    with pytest.raises(StoreUnavailableError):
        found.extend(dynamodb_messages.overdue(now=now, limit=9))
    aws.dynamodb.meta.events.unregister("before-call.dynamodb.Query", fail)
    expected = {smsid for shard, smsid in ids.items() if shard not in failing}
    # A second one means that DynamoDB is down: the shards behind it wait for the next sweep.
    assert set(ids_of(found)) == expected if throttled == 1 else set(ids_of(found)) < expected


def test_an_entry_that_lags_behind_its_item_is_passed_over(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb_messages.create(a_message())
    overdue = partial(dynamodb_messages.overdue, now=START + timedelta(days=1), limit=9)
    query, pages = aws.dynamodb.query, []

    def query_and_keep(**call: Any) -> Any:
        pages.append(query(**call))
        return pages[-1]

    monkeypatch.setattr(aws.dynamodb, "query", query_and_keep)
    assert ids_of(overdue()) == ["sms1"]
    dynamodb_messages.record_report(a_report("1"), seen_at=START)
    monkeypatch.setattr(aws.dynamodb, "query", lambda **_: pages.pop(0))
    assert not list(overdue())
    assert not pages


def test_a_message_of_an_earlier_version_is_found_and_postponed(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, state_table_name: str
) -> None:
    message = a_message()
    dynamodb_messages.create(message)
    aws.dynamodb.update_item(
        TableName=state_table_name,
        Key={"pk": {"S": "SMS#sms1"}},
        UpdateExpression="SET pending = :one_shard",
        ExpressionAttributeValues={":one_shard": {"S": "pending#sms"}},
    )
    assert pending_partition("sms", "SMS#sms1") != "pending#sms"
    assert ids_of(dynamodb_messages.overdue(now=START + timedelta(days=1), limit=9)) == ["sms1"]
    dynamodb_messages.postpone(message, until=START + timedelta(days=2))
    assert not list(dynamodb_messages.overdue(now=START + timedelta(days=1), limit=9))


def test_an_accepted_message_keeps_its_entry_in_the_deadlines_index(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, state_table_name: str
) -> None:
    message = a_message()
    dynamodb_messages.create(message)
    before = _attributes(aws, state_table_name)
    dynamodb_messages.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.ACCEPTED))
    after = _attributes(aws, state_table_name)
    assert (after["pending"], after["due"]) == (before["pending"], before["due"])


def test_a_decided_message_leaves_the_index_of_pending_items(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, state_table_name: str
) -> None:
    message = a_message()
    dynamodb_messages.create(message)
    assert _attributes(aws, state_table_name)["pending"] == pending_partition("sms", "SMS#sms1")
    dynamodb_messages.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.REJECTED, code="560"))
    assert not {"pending", "due"} & _attributes(aws, state_table_name).keys()


def test_a_decided_message_has_no_text_in_its_item(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, state_table_name: str
) -> None:
    message = a_message()
    dynamodb_messages.create(message)
    assert "content" in _attributes(aws, state_table_name)
    dynamodb_messages.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.ACCEPTED))
    assert "content" not in _attributes(aws, state_table_name)


CALLS: dict[str, Callable[[MessageStore], object]] = {
    "create": lambda messages: messages.create(a_message()),
    "claim": lambda messages: messages.claim("sms1", a_claim("second")),
    "bind_key": lambda messages: messages.bind_key("key1", "sms1", client=CLIENT, at=START),
    "release_key": lambda messages: messages.release_key("key1", bound_at=START),
    "record_outcome": lambda messages: messages.record_outcome(
        a_message(), a_claim("first"), an_outcome(OutcomeKind.ACCEPTED)
    ),
    "record_report": lambda messages: messages.record_report(a_report("1"), seen_at=START),
    "record_timeout": lambda messages: messages.record_timeout(a_message(), at=START),
    "record_closed": lambda messages: messages.record_closed(a_message(), at=START),
    "postpone": lambda messages: messages.postpone(a_message(), until=START),
    "get": lambda messages: messages.get("sms1"),
    "find": lambda messages: messages.find(ListingQuery(limit=1), client=CLIENT),
    "overdue": lambda messages: list(messages.overdue(now=START, limit=1)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_an_error_of_aws_names_the_operation_and_the_code_only(
    aws: Aws, call: Callable[[MessageStore], object]
) -> None:
    store = DynamoDbMessageStore(
        client=aws.dynamodb, table="none", deadlines=DEADLINES, statuses=DELIVERY_STATUSES, retention=RETENTION
    )
    with pytest.raises(StoreUnavailableError, match=r"^[a-z ]+: ResourceNotFoundException$"):
        call(store)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_an_unreachable_aws_is_a_store_unavailable_error(
    aws: Aws, dynamodb_messages: DynamoDbMessageStore, call: Callable[[MessageStore], object]
) -> None:
    def unreachable(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://dynamodb.invalid")

    aws.dynamodb.meta.events.register("before-call.dynamodb", unreachable)
    try:
        with pytest.raises(StoreUnavailableError, match=r"^[a-z ]+: EndpointConnectionError$"):
            call(dynamodb_messages)
    finally:
        aws.dynamodb.meta.events.unregister("before-call.dynamodb", unreachable)
