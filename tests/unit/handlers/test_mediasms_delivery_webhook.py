"""MediaSMS' delivery reports through their handler: authentic ones are kept whatever happens, others change nothing."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.deployment import TOKEN, Deployment, HttpAnswer
from tests.events import Event, cases_of, load_event, with_query

FUNCTION = "mediasms_delivery_webhook"
READ_AS_DELIVERED = (
    "get_query",
    "post_form_utf8",
    "post_form_shift_jis",
    "post_form_raw_shift_jis",
    "post_json",
    "post_query_and_form",
    "no_number",
    "same_value_twice",
)
QUARANTINED = (
    "two_values_for_one_name",
    "no_smsid",
    "unreadable",
    "broken_json",
    "nested_json",
    "nothing",
)
TOKENS = ("the-first-token", "the-second-token", "トークン")


def deliver(stack: Deployment, event: Event) -> HttpAnswer:
    return stack.http(FUNCTION, event)


def with_token(token: str, event: Event | None = None) -> Event:
    event = event or load_event(FUNCTION, "get_query")
    return event | {"pathParameters": {"token": token}, "path": f"/webhooks/mediasms/{token}/delivery"}


def send(stack: Deployment) -> None:
    assert stack.http("send_sms", load_event("send_sms", "japanese_text")).status == 201


def message(stack: Deployment) -> Any:
    return stack.http("query", load_event("query", "one")).json


def sweep(stack: Deployment) -> Any:
    return stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))


@pytest.mark.parametrize("case", READ_AS_DELIVERED)
def test_query_form_and_json_are_read_alike_in_any_code_page(stack: Deployment, case: str) -> None:
    send(stack)

    answer = deliver(stack, load_event(FUNCTION, case))

    assert (answer.status, answer.body) == (200, "OK")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert message(stack)["state"] == "delivered"
    assert stack.objects() == []


def test_a_status_name_is_read_whatever_widths_it_is_written_in(stack: Deployment) -> None:
    send(stack)

    deliver(stack, load_event(FUNCTION, "status_name_in_odd_widths"))

    assert [(each["status"], each["meaning"]) for each in message(stack)["reports"]] == [("10", "undelivered")]


def test_a_report_that_comes_twice_changes_nothing_more(stack: Deployment) -> None:
    send(stack)
    event = load_event(FUNCTION, "get_query")
    deliver(stack, event)
    once = message(stack)

    assert deliver(stack, event).body == "OK"

    assert message(stack) == once


def test_a_report_for_an_id_that_is_not_ours_is_kept_apart(stack: Deployment) -> None:
    assert deliver(stack, load_event(FUNCTION, "orphan")).body == "OK"

    [row] = stack.rows()
    assert "client" not in row
    assert "fingerprint" not in row
    assert ("DeliveryReportsOrphaned", "mediasms") in {(name, dict(on)["provider"]) for name, on in stack.metrics()}


def test_a_report_that_overtook_the_sends_answer_is_shown_afterwards(stack: Deployment) -> None:
    deliver(stack, load_event(FUNCTION, "get_query"))
    send_again = stack.http("send_sms", load_event("send_sms", "japanese_text"))

    # The id was taken before the message came: nobody can say whose report it was.
    assert send_again.code == "idempotency_key_reused"


def test_a_report_with_another_number_does_not_count_for_the_message(stack: Deployment) -> None:
    send(stack)
    event = with_query(
        load_event(FUNCTION, "get_query"), ("smsid", "order1001"), ("status", "1"), ("mobilenumber", "09000000002")
    )

    assert deliver(stack, event).body == "OK"

    assert message(stack)["state"] == "accepted"


@pytest.mark.parametrize("case", QUARANTINED)
def test_an_authentic_callback_that_nobody_can_read_is_kept_raw_without_its_token(stack: Deployment, case: str) -> None:
    event = load_event(FUNCTION, case)

    answer = deliver(stack, event)

    assert (answer.status, answer.body) == (200, "OK")
    [kept] = stack.objects("quarantine/")
    assert base64.b64decode(kept["body_base64"]) == base64.b64decode(event["body"] or "")
    query = event["multiValueQueryStringParameters"] or {}
    assert json.loads(kept["query"]) == query | ({"authcode": ["***"]} if "authcode" in query else {})
    assert TOKEN not in json.dumps(kept)
    assert stack.rows() == []
    dimensions = frozenset({("service", "switchboard"), ("provider", "mediasms")})
    assert ("DeliveryReportsQuarantined", dimensions) in stack.metrics()


@pytest.mark.parametrize("size", [65_537, 10_000_000])
def test_a_huge_callback_is_kept_raw_and_not_read(stack: Deployment, size: int) -> None:
    body = b"smsid=order1001&status=1&padding=" + b"x" * size

    assert deliver(stack, load_event(FUNCTION, "post_form_utf8", body=body)).body == "OK"

    [kept] = stack.objects("quarantine/")
    assert base64.b64decode(kept["body_base64"]) == body
    assert stack.rows() == []


def test_every_sample_callback_is_expected_in_this_file() -> None:
    others = {"status_name_in_odd_widths", "unlisted_status", "orphan", "wrong_token"}
    assert set(cases_of(FUNCTION)) == {*READ_AS_DELIVERED, *QUARANTINED, *others}


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        TOKEN[:-1],
        TOKEN + "x",
        TOKEN[1:],
        TOKEN.upper(),
        f" {TOKEN}",
        f"{TOKEN}\x00",
        "トークン",
        "\ud83d",
        "[]",
    ],
)
@pytest.mark.parametrize("case", ["get_query", "unreadable"])
def test_a_wrong_token_is_forbidden_and_changes_nothing(stack: Deployment, token: str, case: str) -> None:
    send(stack)
    before = stack.rows()

    answer = deliver(stack, with_token(token, load_event(FUNCTION, case)))

    assert (answer.status, answer.code) == (403, "forbidden")
    assert stack.rows() == before
    assert stack.objects() == []


@pytest.mark.parametrize("parameters", [None, {}])
def test_a_callback_without_any_token_is_forbidden(stack: Deployment, parameters: dict[str, str] | None) -> None:
    event = load_event(FUNCTION, "get_query", pathParameters=parameters)

    assert deliver(stack, event).status == 403
    assert stack.rows() == []


@pytest.mark.parametrize("token", TOKENS)
def test_every_live_token_opens(stack: Deployment, token: str) -> None:
    stack.put_secret("WebhookTokensSecret", {"tokens": list(TOKENS)})

    assert deliver(stack, with_token(token)).status == 200
    assert deliver(stack, with_token("the-third-token")).status == 403


@pytest.mark.parametrize(
    "secret",
    [
        {},
        {"tokens": []},
        {"tokens": None},
        {"tokens": [""]},
        {"tokens": ["the-first-token", ""]},
        {"tokens": ["the-first-token", None]},
        {"tokens": "the-first-token"},
        {"tokens": {"t": "the-first-token"}},
        {"tokens": 5},
        ["the-first-token"],
        "the-first-token",
    ],
)
@pytest.mark.parametrize("token", ["", "the-first-token", "t", "None", "5"])
def test_a_secret_that_is_not_a_list_of_tokens_opens_nothing_and_is_said_aloud(
    stack: Deployment, secret: object, token: str
) -> None:
    stack.put_secret("WebhookTokensSecret", secret)

    answer = deliver(stack, with_token(token))

    assert (answer.status, answer.code) == (500, "internal_error")
    assert stack.rows() == []
    assert stack.objects() == []
    assert [line["error"] for line in stack.logged() if line.get("level") == "ERROR"] == ["ConfigurationError"]
    assert "the-first-token" not in answer.body + stack.output.getvalue()


def test_a_report_is_held_while_the_table_is_away_and_released_by_the_sweep(stack: Deployment) -> None:
    send(stack)
    [row] = stack.rows()
    stack.lose_table()

    assert deliver(stack, load_event(FUNCTION, "get_query")).body == "OK"

    assert len(stack.objects("spool/")) == 1
    stack.restore_table([row])
    assert message(stack)["state"] == "accepted"
    assert sweep(stack) == {"event_replayed": 1}
    assert message(stack)["state"] == "delivered"
    assert stack.objects() == []


def test_a_report_that_can_be_kept_nowhere_is_not_acknowledged(stack: Deployment) -> None:
    stack.lose_table()
    stack.lose_bucket()

    answer = deliver(stack, load_event(FUNCTION, "get_query"))

    assert (answer.status, answer.code) == (503, "service_unavailable")


def test_an_unreadable_callback_that_can_be_kept_nowhere_is_not_acknowledged(stack: Deployment) -> None:
    stack.lose_bucket()

    answer = deliver(stack, load_event(FUNCTION, "unreadable"))

    assert (answer.status, answer.code) == (503, "service_unavailable")
