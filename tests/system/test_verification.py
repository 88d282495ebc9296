"""Verification by telephone on the deployed template, with the simulated provider's telephone exchange."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import requests

from sandbox.logs import read_logs
from tests.system.conftest import PATIENCE_S, Api, until

pytestmark = pytest.mark.xdist_group("sandbox")

LINES = {"05000000001", "05000000002"}


def start(api: Api, to: str, mode: str = "call_in", **asked: Any) -> dict[str, Any]:
    answer = api.post("/verifications", {"to": to, "mode": mode, **asked})
    assert answer.status_code == 201, answer.text
    started: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/verifications/{started['verification_id']}"
    return started


def seen_as(api: Api, started: dict[str, Any], wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The verification once it is as wanted."""
    return until(lambda: api.get(f"/verifications/{started['verification_id']}").json(), wanted)


def read_out(api: Api, started: dict[str, Any]) -> str:
    """What somebody heard on the telephone, once our side can know it too."""
    calls = until(
        lambda: api.control(f"ivr?smsid={started['verification_id']}")["items"],
        lambda calls: [call["read_out"] is None for call in calls] == [False],
    )
    return str(calls[0]["read_out"])


def check(api: Api, started: dict[str, Any], code: str) -> requests.Response:
    return api.post(f"/verifications/{started['verification_id']}/check", {"code": code})


def checked(api: Api, started: dict[str, Any], code: str) -> requests.Response:
    """The answer once there is a code to compare with."""
    answer = until(
        lambda: check(api, started, code),
        lambda answer: (answer.status_code, answer.json().get("code")) != (409, "code_not_ready"),
    )
    assert answer.status_code != 409, answer.text
    return answer


def another(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def told(api: Api, **params: str) -> requests.Response:
    """A callback as the provider would send it."""
    url = f"{api.endpoints.api_url}/v1/webhooks/mediasms/{api.endpoints.webhook_token}/ivr"
    return requests.post(url, data=params, timeout=PATIENCE_S)


def test_who_dials_the_line_is_verified(api: Api) -> None:
    started = start(api, "090-0000-0101")
    assert (started["state"], started["to"], started["attempts_left"]) == ("pending", "+819000000101", None)
    assert started["call"] in LINES
    dialled = api.control("dial", {"number": "09000000101", "line": started["call"]})
    assert dialled["heard"] == "success"
    verified = seen_as(api, started, lambda seen: seen["state"] == "verified")
    assert verified["created_at"] < verified["verified_at"] < verified["expires_at"]
    listed = api.get("/verifications?to=09000000101&state=verified").json()["items"]
    assert [each["verification_id"] for each in listed] == [started["verification_id"]]


def test_a_number_is_verified_on_one_line_each_and_then_has_to_wait(api: Api) -> None:
    first, second = start(api, "090-0000-0102"), start(api, "090-0000-0102")
    assert {first["call"], second["call"]} == LINES
    before = api.control("requests")["count"]
    third = api.post("/verifications", {"to": "090-0000-0102", "mode": "call_in"})
    assert (third.status_code, third.json()["code"]) == (409, "verification_open")
    assert int(third.headers["Retry-After"]) > 0
    assert api.control("requests")["count"] == before
    api.control("dial", {"number": "09000000102", "line": second["call"]})
    seen_as(api, second, lambda seen: seen["state"] == "verified")
    assert seen_as(api, first, lambda seen: True)["state"] == "pending"


def test_time_runs_out_and_a_late_call_is_recorded_and_changes_nothing(api: Api) -> None:
    api.control("config", {"holding_zero": "no_end"})
    try:
        started = api.post("/verifications", {"to": "090-0000-0103", "mode": "call_in", "holding_minutes": 0}).json()
        assert seen_as(api, started, lambda seen: True)["state"] == "expired"
        assert api.control("dial", {"number": "09000000103", "line": started["call"]})["heard"] == "success"
    finally:
        api.control("config", {"holding_zero": "closed"})
    late = seen_as(api, started, lambda seen: seen["late_call_at"] is not None)
    assert (late["state"], late["final"], late["verified_at"]) == ("expired", True, None)


def test_an_sms_goes_out_first_and_the_call_is_accepted(api: Api) -> None:
    text = "050-0000-0001 にお電話ください。"
    started = start(api, "090-0000-0104", "sms_and_call_in", text=text, line="050-0000-0001")
    assert [item["received_by_phone"] for item in api.received(started["verification_id"])] == [text]
    api.control("dial", {"number": "09000000104", "line": started["call"]})
    seen_as(api, started, lambda seen: seen["state"] == "verified")


def test_a_fixed_line_is_called_and_its_code_compared(api: Api) -> None:
    started = start(api, "03-0000-0105", "call_out", lines="fixed", repeat_calls=1)
    code = read_out(api, started)
    wrong = checked(api, started, another(code))
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["attempts_left"]) == (422, "wrong_code", 4)
    right = check(api, started, f" {code[:2]} {code[2:]}")
    assert (right.status_code, right.json()["state"]) == (200, "verified")
    seen = seen_as(api, started, lambda seen: True)
    assert (seen["state"], seen["attempts_left"]) == ("verified", 3)


def test_12_guesses_at_once_are_five(api: Api) -> None:
    started = start(api, "090-0000-0106", "call_out")
    code = read_out(api, started)
    checked(api, started, another(code))
    with ThreadPoolExecutor(12) as guesses:
        answers = list(guesses.map(lambda _: check(api, started, another(code)), range(12)))
    codes = Counter(answer.json()["code"] for answer in answers)
    assert codes == {"wrong_code": 4, "too_many_attempts": 8}
    assert check(api, started, code).json()["code"] == "too_many_attempts"


def test_a_call_that_is_told_before_the_answer_or_twice_counts_once(api: Api) -> None:
    early = start(api, "090-0000-0013")
    assert early["state"] == "verified"
    twice = start(api, "090-0000-0011")
    api.control("dial", {"number": "09000000011", "line": twice["call"]})
    verified = seen_as(api, twice, lambda seen: seen["state"] == "verified")
    told(api, mobilenumber="090-0000-0011", ipphone=twice["call"], method="4")
    assert seen_as(api, twice, lambda seen: True)["verified_at"] == verified["verified_at"]


def test_calls_of_others_change_nothing(api: Api) -> None:
    started = start(api, "090-0000-0107")
    line, other = started["call"], next(iter(LINES - {started["call"]}))
    for params in (
        {"mobilenumber": "09000000108", "ipphone": line, "method": "4"},
        {"mobilenumber": "09000000107", "ipphone": other, "method": "4"},
        {"mobilenumber": "09000000107", "ipphone": line, "method": "2"},
        {"mobilenumber": "09000000107", "ipphone": line, "method": "5"},
        {"mobilenumber": "09000000107", "ipphone": line, "method": "4", "smsid": "nobodys"},
    ):
        assert (told(api, **params).status_code, told(api, **params).text) == (200, "OK")
    assert seen_as(api, started, lambda seen: True)["state"] == "pending"
    told(api, mobilenumber="+81 90 0000 0107", ipphone=line, method="4")
    assert seen_as(api, started, lambda seen: True)["state"] == "verified"


def test_a_start_that_is_repeated_is_made_once_and_a_lost_answer_is_unknown(api: Api) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    body = {"to": "090-0000-0109", "mode": "call_in"}
    first, again = (api.post("/verifications", body, **key) for _ in range(2))
    assert first.json()["verification_id"] == again.json()["verification_id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(api.received(first.json()["verification_id"])) == 1
    lost = api.post("/verifications", {"to": "090-0000-0006", "mode": "call_in"})
    assert (lost.status_code, lost.json()["state"]) == (202, "unknown")


def test_no_room_now_is_said_and_the_line_is_free_again(api: Api) -> None:
    api.control("faults", {"kind": "answer", "code": 503})
    refused = api.post("/verifications", {"to": "090-0000-0110", "mode": "call_in", "line": "050-0000-0001"})
    assert (refused.status_code, refused.json()["code"]) == (503, "provider_unavailable")
    assert refused.headers["Retry-After"]
    start(api, "090-0000-0110", line="050-0000-0001")


def test_what_was_read_out_is_in_no_log(api: Api) -> None:
    api.control("config", {"authcode_digits": 12})
    try:
        started = start(api, "090-0000-0111", "call_out")
        code = read_out(api, started)
    finally:
        api.control("config", {"authcode_digits": 4})
    checked(api, started, code)
    assert seen_as(api, started, lambda seen: True)["state"] == "verified"
    logged = read_logs(api.endpoints)
    assert "verification checked" in logged
    assert code not in logged
    assert "9000000111" not in logged
