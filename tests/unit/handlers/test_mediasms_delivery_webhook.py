"""MediaSMS' delivery reports through their handler: authentic ones are always kept, forged ones change nothing."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
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
    "post_multipart",
    "byte_order_mark",
    "others_unreadable",
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


def report(stack: Deployment, event: Event) -> HttpAnswer:
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
def test_query_form_and_json_are_read_in_any_code_page(stack: Deployment, case: str) -> None:
    send(stack)

    answer = report(stack, load_event(FUNCTION, case))

    assert (answer.status, answer.body) == (200, "OK")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert message(stack)["state"] == "delivered"
    assert stack.objects() == []


def test_a_status_name_is_read_in_any_character_widths(stack: Deployment) -> None:
    send(stack)

    report(stack, load_event(FUNCTION, "status_name_in_odd_widths"))

    assert [(fact["status"], fact["meaning"]) for fact in message(stack)["reports"]] == [("10", "undelivered")]


def test_a_repeated_report_changes_nothing(stack: Deployment) -> None:
    send(stack)
    event = load_event(FUNCTION, "get_query")
    report(stack, event)
    first = message(stack)

    assert report(stack, event).body == "OK"

    assert message(stack) == first


def test_a_report_for_an_unknown_id_is_stored_as_an_orphan(stack: Deployment) -> None:
    assert report(stack, load_event(FUNCTION, "orphan")).body == "OK"

    [row] = stack.rows()
    assert "client" not in row
    assert "fingerprint" not in row
    assert ("DeliveryReportsOrphaned", "mediasms") in {(name, dict(on)["provider"]) for name, on in stack.metrics()}


def test_an_id_with_a_foreign_report_can_still_be_chosen(stack: Deployment) -> None:
    report(stack, load_event(FUNCTION, "get_query"))
    assert stack.http("send_sms", load_event("send_sms", "japanese_text")).status == HTTPStatus.CREATED


def test_a_report_for_another_number_does_not_change_the_message(stack: Deployment) -> None:
    send(stack)
    event = with_query(
        load_event(FUNCTION, "get_query"), ("smsid", "order1001"), ("status", "1"), ("mobilenumber", "09000000002")
    )

    assert report(stack, event).body == "OK"

    assert message(stack)["state"] == "accepted"


@pytest.mark.parametrize("case", QUARANTINED)
def test_an_unreadable_callback_is_quarantined_without_its_token(stack: Deployment, case: str) -> None:
    event = load_event(FUNCTION, case)

    answer = report(stack, event)

    assert (answer.status, answer.body) == (200, "OK")
    [callback] = stack.objects("quarantine/")
    assert base64.b64decode(callback["body_base64"]) == base64.b64decode(event["body"] or "")
    query = event["multiValueQueryStringParameters"] or {}
    assert json.loads(callback["query"]) == query | ({"authcode": ["***"]} if "authcode" in query else {})
    assert TOKEN not in json.dumps(callback)
    assert stack.rows() == []
    dimensions = frozenset({("service", "switchboard"), ("provider", "mediasms")})
    assert ("DeliveryReportsQuarantined", dimensions) in stack.metrics()


@pytest.mark.parametrize("size", [65_537, 10_000_000], ids=["just too large", "10 MB"])
def test_a_callback_that_is_too_large_is_quarantined(stack: Deployment, size: int) -> None:
    body = b"smsid=order1001&status=1&padding=" + b"x" * size

    assert report(stack, load_event(FUNCTION, "post_form_utf8", body=body)).body == "OK"

    [callback] = stack.objects("quarantine/")
    assert base64.b64decode(callback["body_base64"]) == body
    assert stack.rows() == []


def test_every_sample_callback_is_listed_in_this_file() -> None:
    others = {"status_name_in_odd_widths", "unlisted_status", "orphan", "wrong_token"}
    assert set(cases_of(FUNCTION)) == {*READ_AS_DELIVERED, *QUARANTINED, *others}


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("x", id="short"),
        pytest.param(TOKEN[:-1], id="without the last character"),
        pytest.param(TOKEN + "x", id="with another character"),
        pytest.param(TOKEN[1:], id="without the first character"),
        pytest.param(TOKEN.upper(), id="upper case"),
        pytest.param(f" {TOKEN}", id="with a blank"),
        pytest.param(f"{TOKEN}\x00", id="with a NUL"),
        pytest.param("トークン", id="Japanese"),
        pytest.param("\ud83d", id="half a surrogate pair"),
        pytest.param("[]", id="empty list"),
    ],
)
@pytest.mark.parametrize("case", ["get_query", "unreadable"])
def test_a_wrong_token_is_forbidden_and_changes_nothing(stack: Deployment, token: str, case: str) -> None:
    send(stack)
    before = stack.rows()

    answer = report(stack, with_token(token, load_event(FUNCTION, case)))

    assert (answer.status, answer.code) == (403, "forbidden")
    assert stack.rows() == before
    assert stack.objects() == []


@pytest.mark.parametrize("parameters", [None, {}], ids=["null", "empty"])
def test_a_callback_without_any_token_is_forbidden(stack: Deployment, parameters: dict[str, str] | None) -> None:
    event = load_event(FUNCTION, "get_query", pathParameters=parameters)

    assert report(stack, event).status == 403
    assert stack.rows() == []


@pytest.mark.parametrize("token", TOKENS)
def test_every_live_token_opens(stack: Deployment, token: str) -> None:
    stack.put_secret("MediasmsDeliveryTokensSecret", {"tokens": list(TOKENS)})

    assert report(stack, with_token(token)).status == 200
    assert report(stack, with_token("the-third-token")).status == 403


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param({}, id="empty object"),
        pytest.param({"tokens": []}, id="no token"),
        pytest.param({"tokens": None}, id="null"),
        pytest.param({"tokens": [""]}, id="empty token"),
        pytest.param({"tokens": ["the-first-token", ""]}, id="token and empty token"),
        pytest.param({"tokens": ["the-first-token", None]}, id="token and null"),
        pytest.param({"tokens": "the-first-token"}, id="text"),
        pytest.param({"tokens": {"t": "the-first-token"}}, id="object"),
        pytest.param({"tokens": 5}, id="number"),
        pytest.param(["the-first-token"], id="list"),
        pytest.param("the-first-token", id="no JSON"),
    ],
)
@pytest.mark.parametrize("token", ["", "the-first-token", "t", "None", "5"])
def test_a_secret_without_a_list_of_tokens_is_an_error_in_the_log(
    stack: Deployment, secret: object, token: str
) -> None:
    stack.put_secret("MediasmsDeliveryTokensSecret", secret)

    answer = report(stack, with_token(token))

    assert (answer.status, answer.code) == (500, "internal_error")
    assert stack.rows() == []
    assert stack.objects() == []
    assert [line["error"] for line in stack.logged() if line.get("level") == "ERROR"] == ["ConfigurationError"]
    assert "the-first-token" not in answer.body + stack.output.getvalue()


def test_a_report_is_spooled_while_the_table_is_down_and_replayed_later(stack: Deployment) -> None:
    send(stack)
    [row] = stack.rows()
    stack.lose_table()

    assert report(stack, load_event(FUNCTION, "get_query")).body == "OK"

    assert len(stack.objects("spool/")) == 1
    stack.restore_table([row])
    assert message(stack)["state"] == "accepted"
    assert sweep(stack) == {"event_replayed": 1}
    assert message(stack)["state"] == "delivered"
    assert stack.objects() == []


def test_a_report_that_can_be_stored_nowhere_is_not_acknowledged(stack: Deployment) -> None:
    stack.lose_table()
    stack.lose_bucket()

    answer = report(stack, load_event(FUNCTION, "get_query"))

    assert (answer.status, answer.code) == (503, "service_unavailable")


def test_an_unreadable_callback_without_a_bucket_is_not_acknowledged(stack: Deployment) -> None:
    stack.lose_bucket()

    answer = report(stack, load_event(FUNCTION, "unreadable"))

    assert (answer.status, answer.code) == (503, "service_unavailable")
