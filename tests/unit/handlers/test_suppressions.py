"""Suppressions and scheduled messages through their handlers: no route contacts a suppressed number. (I36)"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from switchboard.domain.timestamps import to_rfc3339
from switchboard.storage import aws
from tests.deployment import Deployment, HttpAnswer
from tests.events import load_event, of_client, with_query

NUMBER = "+819000000001"
CALLED = "+8613800000001"


def suppress(stack: Deployment, number: str = NUMBER, *, case: str = "put", **changes: Any) -> HttpAnswer:
    return stack.http("suppressions", load_event("suppressions", case, pathParameters={"number": number}, **changes))


def send_later(stack: Deployment, smsid: str = "later1", *, client: str = "ours", **members: Any) -> HttpAnswer:
    send_at = to_rfc3339(datetime.now(UTC) + timedelta(minutes=10))
    body = {"to": "09000000001", "text": "はい", "smsid": smsid, "send_at": send_at, **members}
    return stack.http("send_sms", of_client(load_event("send_sms", "japanese_text", body=body), client))


def cancel(stack: Deployment, smsid: str = "later1", *, client: str = "ours") -> HttpAnswer:
    event = load_event("cancel_sms", "unknown_id", pathParameters={"smsid": smsid})
    return stack.http("cancel_sms", of_client(event, client))


def deliver(stack: Deployment, smsid: str) -> None:
    event = load_event("send_queued_sms", "one")
    event["Records"][0]["body"] = json.dumps({"smsid": smsid})
    assert stack.invoke("send_queued_sms", event) == {"batchItemFailures": []}


def let_the_time_come(stack: Deployment, smsid: str) -> None:
    """Move a scheduled message's time to the past."""
    aws.dynamodb().update_item(
        TableName=stack.references["StateTable"],
        Key={"pk": {"S": f"SMS#{smsid}"}},
        UpdateExpression="SET send_at = created_at",
    )


def is_untouched(stack: Deployment) -> bool:
    return not stack.simulator.messages and not stack.baidu_vms.calls


def test_a_suppression_has_the_contracts_fields_and_ends(stack: Deployment) -> None:
    created, again = suppress(stack), suppress(stack, "090 0000 0001", case="put_without_body")
    one = suppress(stack, "%2B819000000001", case="unknown_number")
    ended, missing = (suppress(stack, case="delete_unknown_number") for _ in range(2))

    assert (created.status, again.status, one.status) == (201, 200, 200)
    assert created.json == {**again.json, "reason": "お客様のご依頼"}
    assert one.json == again.json == {"number": NUMBER, "reason": None, "created_at": created.json["created_at"]}
    assert (ended.status, ended.body, missing.status) == (204, "", 404)


def test_suppressions_are_listed_for_every_key_of_the_deployment(stack: Deployment) -> None:
    suppress(stack)
    suppress(stack, CALLED)
    event = load_event("suppressions", "list")

    first = stack.http("suppressions", of_client(with_query(event, ("limit", "1")), "theirs")).json
    second = stack.http("suppressions", with_query(event, ("limit", "1"), ("cursor", first["next"]))).json

    assert [item["number"] for page in (first, second) for item in page["items"]] == [CALLED, NUMBER]


@pytest.mark.parametrize(
    ("function", "event", "number", "names"),
    [
        pytest.param("send_sms", load_event("send_sms", "japanese_text"), NUMBER, {"smsid"}, id="an SMS"),
        pytest.param(
            "start_verification",
            load_event("start_verification", "call_out"),
            NUMBER,
            {"verification_id"},
            id="a verification with a call",
        ),
        pytest.param(
            "start_verification",
            load_event("start_verification", "sms_and_call_in"),
            NUMBER,
            {"verification_id"},
            id="a verification with an SMS",
        ),
        pytest.param("place_call", load_event("place_call", "chinese_text"), CALLED, {"token"}, id="a call"),
    ],
)
def test_no_route_contacts_a_suppressed_number(
    stack: Deployment, function: str, event: dict[str, Any], number: str, names: set[str]
) -> None:
    suppress(stack, number)

    answer = stack.http(function, event)

    assert (answer.status, answer.code) == (422, "recipient_suppressed")
    assert names <= set(answer.json)
    assert is_untouched(stack)
    assert "RecipientSuppressed" in {name for name, _ in stack.metrics()}


def test_a_scheduled_message_to_a_number_suppressed_meanwhile_is_rejected(stack: Deployment) -> None:
    assert send_later(stack).json["state"] == "scheduled"
    suppress(stack)
    let_the_time_come(stack, "later1")

    deliver(stack, "later1")

    shown = stack.http("query", of_client(load_event("query", "one", pathParameters={"smsid": "later1"}), "ours")).json
    assert (shown["state"], shown["final"], shown["problem"]) == ("rejected", True, "recipient_suppressed")
    assert is_untouched(stack)


def test_a_scheduled_message_leaves_once_its_time_has_come(stack: Deployment) -> None:
    answer = send_later(stack, reference="春の案内")
    deliver(stack, "later1")
    assert is_untouched(stack)
    let_the_time_come(stack, "later1")

    deliver(stack, "later1")
    deliver(stack, "later1")

    assert (answer.status, answer.json["attempts"], answer.json["reference"]) == (202, 0, "春の案内")
    [received] = stack.simulator.messages
    assert received.smsid == "later1"


def test_a_canceled_message_never_leaves(stack: Deployment) -> None:
    send_later(stack)

    foreign, canceled, again = cancel(stack, client="theirs"), cancel(stack), cancel(stack)
    let_the_time_come(stack, "later1")
    deliver(stack, "later1")

    assert (foreign.status, canceled.status, again.status) == (404, 200, 200)
    assert canceled.json == again.json
    assert (canceled.json["state"], canceled.json["final"]) == ("canceled", True)
    assert send_later(stack).code == "idempotency_key_reused"
    assert is_untouched(stack)


def test_a_submitted_message_cannot_be_canceled(stack: Deployment) -> None:
    event = load_event("send_sms", "japanese_text")
    assert stack.http("send_sms", of_client(event, "ours")).status == 201

    answer = cancel(stack, "order1001")

    assert (answer.status, answer.code, answer.json["smsid"]) == (409, "already_submitted", "order1001")


def test_without_the_table_nothing_is_sent(stack: Deployment) -> None:
    send_later(stack)
    stack.lose_table()

    assert suppress(stack).status == cancel(stack).status == send_later(stack, "later2").status == 503
    assert is_untouched(stack)
