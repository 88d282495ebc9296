"""What a status page reads is what the stores wrote: the fakes and the adapters see the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.rate_limits import CircuitRule, LaneState, Permit, SlotRequest
from switchboard.ports.orders import MessageStore
from switchboard.ports.provider_limits import LaneStore
from switchboard.ports.status import LaneReader, ObligationReader, QueueDepth
from switchboard.storage.limits.provider_limits import DynamoDbLaneStore
from switchboard.storage.sms.messages import DynamoDbMessageStore
from switchboard.storage.status import DynamoDbLaneReader, DynamoDbObligationReader, SqsQueueReader
from tests.builders import DEADLINES, a_message, an_outcome
from tests.contract.conftest import IMPLEMENTATIONS, Aws
from tests.fakes import START, InMemoryLaneReader, InMemoryLaneStore, InMemoryMessageStore, InMemoryObligationReader

KINDS = ("sms",)
RULE = CircuitRule(version="v1", limit=3, ceiling=8, in_flight=7)


@pytest.fixture(params=IMPLEMENTATIONS)
def lanes(request: pytest.FixtureRequest) -> tuple[LaneStore, LaneReader]:
    if request.param == "in memory":
        store = InMemoryLaneStore()
        return store, InMemoryLaneReader(store)
    real: DynamoDbLaneStore = request.getfixturevalue("dynamodb_lanes")
    aws: Aws = request.getfixturevalue("aws")
    return real, DynamoDbLaneReader(client=aws.dynamodb, table=request.getfixturevalue("limits_table_name"))


@pytest.fixture(params=IMPLEMENTATIONS)
def obligations(request: pytest.FixtureRequest) -> tuple[MessageStore, ObligationReader]:
    if request.param == "in memory":
        store = InMemoryMessageStore(deadlines=DEADLINES)
        return store, InMemoryObligationReader(store)
    real: DynamoDbMessageStore = request.getfixturevalue("dynamodb_messages")
    aws: Aws = request.getfixturevalue("aws")
    return real, DynamoDbObligationReader(
        client=aws.dynamodb, table=request.getfixturevalue("state_table_name"), kinds=KINDS
    )


def test_a_lane_that_was_never_used_is_as_new(lanes: tuple[LaneStore, LaneReader]) -> None:
    _, reader = lanes
    assert reader.read("mediasms#shared") == LaneState()


def test_a_lane_is_read_as_its_last_writer_left_it(lanes: tuple[LaneStore, LaneReader]) -> None:
    store, reader = lanes
    moved = store.restart(
        "lane",
        SlotRequest(step_us=5, now_us=10, latest_us=20),
        rule=RULE,
        permit=Permit(workers=("a",), until_us=99),
    )
    assert reader.read("lane") == moved.lane

    assert store.add_refusal("lane", worker="a", version="v1") == reader.read("lane")
    store.block("lane", code="557")

    read = reader.read("lane")
    assert (read.streak, read.blocked_by, dict(read.permits)) == (1, "557", {})
    assert reader.read("other") == LaneState()


def _due_of_one_created(at: datetime) -> datetime:
    store = InMemoryMessageStore(deadlines=DEADLINES)
    store.create(a_message(at=at))
    due = InMemoryObligationReader(store).oldest_obligation()
    assert due is not None
    return due


def test_the_oldest_obligation_is_the_one_due_first(obligations: tuple[MessageStore, ObligationReader]) -> None:
    store, reader = obligations
    assert reader.oldest_obligation() is None
    older, newer = START - timedelta(hours=3), START
    for smsid, at in (("newer", newer), ("older", older), ("between", START - timedelta(hours=1))):
        store.create(a_message(smsid, at=at, claim_id=smsid))

    assert reader.oldest_obligation() == _due_of_one_created(older)


def test_what_is_closed_is_no_obligation(obligations: tuple[MessageStore, ObligationReader]) -> None:
    store, reader = obligations
    message = a_message()
    store.create(message)
    message = store.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.REJECTED, code="550"))
    store.record_closed(message, at=START)

    assert reader.oldest_obligation() is None


def test_a_queues_depth_counts_what_waits_is_delayed_and_is_under_way(aws: Aws) -> None:
    url = aws.sqs.create_queue(QueueName=aws.unique("queue"))["QueueUrl"]
    reader = SqsQueueReader(client=lambda: aws.sqs, queue_url=url)
    assert reader.depth() == QueueDepth(waiting=0, delayed=0, under_way=0)

    for delay_s in (0, 0, 0, 60, 60):
        aws.sqs.send_message(QueueUrl=url, MessageBody="{}", DelaySeconds=delay_s)
    aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)

    assert reader.depth() == QueueDepth(waiting=2, delayed=2, under_way=1)


def test_a_store_that_is_not_there_is_said_so(aws: Aws) -> None:
    url = aws.sqs.create_queue(QueueName=aws.unique("queue"))["QueueUrl"]
    reads: list[Callable[[], object]] = [
        lambda: DynamoDbLaneReader(client=aws.dynamodb, table="none").read("lane"),
        DynamoDbObligationReader(client=aws.dynamodb, table="none", kinds=KINDS).oldest_obligation,
        SqsQueueReader(client=lambda: aws.sqs, queue_url=f"{url}-none").depth,
    ]
    for read in reads:
        with pytest.raises(StoreUnavailableError):
            read()


def test_each_part_of_a_status_is_one_call(aws: Aws, state_table_name: str, dynamodb_calls: list[str]) -> None:
    DynamoDbObligationReader(client=aws.dynamodb, table=state_table_name, kinds=KINDS).oldest_obligation()
    DynamoDbLaneReader(client=aws.dynamodb, table=state_table_name).read("lane")

    # A query for each kind of order.
    assert dynamodb_calls == ["Query", "GetItem"]
