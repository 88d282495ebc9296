"""Provide stores in both implementations: the fake, and the adapter on an AWS that moto plays in this process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
import pytest
from moto import mock_aws
from moto.dynamodb.responses import DynamoHandler

import tests.moto_speed  # noqa: F401 - for its effect
from switchboard.ports.callbacks import CallbackArchive, CodeStore
from switchboard.ports.orders import MessageStore
from switchboard.ports.provider_limits import ProviderLimitStore
from switchboard.ports.usage_limits import CounterStore
from switchboard.ports.verifications import IvrCallStore, VerificationStore
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage.callbacks import S3CallbackArchive
from switchboard.storage.limits import DynamoDbCounterStore, DynamoDbProviderLimitStore
from switchboard.storage.sms.messages import DynamoDbMessageStore
from switchboard.storage.sms.reports import DynamoDbCodeStore
from switchboard.storage.verification.ivr_calls import DynamoDbIvrCallStore
from switchboard.storage.verification.store import DynamoDbVerificationStore
from tests.builders import DEADLINES, GRACE
from tests.fakes import (
    InMemoryCallbackArchive,
    InMemoryCounterStore,
    InMemoryMessageStore,
    InMemoryProviderLimitStore,
    InMemoryVerificationStore,
)
from tests.tables import limits_table, state_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

T = TypeVar("T")

RETENTION = timedelta(days=400)
IMPLEMENTATIONS = ["in memory", "AWS"]
REGION: Final = "ap-northeast-1"


@dataclass(frozen=True, slots=True)
class Aws:
    """The clients of the AWS in this process."""

    dynamodb: DynamoDBClient
    s3: S3Client
    sqs: SQSClient
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def unique(self, stem: str) -> str:
        """Return a name that no other test uses."""
        return f"{stem}-{next(self.numbers)}"


@dataclass(frozen=True, slots=True)
class VerificationStores:
    """The three stores over one table of verifications."""

    verifications: VerificationStore
    calls: IvrCallStore
    codes: CodeStore


def choose(request: pytest.FixtureRequest, fake: Callable[[], T], adapter_fixture: str) -> T:
    """Return the implementation that the fixture's parameter names: a new fake, or the adapter of another fixture."""
    if request.param == "in memory":
        return fake()
    adapter: T = request.getfixturevalue(adapter_fixture)
    return adapter


@contextmanager
def _one_call_at_a_time() -> Iterator[None]:
    """Serialize moto's DynamoDB, which checks a condition and writes in two steps that two threads may interleave."""
    lock, call_action = Lock(), DynamoHandler.call_action

    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return call_action(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DynamoHandler, "call_action", locked)
        yield


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with mock_aws(), _one_call_at_a_time():
        session = boto3.Session(region_name=REGION, aws_access_key_id="none", aws_secret_access_key="none")
        yield Aws(session.client("dynamodb"), session.client("s3"), session.client("sqs"))


@pytest.fixture
def state_table_name(aws: Aws) -> str:
    name = aws.unique("state")
    aws.dynamodb.create_table(**state_table(name))
    return name


@pytest.fixture
def limits_table_name(aws: Aws) -> str:
    name = aws.unique("limits")
    aws.dynamodb.create_table(**limits_table(name))
    return name


@pytest.fixture
def dynamodb_messages(aws: Aws, state_table_name: str) -> DynamoDbMessageStore:
    return DynamoDbMessageStore(
        client=aws.dynamodb,
        table=state_table_name,
        deadlines=DEADLINES,
        statuses=DELIVERY_STATUSES,
        retention=RETENTION,
    )


@pytest.fixture(params=IMPLEMENTATIONS)
def messages(request: pytest.FixtureRequest) -> MessageStore:
    return choose(request, partial(InMemoryMessageStore, deadlines=DEADLINES), "dynamodb_messages")


@pytest.fixture
def dynamodb_verifications(aws: Aws, state_table_name: str) -> DynamoDbVerificationStore:
    return DynamoDbVerificationStore(
        client=aws.dynamodb, table=state_table_name, deadlines=DEADLINES, grace=GRACE, retention=RETENTION
    )


@pytest.fixture(params=IMPLEMENTATIONS)
def stores(request: pytest.FixtureRequest) -> VerificationStores:
    if request.param == "in memory":
        fake = InMemoryVerificationStore(grace=GRACE, deadlines=DEADLINES)
        return VerificationStores(fake, fake, fake)
    aws, table = request.getfixturevalue("aws"), request.getfixturevalue("state_table_name")
    return VerificationStores(
        request.getfixturevalue("dynamodb_verifications"),
        DynamoDbIvrCallStore(client=aws.dynamodb, table=table),
        DynamoDbCodeStore(client=aws.dynamodb, table=table),
    )


@pytest.fixture
def dynamodb_limits(aws: Aws, limits_table_name: str) -> DynamoDbProviderLimitStore:
    return DynamoDbProviderLimitStore(client=aws.dynamodb, table=limits_table_name)


@pytest.fixture(params=IMPLEMENTATIONS)
def store(request: pytest.FixtureRequest) -> ProviderLimitStore:
    return choose(request, InMemoryProviderLimitStore, "dynamodb_limits")


@pytest.fixture
def dynamodb_counters(aws: Aws, limits_table_name: str) -> DynamoDbCounterStore:
    return DynamoDbCounterStore(client=aws.dynamodb, table=limits_table_name)


@pytest.fixture(params=IMPLEMENTATIONS)
def counters(request: pytest.FixtureRequest) -> CounterStore:
    return choose(request, InMemoryCounterStore, "dynamodb_counters")


@pytest.fixture
def bucket(aws: Aws) -> str:
    name = aws.unique("bucket")
    aws.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@pytest.fixture
def s3_archive(aws: Aws, bucket: str) -> S3CallbackArchive:
    return S3CallbackArchive(client=lambda: aws.s3, bucket=bucket)


@pytest.fixture(params=IMPLEMENTATIONS)
def archive(request: pytest.FixtureRequest) -> CallbackArchive:
    return choose(request, InMemoryCallbackArchive, "s3_archive")


@pytest.fixture
def dynamodb_calls(aws: Aws) -> Iterator[list[str]]:
    """Collect the names of the DynamoDB operations that the test calls, in order."""
    calls: list[str] = []
    record: Callable[..., None] = lambda model, **_: calls.append(model.name)  # noqa: E731
    aws.dynamodb.meta.events.register("before-call.dynamodb", record)
    yield calls
    aws.dynamodb.meta.events.unregister("before-call.dynamodb", record)
