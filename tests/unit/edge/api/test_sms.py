"""The SMS routes' JSON, apart from what stands behind it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.sms.carriers import Carrier
from switchboard.domain.sms.messages import SmsState
from switchboard.domain.sms.requests import SmsRules, compose
from switchboard.edge.api.pagination import cursor_of
from switchboard.edge.api.request_bodies import parse_idempotency_key
from switchboard.edge.api.sms import parse_filter, parse_send_body, preflight_json, send_command
from switchboard.edge.http import InboundRequest
from tests.events import load_event, with_headers, with_query

GOOD = {"to": "090-0000-0001", "text": "はい"}


def sending(**members: object) -> InboundRequest:
    return InboundRequest.from_event(load_event("send_sms", "japanese_text", body={**GOOD, **members}))


def listing(*query: tuple[str, str]) -> InboundRequest:
    return InboundRequest.from_event(with_query(load_event("query", "list"), *query))


def fields_refused(error: InvalidRequestError) -> set[str]:
    return {each.field for each in error.problems}


def test_a_request_is_read_as_it_was_meant() -> None:
    body = parse_send_body(
        sending(
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
def test_every_carrier_of_the_contract_can_be_named(carrier: str) -> None:
    assert parse_send_body(sending(carrier=carrier)).carrier == carrier


@pytest.mark.parametrize("template_id", ["1", 1, "007", 10**19])
def test_a_template_is_named_by_digits_written_either_way(template_id: object) -> None:
    body = parse_send_body(sending(text=None, template_id=template_id))

    assert body.request().template_id == str(template_id)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("to", 9000000001),
        ("to", ""),
        ("to", None),
        ("to", "0" * 101),
        ("text", ["はい"]),
        ("text", "x" * 10_001),
        ("template_id", "x"),
        ("template_id", -1),
        ("template_id", 1.5),
        ("template_id", True),
        ("template_id", "1" * 21),
        ("template_id", "１"),
        ("template_id", 10**20),
        ("sender", 5),
        ("carrier", "AU"),
        ("smsid", ""),
        ("smsid", "x" * 51),
        ("smsid", "a-b"),
        ("smsid", "a\n"),
        ("smsid", "あ"),
        ("not_after", 1795316645),
        ("dry_run", 1),
        ("dry_run", "true"),
        ("TO", "09000000001"),
        ("idempotency_key", "k"),
    ],
)
def test_a_member_of_another_kind_is_refused_by_name_and_without_its_value(member: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        parse_send_body(sending(**{member: value}))

    assert fields_refused(raised.value) == {member}
    if isinstance(value, str) and len(value) > 1:
        assert value not in str(raised.value)


def test_every_member_that_is_wrong_is_named_once() -> None:
    with pytest.raises(InvalidRequestError) as raised:
        parse_send_body(sending(to=1, template_id=[], extra=1))

    named = [each.field for each in raised.value.problems]
    assert sorted(named) == ["extra", "template_id", "to"]


def test_a_command_carries_the_number_in_one_form_and_the_time_in_utc() -> None:
    body = parse_send_body(sending(not_after="2026-11-22T12:00:00+09:00"))
    composed = compose(body.request(), rules=SmsRules())

    command = send_command(body, composed, client="c", idempotency_key="k")

    assert command.recipient == "+819000000001"
    assert command.not_after == datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    assert (command.client, command.idempotency_key) == ("c", "k")


def test_a_text_that_does_not_fit_becomes_no_command_but_a_preflight() -> None:
    body = parse_send_body(sending(text="あ" * 71))
    composed = compose(body.request(), rules=SmsRules())

    with pytest.raises(InvalidRequestError) as raised:
        send_command(body, composed, client="c", idempotency_key=None)
    assert fields_refused(raised.value) == {"text"}
    shown = preflight_json(composed)
    assert (shown["fits"], shown["characters"], shown["limit"]) == (False, 71, 70)


def test_of_a_template_the_preflight_knows_nothing() -> None:
    composed = compose(parse_send_body(sending(text=None, template_id=1)).request(), rules=SmsRules())

    shown = preflight_json(composed)

    assert set(shown) == {"characters", "bytes_sjis", "parts", "limit", "fits", "carriers", "problems"}
    assert shown["characters"] is shown["fits"] is None


@pytest.mark.parametrize("key", ["k", "!", "~" * 64, "order-1002/confirmation"])
def test_a_visible_key_is_taken_as_it_is(key: str) -> None:
    request = InboundRequest.from_event(with_headers(load_event("send_sms", "japanese_text"), {"IDEMPOTENCY-KEY": key}))

    assert parse_idempotency_key(request) == key


@pytest.mark.parametrize(
    "headers",
    [
        {"Idempotency-Key": ["order-1", "order-2"]},
        {"Idempotency-Key": ["order-1"], "idempotency-key": ["order-2"]},
    ],
)
def test_two_keys_are_refused_since_nobody_knows_which_is_meant(headers: dict[str, list[str]]) -> None:
    last = {name: values[-1] for name, values in headers.items()}
    request = InboundRequest.from_event({"headers": last, "multiValueHeaders": headers})
    with pytest.raises(InvalidRequestError):
        parse_idempotency_key(request)


def test_the_same_key_twice_is_one() -> None:
    headers = {"Idempotency-Key": ["order-1", "order-1"], "idempotency-key": ["order-1"]}
    request = InboundRequest.from_event({"headers": {"Idempotency-Key": "order-1"}, "multiValueHeaders": headers})
    assert parse_idempotency_key(request) == "order-1"


def test_without_the_header_there_is_no_key() -> None:
    assert parse_idempotency_key(sending()) is None


@given(st.from_regex(r"2[0-9]{3}-[01][0-9]-[0-9]{2}T[0-9:.]{12}Z#[A-Za-z0-9]{1,50}", fullmatch=True))
def test_a_cursor_leads_back_to_its_position(position: str) -> None:
    cursor = cursor_of(position)

    assert cursor is not None
    assert parse_filter(listing(("cursor", cursor)))[2] == position
    assert position not in cursor


def test_no_position_is_no_cursor() -> None:
    assert cursor_of(None) is None


def test_a_filter_is_read_with_its_defaults() -> None:
    assert parse_filter(listing())[1:] == (25, None)
    wanted, limit, _ = parse_filter(
        listing(
            ("to", "０９０ 0000 0001"), ("state", "queued"), ("since", "2026-11-22T00:00:00+09:00"), ("limit", "100")
        )
    )
    assert wanted.recipient == "+819000000001"
    assert wanted.state is SmsState.QUEUED
    assert wanted.since == datetime(2026, 11, 21, 15, tzinfo=UTC)
    assert (wanted.until, limit) == (None, 100)


@pytest.mark.parametrize("state", list(SmsState))
def test_every_state_can_be_asked_for(state: SmsState) -> None:
    assert parse_filter(listing(("state", state.value)))[0].state is state


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(max_size=80), max_size=3), max_size=5))
def test_any_query_is_a_filter_or_refused(query: dict[str, list[str]]) -> None:
    request = InboundRequest.from_event({"multiValueQueryStringParameters": query})
    try:
        _, limit, _ = parse_filter(request)
    except InvalidRequestError as error:
        assert error.problems
    else:
        assert 1 <= limit <= 100
