"""The usage limits through the handler, as a deployment has them: which requests count, and which are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchboard.storage import aws
from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import load_event, of_client, with_headers

NUMBER = "090-0000-7351"
DIMENSIONS = frozenset({("service", "switchboard"), ("provider", "mediasms")})


def send(stack: Deployment, *, key: str, client: str = "ours", **members: Any) -> HttpAnswer:
    body = {"to": NUMBER, "text": "認証コード 000000", **members}
    event = with_headers(load_event("send_sms", "japanese_text", body=body), {"Idempotency-Key": key})
    return stack.http("send_sms", of_client(event, client))


def end_windows(stack: Deployment) -> None:
    """End all windows."""
    for row in stack.rows("LimitsTable"):
        if not row["pk"]["S"].startswith("PROVIDER_LIMIT#"):
            aws.dynamodb().delete_item(TableName=stack.references["LimitsTable"], Key={"pk": row["pk"]})
    stack.cold_start()


@pytest.mark.parametrize(
    ("parameter", "code", "metric", "window_s"),
    [
        ("RecipientLimitPerMinute", "recipient_limit", "RecipientLimitReached", 60),
        ("RecipientLimitPerHour", "recipient_limit", "RecipientLimitReached", 3600),
        ("RecipientLimitPerDay", "recipient_limit", "RecipientLimitReached", 86_400),
        ("ClientLimitPerHour", "client_limit", "ClientLimitReached", 3600),
        ("DailyLimit", "daily_limit", "DailyLimitReached", 86_400),
    ],
    ids=["number, minute", "number, hour", "number, day", "API key, hour", "deployment, day"],
)
def test_a_usage_limit_refuses_until_its_window_ends(parameter: str, code: str, metric: str, window_s: int) -> None:
    with deployed(**{parameter: "1"}) as stack:
        # If a window ends between two requests, the other two are in one window.
        answers = [send(stack, key=f"k{number}") for number in range(3)]

        refused = answers[-1] if answers[-1].status == 429 else answers[-2]
        assert (refused.status, refused.code) == (429, code)
        assert 1 <= int(refused.headers["Retry-After"]) <= window_s
        assert refused.json["smsid"]
        assert (metric, DIMENSIONS) in stack.metrics()
        assert len(stack.simulator.requests) == [answer.status for answer in answers].count(201)


def test_a_refused_key_is_sent_after_its_window_has_ended() -> None:
    with deployed(RecipientLimitPerDay="1") as stack:
        first, refused = send(stack, key="k1"), send(stack, key="k2")
        end_windows(stack)
        sent, replayed = send(stack, key="k2"), send(stack, key="k2")

        assert [answer.status for answer in (first, refused, sent, replayed)] == [201, 429, 201, 201]
        assert sent.json["smsid"] == refused.json["smsid"]
        assert sent.json["attempts"] == 2
        assert replayed.headers["Idempotent-Replayed"] == "true"
        assert len(stack.simulator.requests) == 2


def test_repeats_dry_runs_and_refused_requests_are_not_counted() -> None:
    with deployed(RecipientLimitPerDay="2", ClientLimitPerHour="2", DailyLimit="2") as stack:
        for _ in range(3):
            assert send(stack, key="k1").status == 201
            assert send(stack, key="dry", dry_run=True).status == 200
            assert send(stack, key="odd", text="了解😀").status == 422
            assert send(stack, key="k1", text="other").status == 422
            assert send(stack, key="bad", to="110").status == 422

        assert send(stack, key="k2").status == 201
        assert send(stack, key="k3").status == 429


def test_exempt_numbers_in_any_spelling_are_not_limited() -> None:
    with deployed(RecipientLimitPerDay="1", ExemptNumbers=f"+81 90 0000 0002,{NUMBER}") as stack:
        assert [send(stack, key=f"k{number}").status for number in range(3)] == [201, 201, 201]


def test_every_api_key_has_its_own_hourly_limit() -> None:
    with deployed(ClientLimitPerHour="1") as stack:
        assert send(stack, key="k1", client="ours").status == 201
        assert send(stack, key="k1", client="theirs").status == 201


def test_without_the_limits_table_nothing_is_sent() -> None:
    with deployed(RecipientLimitPerMinute="3") as stack:
        stack.lose_table("LimitsTable")

        answer = send(stack, key="k1")

        assert (answer.status, answer.code) == (503, "service_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert stack.simulator.requests == ()


def test_no_number_is_in_the_limits_table_the_logs_or_the_refusal() -> None:
    with deployed(RecipientLimitPerDay="1") as stack:
        answers = [send(stack, key="k1"), send(stack, key="k2")]

        assert answers[1].status == 429
        text = json.dumps([answers[1].json, stack.rows("LimitsTable")]) + stack.output.getvalue()
        assert "00007351" not in text
        assert [row for row in stack.rows("LimitsTable") if row["pk"]["S"].startswith("RECIPIENT#")]


@pytest.mark.parametrize(
    ("prefixes", "status"),
    [
        pytest.param("", 422, id="none"),
        pytest.param("+86", 422, id="another country"),
        pytest.param("+1", 201, id="the country"),
        pytest.param("+86, +1202", 201, id="the area"),
        pytest.param("+1203,+86", 422, id="another area"),
    ],
)
def test_a_number_outside_japan_needs_an_allowed_prefix(prefixes: str, status: int) -> None:
    with deployed(OverseasPrefixes=prefixes) as stack:
        answer = send(stack, key="k1", to="+1 202 555 0100", text="Your code is 000000.")

        assert answer.status == status
        if status == 422:
            assert [problem["code"] for problem in answer.json["errors"]] == ["overseas_not_allowed"]


@pytest.mark.parametrize(
    ("parameter", "value"), [("OverseasPrefixes", "86"), ("OverseasPrefixes", "+0"), ("ExemptNumbers", "110")]
)
def test_an_invalid_configured_list_is_an_internal_error(parameter: str, value: str) -> None:
    with deployed(**{parameter: value}) as stack:
        answer = send(stack, key="k1")

        assert (answer.status, answer.code) == (500, "internal_error")
        assert [line["error"] for line in stack.logged() if line.get("level") == "ERROR"] == ["ConfigurationError"]
