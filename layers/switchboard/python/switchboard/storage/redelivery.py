"""When SQS delivers an entry again that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from switchboard.storage.aws import store_errors

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsRedelivery:
    """A Redelivery over the queues with these addresses. `client` is called when first used."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_urls: tuple[str, ...]) -> None:
        self._client = client
        self._queue_urls = {url.rpartition("/")[2]: url for url in queue_urls}

    def after(self, delay_s: int, *, queue: str, receipt: str) -> None:
        with store_errors("deliver again"):
            self._client().change_message_visibility(
                QueueUrl=self._queue_urls[queue], ReceiptHandle=receipt, VisibilityTimeout=delay_s
            )
