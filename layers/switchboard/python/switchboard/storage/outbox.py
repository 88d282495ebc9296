"""The outbox queue in SQS: a smsid a message, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from switchboard.storage.aws import store_errors

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsOutbox:
    """An Outbox over one queue. `client` is called when first used: most sends never need it."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put(self, order_id: str, *, delay_s: int = 0) -> None:
        with store_errors("put into outbox"):
            self._client().send_message(
                QueueUrl=self._queue_url, MessageBody=json.dumps({"smsid": order_id}), DelaySeconds=delay_s
            )
