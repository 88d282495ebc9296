"""The usage limits through the handler, as a deployment has them: which requests count, and which are refused."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from switchboard.domain.errors import ConfigurationError
from switchboard.domain.verification.verifications import Verification
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
        ("ClientLimitPerDay", "client_limit", "ClientLimitReached", 86_400),
        ("DailyLimit", "daily_limit", "DailyLimitReached", 86_400),
    ],
    ids=["number, minute", "number, hour", "number, day", "client, hour", "client, day", "deployment, day"],
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
def test_an_invalid_configured_list_ends_the_init_phase(parameter: str, value: str) -> None:
    with deployed(**{parameter: value}) as stack, pytest.raises(ConfigurationError, match=r"_(PREFIXES|NUMBERS)"):
        send(stack, key="k1")


def used(stack: Deployment) -> int:
    answer = stack.http("query", load_event("query", "own_key"))
    weight: int = answer.json["used"]["per_day"]
    return weight


LONG_TEXT = "あ" * 150


@pytest.mark.parametrize(
    ("function", "body", "weight"),
    [
        pytest.param("send_sms", {"text": "はい"}, 1, id="short text"),
        pytest.param("send_sms", {"template_id": 1}, 1, id="template"),
        pytest.param("send_sms", {"text": LONG_TEXT}, 3, id="long text"),
        pytest.param("send_sms", {"text": "はい", "text_au": LONG_TEXT}, 3, id="long text for au"),
        pytest.param("start_verification", {"mode": "call_in"}, 1, id="call in"),
        pytest.param(
            "start_verification", {"mode": "sms_and_call_in", "text": "電話を"}, 1, id="short SMS and call in"
        ),
        pytest.param("start_verification", {"mode": "sms_and_call_in", "text": LONG_TEXT}, 3, id="SMS and call in"),
        pytest.param("start_verification", {"mode": "call_out", "repeat_calls": 1}, 2, id="call out, one repeat"),
        pytest.param("start_verification", {"mode": "call_out", "repeat_calls": 0}, 1, id="call out, no repeat"),
        pytest.param("place_call", {"template_id": "125", "variables": {}, "to": "138-0000-0001"}, 1, id="call"),
    ],
)
def test_each_request_counts_what_its_recipient_may_receive(function: str, body: dict[str, Any], weight: int) -> None:
    case = {"send_sms": "japanese_text", "start_verification": "call_in", "place_call": "no_variables"}[function]
    members = {"to": NUMBER, **body}
    with deployed(LongSms="true", RecipientLimitPerDay=str(weight)) as stack:
        answer = stack.http(function, load_event(function, case, body=members))
        assert (answer.status, used(stack)) == (201, weight)
    if weight > 1:
        with deployed(LongSms="true", RecipientLimitPerDay=str(weight - 1)) as stack:
            answer = stack.http(function, load_event(function, case, body=members))
            assert (answer.status, answer.code) == (429, "recipient_limit")
            assert stack.simulator.requests == ()


def test_a_batch_counts_the_parts_of_its_messages() -> None:
    messages = [{"to": f"090-0000-000{number}", "text": LONG_TEXT} for number in range(3)]
    with deployed(LongSms="true", ClientLimitPerDay="7") as stack:
        event = load_event("send_sms_batch", "two_messages", body={"messages": messages})
        items = stack.http("send_sms_batch", event).json["items"]

        assert [item.get("state") for item in items] == ["queued", "queued", None]
        assert used(stack) == 6


def test_what_a_limit_refuses_is_kept_for_an_hour_until_it_is_sent() -> None:
    def lifetimes() -> list[float]:
        return sorted(int(row["expires_at"]["N"]) - time.time() for row in stack.rows() if "kind" in row)

    with deployed(RecipientLimitPerDay="1") as stack:
        first, refused = send(stack, key="k1"), send(stack, key="k2")
        assert (first.status, refused.status) == (201, 429)
        assert [lifetime <= 3600 for lifetime in lifetimes()] == [True, False]
        assert send(stack, key="k2").status == 429
        assert [lifetime <= 3600 for lifetime in lifetimes()] == [True, False]

        end_windows(stack)

        assert send(stack, key="k2").status == 201
        assert all(lifetime > 89 * 86_400 for lifetime in lifetimes())
        assert send(stack, key="k2").headers["Idempotent-Replayed"] == "true"
        assert len(stack.simulator.requests) == 2


@pytest.mark.parametrize(
    ("function", "case"),
    [
        ("send_sms", "full_width_number"),
        ("start_verification", "call_out"),
        ("start_verification", "call_in"),
        ("place_call", "no_variables"),
    ],
    ids=["SMS", "call out", "call in", "voice call"],
)
def test_no_kind_of_order_over_a_limit_is_kept_for_long(function: str, case: str) -> None:
    with deployed(RecipientLimitPerDay="5", ClientLimitPerHour="1") as stack:
        assert send(stack, key="first", client="a1b2c3d4e5").status == 201
        before = {row["pk"]["S"] for row in stack.rows()}
        assert stack.http(function, load_event(function, case)).status == 429
        new = [row for row in stack.rows() if row["pk"]["S"] not in before and "kind" in row]
        assert [int(row["expires_at"]["N"]) <= time.time() + 3600 for row in new] == [True]


def test_an_order_that_ignores_its_weight_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Verification, "weight", 1)
    body = {"to": NUMBER, "mode": "call_out", "repeat_calls": 2}
    with deployed(RecipientLimitPerDay="2") as stack:
        answer = stack.http("start_verification", load_event("start_verification", "call_out", body=body))
        assert (answer.status, used(stack)) == (201, 1)
