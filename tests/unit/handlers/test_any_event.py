"""No request makes a handler fail: every answer is one of ours and, while the stores answer, no 5xx."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.deployment import Deployment, deployed
from tests.depth import at_depth
from tests.events import Event, cases_of, load_event, with_query
from tests.strategies import any_text

MEMBERS: Final = (
    "resource",
    "path",
    "httpMethod",
    "headers",
    "multiValueHeaders",
    "queryStringParameters",
    "multiValueQueryStringParameters",
    "pathParameters",
    "requestContext",
    "body",
)

_NAMES = st.one_of(
    any_text(max_size=30),
    st.sampled_from(
        [
            "to",
            "mode",
            "lines",
            "line",
            "code",
            "holding_minutes",
            "ipphone",
            "method",
            "state",
            "since",
            "until",
            "limit",
            "cursor",
            "tel",
            "from",
            "smsid",
            "SMSID",
            "status",
            "mobilenumber",
            "ID",
        ]
    ),
    st.sampled_from(["callId", "result", "variables", "play_times", "volume", "tag", "show_number"]),
    st.sampled_from(
        ["left", "right", "text", "template_id", "text_au", "sender", "carrier", "not_after", "dry_run", "authcode"]
    ),
)
_VALUES = st.one_of(
    any_text(max_size=60),
    st.sampled_from(["", "1", "0", "送信済", "order1001", "09000000001", "delivered", "2026-11-22T00:00:00Z", "100"]),
    st.sampled_from(["%ZZ", "%", "%83%7", "+", "\x00", "\ud83d", "9" * 5000, "../..", "0001-01-01T00:00:00+14:00"]),
)
_HEADER_NAMES = st.one_of(
    any_text(max_size=20),
    st.sampled_from(["content-type", "Content-Type", "CONTENT-TYPE", "x-api-key", "X-Api-Key", "Idempotency-Key"]),
)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _VALUES, st.sampled_from([10**400, -1, 1e308])),
    lambda values: st.one_of(st.lists(values, max_size=3), st.dictionaries(_NAMES, values, max_size=3)),
    max_leaves=8,
)
_DEEP = st.sampled_from(["[" * 5_000, '{"a":' * 5_000, '{"to":"' + "x" * 5_000, "9" * 10_000, '{"template_id":1e999}'])
_BODY_TEXT = st.one_of(
    st.dictionaries(_NAMES, _JSON, max_size=6).map(json.dumps),
    st.lists(st.tuples(_NAMES, _VALUES), max_size=6).map(lambda pairs: "&".join("=".join(pair) for pair in pairs)),
    any_text(),
    _DEEP,
)
_BODIES = st.one_of(
    st.none(),
    _BODY_TEXT.map(lambda text: (text, False)),
    _BODY_TEXT.map(lambda text: (base64.b64encode(text.encode("utf-8", "surrogatepass")).decode(), True)),
    st.binary(max_size=300).map(lambda raw: (base64.b64encode(raw).decode(), True)),
    _BODY_TEXT.map(lambda text: (text, True)),
)


@pytest.fixture(scope="module")
def stack() -> Iterator[Deployment]:
    with deployed() as deployment:
        yield deployment


@st.composite
def requests(draw: st.DrawFn, function: str) -> Event:
    """A sample event of this function in which a sender's parts are replaced, and some members are gone or null."""
    event = load_event(function, draw(st.sampled_from(cases_of(function))))
    if draw(st.booleans()):
        event["headers"] = {**event["headers"], **draw(st.dictionaries(_HEADER_NAMES, _VALUES, max_size=4))}
    if draw(st.booleans()):
        event = with_query(event, *draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=6)))
    if draw(st.booleans()):
        body = draw(_BODIES)
        event |= (
            {"body": None, "isBase64Encoded": False} if body is None else {"body": body[0], "isBase64Encoded": body[1]}
        )
    if function == "query" and draw(st.booleans()):
        event["pathParameters"] = {draw(st.sampled_from(["smsid", "call_id"])): draw(_VALUES)}
    if function in {"check_verification", "cancel_verification"} and draw(st.booleans()):
        event["pathParameters"] = {"verification_id": draw(_VALUES)}
    if function in {"cancel_sms", "suppressions"} and draw(st.booleans()):
        event["pathParameters"] = {"smsid" if function == "cancel_sms" else "number": draw(_VALUES)}
    if function.endswith("_webhook") and draw(st.booleans()):
        event["pathParameters"] = {"token": draw(_VALUES)}
    for member in draw(st.lists(st.sampled_from(MEMBERS), max_size=2)):
        if draw(st.booleans()):
            event[member] = None
        else:
            event.pop(member, None)
    return event


def assert_is_answered(stack: Deployment, function: str, event: Event) -> None:
    answer = stack.http(function, event)
    assert answer.status < 500, (function, answer.body)
    assert (answer.code is not None) == (answer.status >= 400)
    if answer.code is not None:
        assert set(answer.json) >= {"type", "title", "status", "detail", "code"}
        assert answer.json["status"] == answer.status


def with_body(function: str, body: Any, *, case: str) -> Event:
    return load_event(function, case, body=body)


@settings(max_examples=at_depth(usual=50, proof=150), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("send_sms"))
@example(event=with_body("send_sms", b'{"to": "09000000001", "text": "' + b"x" * 10_000_000, case="japanese_text"))
@example(event=with_body("send_sms", b"[" * 65_000, case="japanese_text"))
@example(event=with_body("send_sms", b'{"a":' * 13_000, case="japanese_text"))
@example(event=with_body("send_sms", b'{"to": ' + b"9" * 60_000 + b"}", case="japanese_text"))
@example(event=with_body("send_sms", b'{"to": "1", "template_id": ' + b"9" * 4_000 + b"}", case="japanese_text"))
@example(event=with_body("send_sms", b'{"to": "1", "\\ud800": 1}', case="japanese_text"))
@example(event=with_body("send_sms", '{"to": "1"}'.encode("utf-16"), case="japanese_text"))
@example(event={})
def test_any_request_to_send_sms_is_answered(stack: Deployment, event: Event) -> None:
    assert_is_answered(stack, "send_sms", event)


@settings(max_examples=at_depth(usual=50, proof=150), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("query"))
@example(event=load_event("query", "one", pathParameters={"smsid": "x" * 8_000}))
@example(event=load_event("query", "one", pathParameters={"smsid": None}))
@example(event=load_event("query", "one", pathParameters={"other": "x"}))
@example(event={})
def test_any_request_to_query_is_answered(stack: Deployment, event: Event) -> None:
    assert_is_answered(stack, "query", event)


@settings(max_examples=at_depth(usual=16, proof=50), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("query_status"))
@example(event={})
def test_any_request_for_the_status_is_answered(stack: Deployment, event: Event) -> None:
    assert_is_answered(stack, "query_status", event)


@settings(max_examples=at_depth(usual=20, proof=60), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("query_recordings"))
@example(event=load_event("query_recordings", "one", pathParameters={"recording_id": "x" * 8_000}))
@example(event={})
def test_any_request_for_recordings_is_answered(stack: Deployment, event: Event) -> None:
    assert_is_answered(stack, "query_recordings", event)


@settings(max_examples=at_depth(usual=20, proof=60), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("correct_recording_roles"))
@example(event=with_body("correct_recording_roles", b'{"left": {"a": []}, "right": 1e999}', case="swapped"))
@example(event={})
def test_any_correction_of_roles_is_answered(stack: Deployment, event: Event) -> None:
    assert_is_answered(stack, "correct_recording_roles", event)


@settings(max_examples=at_depth(usual=50, proof=150), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("mediasms_delivery_webhook"))
@example(event=with_body("mediasms_delivery_webhook", b"\x80" * 10_000_000, case="post_json"))
@example(event=with_body("mediasms_delivery_webhook", b'{"a":' * 13_000, case="post_json"))
@example(event=with_body("mediasms_delivery_webhook", b'{"smsid": ' + b"9" * 60_000 + b"}", case="post_json"))
@example(event=with_body("mediasms_delivery_webhook", b'{"smsid": "a", "status": "\\ud83d"}', case="post_json"))
@example(event=with_body("mediasms_delivery_webhook", b"&".join([b"a=b"] * 20_000), case="post_form_utf8"))
@example(event=with_body("mediasms_delivery_webhook", b"%ZZ=%&%83=%83%7&smsid=%00", case="post_form_utf8"))
@example(event=load_event("mediasms_delivery_webhook", "get_query", pathParameters={"token": None}))
@example(event={})
def test_any_delivery_report_is_answered(stack: Deployment, event: Event) -> None:
    assert_is_answered(stack, "mediasms_delivery_webhook", event)


@settings(max_examples=at_depth(usual=33, proof=100), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("start_verification"))
@example(event=with_body("start_verification", b'{"to": "1", "mode": ' + b"9" * 4_000 + b"}", case="call_in"))
@example(event={})
def test_any_request_to_verify_is_answered(stack: Deployment, event: Event) -> None:
    assert_is_answered(stack, "start_verification", event)


@settings(max_examples=at_depth(usual=33, proof=100), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("check_verification"))
@example(event=load_event("check_verification", "unknown_id", pathParameters=None))
@example(event=load_event("check_verification", "unknown_id", pathParameters={"verification_id": "x" * 8_000}))
@example(event={})
def test_any_check_of_a_code_is_answered(stack: Deployment, event: Event) -> None:
    assert_is_answered(stack, "check_verification", event)


@settings(max_examples=at_depth(usual=20, proof=60), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("cancel_verification"))
@example(event=load_event("cancel_verification", "unknown_id", pathParameters=None))
@example(event=load_event("cancel_verification", "unknown_id", pathParameters={"verification_id": "x" * 8_000}))
@example(event={})
def test_any_cancellation_is_answered(stack: Deployment, event: Event) -> None:
    assert_is_answered(stack, "cancel_verification", event)


@pytest.mark.parametrize("function", ["cancel_sms", "suppressions"])
@settings(max_examples=at_depth(usual=20, proof=60), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_cancellation_or_suppression_is_answered(stack: Deployment, function: str, data: st.DataObject) -> None:
    assert_is_answered(stack, function, data.draw(requests(function)))


@settings(max_examples=at_depth(usual=33, proof=100), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("mediasms_ivr_webhook"))
@example(event=with_body("mediasms_ivr_webhook", b"mobilenumber=0&ipphone=%00&method=4", case="post_form"))
@example(event={})
def test_any_ivr_call_is_answered(stack: Deployment, event: Event) -> None:
    assert_is_answered(stack, "mediasms_ivr_webhook", event)


@settings(max_examples=at_depth(usual=33, proof=100), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("place_call"))
@example(event=with_body("place_call", b'{"to": "1", "variables": {"a": ' + b"[" * 5_000, case="chinese_text"))
@example(event={})
def test_any_request_to_call_is_answered(stack: Deployment, event: Event) -> None:
    # The simulated provider accepts few calls a second: then the answer is our 503.
    answer = stack.http("place_call", event)
    assert answer.status != 500, answer.body
    assert (answer.code is not None) == (answer.status >= 400)


@settings(max_examples=at_depth(usual=33, proof=100), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("baidu_vms_webhook"))
@example(event=with_body("baidu_vms_webhook", b'{"callId": "a", "result": "\\ud83d"}', case="post_json"))
@example(event={})
def test_any_call_result_is_answered(stack: Deployment, event: Event) -> None:
    assert_is_answered(stack, "baidu_vms_webhook", event)


@settings(max_examples=at_depth(usual=33, proof=100), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=requests("biztel_call_action_webhook"))
@example(event=with_body("biztel_call_action_webhook", b"\x80" * 10_000_000, case="post_json"))
@example(event=with_body("biztel_call_action_webhook", b'{"ID": "a", "TEL": "\\ud83d"}', case="post_json"))
@example(event=with_body("biztel_call_action_webhook", b"ID=%00&TEL=%ZZ", case="post_form"))
@example(event=load_event("biztel_call_action_webhook", "get_query", pathParameters={"token": None}))
@example(event={})
def test_any_call_action_is_answered_with_its_result(stack: Deployment, event: Event) -> None:
    answer = stack.http("biztel_call_action_webhook", event)

    assert answer.status < 500, answer.body
    assert answer.json["result"] == ("accepted" if answer.status == 200 else "error")
    assert ('"result":"error"' in answer.body) == (answer.status >= 400)
