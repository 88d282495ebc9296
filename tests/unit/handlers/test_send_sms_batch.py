"""`POST /v1/sms/batch` as API Gateway calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import load_event, with_headers

GOOD = {"to": "09000000001", "text": "はい"}


def send(stack: Deployment, messages: list[Any], key: str | None = "campaign-1") -> HttpAnswer:
    event = load_event("send_sms_batch", "no_messages", body={"messages": messages})
    return stack.http("send_sms_batch", with_headers(event, {"Idempotency-Key": key}) if key else event)


def test_each_message_is_named_with_its_state_or_with_what_is_wrong(stack: Deployment) -> None:
    items = send(stack, [GOOD, {"to": "nobody", "text": "はい"}, {**GOOD, "smsid": "chosen1"}, {**GOOD, "text": "😀"}])

    assert items.status == 202
    first, second, third, fourth = items.json["items"]
    assert first["state"] == third["state"] == "queued"
    assert third["smsid"] == "chosen1"
    assert [problem["field"] for problem in second["errors"]] == ["to"]
    assert [problem["field"] for problem in fourth["errors"]] == ["text"]


def test_what_is_no_message_at_all_stops_no_other(stack: Deployment) -> None:
    first, second, third = send(stack, [GOOD, "090-0000-0001", None]).json["items"]

    assert first["state"] == "queued"
    assert [each["errors"][0]["code"] for each in (second, third)] == ["not_an_object", "not_an_object"]


def test_what_was_taken_waits_in_the_slow_lane_and_not_in_the_fast_one(stack: Deployment) -> None:
    items = send(stack, [GOOD] * 3).json["items"]

    assert not stack.queued()
    queued = [json.loads(body)["smsid"] for body in stack.queued("BulkQueue")]
    assert sorted(queued) == sorted(item["smsid"] for item in items)


@pytest.mark.parametrize(("queue", "places"), [("BulkQueue", 1), ("OutboxQueue", 3)])
def test_the_slow_lanes_worker_takes_no_more_places_in_flight_than_its_share(
    stack: Deployment, queue: str, places: int
) -> None:
    send(stack, [{**GOOD, "to": f"0900000010{number}"} for number in range(10)])
    source = f"arn:aws:sqs:ap-northeast-1:000000000000:switchboard-{queue}"
    records = [
        {"messageId": str(number), "body": body, "eventSourceARN": source}
        for number, body in enumerate(stack.queued("BulkQueue"))
    ]

    stack.invoke("send_queued_sms", {"Records": records})

    assert len(stack.simulator.messages) == 10
    [lane] = [row for row in stack.rows("LimitsTable") if row["pk"]["S"].startswith("PROVIDER_LIMIT#")]
    assert len(lane["permits"]["M"]) == places


def test_the_worker_sends_what_waits_there(stack: Deployment) -> None:
    [item] = send(stack, [GOOD]).json["items"]
    source = "arn:aws:sqs:ap-northeast-1:000000000000:switchboard-BulkQueue"
    entry = {"messageId": "1", "body": stack.queued("BulkQueue")[0], "eventSourceARN": source}

    assert stack.invoke("send_queued_sms", {"Records": [entry]}) == {"batchItemFailures": []}

    one = load_event("query", "one")
    one["pathParameters"] = {"smsid": item["smsid"]}
    assert stack.http("query", one).json["state"] == "accepted"


def test_the_same_batch_again_says_so(stack: Deployment) -> None:
    first, again = send(stack, [GOOD, GOOD]), send(stack, [GOOD, GOOD])

    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    assert len(stack.queued("BulkQueue")) == 2


def test_another_batch_with_the_same_key_is_refused(stack: Deployment) -> None:
    send(stack, [GOOD])
    answer = send(stack, [{**GOOD, "text": "いいえ"}])

    assert (answer.status, answer.code) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("parameter", "field", "code", "metric"),
    [
        ("RecipientLimitPerMinute", "to", "recipient_limit", "RecipientLimitReached"),
        ("DailyLimit", "", "daily_limit", "DailyLimitReached"),
    ],
)
def test_a_message_over_a_limit_is_refused_by_that_limits_name_and_counted(
    parameter: str, field: str, code: str, metric: str
) -> None:
    with deployed(**{parameter: "1"}) as limited:
        items = send(limited, [GOOD, GOOD]).json["items"]
        metrics = [name for name, _ in limited.metrics()]

    assert items[0]["state"] == "queued"
    assert [(problem["field"], problem["code"]) for problem in items[1]["errors"]] == [(field, code)]
    assert metrics.count(metric) == 1


def test_a_batch_of_more_than_a_megabyte_is_too_large(stack: Deployment) -> None:
    answer = send(stack, [{**GOOD, "text": "x" * 10_000}] * 100 + [{**GOOD, "text": "x" * 60_000}])

    assert (answer.status, answer.code) == (413, "payload_too_large")
