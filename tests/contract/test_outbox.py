"""Test what the outbox puts into SQS: an id, never a text or a number."""

from __future__ import annotations

import json

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.timestamps import to_rfc3339
from switchboard.storage.sms.messages import SqsOutbox
from tests.builders import a_message
from tests.contract.conftest import Aws


@pytest.fixture
def queue_url(aws: Aws) -> str:
    return aws.sqs.create_queue(QueueName=aws.unique("outbox"))["QueueUrl"]


def _receive(aws: Aws, queue_url: str) -> list[dict[str, str]]:
    answer = aws.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def _build_outbox(aws: Aws, queue_url: str, bulk_queue_url: str = "") -> SqsOutbox:
    return SqsOutbox(client=lambda: aws.sqs, queue_url=queue_url, bulk_queue_url=bulk_queue_url)


def test_an_entry_has_only_the_id_and_the_end_of_the_submission_time(aws: Aws, queue_url: str) -> None:
    message = a_message()
    _build_outbox(aws, queue_url).put(message)
    assert _receive(aws, queue_url) == [{"smsid": "sms1", "submit_before": to_rfc3339(message.submit_before)}]


def test_a_delayed_entry_is_not_delivered_at_once(aws: Aws, queue_url: str) -> None:
    _build_outbox(aws, queue_url).put(a_message(), delay_s=900)
    assert _receive(aws, queue_url) == []
    answer = aws.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
    assert answer["Attributes"] == {"ApproximateNumberOfMessagesDelayed": "1"}


def test_bulk_messages_go_into_the_bulk_queue(aws: Aws, queue_url: str) -> None:
    bulk_queue_url = aws.sqs.create_queue(QueueName=aws.unique("bulk"))["QueueUrl"]
    messages = [a_message(f"sms{number}", bulk=number != 7) for number in range(24)]

    _build_outbox(aws, queue_url, bulk_queue_url).put(*messages)

    assert [entry["smsid"] for entry in _receive(aws, queue_url)] == ["sms7"]
    bulk_ids = {entry["smsid"] for _ in range(3) for entry in _receive(aws, bulk_queue_url)}
    assert bulk_ids == {f"sms{number}" for number in range(24) if number != 7}


def test_a_missing_queue_is_a_store_unavailable_error(aws: Aws) -> None:
    outbox = _build_outbox(aws, "https://sqs.ap-northeast-1.amazonaws.com/1/none")
    with pytest.raises(StoreUnavailableError, match=r"NonExistentQueue|QueueDoesNotExist"):
        outbox.put(a_message())
