"""The readers of the status page return what the stores wrote, fakes and adapters alike."""

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
from switchboard.storage.items import pending_partitions
from switchboard.storage.limits import DynamoDbProviderLimitStore
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

KEY = "mediasms#shared"
PARTITIONS = pending_partitions("sms")
RULE = CircuitRule(version="v1", open_after_401s=3, max_consecutive_401s=8, in_flight=7)


@pytest.fixture(params=IMPLEMENTATIONS)
def limits(request: pytest.FixtureRequest) -> tuple[ProviderLimitStore, ProviderLimitReader]:
    if request.param == "in memory":
        fake = InMemoryProviderLimitStore()
        return fake, InMemoryProviderLimitReader(fake)
    store: DynamoDbProviderLimitStore = request.getfixturevalue("dynamodb_limits")
    aws: Aws = request.getfixturevalue("aws")
    return store, DynamoDbProviderLimitReader(client=aws.dynamodb, table=request.getfixturevalue("limits_table_name"))


@pytest.fixture(params=IMPLEMENTATIONS)
def deadlines(request: pytest.FixtureRequest) -> tuple[MessageStore, DeadlineReader]:
    if request.param == "in memory":
        fake = InMemoryMessageStore(deadlines=DEADLINES)
        return fake, InMemoryDeadlineReader(fake)
    store: DynamoDbMessageStore = request.getfixturevalue("dynamodb_messages")
    aws: Aws = request.getfixturevalue("aws")
    return store, DynamoDbDeadlineReader(
        client=aws.dynamodb, table=request.getfixturevalue("state_table_name"), partitions=PARTITIONS
    )


def test_a_key_that_was_never_used_has_a_new_state(limits: tuple[ProviderLimitStore, ProviderLimitReader]) -> None:
    _, reader = limits
    assert reader.read(KEY) == ProviderLimitState()


def test_the_reader_returns_the_last_written_state(limits: tuple[ProviderLimitStore, ProviderLimitReader]) -> None:
    store, reader = limits
    update = store.reserve_now(
        KEY,
        SlotRequest(interval_us=5, now_us=10, latest_us=20),
        rule=RULE,
        permit=Permit(workers=("a",), until_us=99),
    )
    assert reader.read(KEY) == update.state

    assert store.record_401(KEY, worker="a", version="v1") == reader.read(KEY)
    store.block(KEY, code="557")

    state = reader.read(KEY)
    assert (state.consecutive_401s, state.blocked_by, dict(state.permits)) == (1, "557", {})
    assert reader.read("baidu_vms#shared") == ProviderLimitState()


def _deadline_of_message_created(at: datetime) -> datetime:
    store = InMemoryMessageStore(deadlines=DEADLINES)
    store.create(a_message(at=at))
    due = InMemoryDeadlineReader(store).oldest_pending_deadline()
    assert due is not None
    return due


def test_the_oldest_deadline_is_that_of_the_oldest_message(deadlines: tuple[MessageStore, DeadlineReader]) -> None:
    store, reader = deadlines
    assert reader.oldest_pending_deadline() is None
    older, newer = START - timedelta(hours=3), START
    for smsid, at in (("newer", newer), ("older", older), ("between", START - timedelta(hours=1))):
        store.create(a_message(smsid, at=at, claim_id=smsid))

    assert reader.oldest_pending_deadline() == _deadline_of_message_created(older)


def test_a_closed_message_has_no_deadline(deadlines: tuple[MessageStore, DeadlineReader]) -> None:
    store, reader = deadlines
    message = a_message()
    store.create(message)
    message = store.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.REJECTED, code="550"))
    store.record_closed(message, at=START)

    assert reader.oldest_pending_deadline() is None


def test_a_queue_depth_counts_waiting_delayed_and_received_messages(aws: Aws) -> None:
    url = aws.sqs.create_queue(QueueName=aws.unique("queue"))["QueueUrl"]
    reader = SqsQueueReader(client=lambda: aws.sqs, queue_url=url)
    assert reader.depth() == QueueDepth(waiting=0, delayed=0, under_way=0)

    for delay_s in (0, 0, 0, 60, 60):
        aws.sqs.send_message(QueueUrl=url, MessageBody="{}", DelaySeconds=delay_s)
    aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)

    assert reader.depth() == QueueDepth(waiting=2, delayed=2, under_way=1)


def test_a_missing_table_or_queue_is_an_unavailable_store(aws: Aws) -> None:
    url = aws.sqs.create_queue(QueueName=aws.unique("queue"))["QueueUrl"]
    reads: list[Callable[[], object]] = [
        lambda: DynamoDbProviderLimitReader(client=aws.dynamodb, table="none").read(KEY),
        DynamoDbDeadlineReader(client=aws.dynamodb, table="none", partitions=PARTITIONS).oldest_pending_deadline,
        SqsQueueReader(client=lambda: aws.sqs, queue_url=f"{url}-none").depth,
    ]
    for read in reads:
        with pytest.raises(StoreUnavailableError):
            read()


def test_each_reader_makes_one_call_a_partition(aws: Aws, state_table_name: str, dynamodb_calls: list[str]) -> None:
    DynamoDbDeadlineReader(client=aws.dynamodb, table=state_table_name, partitions=PARTITIONS).oldest_pending_deadline()
    DynamoDbProviderLimitReader(client=aws.dynamodb, table=state_table_name).read(KEY)

    assert dynamodb_calls == ["Query"] * len(PARTITIONS) + ["GetItem"]
