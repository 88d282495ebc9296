"""The log lines of a request tell which API key and which address sent it."""

from __future__ import annotations

from typing import Final

import pytest

from tests.deployment import Deployment
from tests.events import Event, load_event

KEY_ID: Final = "key0000001"


def sent_by(event: Event, *, key_id: str | None, source_ip: str | None) -> Event:
    context = event["requestContext"]
    identity = {**context["identity"], "apiKeyId": key_id, "sourceIp": source_ip}
    return event | {"requestContext": {**context, "identity": identity}}


@pytest.mark.parametrize(
    ("function", "case", "key_id"),
    [
        pytest.param("send_sms", "japanese_text", KEY_ID, id="an accepted SMS"),
        pytest.param("send_sms", "bad_number", KEY_ID, id="a refused SMS"),
        pytest.param("query", "list", KEY_ID, id="a query"),
        pytest.param("mediasms_delivery_webhook", "get_query", None, id="a callback"),
        pytest.param("biztel_call_action_webhook", "unusable_id", None, id="a call action without a usable id"),
        pytest.param("baidu_vms_webhook", "wrong_token", None, id="a refused callback"),
    ],
)
def test_every_line_of_a_request_tells_who_sent_it(
    stack: Deployment, function: str, case: str, key_id: str | None
) -> None:
    stack.invoke(function, sent_by(load_event(function, case), key_id=key_id, source_ip="198.51.100.7"))

    lines = [line for line in stack.logged() if "message" in line]
    assert lines
    assert {(line.get("api_key_id"), line["source_ip"]) for line in lines} == {(key_id, "198.51.100.7")}


def test_a_line_never_names_the_sender_of_an_earlier_request(stack: Deployment) -> None:
    event = load_event("query", "list")
    stack.invoke("query", sent_by(event, key_id=KEY_ID, source_ip="198.51.100.7"))
    before = len(stack.logged())

    stack.invoke("query", sent_by(event, key_id="key0000002", source_ip=None))

    lines = [line for line in stack.logged()[before:] if "message" in line]
    assert lines
    assert {(line["api_key_id"], line.get("source_ip")) for line in lines} == {("key0000002", None)}
