"""What a status page reads is what the stores wrote: the fakes and the adapters see the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.rate_limits import CircuitRule, Permit, ProviderLimitState, SlotRequest
from switchboard.ports.orders import MessageStore
from switchboard.ports.provider_limits import ProviderLimitStore
from switchboard.ports.status import DeadlineReader, ProviderLimitReader, QueueDepth
from switchboard.storage.limits.provider_limits import DynamoDbProviderLimitStore
from switchboard.storage.sms.messages import DynamoDbMessageStore
from switchboard.storage.status import DynamoDbDeadlineReader, DynamoDbProviderLimitReader, SqsQueueReader
from tests.builders import DEADLINES, a_message, an_outcome
from tests.contract.conftest import IMPLEMENTATIONS, Aws
from tests.fakes import (
    START,
    InMemoryDeadlineReader,
    InMemoryMessageStore,
    InMemoryProviderLimitReader,
    InMemoryProviderLimitStore,
)

KINDS = ("sms",)
RULE = CircuitRule(version="v1", open_after_401s=3, max_consecutive_401s=8, in_flight=7)


@pytest.fixture(params=IMPLEMENTATIONS)
def store(request: pytest.FixtureRequest) -> tuple[ProviderLimitStore, ProviderLimitReader]:
    if request.param == "in memory":
        store = InMemoryProviderLimitStore()
        return store, InMemoryProviderLimitReader(store)
    real: DynamoDbProviderLimitStore = request.getfixturevalue("dynamodb_limits")
    aws: Aws = request.getfixturevalue("aws")
    return real, DynamoDbProviderLimitReader(client=aws.dynamodb, table=request.getfixturevalue("limits_table_name"))


@pytest.fixture(params=IMPLEMENTATIONS)
def obligations(request: pytest.FixtureRequest) -> tuple[MessageStore, DeadlineReader]:
    if request.param == "in memory":
        store = InMemoryMessageStore(deadlines=DEADLINES)
        return store, InMemoryDeadlineReader(store)
    real: DynamoDbMessageStore = request.getfixturevalue("dynamodb_messages")
    aws: Aws = request.getfixturevalue("aws")
    return real, DynamoDbDeadlineReader(
        client=aws.dynamodb, table=request.getfixturevalue("state_table_name"), kinds=KINDS
    )


def test_a_lane_that_was_never_used_is_as_new(store: tuple[ProviderLimitStore, ProviderLimitReader]) -> None:
    _, reader = store
    assert reader.read("mediasms#shared") == ProviderLimitState()


def test_a_lane_is_read_as_its_last_writer_left_it(store: tuple[ProviderLimitStore, ProviderLimitReader]) -> None:
    limits, reader = store
    update = limits.reserve_now(
        "state",
        SlotRequest(interval_us=5, now_us=10, latest_us=20),
        rule=RULE,
        permit=Permit(workers=("a",), until_us=99),
    )
    assert reader.read("state") == update.state

    assert limits.record_401("state", worker="a", version="v1") == reader.read("state")
    limits.block("state", code="557")

    read = reader.read("state")
    assert (read.consecutive_401s, read.blocked_by, dict(read.permits)) == (1, "557", {})
    assert reader.read("other") == ProviderLimitState()


def _due_of_one_created(at: datetime) -> datetime:
    store = InMemoryMessageStore(deadlines=DEADLINES)
    store.create(a_message(at=at))
    due = InMemoryDeadlineReader(store).oldest_pending_deadline()
    assert due is not None
    return due


def test_the_oldest_obligation_is_the_one_due_first(obligations: tuple[MessageStore, DeadlineReader]) -> None:
    store, reader = obligations
    assert reader.oldest_pending_deadline() is None
    older, newer = START - timedelta(hours=3), START
    for smsid, at in (("newer", newer), ("older", older), ("between", START - timedelta(hours=1))):
        store.create(a_message(smsid, at=at, claim_id=smsid))

    assert reader.oldest_pending_deadline() == _due_of_one_created(older)


def test_what_is_closed_is_no_obligation(obligations: tuple[MessageStore, DeadlineReader]) -> None:
    store, reader = obligations
    message = a_message()
    store.create(message)
    message = store.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.REJECTED, code="550"))
    store.record_closed(message, at=START)

    assert reader.oldest_pending_deadline() is None


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
        lambda: DynamoDbProviderLimitReader(client=aws.dynamodb, table="none").read("state"),
        DynamoDbDeadlineReader(client=aws.dynamodb, table="none", kinds=KINDS).oldest_pending_deadline,
        SqsQueueReader(client=lambda: aws.sqs, queue_url=f"{url}-none").depth,
    ]
    for read in reads:
        with pytest.raises(StoreUnavailableError):
            read()


def test_each_part_of_a_status_is_one_call(aws: Aws, state_table_name: str, dynamodb_calls: list[str]) -> None:
    DynamoDbDeadlineReader(client=aws.dynamodb, table=state_table_name, kinds=KINDS).oldest_pending_deadline()
    DynamoDbProviderLimitReader(client=aws.dynamodb, table=state_table_name).read("state")

    # A query for each kind of order.
    assert dynamodb_calls == ["Query", "GetItem"]
