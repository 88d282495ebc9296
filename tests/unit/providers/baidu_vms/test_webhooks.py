"""Baidu VMS' callbacks are parsed under the configured names, and never quoted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import switchboard
from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.edge.callback_params import ParsedParams
from switchboard.providers.baidu_vms.webhooks import MAX_RESULT_LENGTH, parse_call_result
from tests.ids import describe_row

CALLBACK = {"callId": "c1", "result": "answered"}


def parse(params: dict[str, str]) -> CallResult:
    return parse_call_result(
        ParsedParams.from_pairs(params.items()), call_id_name=("callId", "userDefinedTag"), result_name="result"
    )


def test_a_result_is_parsed_under_the_configured_names() -> None:
    assert parse(CALLBACK | {"mobile": "13000000001"}) == CallResult(call_id="c1", result="answered")
    params = ParsedParams.from_pairs([("id", "c1"), ("code", "0")])
    assert parse_call_result(params, call_id_name="id", result_name=("status", "code")) == CallResult("c1", "0")


def test_the_first_alternative_that_has_a_value_counts() -> None:
    assert parse({"userDefinedTag": "t1", "result": "0"}).call_id == "t1"
    assert parse({"callId": " ", "userDefinedTag": "t1", "result": "0"}).call_id == "t1"
    assert parse({"userDefinedTag": "t1", "callId": "c1", "result": "0"}).call_id == "c1"


def test_names_in_any_case_and_padded_values_are_parsed() -> None:
    assert parse({"CALLID": " c1\n", " Result": " not  answered "}) == CallResult("c1", "not answered")
    assert parse(CALLBACK | {"callid": "c1"}).call_id == "c1"


@pytest.mark.parametrize(
    "changed",
    [
        {"callId": ""},
        {"callId": "canary 1"},
        {"callId": "canary\x00"},
        {"callId": "canaryé"},
        {"callId": "canary" * 22},
        {"CallId": "canary"},
        {"result": ""},
        {"result": " \u3000"},
        {"result": "canary\x00"},
        {"result": "canary\udc80"},
        {"result": "canary" * 11},
        {"Result": "canary"},
    ],
    ids=describe_row,
)
def test_a_malformed_result_is_unreadable_and_not_quoted(changed: dict[str, str]) -> None:
    with pytest.raises(WebhookUnreadableError) as unreadable:
        parse(CALLBACK | {"text": "canary"} | changed)
    assert "canary" not in str(unreadable.value)


@pytest.mark.parametrize("missing", ["callId", "result"])
def test_a_result_without_its_id_or_result_is_unreadable(missing: str) -> None:
    with pytest.raises(WebhookUnreadableError):
        parse({name: value for name, value in CALLBACK.items() if name != missing})


def test_values_up_to_their_maximum_length_are_parsed() -> None:
    longest = parse({"callId": "c" * 128, "result": "r" * MAX_RESULT_LENGTH})
    assert (len(longest.call_id), len(longest.result)) == (128, MAX_RESULT_LENGTH)


@given(st.dictionaries(st.sampled_from(["callId", "callid", "userDefinedTag", "result", "x"]), st.text(max_size=150)))
def test_any_parameters_are_parsed_or_unreadable(params: dict[str, str]) -> None:
    try:
        result = parse(params)
    except WebhookUnreadableError:
        return
    assert 1 <= len(result.call_id) <= 128
    assert 1 <= len(result.result) <= MAX_RESULT_LENGTH
    assert (result.call_id + result.result).isprintable()


def test_the_parser_loads_no_http_client() -> None:
    package = Path(switchboard.__file__).parents[1]
    script = (
        "import sys; import switchboard.providers.baidu_vms.webhooks; "
        "print([name for name in ('urllib3', 'ssl', 'http.client', 'requests', 'pydantic') if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", script], cwd=package, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"
