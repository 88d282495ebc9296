"""`POST /v1/sms/batch` through its handler, and the bulk queue behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from switchboard.domain.rate_limits import ProviderLimitState
from switchboard.storage import limits
from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import load_event, with_headers

VALID = {"to": "09000000001", "text": "はい"}


def send(stack: Deployment, messages: list[Any], key: str | None = "campaign-1") -> HttpAnswer:
    event = load_event("send_sms_batch", "no_messages", body={"messages": messages})
    return stack.http("send_sms_batch", with_headers(event, {"Idempotency-Key": key}) if key else event)


def test_every_message_has_its_state_or_its_errors(stack: Deployment) -> None:
    items = send(
        stack, [VALID, {"to": "no number", "text": "はい"}, {**VALID, "smsid": "chosen1"}, {**VALID, "text": "😀"}]
    )

    assert items.status == 202
    first, second, third, fourth = items.json["items"]
    assert first["state"] == third["state"] == "queued"
    assert third["smsid"] == "chosen1"
    assert [problem["field"] for problem in second["errors"]] == ["to"]
    assert [problem["field"] for problem in fourth["errors"]] == ["text"]


def test_an_item_that_is_no_message_stops_no_other(stack: Deployment) -> None:
    first, second, third = send(stack, [VALID, "090-0000-0001", None]).json["items"]

    assert first["state"] == "queued"
    assert [item["errors"][0]["code"] for item in (second, third)] == ["not_an_object", "not_an_object"]


def test_messages_of_a_batch_wait_in_the_bulk_queue(stack: Deployment) -> None:
    items = send(stack, [VALID] * 3).json["items"]

    assert not stack.queued()
    queued = [json.loads(body)["smsid"] for body in stack.queued("BulkQueue")]
    assert sorted(queued) == sorted(item["smsid"] for item in items)


@pytest.mark.parametrize(("queue", "permits"), [("BulkQueue", 1), ("OutboxQueue", 2)])
def test_a_queues_workers_use_no_more_than_their_permits(
    stack: Deployment, queue: str, permits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    most: list[int] = []
    parse = limits.parse_limit_state

    def count_permits(item: Mapping[str, Any]) -> ProviderLimitState:
        state = parse(item)
        most.append(len(state.permits))
        return state

    monkeypatch.setattr(limits, "parse_limit_state", count_permits)
    send(stack, [{**VALID, "to": f"0900000010{number}"} for number in range(10)])
    source = f"arn:aws:sqs:ap-northeast-1:000000000000:switchboard-{queue}"
    records = [
        {"messageId": str(number), "body": body, "eventSourceARN": source}
        for number, body in enumerate(stack.queued("BulkQueue"))
    ]

    stack.invoke("send_queued_sms", {"Records": records})

    assert len(stack.simulator.messages) == 10
    [state] = [row for row in stack.rows("LimitsTable") if row["pk"]["S"].startswith("PROVIDER_LIMIT#")]
    assert max(most) == permits
    assert not state["permits"]["M"]


def test_the_worker_sends_the_messages_of_the_bulk_queue(stack: Deployment) -> None:
    [item] = send(stack, [VALID]).json["items"]
    source = "arn:aws:sqs:ap-northeast-1:000000000000:switchboard-BulkQueue"
    entry = {"messageId": "1", "body": stack.queued("BulkQueue")[0], "eventSourceARN": source}

    assert stack.invoke("send_queued_sms", {"Records": [entry]}) == {"batchItemFailures": []}

    event = load_event("query", "one", pathParameters={"smsid": item["smsid"]})
    assert stack.http("query", event).json["state"] == "accepted"


def test_a_repeated_batch_is_marked_as_a_replay(stack: Deployment) -> None:
    first, again = send(stack, [VALID, VALID]), send(stack, [VALID, VALID])

    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    assert len(stack.queued("BulkQueue")) == 2


def test_another_batch_with_a_used_key_is_refused(stack: Deployment) -> None:
    send(stack, [VALID])
    answer = send(stack, [{**VALID, "text": "いいえ"}])

    assert (answer.status, answer.code) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("parameter", "field", "code", "metric"),
    [
        ("RecipientLimitPerMinute", "to", "recipient_limit", "RecipientLimitReached"),
        ("DailyLimit", "", "daily_limit", "DailyLimitReached"),
    ],
    ids=["of a number", "of a day"],
)
def test_a_message_over_a_usage_limit_is_refused_and_counted(
    parameter: str, field: str, code: str, metric: str
) -> None:
    with deployed(**{parameter: "1"}) as limited:
        items = send(limited, [VALID, VALID]).json["items"]
        metrics = [name for name, _ in limited.metrics()]

    assert items[0]["state"] == "queued"
    assert [(problem["field"], problem["code"]) for problem in items[1]["errors"]] == [(field, code)]
    assert metrics.count(metric) == 1


def test_a_batch_of_more_than_a_megabyte_is_too_large(stack: Deployment) -> None:
    answer = send(stack, [{**VALID, "text": "x" * 10_000}] * 100 + [{**VALID, "text": "x" * 60_000}])

    assert (answer.status, answer.code) == (413, "payload_too_large")
