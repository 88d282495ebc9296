"""The SMS routes' requests and JSON, without any use case behind them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.api_keys import ApiKey
from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.sms.messages import SmsState
from switchboard.domain.sms.requests import SmsRules, compose
from switchboard.domain.sms.texts import Carrier
from switchboard.edge.api.bodies.sms import parse_body, to_command
from switchboard.edge.api.pagination import to_cursor
from switchboard.edge.api.sms import parse_filter, preflight_to_json
from switchboard.edge.http import InboundRequest, parse_idempotency_key
from tests.events import load_event, with_headers, with_query

VALID = {"to": "090-0000-0001", "text": "はい"}


def send_request(**members: object) -> InboundRequest:
    return InboundRequest.from_event(load_event("send_sms", "japanese_text", body={**VALID, **members}))


def list_request(*query: tuple[str, str]) -> InboundRequest:
    return InboundRequest.from_event(with_query(load_event("query", "list"), *query))


def invalid_fields(error: InvalidRequestError) -> set[str]:
    return {problem.field for problem in error.problems}


CALLER = ApiKey(id="k", client="c", name="", scopes=frozenset())


def test_a_body_is_read_with_all_its_members() -> None:
    body = parse_body(
        send_request(
            text_au="はい(au)",
            sender="Acme",
            carrier="au",
            smsid="a1",
            not_after="2026-11-22T12:00:00+09:00",
        )
    )
    request = body.request()

    assert (request.to, request.text, request.text_au) == ("090-0000-0001", "はい", "はい(au)")
    assert (request.sender, request.carrier) == ("Acme", Carrier.AU)
    assert (body.smsid, body.dry_run) == ("a1", False)


@pytest.mark.parametrize("carrier", ["docomo", "softbank", "au", "ymobile", "overseas"])
def test_every_carrier_of_the_contract_is_accepted(carrier: str) -> None:
    assert parse_body(send_request(carrier=carrier)).carrier == carrier


@pytest.mark.parametrize(
    "template_id",
    [
        pytest.param("1", id="text"),
        pytest.param(1, id="number"),
        pytest.param("007", id="leading zeros"),
        pytest.param(10**19, id="20 digits"),
    ],
)
def test_a_template_id_is_read_as_text_or_number(template_id: object) -> None:
    body = parse_body(send_request(text=None, template_id=template_id))

    assert body.request().template_id == str(template_id)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        pytest.param("to", 9000000001, id="to: a number"),
        pytest.param("to", "", id="to: empty"),
        pytest.param("to", None, id="to: null"),
        pytest.param("to", "0" * 101, id="to: 101 digits"),
        pytest.param("text", ["はい"], id="text: a list"),
        pytest.param("text", "x" * 10_001, id="text: 10,001 characters"),
        pytest.param("template_id", "x", id="template_id: a letter"),
        pytest.param("template_id", -1, id="template_id: negative"),
        pytest.param("template_id", 1.5, id="template_id: a fraction"),
        pytest.param("template_id", True, id="template_id: a boolean"),
        pytest.param("template_id", "1" * 21, id="template_id: text of 21 digits"),
        pytest.param("template_id", "１", id="template_id: a full-width digit"),
        pytest.param("template_id", 10**20, id="template_id: a number of 21 digits"),
        pytest.param("sender", 5, id="sender: a number"),
        pytest.param("carrier", "AU", id="carrier: upper case"),
        pytest.param("smsid", "", id="smsid: empty"),
        pytest.param("smsid", "x" * 51, id="smsid: 51 letters"),
        pytest.param("smsid", "a-b", id="smsid: a hyphen"),
        pytest.param("smsid", "a\n", id="smsid: a line break"),
        pytest.param("smsid", "あ", id="smsid: no ASCII"),
        pytest.param("not_after", 1795316645, id="not_after: a number"),
        pytest.param("dry_run", 1, id="dry_run: a number"),
        pytest.param("dry_run", "true", id="dry_run: a text"),
        pytest.param("TO", "09000000001", id="an unknown member in upper case"),
        pytest.param("idempotency_key", "k", id="an unknown member"),
    ],
)
def test_an_invalid_member_is_named_without_its_value(member: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        parse_body(send_request(**{member: value}))

    assert invalid_fields(raised.value) == {member}
    if isinstance(value, str) and len(value) > 1:
        assert value not in str(raised.value)


def test_every_invalid_member_is_named_once() -> None:
    with pytest.raises(InvalidRequestError) as raised:
        parse_body(send_request(to=1, template_id=[], extra=1))

    fields = [problem.field for problem in raised.value.problems]
    assert sorted(fields) == ["extra", "template_id", "to"]


def test_a_command_has_the_number_in_e164_and_the_time_in_utc() -> None:
    body = parse_body(send_request(not_after="2026-11-22T12:00:00+09:00"))
    composed = compose(body.request(), rules=SmsRules())

    command = to_command(body, composed, caller=CALLER, idempotency_key="k")

    assert command.recipient == "+819000000001"
    assert command.not_after == datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    assert (command.client, command.idempotency_key) == ("c", "k")


def test_a_text_that_is_too_long_has_a_preflight_but_no_command() -> None:
    body = parse_body(send_request(text="あ" * 71))
    composed = compose(body.request(), rules=SmsRules())

    with pytest.raises(InvalidRequestError) as raised:
        to_command(body, composed, caller=CALLER, idempotency_key=None)
    assert invalid_fields(raised.value) == {"text"}
    preflight = preflight_to_json(composed)
    assert (preflight["fits"], preflight["characters"], preflight["limit"]) == (False, 71, 70)


def test_the_preflight_of_a_template_has_no_values() -> None:
    composed = compose(parse_body(send_request(text=None, template_id=1)).request(), rules=SmsRules())

    preflight = preflight_to_json(composed)

    assert set(preflight) == {"characters", "bytes_sjis", "parts", "limit", "fits", "carriers", "problems"}
    assert preflight["characters"] is preflight["fits"] is None


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("k", id="one letter"),
        pytest.param("!", id="the first visible character"),
        pytest.param("~" * 64, id="64 times the last visible character"),
        pytest.param("order-1002/confirmation", id="words"),
    ],
)
def test_an_idempotency_key_of_visible_characters_is_read(key: str) -> None:
    request = InboundRequest.from_event(with_headers(load_event("send_sms", "japanese_text"), {"IDEMPOTENCY-KEY": key}))

    assert parse_idempotency_key(request) == key


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Idempotency-Key": ["order-1", "order-2"]}, id="one header with two values"),
        pytest.param({"Idempotency-Key": ["order-1"], "idempotency-key": ["order-2"]}, id="two spellings of the name"),
    ],
)
def test_two_different_idempotency_keys_are_refused(headers: dict[str, list[str]]) -> None:
    last = {name: values[-1] for name, values in headers.items()}
    request = InboundRequest.from_event({"headers": last, "multiValueHeaders": headers})
    with pytest.raises(InvalidRequestError):
        parse_idempotency_key(request)


def test_the_same_idempotency_key_twice_is_one_key() -> None:
    headers = {"Idempotency-Key": ["order-1", "order-1"], "idempotency-key": ["order-1"]}
    request = InboundRequest.from_event({"headers": {"Idempotency-Key": "order-1"}, "multiValueHeaders": headers})
    assert parse_idempotency_key(request) == "order-1"


def test_without_the_header_there_is_no_idempotency_key() -> None:
    assert parse_idempotency_key(send_request()) is None


@given(st.from_regex(r"2[0-9]{3}-[01][0-9]-[0-9]{2}T[0-9:.]{12}Z#[A-Za-z0-9]{1,50}", fullmatch=True))
def test_a_cursor_leads_back_to_its_position(position: str) -> None:
    cursor = to_cursor(position)

    assert cursor is not None
    assert parse_filter(list_request(("cursor", cursor)))[2] == position
    assert position not in cursor


def test_without_a_position_there_is_no_cursor() -> None:
    assert to_cursor(None) is None


def test_a_filter_is_read_with_its_defaults() -> None:
    assert parse_filter(list_request())[1:] == (25, None)
    order_filter, limit, _ = parse_filter(
        list_request(
            ("to", "０９０ 0000 0001"), ("state", "queued"), ("since", "2026-11-22T00:00:00+09:00"), ("limit", "100")
        )
    )
    assert order_filter.recipient == "+819000000001"
    assert order_filter.state is SmsState.QUEUED
    assert order_filter.since == datetime(2026, 11, 21, 15, tzinfo=UTC)
    assert (order_filter.until, limit) == (None, 100)


@pytest.mark.parametrize("state", list(SmsState), ids=lambda state: state.value)
def test_a_filter_accepts_every_state(state: SmsState) -> None:
    assert parse_filter(list_request(("state", state.value)))[0].state is state


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(max_size=80), max_size=3), max_size=5))
def test_any_query_is_a_filter_or_refused(query: dict[str, list[str]]) -> None:
    request = InboundRequest.from_event({"multiValueQueryStringParameters": query})
    try:
        _, limit, _ = parse_filter(request)
    except InvalidRequestError as error:
        assert error.problems
    else:
        assert 1 <= limit <= 100
