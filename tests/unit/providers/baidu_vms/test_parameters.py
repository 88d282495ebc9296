"""A call is composed by the document's table, within its limits, and only once."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import ConfigurationError, InvalidRequestError
from switchboard.domain.voice_calls import VoiceCallContent
from switchboard.providers.baidu_vms.parameters import (
    MAX_VARIABLES_LENGTH,
    CallRules,
    compose_body,
    is_call_body,
    write_called_number,
)
from tests.ids import describe_row
from tests.strategies import any_text

with (Path(__file__).parents[3] / "specs" / "baidu_vms_parameters.csv").open(encoding="utf-8", newline="") as file:
    ROWS = {row["parameter"]: row for row in csv.DictReader(file)}
OPTIONS = {name: row for name, row in ROWS.items() if row["field"]}
TYPES = {"String": str, "Int": int}

RECIPIENT = "+8613000000001"
CONTENT = VoiceCallContent(template_id="123", variables={"name": "test", "number": "1"})
FULL = VoiceCallContent(
    template_id="123",
    variables={"name": "test", "number": "1"},
    play_times=1,
    volume=10,
    tag="test",
    show_number="12345678",
)


def compose(recipient: str = RECIPIENT, content: VoiceCallContent = CONTENT, **rules: Any) -> dict[str, Any]:
    body = compose_body(recipient, content, rules=CallRules(**rules))
    assert is_call_body(body)
    parameters = json.loads(body)
    assert isinstance(parameters, dict)
    return parameters


def find_refusals(recipient: str = RECIPIENT, content: VoiceCallContent = CONTENT, **rules: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as refused:
        compose_body(recipient, content, rules=CallRules(**rules))
    return {problem.field: problem.code for problem in refused.value.problems}


def put_value(row: Mapping[str, str], value: Any) -> tuple[str, VoiceCallContent]:
    if row["field"] == "to":
        return value, CONTENT
    return RECIPIENT, replace(CONTENT, **{row["field"]: value})


def test_a_full_call_has_the_documents_parameters_and_no_others() -> None:
    parameters = compose(content=FULL)
    assert set(parameters) == set(ROWS)
    assert {name: type(value) for name, value in parameters.items()} == {
        name: TYPES[row["type"]] for name, row in ROWS.items()
    }
    assert parameters == {
        "calledShowNumber": "12345678",
        "calledNumber": "13000000001",
        "type": 0,
        "voiceMessageTemplateId": "123",
        "voiceMessageVar": "name=test&number=1",
        "userDefinedTag": "test",
        "playTimes": 1,
        "voiceVolume": 10,
    }


def test_a_missing_option_is_left_out() -> None:
    assert set(compose()) == {name for name, row in ROWS.items() if row["required"] == "必须"}


@pytest.mark.parametrize("row", OPTIONS.values(), ids=OPTIONS)
def test_a_value_within_the_documents_limits_is_sent(row: dict[str, str]) -> None:
    for value in json.loads(row["accepted"]):
        compose(*put_value(row, value))


@pytest.mark.parametrize("row", OPTIONS.values(), ids=OPTIONS)
def test_a_value_beyond_the_documents_limits_is_refused(row: dict[str, str]) -> None:
    for value in json.loads(row["refused"]):
        (field,) = find_refusals(*put_value(row, value))
        assert field.partition(".")[0] == row["field"]


def test_an_invalid_call_names_every_problem_and_quotes_nothing() -> None:
    wrong = VoiceCallContent(
        template_id="canary template",
        variables={"first": "canary&1", "canary = name": "1"},
        play_times=9,
        volume=99,
        tag="canary\x00",
        show_number="canary",
    )
    with pytest.raises(InvalidRequestError) as refused:
        compose_body("+8612000000009", wrong, rules=CallRules())
    fields = [problem.field for problem in refused.value.problems]
    assert fields == [
        "to",
        "template_id",
        "play_times",
        "volume",
        "tag",
        "show_number",
        "variables.first",
        "variables",
    ]
    assert "canary" not in str(refused.value)
    assert "12000000009" not in str(refused.value)


def test_text_outside_ascii_is_not_escaped() -> None:
    body = compose_body(RECIPIENT, replace(CONTENT, variables={"content": "产品线有故障"}), rules=CallRules())
    assert '"voiceMessageVar":"content=产品线有故障"' in body


def test_the_order_of_variables_does_not_change_the_bytes() -> None:
    reordered = replace(FULL, variables=dict(reversed(list(FULL.variables.items()))))
    assert compose_body(RECIPIENT, reordered, rules=CallRules()) == compose_body(RECIPIENT, FULL, rules=CallRules())


def test_a_full_width_space_is_part_of_a_text() -> None:
    spaced = replace(CONTENT, variables={"content": "产品线\u3000有故障"}, tag="值班\u3000一组")
    parameters = json.loads(compose_body(RECIPIENT, spaced, rules=CallRules()))
    assert parameters["voiceMessageVar"] == "content=产品线\u3000有故障"
    assert parameters["userDefinedTag"] == "值班\u3000一组"


def test_variables_up_to_the_maximum_length_are_sent() -> None:
    assert len(compose(content=replace(CONTENT, variables={"a": "x", "b": "y" * (MAX_VARIABLES_LENGTH - 6)}))) == 4
    assert find_refusals(content=replace(CONTENT, variables={"a": "x", "b": "y" * (MAX_VARIABLES_LENGTH - 5)})) == {
        "variables": "too_long"
    }


def test_undocumented_limits_are_configuration() -> None:
    assert compose(content=replace(CONTENT, play_times=9), max_play_times=9)["playTimes"] == 9
    assert compose(content=replace(CONTENT, tag="x" * 128))["userDefinedTag"] == "x" * 128
    assert find_refusals(content=replace(CONTENT, tag="x" * 129)) == {"tag": "invalid"}
    assert compose(content=replace(CONTENT, tag="x" * 129), max_tag_length=129)
    for rules in ({"prefixes": ("",)}, {"prefixes": ("86",)}, {"max_play_times": 0}, {"max_tag_length": 0}):
        with pytest.raises(ConfigurationError):
            CallRules(**rules)


@pytest.mark.parametrize(
    ("e164", "called_number"),
    [
        ("+8613000000001", "13000000001"),
        ("+861000000001", "01000000001"),
        ("+8675500000001", "075500000001"),
        ("+15550000001", "0015550000001"),
        ("+819000000001", "00819000000001"),
    ],
)
def test_chinese_numbers_are_national_and_others_begin_with_00(e164: str, called_number: str) -> None:
    assert write_called_number(e164, prefixes=("+86", "+1", "+81")) == called_number


@pytest.mark.parametrize(
    ("e164", "prefixes"),
    [("+15550000001", ("+86",)), ("+8613000000001", ()), ("+8613000000001", ("+861000", "+1")), ("+15550000001", ())],
    ids=["other country", "no prefixes", "other area", "other country, no prefixes"],
)
def test_only_configured_prefixes_are_called(e164: str, prefixes: tuple[str, ...]) -> None:
    assert find_refusals(e164, prefixes=prefixes) == {"to": "prefix_not_allowed"}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[]",
        "null",
        "{",
        '{"calledNumber":"13000000001","type":0,"voiceMessageTemplateId":"1"}',
        '{"calledNumber":"13000000001","type":1,"voiceMessageTemplateId":"1","voiceMessageVar":""}',
        '{"calledNumber":"13000000001","type":false,"voiceMessageTemplateId":"1","voiceMessageVar":""}',
        '{"calledNumber":"+8613000000001","type":0,"voiceMessageTemplateId":"1","voiceMessageVar":""}',
        '{"calledNumber":13000000001,"type":0,"voiceMessageTemplateId":"1","voiceMessageVar":""}',
        '{"calledNumber":"13000000001","type":0,"voiceMessageTemplateId":"","voiceMessageVar":""}',
        '{"calledNumber":"13000000001","type":0,"voiceMessageTemplateId":"1","voiceMessageVar":{}}',
        '{"calledNumber":"13000000001","type":0,"voiceMessageTemplateId":"1","voiceMessageVar":"","voiceVolume":21}',
        '{"calledNumber":"13000000001","type":0,"voiceMessageTemplateId":"1","voiceMessageVar":"","playTimes":0}',
        '{"calledNumber":"13000000001","type":0,"voiceMessageTemplateId":"1","voiceMessageVar":"","other":1}',
        '{"calledNumber":"13000000001","type":0,"voiceMessageTemplateId":"1","voiceMessageVar":"\ud800"}',
        "[" * 100_000,
    ],
    ids=describe_row,
)
def test_a_body_that_was_not_composed_is_recognised(body: str) -> None:
    assert not is_call_body(body)


@given(
    variables=st.dictionaries(any_text(max_size=8), any_text(max_size=8), max_size=3),
    tag=st.none() | any_text(max_size=8),
)
def test_any_composed_body_parses_back_to_its_content(variables: dict[str, str], tag: str | None) -> None:
    try:
        body = compose_body(RECIPIENT, replace(CONTENT, variables=variables, tag=tag), rules=CallRules())
    except InvalidRequestError:
        return
    assert is_call_body(body)
    parameters = json.loads(body.encode("utf-8"))
    pairs = [pair.partition("=") for pair in parameters["voiceMessageVar"].split("&")] if variables else []
    assert {name: value for name, _, value in pairs} == variables
    assert parameters.get("userDefinedTag") == tag
