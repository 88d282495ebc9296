"""What every provider's webhook shares: its token, and parameters from wherever the provider put them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from switchboard.domain.errors import ConfigurationError, WebhookForbiddenError, WebhookUnreadableError
from switchboard.edge.http import InboundRequest
from switchboard.edge.webhooks import BODY_LIMIT_BYTES, authenticate, raw_callback, read_params
from switchboard.storage.secrets import CachedSecret
from tests.events import load_event, with_query
from tests.strategies import any_text

FORM = "mediasms_delivery_webhook", "post_form_utf8"
TOKENS = ("first-live-token", "second-live-token", "三つ目")


def request_for(token: str) -> InboundRequest:
    return InboundRequest.from_event({"pathParameters": {"token": token}})


def opens(token: str, tokens: Sequence[str] = TOKENS) -> bool:
    try:
        authenticate(request_for(token), live_tokens=lambda: list(tokens))
    except WebhookForbiddenError:
        return False
    return True


def params_of(*, body: bytes = b"", query: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    return dict(read_params(InboundRequest.from_event(with_query(load_event(*FORM, body=body), *query))))


# Authentication


@pytest.mark.parametrize("token", TOKENS)
def test_each_live_token_opens(token: str) -> None:
    assert opens(token)


@given(any_text())
def test_nothing_else_opens(token: str) -> None:
    assert opens(token) == (token in TOKENS)


@pytest.mark.parametrize("token", TOKENS)
def test_a_part_or_an_extension_of_a_token_opens_nothing(token: str) -> None:
    near = {token[:length] for length in range(len(token))} | {token[length:] for length in range(1, len(token) + 1)}
    near |= {token + "x", "x" + token, token + "\x00", token + " ", token.upper(), token.encode().hex()}

    assert not any(opens(each) for each in near - {token})


def test_two_live_tokens_in_one_are_none() -> None:
    assert not opens("".join(TOKENS))
    assert not opens(",".join(TOKENS))
    assert not opens(str(list(TOKENS)))


class CountedToken(str):
    """A token that tells when it is made into the bytes that are compared."""

    __slots__ = ()
    seen: ClassVar[list[str]] = []

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        self.seen.append(str(self))
        return super().encode(encoding, errors)


@pytest.mark.parametrize("given_token", ["first", "second", "third", "none of them"])
def test_every_live_token_is_compared_wherever_the_match_is(given_token: str) -> None:
    CountedToken.seen.clear()
    tokens = [CountedToken(each) for each in ("first", "second", "third")]

    opens(given_token, tokens)

    assert CountedToken.seen == ["first", "second", "third"]


@pytest.mark.parametrize(
    "tokens", [[], None, "first", {"first": 1}, 5, [""], ["first", ""], ["first", None], ["first", 5], [["first"]]]
)
@pytest.mark.parametrize("token", ["", "f", "first", "5", "None"])
def test_what_is_not_a_list_of_tokens_opens_nothing(tokens: Any, token: str) -> None:
    with pytest.raises(ConfigurationError):
        authenticate(request_for(token), live_tokens=lambda: tokens)


@mock_aws
def test_a_removed_token_stops_and_a_new_one_opens_once_the_secret_has_aged() -> None:
    client = boto3.client("secretsmanager", region_name="ap-northeast-1")
    client.create_secret(Name="tokens", SecretString=json.dumps({"tokens": ["old", "both"]}))
    now = [1000.0]
    secret = CachedSecret(client=lambda: client, name="tokens", monotonic=lambda: now[0], max_age_s=300)

    def live(token: str) -> bool:
        return opens(token, secret().values["tokens"])

    assert (live("old"), live("both"), live("new")) == (True, True, False)
    client.put_secret_value(SecretId="tokens", SecretString=json.dumps({"tokens": ["both", "new"]}))
    now[0] += 299
    assert (live("old"), live("both"), live("new")) == (True, True, False)
    now[0] += 2
    assert (live("old"), live("both"), live("new")) == (False, True, True)


# Parameters

_PAIRS = st.dictionaries(
    st.sampled_from(["smsid", "status", "mobilenumber", "a"]), st.text("09a日本語ｱ+&=%;{ ", max_size=12)
)


@given(_PAIRS)
def test_query_form_and_json_say_the_same(pairs: dict[str, str]) -> None:
    from_query = params_of(query=list(pairs.items()))

    assert from_query == pairs
    assert params_of(body=urlencode(pairs).encode()) == pairs
    assert params_of(body=json.dumps(pairs).encode()) == pairs
    assert params_of(body=json.dumps(pairs, ensure_ascii=False).encode()) == pairs
    assert params_of(body=b"\xef\xbb\xbf" + json.dumps(pairs).encode()) == pairs


@pytest.mark.parametrize("number", ["1563433858.60", "21061600000268000060", "0", "-1.50", "1e5"])
def test_a_number_without_quotes_is_read_as_it_is_written(number: str) -> None:
    assert params_of(body=f'{{"ID": {number}}}'.encode()) == {"id": number}


@pytest.mark.parametrize("text", ["送信済", "ドコモ圏外・OFF", "ａｕ 圏外･ＯＦＦ", "①㈱髙", "ｱｲｳ"])
@pytest.mark.parametrize(
    "written",
    [
        lambda text: urlencode({"status": text}).encode(),
        lambda text: urlencode({"status": text}, encoding="cp932").encode(),
        lambda text: b"status=" + text.encode(),
        lambda text: b"status=" + text.encode("cp932"),
        lambda text: json.dumps({"status": text}, ensure_ascii=False).encode("cp932"),
    ],
    ids=["utf-8", "shift_jis", "raw utf-8", "raw shift_jis", "shift_jis json"],
)
def test_japanese_is_read_in_both_code_pages(text: str, written: Callable[[str], bytes]) -> None:
    assert params_of(body=written(text)) == {"status": text}


def test_names_are_read_in_any_case_and_numbers_as_text() -> None:
    assert params_of(body=b'{"SmsId": "a", " STATUS ": 1, "x": null, "y": 1.5}') == {
        "smsid": "a",
        "status": "1",
        "x": "",
        "y": "1.5",
    }


def test_an_empty_value_is_a_value() -> None:
    assert params_of(body=b"smsid=&status") == {"smsid": "", "status": ""}


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ([("a", "1"), ("a", "2")], b""),
        ([("a", "1"), ("A", "2")], b""),
        ([("a", "1")], b"a=2"),
        ([], b"a=1&a=2"),
        ([], b'{"a": "1", "a": "2"}'),
        ([], b'{"a": "1", "A": "2"}'),
    ],
)
def test_two_values_for_one_name_are_nobodys_to_choose_from(query: list[tuple[str, str]], body: bytes) -> None:
    with pytest.raises(WebhookUnreadableError):
        params_of(query=query, body=body)
    assert params_of(query=[("a", "1"), ("A", "1")], body=b"a=1") == {"a": "1"}


@pytest.mark.parametrize(
    "body",
    [
        b"\x81",
        b"status=\x81",
        b"status=%81&smsid=a",
        b"status=%E9%80%81&name=%93%FA%81",
        b'{"a": ',
        b'{"a": [1]}',
        b'{"a": {"b": 1}}',
        b'{"a": true}',
        b'{"a":' * 10_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
        b"&".join([b"a=1"] * 200),
        b"x" * (BODY_LIMIT_BYTES + 1),
    ],
)
def test_what_cannot_be_read_is_said_to_be_unreadable(body: bytes) -> None:
    with pytest.raises(WebhookUnreadableError):
        params_of(body=body)


@given(st.binary(max_size=200))
def test_any_body_is_read_or_unreadable(body: bytes) -> None:
    try:
        params = params_of(body=body)
    except WebhookUnreadableError:
        return
    assert all(isinstance(value, str) for pair in params.items() for value in pair)


@given(st.binary(max_size=100))
def test_what_is_kept_is_as_it_came_but_for_the_path(body: bytes) -> None:
    event = load_event("mediasms_delivery_webhook", "two_values_for_one_name", body=body)
    request = InboundRequest.from_event(event)

    kept = raw_callback(request, route="mediasms_delivery")

    if b"authcode" not in body.lower():
        assert kept.body == base64.b64decode(event["body"])
    assert json.loads(kept.query) == event["multiValueQueryStringParameters"] | {"authcode": ["***"]}
    assert event["pathParameters"]["token"] not in repr(kept)


@pytest.mark.parametrize(
    "body",
    [
        b"smsid=&authcode=314159&status=1",
        b"AuthCode=314159",
        b"authcode=31%34159&authcode=314159",
        b"%61uthcode=314159",
        b'{"status": 1, "authcode": "314159", "x": [1]}',
        b'{"authcode": 314159}',
        b'{"authcode": ["314159"]}',
        b'{"auth\\u0063ode": "314159"}',
        '{"authcode": "314159"}'.encode("utf-16"),
        b'{"authcode": "314159"',
        b"\x80authcode=314159",
    ],
)
def test_what_is_kept_has_no_code_in_it(body: bytes) -> None:
    request = InboundRequest.from_event(load_event("mediasms_delivery_webhook", "post_form_utf8", body=body))

    kept = raw_callback(request, route="mediasms_delivery")

    assert b"14159" not in kept.body.replace(b"\0", b"")
    assert b"31%34" not in kept.body
