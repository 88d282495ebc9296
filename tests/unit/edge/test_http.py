"""API Gateway's events become requests, and replies become its answers."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import PayloadTooLargeError
from switchboard.edge.http import ClientUnknownError, InboundRequest, MalformedRequestError, Reply
from tests.events import load_event, with_headers
from tests.strategies import any_text

EVENT = load_event("send_sms", "japanese_text")
LIMIT = 65_536


def request_with(body: bytes) -> InboundRequest:
    return InboundRequest.from_event(load_event("send_sms", "japanese_text", body=body))


def test_a_request_is_read_with_its_parameters_and_bytes() -> None:
    request = InboundRequest.from_event(load_event("mediasms_delivery_webhook", "post_form_raw_shift_jis"))

    assert (request.method, request.route) == ("POST", "/webhooks/mediasms/{token}/delivery")
    assert request.path_params["token"]
    assert "送信済".encode("cp932") in request.body
    assert request.content_type == "application/x-www-form-urlencoded"


@given(st.text("Content-TypeX", min_size=1).map(lambda _: "Content-Type"), st.randoms(use_true_random=False))
def test_header_names_are_read_in_any_case(name: str, random: Any) -> None:
    spelling = "".join(random.choice([letter.lower(), letter.upper()]) for letter in name)

    assert InboundRequest.from_event({"headers": {spelling: "text/plain"}}).content_type == "text/plain"


def test_a_parameter_given_twice_has_both_values() -> None:
    request = InboundRequest.from_event(load_event("query", "repeated_parameter"))

    assert request.query == {"limit": ("10", "20")}


@pytest.mark.parametrize(
    "event",
    [{}, dict.fromkeys(EVENT), {"requestContext": {}}, {"requestContext": {"identity": None}}],
    ids=["empty", "nulls", "empty context", "null identity"],
)
def test_an_empty_event_is_an_empty_request(event: dict[str, Any]) -> None:
    request = InboundRequest.from_event(event)

    assert (request.method, request.route, request.body, request.query, request.headers) == ("", "", b"", {}, {})
    with pytest.raises(ClientUnknownError):
        _ = request.client
    with pytest.raises(ClientUnknownError):
        request.require_key_id()


@given(any_text())
def test_a_body_not_marked_as_base64_is_its_text(text: str) -> None:
    event = {"body": text, "isBase64Encoded": False}

    assert InboundRequest.from_event(event).body == text.encode("utf-8", "surrogatepass")


@given(st.binary())
def test_a_body_marked_as_base64_is_its_bytes(body: bytes) -> None:
    event = {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}

    assert InboundRequest.from_event(event).body == body


@given(st.binary(min_size=1), st.sampled_from(["\n", "\r\n", " \r\n ", "\t"]), st.integers(1, 80))
def test_base64_is_read_in_lines_unpadded_and_url_safe(body: bytes, line_end: str, length: int) -> None:
    text = base64.b64encode(body).decode()
    lines = line_end.join(text[start : start + length] for start in range(0, len(text), length)) + line_end

    for spelling in (text, text.rstrip("="), lines, lines.replace("=", ""), base64.urlsafe_b64encode(body).decode()):
        assert InboundRequest.from_event({"body": spelling, "isBase64Encoded": True}).body == body


@pytest.mark.parametrize(
    "body",
    ["not base64!", "abcde", "あ", "=", "====", "YQ==\n!", "YQ==YQ==", "YQ YQ", "{}", "smsid=a1&status=1"],
    ids=["blank", "impossible length", "no ASCII", "padding", "only padding", "rest", "two texts", "inner blank",
         "JSON", "form"],
)  # fmt: skip
def test_a_body_wrongly_marked_as_base64_is_its_text(body: str) -> None:
    assert InboundRequest.from_event({"body": body, "isBase64Encoded": True}).body == body.encode()


@pytest.mark.parametrize("event", [{}, {"body": None}, {"body": ""}], ids=["absent", "null", "empty"])
def test_no_body_marked_as_base64_is_an_empty_body(event: dict[str, Any]) -> None:
    assert InboundRequest.from_event(event | {"isBase64Encoded": True}).body == b""


def test_a_key_is_known_by_its_id_or_a_hash_but_never_by_the_key() -> None:
    with_id = InboundRequest.from_event(EVENT)
    without_id = InboundRequest.from_event(load_event("send_sms", "lower_case_headers"))

    assert with_id.require_key_id() == "a1b2c3d4e5"
    assert EVENT["headers"]["x-api-key"] not in without_id.require_key_id()
    assert (
        without_id.require_key_id()
        != InboundRequest.from_event(
            with_headers(load_event("send_sms", "lower_case_headers"), {"x-api-key": "another-key"})
        ).require_key_id()
    )


def test_the_repr_of_a_request_hides_its_body() -> None:
    assert "認証" not in repr(request_with("認証".encode())) and "\\xe8" not in repr(request_with("認証".encode()))


@given(st.dictionaries(st.text("abc"), st.one_of(st.integers(), st.text("日本語"), st.none()), max_size=5))
def test_a_json_object_is_read_unchanged(value: dict[str, Any]) -> None:
    assert request_with(json.dumps(value, ensure_ascii=False).encode()).json_object(limit_bytes=LIMIT) == value


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b"{", id="broken"),
        pytest.param(b'{"a": 1, "a": 1}', id="a name given twice"),
        pytest.param(b'{"a": {"b": 1, "b": 2}}', id="an inner name given twice"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": -Infinity}', id="infinity"),
        pytest.param(b'{"a": "\\ud83d"}', id="half a surrogate pair"),
        pytest.param(b'{"\\udc00": 1}', id="half a surrogate pair as a name"),
        pytest.param(b'{"a": "\x82\xcd"}', id="Shift_JIS"),
        pytest.param(b'{"a": "\x00"}', id="raw NUL"),
        pytest.param(b'{"a": ' + b"9" * 5_000 + b"}", id="number of 5,000 digits"),
        pytest.param(b"[" * 60_000, id="deep list"),
        pytest.param(b'{"a":' * 10_000, id="deep object"),
        pytest.param(b"{} {}", id="two objects"),
    ],
)
def test_a_body_other_than_one_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        request_with(body).json_object(limit_bytes=LIMIT)


def test_a_byte_order_mark_before_json_is_skipped() -> None:
    for marks in (b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf"):
        assert request_with(marks + b'{"a": "b"}').json_object(limit_bytes=LIMIT) == {"a": "b"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp932"])
def test_a_body_in_another_encoding_than_utf_8_is_malformed(encoding: str) -> None:
    with pytest.raises(MalformedRequestError):
        request_with('{"a": "はい"}'.encode(encoding)).json_object(limit_bytes=LIMIT)


def test_a_body_of_exactly_the_limit_is_read() -> None:
    body = b'{"a": "' + b"x" * (LIMIT - 9) + b'"}'
    assert len(body) == LIMIT

    assert request_with(body).json_object(limit_bytes=LIMIT)
    with pytest.raises(PayloadTooLargeError):
        request_with(body + b" ").json_object(limit_bytes=LIMIT)


def test_a_mapping_is_written_as_json_and_a_text_as_text() -> None:
    mapping = Reply(HTTPStatus.OK, {"a": "日本"}).to_event()
    text = Reply(HTTPStatus.OK, "OK").to_event()

    assert (mapping["headers"]["Content-Type"], json.loads(mapping["body"])) == ("application/json", {"a": "日本"})
    assert (text["headers"]["Content-Type"], text["body"]) == ("text/plain; charset=utf-8", "OK")
    assert mapping["headers"]["Cache-Control"] == text["headers"]["Cache-Control"] == "no-store"


def test_the_headers_of_a_reply_replace_the_defaults() -> None:
    headers = {"Content-Type": "application/problem+json", "Retry-After": "5"}

    assert Reply(HTTPStatus.OK, "{}", headers).to_event()["headers"].items() >= headers.items()
