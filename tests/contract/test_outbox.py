"""What the outbox puts into SQS: an id, never a text or a number."""

from __future__ import annotations

import json

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.timestamps import to_rfc3339
from switchboard.storage.queues import SqsOutbox
from tests.builders import a_message
from tests.contract.conftest import Aws


@pytest.fixture
def queue_url(aws: Aws) -> str:
    return aws.sqs.create_queue(QueueName=aws.unique("outbox"))["QueueUrl"]


def _received(aws: Aws, queue_url: str) -> list[dict[str, str]]:
    answer = aws.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def _outbox(aws: Aws, queue_url: str, bulk_queue_url: str = "") -> SqsOutbox:
    return SqsOutbox(client=lambda: aws.sqs, queue_url=queue_url, bulk_queue_url=bulk_queue_url)


def test_an_entry_carries_the_id_and_how_long_it_is_worth_sending_and_nothing_else(aws: Aws, queue_url: str) -> None:
    message = a_message()
    _outbox(aws, queue_url).put(message)
    assert _received(aws, queue_url) == [{"smsid": "sms1", "submit_before": to_rfc3339(message.submit_before)}]


def test_a_delayed_entry_does_not_come_at_once(aws: Aws, queue_url: str) -> None:
    _outbox(aws, queue_url).put(a_message(), delay_s=900)
    assert _received(aws, queue_url) == []
    answer = aws.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
    assert answer["Attributes"] == {"ApproximateNumberOfMessagesDelayed": "1"}


def test_what_came_in_a_batch_waits_in_a_queue_of_its_own_however_many_there_are(aws: Aws, queue_url: str) -> None:
    bulk_queue_url = aws.sqs.create_queue(QueueName=aws.unique("bulk"))["QueueUrl"]
    many = [a_message(f"sms{number}", bulk=number != 7) for number in range(24)]

    _outbox(aws, queue_url, bulk_queue_url).put(*many)

    assert [entry["smsid"] for entry in _received(aws, queue_url)] == ["sms7"]
    found = {entry["smsid"] for _ in range(3) for entry in _received(aws, bulk_queue_url)}
    assert found == {f"sms{number}" for number in range(24) if number != 7}


def test_a_queue_that_does_not_answer_is_said_so(aws: Aws) -> None:
    outbox = _outbox(aws, "https://sqs.ap-northeast-1.amazonaws.com/1/none")
    with pytest.raises(StoreUnavailableError, match=r"NonExistentQueue|QueueDoesNotExist"):
        outbox.put(a_message())
