"""Units that one message costs in the StateTable, which partition is full first, and the pace of the sweep.

The units follow from the items that the real stores write into the tables and indexes of the real template: DynamoDB
counts 1 KB of the larger item, before or after the write, and an index entry for each key that comes, goes or changes.
The sweep acts on 10,000 overdue and 10,000 decided messages in a store that answers every request after 5 ms.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final, cast

import boto3
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from moto import mock_aws

from benchmarks.rows import Row, ratio_row
from switchboard.domain.orders import Deadlines, OutcomeKind
from switchboard.domain.sms.messages import Message, SmsContent, next_due, status_of
from switchboard.ports.listing import ListingQuery
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage import aws
from switchboard.storage.items import DUE_SHARDS, pending_partition
from switchboard.storage.orders.indexes import BY_CLIENT, BY_DUE, BY_RECIPIENT
from switchboard.storage.orders.store import order_item
from switchboard.storage.sms.messages import DynamoDbMessageStore, MessageCodec
from switchboard.usecases.operations.reconcile_overdue import ReconcileOverdue, SweepReport
from switchboard.usecases.submission.submit_once import derive_id
from tests.builders import a_message, a_report, an_outcome
from tests.fakes import START, FixedClock
from tests.translated_template import resources_of

_TABLE: Final = "StateTable"
_PARTITION_UNITS: Final = 1_000
"""The write units a second of one partition of a table or an index."""
_NEW_TABLE_UNITS: Final = 4_000
"""The write units a second that a new table on demand has at first."""
_GOAL: Final = 2_000
"""The messages a second to bear."""
_LATENCY_S: Final = 0.005
_MESSAGES: Final = 10_000
_ONE_BY_ONE: Final = 1_000
_BATCH: Final = 400
_UNDECIDED: Final = 0.15
"""The share of messages that is taken to be undecided two minutes after their submission."""
_SWEEP_WRITES: Final = 2
"""The sweep's writes for one of them: it waits for the window's end, and is closed."""
_LISTED: Final = 100
_LISTS: Final = 40
_DEADLINES: Final = Deadlines()
_CLIENT: Final = "0123456789"

Item = Mapping[str, Any]


def scale_rows() -> Iterator[Row]:
    """Yield the rows of units and partitions, of the sweep, and of a list."""
    yield from _unit_rows()
    yield from _sweep_rows()
    yield _list_row()


def _unit_rows() -> Iterator[Row]:
    life, late = Counter[str](), Counter[str]()
    with mock_aws():
        client = boto3.client("dynamodb", region_name="ap-northeast-1")
        properties = resources_of("AWS::DynamoDB::Table")[_TABLE]
        names = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode")
        client.create_table(TableName=_TABLE, **{name: properties[name] for name in names})
        keys = {
            index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
            for index in properties["GlobalSecondaryIndexes"]
        }
        messages = _message_store(client)
        for number, write in _messages_lives(messages):
            before = _scan(client)
            write()
            (life if number == 0 else late).update(_count_units(before, _scan(client), keys))
    lists = life[BY_CLIENT] + life[BY_RECIPIENT]
    yield Row(
        what="StateTable, write units\nof a message's life",
        ours=f"{life[_TABLE]} table + {lists} lists\n+ {life[BY_DUE]} deadlines",
        baseline=f"reported late: {late[_TABLE]} table\n+ {late[BY_DUE]} deadlines",
        measured=f"{life.total()}",
        goal="<= 3 + 2 + 2",
        met=life[_TABLE] <= 3 and lists <= 2 and life[BY_DUE] <= 2,
    )
    fullest = _find_fullest_shard()
    units = (1 - _UNDECIDED) * life[BY_DUE] + _UNDECIDED * late[BY_DUE]
    rates = {
        f"Deadlines' index\n({DUE_SHARDS} shards), messages/s": (_PARTITION_UNITS / units / fullest, _GOAL),
        "List of one API key,\nmessages/s": (_PARTITION_UNITS / life[BY_CLIENT], _PARTITION_UNITS),
        "New table before it has\ngrown, messages/s": (_NEW_TABLE_UNITS / life[_TABLE], 1_000),
    }
    for what, (rate, goal) in rates.items():
        yield Row(
            what=what,
            ours=f"{rate:,.0f}",
            baseline=f"one partition: {_PARTITION_UNITS / units:,.0f}" if "shards" in what else "",
            measured=f"{rate / goal:.2f} of the goal",
            goal=f">= {goal:,}",
            met=rate >= goal,
        )


def _messages_lives(messages: DynamoDbMessageStore) -> Iterator[tuple[int, Callable[[], object]]]:
    """Yield the writes of two messages: 0 is reported at once, 1 only after the sweep has looked at it."""
    accepted, until = an_outcome(OutcomeKind.ACCEPTED), START + _DEADLINES.delivery_after_claim
    for number in (0, 1):
        message = _build_message(number)
        yield number, partial(messages.create, message)
        yield number, partial(messages.record_outcome, message, message.claims[0], accepted)
        if number == 1:
            yield number, partial(messages.postpone, message, until=until)
        yield number, partial(messages.record_report, a_report("1", message.smsid), seen_at=START)


def _message_store(client: Any) -> DynamoDbMessageStore:
    return DynamoDbMessageStore(
        client=client,
        table=_TABLE,
        deadlines=_DEADLINES,
        statuses=DELIVERY_STATUSES,
        retention=timedelta(days=90),
    )


def _build_message(number: int) -> Message:
    """Build a message of 70 Japanese characters with ids and hashes of the usual lengths."""
    return a_message(
        derive_id(client=_CLIENT, key=str(number)),
        client=_CLIENT,
        claim_id="0" * 32,
        fingerprint="0" * 64,
        content=SmsContent(text="あ" * 70),
    )


def _scan(client: Any) -> dict[str, Item]:
    return {item["pk"]["S"]: item for item in client.scan(TableName=_TABLE)["Items"]}


def _count_units(before: Mapping[str, Item], after: Mapping[str, Item], keys: Mapping[str, list[str]]) -> Counter[str]:
    """Return the write units of the table and of each index for the items that differ."""
    units = Counter[str]()
    for pk in before.keys() | after.keys():
        old, new = before.get(pk, {}), after.get(pk, {})
        if old == new:
            continue
        units[_TABLE] += math.ceil(max(_measure(old), _measure(new)) / 1_024)
        for index, names in keys.items():
            entries = {_read_entry(item, names) for item in (old, new)} if _differ(old, new, names) else set()
            units[index] += len(entries - {None})
    return units


def _read_entry(item: Item, names: list[str]) -> tuple[str, ...] | None:
    """Return the key of the item's entry in an index, or None if it has none. No entry of ours exceeds 1 KB."""
    return tuple(item[name]["S"] for name in names) if all(name in item for name in names) else None


def _differ(old: Item, new: Item, names: list[str]) -> bool:
    return _read_entry(old, names) != _read_entry(new, names)


def _measure(item: Item) -> int:
    """Return the bytes of an item as DynamoDB documents them."""
    return sum(len(name.encode()) + _measure_value(value) for name, value in item.items())


def _measure_value(value: Item) -> int:
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return len(content) // 2 + 2
        case "M":
            return 3 + sum(1 + len(name.encode()) + _measure_value(member) for name, member in content.items())
        case "L":
            return 3 + sum(1 + _measure_value(member) for member in content)
        case _:
            return 1


def _find_fullest_shard() -> float:
    """Return the share of 10,000 messages that is in the fullest shard."""
    shards = Counter(pending_partition("sms", f"SMS#{_build_message(number).smsid}") for number in range(_MESSAGES))
    return max(shards.values()) / _MESSAGES


def _sweep_rows() -> Iterator[Row]:
    slow_s, _ = _sweep(_ONE_BY_ONE, decided=0, threads=0)
    one_by_one = _ONE_BY_ONE / slow_s
    seconds, writes = _sweep(_MESSAGES, decided=_MESSAGES, threads=aws.CALLS_AT_ONCE)
    yield Row(
        what=f"Sweep, {_MESSAGES:,} overdue and\n{_MESSAGES:,} decided messages",
        ours=f"{writes:,} writes in {seconds:.1f} s\n({writes / seconds:,.0f}/s)",
        baseline=f"one by one: {one_by_one:,.0f}/s",
        measured=f"{writes / _MESSAGES:g} an overdue one",
        goal="<= 1",
        met=writes <= _MESSAGES,
    )
    rate = writes / seconds / (_UNDECIDED * _SWEEP_WRITES)
    yield Row(
        what="Sweep, messages/s sustained",
        ours=f"{rate:,.0f}",
        baseline=f"one by one: {one_by_one / (_UNDECIDED * _SWEEP_WRITES):,.0f}",
        measured=f"if {_UNDECIDED:.0%} are undecided\nafter two minutes",
        goal=f">= {_GOAL:,}",
        met=rate >= _GOAL,
    )


def _sweep(overdue: int, *, decided: int, threads: int) -> tuple[float, int]:
    """Sweep until nothing is left. Without threads one request follows the other.

    Returns:
        The seconds on a processor of its own, as other programs share this one: the CPU time, or the time of the
        threads' requests if that is more. Without threads it is the sum of both. And the writes.
    """
    server = _StateTableServer()
    for number in range(overdue + decided):
        server.put(_build_message(number), decided=number >= overdue)
    now = START + _DEADLINES.delivery_after_claim
    pool = ThreadPoolExecutor(threads) if threads else None
    reconcile = ReconcileOverdue(
        orders=_message_store(server.connect()),
        clock=FixedClock(now),
        status_of=lambda message, at: status_of(message, statuses=DELIVERY_STATUSES, deadlines=_DEADLINES, now=at),
        next_due=lambda message: next_due(message, deadlines=_DEADLINES),
        look_again_after=_DEADLINES.requeue_after_queued,
        pool=pool,
    )
    report, began = SweepReport(), time.process_time()
    while reconcile(report, limit=_BATCH) == _BATCH:
        pass
    cpu_s, waiting_s = time.process_time() - began, server.requests * _LATENCY_S
    if pool is not None:
        pool.shutdown()
    assert report.actions.total() == overdue
    return max(cpu_s, waiting_s / threads) if threads else cpu_s + waiting_s, server.writes


@dataclass
class _StateTableServer:
    """The few answers of DynamoDB that the sweep and a list need, each after 5 ms, in the process of the benchmark."""

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    shards: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    requests: int = 0
    writes: int = 0
    latency_s: float = _LATENCY_S

    def put(self, message: Message, *, decided: bool) -> None:
        due = START + _DEADLINES.submission_after_claim
        item = order_item(message, codec=MessageCodec(), due=due, expires_at=0)
        outcome = {"M": {"kind": {"S": "accepted"}, "at": item["created_at"], "code": {"S": "200"}}}
        item |= {"outcomes": {"M": {message.claims[0].id: outcome}}}
        del item["content"]
        if decided:
            item |= {"report|1": item["created_at"], "closed_at": item["created_at"]}
            del item["pending"], item["due"]
        else:
            self.shards[item["pending"]["S"]][item["pk"]["S"]] = item["due"]["S"]
        self.items[item["pk"]["S"]] = item

    def connect(self) -> Any:
        """Return the container's client, whose requests this server answers."""
        config = Config(max_pool_connections=aws.CALLS_AT_ONCE, retries={"total_max_attempts": 1})
        session = boto3.Session("key", "secret", region_name="ap-northeast-1")
        client = session.client("dynamodb", config=config)
        aws.parse_items_fast(client)
        client.meta.events.register("before-send.dynamodb", cast("Any", self.answer))
        return client

    def answer(self, request: AWSRequest, **_: object) -> AWSResponse:
        self.requests += 1
        time.sleep(self.latency_s)
        target = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        body = json.dumps(getattr(self, f"_{operation}")(json.loads(request.body))).encode()
        build = cast("Any", AWSResponse)
        return cast("AWSResponse", build(request.url, 200, {"content-type": "application/x-amz-json-1.0"}, _Body(body)))

    def _Query(self, call: Item) -> Item:  # noqa: N802 - DynamoDB's name
        if call["IndexName"] == BY_CLIENT:
            return {"Items": [{"pk": item["pk"]} for item in list(self.items.values())[: call["Limit"]]]}
        entries = sorted(self.shards[call["ExpressionAttributeValues"][":pending"]["S"]].items())
        after = call.get("ExclusiveStartKey", {}).get("pk", {}).get("S", "")
        page = [{"pk": {"S": pk}} for pk, _ in entries if pk > after][: call["Limit"]]
        return {"Items": page, **({"LastEvaluatedKey": page[-1]} if len(page) == call["Limit"] else {})}

    def _BatchGetItem(self, call: Item) -> Item:  # noqa: N802 - DynamoDB's name
        keys = call["RequestItems"][_TABLE]["Keys"]
        return {"Responses": {_TABLE: [self.items[key["pk"]["S"]] for key in keys]}}

    def _UpdateItem(self, call: Item) -> Item:  # noqa: N802 - DynamoDB's name
        self.writes += 1
        pk = call["Key"]["pk"]["S"]
        assert call["UpdateExpression"].endswith("REMOVE content, due, pending")
        del self.shards[self.items[pk].pop("pending")["S"]][pk]
        return {}


class _Body:
    """A response's body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._body


def _list_row() -> Row:
    server = _StateTableServer(latency_s=0)
    for number in range(_LISTED):
        server.put(_build_message(number), decided=True)
    client, plain = server.connect(), server.connect()
    for operation in aws.OPERATIONS_WITH_ITEMS:
        plain.meta.events.unregister(f"before-parse.dynamodb.{operation}", aws.parse_items)
    return ratio_row(
        f"List of {_LISTED} messages\nover botocore's parser",
        ours=_time_lists(client),
        baseline=_time_lists(plain),
        goal=0.7,
    )


def _time_lists(client: Any) -> list[float]:
    messages, times = _message_store(client), []
    for _ in range(_LISTS):
        began = time.process_time()
        page = messages.find(ListingQuery(limit=_LISTED), client=_CLIENT)
        times.append(time.process_time() - began)
        assert len(page.items) == _LISTED
    return times
