"""BIZTEL's call actions are parsed as the document shows them, in any spelling of the customer's setting."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import switchboard
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.domain.recording.facts import RecordingReady, is_recording_id
from switchboard.edge.http import InboundRequest
from switchboard.edge.webhook_endpoint import read_params
from switchboard.providers.biztel.webhooks import parse_call_action, parse_date
from tests.ids import describe_row
from tests.strategies import any_text

CALL_ACTION = {"id": "21061600000268000060", "tel": "034530XXXX", "date": "2021-06-16 20:03:33"}
CALLED = datetime(2021, 6, 16, 11, 3, 33, tzinfo=UTC)


def code_of(params: dict[str, str]) -> str:
    with pytest.raises(WebhookUnreadableError) as unreadable:
        parse_call_action(params)
    return str(unreadable.value)


def test_the_documents_example_is_parsed() -> None:
    assert parse_call_action(CALL_ACTION) == RecordingReady(
        recording_id="21061600000268000060", tel="034530XXXX", date="2021-06-16 20:03:33", called_at=CALLED
    )


def test_names_in_any_case_and_padded_values_are_parsed() -> None:
    respelled = {"Id": " 21061600000268000060", " TEL ": "034530XXXX\n", "dAtE": "2021-06-16 20:03:33", "other": "x"}
    assert parse_call_action(respelled) == parse_call_action(CALL_ACTION)


@pytest.mark.parametrize("recording_id", ["1563433858.66", "a", "A-b_c.9"])
def test_request_ids_and_unique_ids_are_ids(recording_id: str) -> None:
    assert parse_call_action({"id": recording_id}).recording_id == recording_id


def test_a_call_action_needs_only_an_id() -> None:
    assert parse_call_action({"id": "a1"}) == RecordingReady(recording_id="a1")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "id_missing"),
        ({"id": ""}, "id_missing"),
        ({"id": "  "}, "id_missing"),
        ({"id": "{ID}"}, "id_unusable"),
        ({"id": "../a"}, "id_unusable"),
        ({"id": "a..b"}, "id_unusable"),
        ({"id": "a/b"}, "id_unusable"),
        ({"id": "a%2fb"}, "id_unusable"),
        ({"id": "a b"}, "id_unusable"),
        ({"id": "-a"}, "id_unusable"),
        ({"id": "あ"}, "id_unusable"),
        ({"id": "a" * 65}, "id_unusable"),
        ({"id": "a\x00"}, "id_unusable"),
        ({"id": "a", "ID": "b"}, "id_ambiguous"),
    ],
    ids=describe_row,
)
def test_an_unusable_id_has_an_error_code(params: dict[str, str], code: str) -> None:
    assert code_of(CALL_ACTION | {"id": ""} | params if params else {}) == code


@pytest.mark.parametrize("tel", ["", "anonymous", "034530XXXX", "090****0001", "2001", "sip:a@b.invalid", "非通知"])
def test_any_tel_is_kept_unchanged(tel: str) -> None:
    assert parse_call_action({"id": "a1", "tel": tel}).tel == tel


def test_unprintable_and_surplus_characters_are_left_out() -> None:
    ready = parse_call_action({"id": "a1", "tel": "0\x00\x1b\u202e9" + "0" * 10_000, "date": "\udc80" + "x" * 10_000})
    assert ready.tel == "09" + "0" * 126
    assert ready.date == "x" * 64


@pytest.mark.parametrize(
    "date",
    ["2021-06-16 20:03:33", "2021-06-16+20:03:33", "2021-06-16T20:03:33", "2021/06/16 20:03:33", "2021/6/16 20:03:33",
     "2021-06-16  20:03:33", "2021-06-16 20:03:33.999", "2021-06-16T20:03:33+09:00", "2021-06-16T20:03:33 +0900",
     "2021-06-16T11:03:33Z", "2021-06-16T06:03:33-05:00", " 2021-06-16 20:03:33 "],
)  # fmt: skip
def test_any_spelling_of_a_date_is_japans_time(date: str) -> None:
    assert parse_date(date) == CALLED


def test_a_date_without_seconds_is_parsed() -> None:
    assert parse_date("2021-06-16 20:03") == CALLED.replace(second=0)


@pytest.mark.parametrize(
    "date",
    ["", "{DATE}", "yesterday", "2021-06-16", "20:03:33", "2021-13-16 20:03:33", "2021-02-30 20:03:33",
     "2021-06-16 24:00:00", "2021-06-16 20:03:60", "0001-01-01 00:00:00", "9999-12-31 23:59:59",
     "2021-06-16 20:03:33 JST", "2021-06-16T20:03:33+99:00", "２０２１-06-16 20:03:33", "1623841413"],
)  # fmt: skip
def test_an_unreadable_date_is_kept_and_is_no_error(date: str) -> None:
    ready = parse_call_action(CALL_ACTION | {"date": date})
    assert (ready.date, ready.called_at) == (date, None)


@given(params=st.dictionaries(st.sampled_from(["id", "ID", "tel", "date", "x"]), any_text(max_size=90), max_size=5))
def test_any_parameters_have_a_usable_id_or_an_error_code(params: dict[str, str]) -> None:
    try:
        ready = parse_call_action(params)
    except WebhookUnreadableError as error:
        assert str(error) in {"id_missing", "id_unusable", "id_ambiguous"}
    else:
        assert is_recording_id(ready.recording_id)
        assert ready.tel.isprintable()
        assert ready.date.isprintable()


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ({"ID": ("21061600000268000060",), "TEL": ("034530XXXX",), "DATE": ("2021-06-16 20:03:33",)}, b""),
        ({}, b"ID=21061600000268000060&TEL=034530XXXX&DATE=2021-06-16%2020%3A03%3A33"),
        ({}, b"id=21061600000268000060&Tel=034530XXXX&date=2021-06-16+20:03:33"),
        ({}, b'{"ID": "21061600000268000060", "Tel": "034530XXXX", "DATE": "2021-06-16 20:03:33"}'),
        ({"ID": ("21061600000268000060",)}, b'{"TEL": "034530XXXX", "DATE": "2021-06-16 20:03:33"}'),
    ],
    ids=["query", "form", "lower-case form", "JSON", "query and JSON"],
)
def test_query_form_and_json_are_parsed_alike(query: dict[str, tuple[str, ...]], body: bytes) -> None:
    request = InboundRequest(method="POST", route="", path_params={}, query=query, headers={}, body=body)
    assert parse_call_action(read_params(request)) == parse_call_action(CALL_ACTION)


def test_the_parser_loads_no_heavy_module() -> None:
    layer = Path(switchboard.__file__).parents[1]
    code = (
        f"import sys; sys.path.insert(0, {str(layer)!r})\n"
        "import switchboard.providers.biztel.webhooks\n"
        "print(sorted({'urllib3', 'tinytag', 'pydantic', 'boto3', 'switchboard.audio'} & set(sys.modules)))\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert process.stdout.strip() == "[]"
