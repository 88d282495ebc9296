"""The queue of recordings to be looked at, in SQS: an id an entry."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from switchboard.storage.aws import store_errors

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsRecordingQueue:
    """A RecordingQueue over one queue. `client` is called when first used."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put(self, recording_id: str, *, delay_s: int = 0) -> None:
        with store_errors("put recording into queue"):
            self._client().send_message(
                QueueUrl=self._queue_url,
                MessageBody=json.dumps({"recording_id": recording_id}),
                DelaySeconds=delay_s,
            )
