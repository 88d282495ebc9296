"""Baidu VMS' error tables agree with the document's, row by row and in both directions."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switchboard.domain.errors import (
    AuthenticationFailedError,
    OutcomeUnknownError,
    ProviderBusyError,
    ProviderError,
    QuotaExceededError,
    RefusedError,
    UnexpectedAnswerError,
)
from switchboard.edge.problems import problem_of
from switchboard.ports.providers import Receipt
from switchboard.providers.baidu_vms.answers import read_receipt
from switchboard.providers.baidu_vms.response_codes import ERROR_ROWS
from switchboard.providers.transport import Answer
from tests.ids import describe_row

with (Path(__file__).parents[3] / "specs" / "baidu_vms_error_codes.csv").open(encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))
SHARED = {code for code, count in Counter(row["code"] for row in ROWS).items() if count > 1}
CODES = {row["code"] for row in ROWS}

CLASSES: dict[str, type[ProviderError]] = {
    "configuration": QuotaExceededError,
    "authentication_failed": AuthenticationFailedError,
    "refused": RefusedError,
    "not_accepted": ProviderError,
    "rate_limited": ProviderBusyError,
    "unknown": OutcomeUnknownError,
}
ACCEPTED = {
    "callId": "8ba82aac",
    "userDefinedTag": "test",
    "dateCreate": "2018-06-12T12:00:00Z",
    "showNum": "12345678",
}


def whole(status: int, body: object, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=headers, body=content, delimited=True)


def receipt(status: int, body: object, **headers: str) -> Receipt:
    return read_receipt(whole(status, body, **headers), operation="try")


def failure(status: int, body: object, **headers: str) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        receipt(status, body, **headers)
    assert (failed.value.provider, failed.value.operation) == ("baidu_vms", "try")
    assert failed.value.http_status == status
    return failed.value


def body_of(row: dict[str, str], **changed: Any) -> dict[str, Any]:
    return {"code": row["code"], "message": row["message"], "requestId": " 81d0b05f"} | changed


def test_the_table_has_the_documents_rows_and_no_others() -> None:
    documented = [
        (row["code"], row["message"] if row["code"] in SHARED else None, int(row["http_status"])) for row in ROWS
    ]
    assert [(row.code, row.message, row.http_status) for row in ERROR_ROWS] == documented


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['code']}: {row['message'][:40]}" for row in ROWS])
def test_a_row_means_its_class_in_any_case_and_spacing(row: dict[str, str]) -> None:
    status, expected = int(row["http_status"]), CLASSES[row["class"]]
    message = row["message"]
    for spelling in (message, message.upper(), f"  {message.replace(' ', '  ')}\n", message.rstrip(".")):
        error = failure(status, body_of(row, message=spelling))
        assert type(error) is expected
        assert (error.provider_code, error.request_id) == (row["code"], "81d0b05f")


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['code']}: {row['message'][:40]}" for row in ROWS])
def test_a_row_has_its_problem_code_and_known_outcome(row: dict[str, str]) -> None:
    error = failure(int(row["http_status"]), body_of(row))
    problem_codes = {
        "configuration": "provider_configuration",
        "authentication_failed": "provider_configuration",
        "refused": "provider_rejected",
        "not_accepted": "provider_unavailable",
        "rate_limited": "provider_busy",
        "unknown": "provider_outcome_unknown",
    }
    assert problem_of(error).code == problem_codes[row["class"]]
    assert error.outcome_known is (row["class"] != "unknown")


@pytest.mark.parametrize("row", [row for row in ROWS if row["code"] not in SHARED], ids=lambda row: row["code"])
def test_a_code_with_one_meaning_needs_no_message(row: dict[str, str]) -> None:
    for body in ({"code": row["code"]}, body_of(row, message=None), body_of(row, message="other"), body_of(row, x=[])):
        assert type(failure(int(row["http_status"]), body)) is CLASSES[row["class"]]


@pytest.mark.parametrize(("code", "status"), [("VerifyFailed", 403), ("RequestFailed", 400)])
def test_a_shared_code_with_another_message_is_refused(code: str, status: int) -> None:
    assert {"VerifyFailed", "RequestFailed"} == SHARED
    for body in ({"code": code}, {"code": code, "message": "Something else."}, {"code": code, "message": 1}):
        error = failure(status, body)
        assert type(error) is RefusedError
        assert error.provider_code == code


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['code']}: {row['message'][:40]}" for row in ROWS])
def test_a_code_with_a_contradicting_status_is_unexplained(row: dict[str, str]) -> None:
    for status in (200, 302, 503 if int(row["http_status"]) < 500 else 400):
        error = failure(status, {"code": row["code"]})
        assert type(error) is UnexpectedAnswerError
        assert error.provider_code == row["code"]


@pytest.mark.parametrize("status", [400, 403, 404, 412])
def test_an_unlisted_code_with_a_refusing_status_is_refused(status: int) -> None:
    error = failure(status, {"code": "SomethingNew", "message": "canary", "requestId": "r1"})
    assert type(error) is RefusedError
    assert (error.provider_code, error.request_id) == ("SomethingNew", "r1")
    assert "canary" not in str(error)


@pytest.mark.parametrize("status", [201, 204, 302, 401, 408, 409, 429, 499, 500, 501, 502, 503, 504])
def test_an_unlisted_code_with_another_status_is_unexplained(status: int) -> None:
    error = failure(status, {"code": "SomethingNew", "message": "m"})
    assert type(error) is UnexpectedAnswerError
    assert error.provider_code == "SomethingNew"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<h1>Forbidden</h1>",
        b"{}",
        b"[]",
        b"null",
        b'"AccessDenied"',
        b'{"message":"m","requestId":"r"}',
        b'{"code":"SomethingNew"}',
        b'{"code":5,"message":"m"}',
        b'{"code":"","message":"m"}',
        b'{"code":"13000000001","message":"m"}',
        b'{"code":"a b","message":"m"}',
        b'{"code":"AccessDenied","message":"m"',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=describe_row,
)
@pytest.mark.parametrize("status", [200, 400, 403, 429, 500, 503])
def test_a_body_in_another_form_has_an_unknown_outcome(status: int, body: bytes) -> None:
    error = failure(status, body)
    assert type(error) is UnexpectedAnswerError
    assert error.provider_code in (None, "SomethingNew")


def test_an_accepted_call_has_facts_under_our_names() -> None:
    accepted = receipt(200, ACCEPTED, **{"x-bce-request-id": "98f651c"})
    assert accepted.provider_code is None
    assert accepted.facts == {
        "call_id": "8ba82aac",
        "show_number": "12345678",
        "tag": "test",
        "created_at": "2018-06-12T12:00:00.000Z",
        "request_id": "98f651c",
    }


@pytest.mark.parametrize(
    ("text", "created_at"),
    [
        ("2018-06-12T12:00:00", "2018-06-12T12:00:00.000Z"),
        ("2018-06-12 12:00:00", "2018-06-12T12:00:00.000Z"),
        ("2018-06-12T20:00:00+08:00", "2018-06-12T12:00:00.000Z"),
        ("2018-06-12", "2018-06-12T00:00:00.000Z"),
        ("2018年6月12日", None),
        ("0001-01-01T00:00:00+14:00", None),
        (1528804800, None),
        (1528804800.5, None),
    ],
)
def test_a_creation_time_is_parsed_or_left_out(text: object, created_at: str | None) -> None:
    assert receipt(200, ACCEPTED | {"dateCreate": text}).facts.get("created_at") == created_at


NO_TIMES: list[object] = [
    "",
    " ",
    "\u3000",
    "\n",
    None,
    False,
    True,
    0,
    0.0,
    [],
    {},
    ["2018"],
    "null",
    "-",
    "0000-00-00 00:00:00",
]


@pytest.mark.parametrize("value", NO_TIMES, ids=describe_row)
@pytest.mark.parametrize("rest", [ACCEPTED, {"callId": "8ba82aac"}], ids=["with facts", "with an id only"])
def test_a_200_without_a_creation_time_is_unknown_and_keeps_the_id(value: object, rest: dict[str, Any]) -> None:
    error = failure(200, rest | {"dateCreate": value}, **{"x-bce-request-id": "98f651c"})
    assert type(error) is UnexpectedAnswerError
    assert (error.provider_code, error.request_id) == (None, "98f651c")
    assert error.facts["call_id"] == "8ba82aac"
    assert "created_at" not in error.facts


def test_a_200_that_leaves_out_the_creation_time_is_unknown() -> None:
    error = failure(200, {name: value for name, value in ACCEPTED.items() if name != "dateCreate"})
    assert type(error) is UnexpectedAnswerError
    assert error.facts == {"call_id": "8ba82aac", "show_number": "12345678", "tag": "test"}


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['code']}: {row['message'][:40]}" for row in ROWS])
def test_a_200_with_an_error_beside_the_call_is_unknown(row: dict[str, str]) -> None:
    error = failure(200, ACCEPTED | body_of(row))
    assert type(error) is UnexpectedAnswerError
    assert (error.provider_code, error.facts["call_id"]) == (row["code"], "8ba82aac")


@pytest.mark.parametrize("code", [500, 403, -1, True, "500", "E 1", "x" * 65, ["IllegalNumber"]], ids=describe_row)
def test_a_200_with_a_code_of_any_form_beside_the_call_is_unknown(code: object) -> None:
    error = failure(200, ACCEPTED | {"code": code, "message": "failed"})
    assert type(error) is UnexpectedAnswerError
    assert (error.provider_code, error.facts["call_id"]) == (None, "8ba82aac")


@pytest.mark.parametrize("code", [None, "", 0], ids=describe_row)
def test_an_empty_code_beside_the_call_is_no_error(code: object) -> None:
    assert receipt(200, ACCEPTED | {"code": code}).facts["call_id"] == "8ba82aac"


@pytest.mark.parametrize("value", ["", None, 5, "x" * 257, "a\x00", "\ud800"], ids=describe_row)
def test_an_unusable_fact_is_left_out(value: object) -> None:
    accepted = receipt(200, ACCEPTED | {"showNum": value, "userDefinedTag": value, "more": 1})
    assert accepted.facts == {"call_id": "8ba82aac", "created_at": "2018-06-12T12:00:00.000Z"}


@pytest.mark.parametrize("call_id", [None, "", 5, True, [], "a b", "a\n", "é", "x" * 129], ids=describe_row)
def test_a_200_without_a_call_id_has_an_unknown_outcome(call_id: object) -> None:
    assert type(failure(200, ACCEPTED | {"callId": call_id})) is UnexpectedAnswerError
    assert type(failure(200, {name: value for name, value in ACCEPTED.items() if name != "callId"})) is (
        UnexpectedAnswerError
    )


@pytest.mark.parametrize("status", [201, 202, 204, 302, 400, 403, 500])
def test_only_http_200_is_a_success(status: int) -> None:
    error = failure(status, ACCEPTED)
    assert type(error) is UnexpectedAnswerError
    assert error.facts == {}


@pytest.mark.parametrize(
    ("in_body", "in_header", "request_id"),
    [
        (" r1 ", "h1", "r1"),
        ("", " h1", "h1"),
        (None, "h1", "h1"),
        ("a b", "h1", "h1"),
        ("x" * 129, "h1", "h1"),
        (5, "\x00", None),
    ],
    ids=describe_row,
)
def test_the_request_id_is_trimmed(in_body: object, in_header: str, request_id: str | None) -> None:
    error = failure(403, {"code": "AccessDenied", "requestId": in_body}, **{"x-bce-request-id": in_header})
    assert error.request_id == request_id


@given(st.sampled_from([200, 400, 403, 429, 500]), st.binary(max_size=60) | st.sampled_from([b'{"code":{}}', b"1e999"]))
def test_any_unreadable_answer_has_an_unknown_outcome(status: int, body: bytes) -> None:
    error = failure(status, body)
    assert error.outcome_known is False


@given(
    status=st.sampled_from([200, 201, 204, 302, 400, 403, 429, 500, 503]),
    members=st.fixed_dictionaries(
        {},
        optional={
            "callId": st.sampled_from(["8ba82aac", "", None, 5, "a b"]),
            "dateCreate": st.sampled_from(["2018-06-12T12:00:00Z", "", " ", None, 0, 1528804800]),
            "code": st.sampled_from(["QueueFull", "IllegalNumber", "SomethingNew", "", None, 5]),
            "message": st.sampled_from(["m", None]),
        },
    ),
)
@example(status=200, members={"callId": "8ba82aac", "dateCreate": "2018-06-12T12:00:00Z", "code": 5})
def test_any_answer_is_accepted_iff_a_200_has_id_and_time_and_no_code(status: int, members: dict[str, object]) -> None:
    is_accepted = (
        status == 200
        and members.get("callId") == "8ba82aac"
        and members.get("dateCreate") in ("2018-06-12T12:00:00Z", 1528804800)
        and members.get("code") in ("", None)
    )
    if is_accepted:
        assert receipt(status, members).facts["call_id"] == "8ba82aac"
    else:
        error = failure(status, members)
        assert error.outcome_known is not isinstance(error, OutcomeUnknownError)
