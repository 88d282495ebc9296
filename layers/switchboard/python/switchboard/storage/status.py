"""Readers for the status page: one call a provider limit, kind of order or queue, and no write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Final

from switchboard.domain.rate_limits import ProviderLimitState
from switchboard.domain.timestamps import from_rfc3339
from switchboard.ports.status import QueueDepth
from switchboard.storage.aws import CALLS_AT_ONCE, store_errors
from switchboard.storage.items import to_attributes
from switchboard.storage.limits import build_provider_limit_key, parse_limit_state
from switchboard.storage.orders.indexes import BY_DUE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

_WAITING: Final = "ApproximateNumberOfMessages"
_DELAYED: Final = "ApproximateNumberOfMessagesDelayed"
_UNDER_WAY: Final = "ApproximateNumberOfMessagesNotVisible"


class DynamoDbProviderLimitReader:
    """A ProviderLimitReader over the limits table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def read(self, key: str) -> ProviderLimitState:
        with store_errors("read provider limit"):
            response = self._client.get_item(
                TableName=self._table, Key=build_provider_limit_key(key), ConsistentRead=True
            )
        return parse_limit_state(response.get("Item", {}))


class DynamoDbDeadlineReader:
    """A DeadlineReader over the state table's index of due items, which has open items only.

    It makes one query for each of the `partitions`, CALLS_AT_ONCE of them at a time.
    """

    def __init__(self, *, client: DynamoDBClient, table: str, partitions: Sequence[str]) -> None:
        self._client = client
        self._table = table
        self._partitions = partitions

    def oldest_pending_deadline(self) -> datetime | None:
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            first = pool.map(self._query_first_due, self._partitions)
            return min((due for due in first if due is not None), default=None)

    def _query_first_due(self, pending: str) -> datetime | None:
        with store_errors("find oldest pending deadline"):
            response = self._client.query(
                TableName=self._table,
                IndexName=BY_DUE,
                KeyConditionExpression="pending = :pending",
                ExpressionAttributeValues=to_attributes({":pending": pending}),
                Limit=1,
            )
        return next((from_rfc3339(item["due"]["S"]) for item in response["Items"]), None)


class SqsQueueReader:
    """A QueueReader over one queue. The numbers of SQS lag behind by up to a minute."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def depth(self) -> QueueDepth:
        with store_errors("read queue depth"):
            response = self._client().get_queue_attributes(
                QueueUrl=self._queue_url, AttributeNames=[_WAITING, _DELAYED, _UNDER_WAY]
            )
        numbers = response["Attributes"]
        return QueueDepth(
            waiting=int(numbers[_WAITING]), delayed=int(numbers[_DELAYED]), under_way=int(numbers[_UNDER_WAY])
        )
