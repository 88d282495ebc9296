"""What a status page reads of the two tables and of the queues: one call each, none of which changes anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from switchboard.domain.rate_limits import ProviderLimitState
from switchboard.domain.timestamps import from_rfc3339
from switchboard.ports.status import QueueDepth
from switchboard.storage.aws import store_errors
from switchboard.storage.items import to_attributes
from switchboard.storage.limits.provider_limits import limit_state_from
from switchboard.storage.orders.indexes import BY_DUE
from switchboard.storage.orders.items import pending_partition

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
        with store_errors("read state"):
            answer = self._client.get_item(
                TableName=self._table, Key=to_attributes({"pk": f"PROVIDER_LIMIT#{key}"}), ConsistentRead=True
            )
        return limit_state_from(answer.get("Item", {}))


class DynamoDbDeadlineReader:
    """An DeadlineReader over the state table's index of what is due, which holds open items only.

    One query for each kind of order, since each has a partition of its own.
    """

    def __init__(self, *, client: DynamoDBClient, table: str, kinds: Sequence[str]) -> None:
        self._client = client
        self._table = table
        self._kinds = kinds

    def oldest_pending_deadline(self) -> datetime | None:
        return min((due for kind in self._kinds for due in self._first_due(kind)), default=None)

    def _first_due(self, kind: str) -> Sequence[datetime]:
        with store_errors("find oldest pending"):
            answer = self._client.query(
                TableName=self._table,
                IndexName=BY_DUE,
                KeyConditionExpression="pending = :pending",
                ExpressionAttributeValues=to_attributes({":pending": pending_partition(kind)}),
                Limit=1,
            )
        return [from_rfc3339(entry["due"]["S"]) for entry in answer["Items"]]


class SqsQueueReader:
    """A QueueReader over one queue. SQS' numbers lag behind by up to a minute."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def depth(self) -> QueueDepth:
        with store_errors("read queue depth"):
            answer = self._client().get_queue_attributes(
                QueueUrl=self._queue_url, AttributeNames=[_WAITING, _DELAYED, _UNDER_WAY]
            )
        numbers = answer["Attributes"]
        return QueueDepth(
            waiting=int(numbers[_WAITING]), delayed=int(numbers[_DELAYED]), under_way=int(numbers[_UNDER_WAY])
        )
