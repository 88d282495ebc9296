"""Put ids into the SQS queues of recordings, transcripts, fallbacks and test events, and delay any queue's retries."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from switchboard.storage.aws import store_errors

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsRecordingQueue:
    """A RecordingQueue over two queues. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str, backlog_queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url
        self._backlog_queue_url = backlog_queue_url

    def put(self, recording_id: str, *, delay_s: int = 0, backlog: bool = False, job_key: str | None = None) -> None:
        entry = {"recording_id": recording_id} | ({} if job_key is None else {"job_key": job_key})
        with store_errors("put recording into queue"):
            self._client().send_message(
                QueueUrl=self._backlog_queue_url if backlog else self._queue_url,
                MessageBody=json.dumps(entry),
                DelaySeconds=delay_s,
            )


class SqsFallbackQueue:
    """A FallbackQueue over the outbox queue. `client` is called only when it is needed, which is seldom."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put_fallback(self, order_id: str, *, delay_s: int = 0) -> None:
        with store_errors("put fallback"):
            self._client().send_message(
                QueueUrl=self._queue_url,
                MessageBody=json.dumps({"smsid": order_id, "fallback": True}),
                DelaySeconds=delay_s,
            )


class SqsScriptQueue:
    """A ScriptQueue over the outbox queue. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put_event(self, order_id: str, place: int, *, delay_s: int) -> None:
        with store_errors("put test event"):
            self._client().send_message(
                QueueUrl=self._queue_url,
                MessageBody=json.dumps({"smsid": order_id, "scripted": place}),
                DelaySeconds=delay_s,
            )


class SqsRetryDelay:
    """A RetryDelay over the queues with these addresses. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], SQSClient], queue_urls: tuple[str, ...]) -> None:
        self._client = client
        self._queue_urls = {url.rpartition("/")[2]: url for url in queue_urls}

    def after(self, delay_s: int, *, queue: str, receipt: str) -> None:
        with store_errors("delay retry"):
            self._client().change_message_visibility(
                QueueUrl=self._queue_urls[queue], ReceiptHandle=receipt, VisibilityTimeout=delay_s
            )


class SqsTranscriptionQueues:
    """A TranscriptionQueues over two queues. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], SQSClient], start_url: str, look_url: str) -> None:
        self._client = client
        self._start_url = start_url
        self._look_url = look_url

    def put_start(self, recording_id: str, *, delay_s: int = 0) -> None:
        self._put(self._start_url, recording_id, delay_s)

    def put_look(self, recording_id: str, *, delay_s: int = 0) -> None:
        self._put(self._look_url, recording_id, delay_s)

    def _put(self, queue_url: str, recording_id: str, delay_s: int) -> None:
        with store_errors("put transcript into queue"):
            self._client().send_message(
                QueueUrl=queue_url, MessageBody=json.dumps({"recording_id": recording_id}), DelaySeconds=delay_s
            )
