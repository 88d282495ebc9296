"""BIZTEL's call actions are parsed as the document shows them, in any spelling of the customer's setting."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import switchboard
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.domain.recording.facts import RecordingReady, is_recording_id
from switchboard.edge.callback_params import ParsedParams
from switchboard.providers.biztel import webhooks
from switchboard.providers.biztel.webhooks import parse_date
from tests.ids import describe_row
from tests.strategies import any_text

CALL_ACTION = {"id": "21061600000268000060", "tel": "034530XXXX", "date": "2021-06-16 20:03:33"}
CALLED = datetime(2021, 6, 16, 11, 3, 33, tzinfo=UTC)


def parse_call_action(params: Mapping[str, str]) -> RecordingReady:
    return webhooks.parse_call_action(ParsedParams.from_pairs(params.items()))


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
        ({"id": "a\ufffd"}, "id_unreadable"),
        ({"id": "a", "ID": "\ufffd"}, "id_unreadable"),
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
    ["2021-06-16 20:03:33", "2021-06-16+20:03:33", "2021-06-16T20:03:33", "2021-06-16t20:03:33",
     "2021/06/16 20:03:33", "2021/6/16 20:03:33", "2021.06.16 20:03:33", "2021-06-16  20:03:33",
     "2021-06-16\t20:03:33", " 2021-06-16 20:03:33 ", "2021-06-16 20:03:33.999", "2021-06-16 20:03:33,9",
     "20210616200333", "20210616 200333", "20210616T200333", "２０２１－０６－１６　２０：０３：３３",
     "２０２１０６１６２００３３３", "2021年06月16日 20:03:33", "2021年6月16日20時3分33秒",
     "2021年06月16日 20時03分33秒", "2021年6月16日(水) 20時03分33秒", "２０２１年６月１６日　２０時３分３３秒",
     "2021年 6月 16日 20時 3分 33秒", "2021-06-16T20:03:33+09:00", "2021-06-16T20:03:33 +0900",
     "2021-06-16T20:03:33 09:00", "2021-06-16 20:03:33 0900", "2021-06-16+20:03:33+09:00",
     "2021-06-16T20:03:33.5 09:00", "20210616T200333+0900", "20210616200333 0900", "2021-06-16T11:03:33Z",
     "2021-06-16%2020%3A03%3A33", "2021-06-16T20%3A03%3A33%2B09%3A00", "2021%2F06%2F16+20:03:33",
     "2021%E5%B9%B406%E6%9C%8816%E6%97%A5%2020:03:33", "2021-06-16t11:03:33z",
     "20210616T110333Z", "2021-06-16T06:03:33-05:00", "2021-06-16T06:03:33-0500"],
)  # fmt: skip
def test_any_spelling_of_a_date_is_japans_time(date: str) -> None:
    assert parse_date(date) == CALLED
    assert parse_call_action(CALL_ACTION | {"date": date}).called_at == CALLED


@pytest.mark.parametrize(
    "date",
    ["2021-06-16 20:03", "2021-06-16T20:03+09:00", "2021-06-16 20:03 09:00", "202106162003", "2021年6月16日20時3分"],
)
def test_a_date_without_seconds_is_parsed(date: str) -> None:
    assert parse_date(date) == CALLED.replace(second=0)


@pytest.mark.parametrize(
    ("date", "instant"),
    [
        ("2021-06-16 24:00:00", datetime(2021, 6, 16, 15, tzinfo=UTC)),
        ("2021-12-31 24:00", datetime(2021, 12, 31, 15, tzinfo=UTC)),
        ("20210228240000", datetime(2021, 2, 28, 15, tzinfo=UTC)),
        ("2021年6月30日24時00分", datetime(2021, 6, 30, 15, tzinfo=UTC)),
        ("2021-06-16T24:00:00Z", datetime(2021, 6, 17, tzinfo=UTC)),
        ("2021-06-16T24:00:00 09:00", datetime(2021, 6, 16, 15, tzinfo=UTC)),
    ],
)
def test_24_o_clock_is_the_beginning_of_the_next_day(date: str, instant: datetime) -> None:
    assert parse_date(date) == instant


@pytest.mark.parametrize(
    "date",
    ["", "{DATE}", "yesterday", "2021-06-16", "20210616", "20:03:33", "2021-13-16 20:03:33", "2021-02-30 20:03:33",
     "20211316200333", "20210230200333", "2021-06-16 24:00:01", "2021-06-16 24:01", "2021-06-16 25:00:00",
     "2021-06-16 20:60:00", "2021-06-16 20:03:60", "0001-01-01 00:00:00", "9999-12-31 23:59:59",
     "2021-06-16 20:03:33 JST", "2021-06-16T20:03:33+99:00", "2021-06-16 20:03 2021", "2021-06-1620:03:33",
     "2021-06-16 20:03:", "2021年6月16日", "2021062000333", "1623841413", "1623841413000", "1623841413.5",
     "44363.8357"],
)  # fmt: skip
def test_an_unreadable_date_is_kept_and_is_no_error(date: str) -> None:
    ready = parse_call_action(CALL_ACTION | {"date": date})
    assert (ready.date, ready.called_at) == (date, None)


@pytest.mark.parametrize(
    "repeated",
    [
        [("TEL", "0300000002"), ("DATE", "2021-06-17 00:00:00")],
        [("TEL", ""), ("DATE", "")],
        [("TEL", None), ("DATE", None)],
        [("TEL", "\ufffd"), ("DATE", "\ufffd")],
    ],
    ids=["other values", "empty", "no texts", "undecodable"],
)
def test_of_tel_and_date_the_first_readable_value_counts(repeated: list[tuple[str, str | None]]) -> None:
    first = [("tel", ""), ("tel", None), ("date", "\ufffd"), *CALL_ACTION.items(), *repeated]
    assert webhooks.parse_call_action(ParsedParams.from_pairs(first)) == parse_call_action(CALL_ACTION)


@given(params=st.dictionaries(st.sampled_from(["id", "ID", "tel", "date", "x"]), any_text(max_size=90), max_size=5))
def test_any_parameters_have_a_usable_id_or_an_error_code(params: dict[str, str]) -> None:
    try:
        ready = parse_call_action(params)
    except WebhookUnreadableError as error:
        assert str(error) in {"id_missing", "id_unusable", "id_unreadable", "id_ambiguous"}
    else:
        assert is_recording_id(ready.recording_id)
        assert ready.tel.isprintable()
        assert ready.date.isprintable()


def test_the_parser_loads_no_heavy_module() -> None:
    layer = Path(switchboard.__file__).parents[1]
    code = (
        f"import sys; sys.path.insert(0, {str(layer)!r})\n"
        "import switchboard.providers.biztel.webhooks\n"
        "print(sorted({'urllib3', 'tinytag', 'pydantic', 'boto3', 'switchboard.audio'} & set(sys.modules)))\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert process.stdout.strip() == "[]"
