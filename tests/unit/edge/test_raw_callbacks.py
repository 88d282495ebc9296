"""A raw callback for the archive has no token of a webhook and no authcode."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.edge.http import InboundRequest
from switchboard.edge.raw_callbacks import to_raw_callback
from tests.events import load_event


@given(st.binary(max_size=100))
def test_a_raw_callback_is_complete_without_its_path(body: bytes) -> None:
    event = load_event("mediasms_delivery_webhook", "two_values_for_one_name", body=body)
    request = InboundRequest.from_event(event)

    callback = to_raw_callback(request, route="mediasms_delivery")

    if b"authcode" not in body.lower():
        assert callback.body == base64.b64decode(event["body"])
    assert json.loads(callback.query) == event["multiValueQueryStringParameters"] | {"authcode": ["***"]}
    assert event["pathParameters"]["token"] not in repr(callback)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"smsid=&authcode=314159&status=1", id="in the middle of a form"),
        pytest.param(b"AuthCode=314159", id="mixed case"),
        pytest.param(b"authcode=31%34159&authcode=314159", id="twice, once with an escape"),
        pytest.param(b"%61uthcode=314159", id="name with an escape"),
        pytest.param(b'{"status": 1, "authcode": "314159", "x": [1]}', id="JSON text"),
        pytest.param(b'{"authcode": 314159}', id="JSON number"),
        pytest.param(b'{"authcode": ["314159"]}', id="JSON list"),
        pytest.param(b'{"auth\\u0063ode": "314159"}', id="JSON name with an escape"),
        pytest.param('{"authcode": "314159"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"authcode": "314159"', id="broken JSON"),
        pytest.param(b"\x80authcode=314159", id="no text"),
    ],
)
def test_a_raw_callback_holds_no_authcode(body: bytes) -> None:
    request = InboundRequest.from_event(load_event("mediasms_delivery_webhook", "post_form_utf8", body=body))

    callback = to_raw_callback(request, route="mediasms_delivery")

    assert b"14159" not in callback.body.replace(b"\0", b"")
    assert b"31%34" not in callback.body
