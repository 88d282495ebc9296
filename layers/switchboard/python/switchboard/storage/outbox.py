"""The outbox queues in SQS: a smsid a message, and nothing that tells whom it is for or what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.instants import to_rfc3339
from switchboard.domain.messages import Message
from switchboard.storage.aws import store_errors

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

_ENTRIES_A_REQUEST = 10


class SqsOutbox:
    """An Outbox of messages over two queues, so that nobody waits behind those that are `bulk`.

    `client` is called when first used: most sends never need it.
    """

    def __init__(self, *, client: Callable[[], SQSClient], queue_url: str, bulk_queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url
        self._bulk_queue_url = bulk_queue_url

    def put(self, *orders: Message, delay_s: int = 0) -> None:
        for bulk, queue_url in ((False, self._queue_url), (True, self._bulk_queue_url)):
            for some in _in_requests([order for order in orders if order.bulk is bulk]):
                self._send(queue_url, some, delay_s=delay_s)

    def _send(self, queue_url: str, messages: Sequence[Message], *, delay_s: int) -> None:
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "MessageBody": _entry(message), "DelaySeconds": delay_s}
            for number, message in enumerate(messages)
        ]
        with store_errors("put into outbox"):
            answer = self._client().send_message_batch(QueueUrl=queue_url, Entries=entries)
        if answer.get("Failed"):
            raise StoreUnavailableError("put into outbox: not all entries were taken")


def _entry(message: Message) -> str:
    return json.dumps({"smsid": message.smsid, "submit_before": to_rfc3339(message.submit_before)})


def _in_requests(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    for first in range(0, len(messages), _ENTRIES_A_REQUEST):
        yield messages[first : first + _ENTRIES_A_REQUEST]
