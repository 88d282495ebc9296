"""A raw callback for the archive has no token of a webhook and no authcode."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
import zlib
from base64 import b64decode, b64encode, urlsafe_b64encode
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.edge.http import InboundRequest
from switchboard.edge.raw_callbacks import to_raw_callback
from switchboard.ports.callbacks import RawCallback
from tests.callback_forms import BOUNDARY, FORMS, write_part
from tests.events import load_event, with_query

MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


@given(st.binary(max_size=100))
def test_a_raw_callback_is_complete_without_its_path(body: bytes) -> None:
    event = load_event("mediasms_delivery_webhook", "two_values_for_one_name", body=body)
    request = InboundRequest.from_event(event)

    callback = to_raw_callback(request, route="mediasms_delivery")

    if b"authcode" not in body.lower():
        assert callback.body == b64decode(event["body"])
    assert json.loads(callback.query) == event["multiValueQueryStringParameters"] | {"authcode": ["***"]}
    assert event["pathParameters"]["token"] not in repr(callback)


def raw_of(body: bytes, *, content_type: str = "", query: tuple[tuple[str, str], ...] = ()) -> RawCallback:
    event = with_query(load_event("mediasms_delivery_webhook", "post_form_utf8", body=body), *query)
    request = InboundRequest.from_event(event | {"headers": {"Content-Type": content_type}})
    return to_raw_callback(request, route="mediasms_delivery")


@pytest.mark.parametrize("code", ["314159", "0042", "9" * 16])
@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_a_callback_shows_its_authcode(form: str, code: str) -> None:
    callback = FORMS[form]([("smsid", "a1"), ("authcode", code), ("status", "1")])

    for body in (callback.body, b"\xff" + callback.body, callback.body[:-3]):
        raw = raw_of(body, content_type=callback.content_type or "", query=tuple(callback.query))

        assert not shows(raw, code), raw


@pytest.mark.parametrize(
    "form",
    ["form", "form with semicolons", "form in lines", "form with PHP's lists", "JSON", "JSON as a form", "multipart",
     "multipart with LF", "multipart without a boundary", "multipart with names without quotes", "form in gzip"],
)  # fmt: skip
def test_what_stands_beside_an_authcode_is_kept(form: str) -> None:
    callback = FORMS[form]([("smsid", "a1"), ("authcode", "314159"), ("note", "kept")])

    raw = raw_of(callback.body, content_type=callback.content_type or "")

    assert {"a1", "kept"} <= set(re.findall(r"\w+", raw.body.decode()))
    assert b"***" in raw.body


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"smsid=&authcode=314159&status=1", id="in the middle of a form"),
        pytest.param(b"AuthCode=314159", id="mixed case"),
        pytest.param(b"authcode=31%34159&authcode=314159", id="twice, once with an escape"),
        pytest.param(b"authcode=31}4159", id="with a brace"),
        pytest.param(b"%61uthcode=314159", id="name with an escape"),
        pytest.param(b"%2561uthcode=314159", id="name with an escape of an escape"),
        pytest.param(b"name=authcode&value=314159", id="as a value, before the code"),
        pytest.param(b"value=314159&name=authcode", id="as a value, after the code"),
        pytest.param(b"smstext=authcode+is+314159", id="within a text"),
        pytest.param(b'data={"authcode": "314159"}', id="JSON in a form"),
        pytest.param(b'{"status": 1, "authcode": "314159", "x": [1]}', id="JSON text"),
        pytest.param(b'{"authcode": 314159}', id="JSON number"),
        pytest.param(b'{"authcode": ["314159"]}', id="JSON list"),
        pytest.param(b'{"authcode": {"a": {}, "b": "314159"}}', id="JSON object"),
        pytest.param(b'{"a": {"authcode": "314159"}, "b": 1}', id="JSON in an object"),
        pytest.param(b'{"authcode[]": "314159"}', id="JSON name of a list"),
        pytest.param(b'[{"name": "authcode", "value": "314159"}]', id="JSON value, before the code"),
        pytest.param(b'[{"value": "314159", "name": "authcode"}]', id="JSON value, after the code"),
        pytest.param(b'{"auth\\u0063ode": "314159"}', id="JSON name with an escape"),
        pytest.param(b'{"authcode": "3\\u00314159"}', id="JSON value with an escape"),
        pytest.param(b'"{\\"authcode\\": \\"314159\\"}"', id="JSON in JSON"),
        pytest.param('{"authcode": "314159"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"authcode": "314159"', id="broken JSON"),
        pytest.param(b'{"authcode": "314159', id="broken JSON text"),
        pytest.param(b"{'authcode': '314159'}", id="JSON with single quotes"),
        pytest.param(b"<authcode>314159</authcode>", id="XML"),
        pytest.param(b"\x80authcode=314159", id="no text"),
        pytest.param(
            b'--b\r\nContent-Disposition: form-data; name*0="auth"; name*1="code"\r\n\r\n314159\r\n--b--\r\n',
            id="multipart with a name in pieces",
        ),
        pytest.param(b"authcode\r\n314159", id="a name and a line"),
        pytest.param(b64encode(b"smsid=a1&authcode=314159") + b"!", id="broken base64"),
        pytest.param(b"!!!!" + b64encode(b"xsmsid=a1&authcode=314159"), id="base64 after its begin"),
        pytest.param(urlsafe_b64encode(b"\xff\xfe\xfbauthcode=314159") + b"\n!", id="broken base64 for URLs"),
        pytest.param(gzip.compress(b"smsid=a1&authcode=314159")[:-4], id="broken gzip"),
        pytest.param(gzip.compress(b"authcode=314159&x=" + b"x" * 70_000), id="gzip that is too large"),
        pytest.param(write_part("authcode", "314159"), id="multipart without an end"),
        pytest.param(write_part("authcode", "314159")[3:], id="multipart without a begin"),
        pytest.param(
            write_part("authcode", "314159").replace(b"\r\n\r\n", b"\r\n"), id="multipart without a header's end"
        ),
        pytest.param(write_part("x", b"authcode is 314159"), id="multipart text"),
        pytest.param(write_part("x", b64encode(b"authcode is 314159")), id="multipart text in base64"),
        pytest.param(b"authcode=314159&x=" + b"x" * 70_000, id="too large"),
    ],
)
def test_a_raw_callback_holds_no_authcode(body: bytes) -> None:
    for content_type in ("application/x-www-form-urlencoded", "application/json", MULTIPART):
        assert not shows(raw_of(body, content_type=content_type), "314159")


@pytest.mark.parametrize(
    "query",
    [
        pytest.param((("authcode", "314159"),), id="name"),
        pytest.param((("AuthCode[]", "314159"),), id="list"),
        pytest.param((("%61uthcode", "314159"),), id="escaped name"),
        pytest.param((("authcode:314159", ""),), id="within the name"),
        pytest.param((("x", "authcode=314159"),), id="within a value"),
        pytest.param((("value", "314159"), ("name", "authcode")), id="as a value"),
    ],
)
def test_a_raw_query_holds_no_authcode(query: tuple[tuple[str, str], ...]) -> None:
    assert not shows(raw_of(b"", query=(*query, ("smsid", "a1"))), "314159")


def test_the_names_beside_an_authcode_in_the_query_are_kept() -> None:
    raw = raw_of(b"", query=(("smsid", "a1"), ("AUTHCODE", "314159"), ("authcode", "314159")))

    assert json.loads(raw.query) == {"smsid": ["a1"], "AUTHCODE": ["***"], "authcode": ["***"]}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"authcode" * 200_000, id="mentions"),
        pytest.param(b"authcode=1&" * 50_000, id="pairs"),
        pytest.param(b'{"a":' + b'"authcode' * 200_000, id="JSON mentions"),
        pytest.param(b'{"authcode" ' + b" " * 2_000_000, id="JSON blanks"),
        pytest.param(b"%" * 2_000_000 + b"authcode", id="escapes"),
        pytest.param(b"%25" * 600_000 + b"authcode", id="escapes of escapes"),
        pytest.param(b"--x" + b" " * 2_000_000 + b"authcode", id="boundary of blanks"),
    ],
)
def test_a_raw_callback_of_two_megabytes_takes_bounded_memory(body: bytes) -> None:
    tracemalloc.start()
    raw_of(body, content_type=MULTIPART)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 100_000_000


def shows(raw: RawCallback, code: str) -> bool:
    """Return whether the raw callback shows the code: plain, escaped, in wide characters, in base64 or in gzip."""
    body = raw.body.replace(b"\0", b"")
    texts = [body, unquote_to_bytes(body), raw.query.encode(), unquote_to_bytes(raw.query)]
    texts += [re.sub(rb"\\u00(..)", lambda match: bytes.fromhex(match[1].decode()), body)]
    for start in range(4):
        digits = re.sub(rb"[^A-Za-z0-9+/]", b"", body.replace(b"-", b"+").replace(b"_", b"/"))[start:]
        texts.append(b64decode(digits[: len(digits) // 4 * 4]))
    if body.startswith(b"\x1f\x8b"):
        texts.append(zlib.decompressobj(31).decompress(raw.body))
    return any(code[1:].encode() in text for text in texts)
