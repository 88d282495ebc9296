"""What the outbox puts into SQS: an id, never a text or a number."""

from __future__ import annotations

import json

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.storage.outbox import SqsOutbox
from tests.contract.conftest import Aws


@pytest.fixture
def queue_url(aws: Aws) -> str:
    return aws.sqs.create_queue(QueueName=aws.unique("outbox"))["QueueUrl"]


def _received(aws: Aws, queue_url: str) -> list[object]:
    answer = aws.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def test_an_entry_carries_the_id_and_nothing_else(aws: Aws, queue_url: str) -> None:
    SqsOutbox(client=lambda: aws.sqs, queue_url=queue_url).put("sms1")
    assert _received(aws, queue_url) == [{"smsid": "sms1"}]


def test_a_delayed_entry_does_not_come_at_once(aws: Aws, queue_url: str) -> None:
    SqsOutbox(client=lambda: aws.sqs, queue_url=queue_url).put("sms1", delay_s=900)
    assert _received(aws, queue_url) == []
    answer = aws.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
    assert answer["Attributes"] == {"ApproximateNumberOfMessagesDelayed": "1"}


def test_a_queue_that_does_not_answer_is_said_so(aws: Aws) -> None:
    outbox = SqsOutbox(client=lambda: aws.sqs, queue_url="https://sqs.ap-northeast-1.amazonaws.com/1/none")
    with pytest.raises(StoreUnavailableError, match=r"NonExistentQueue|QueueDoesNotExist"):
        outbox.put("sms1")
