"""Verification by telephone on the deployed template, with the telephone exchange of the simulated MediaSMS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import requests

from sandbox.logs import read_logs
from tests.system.conftest import TIMEOUT_S, Api, wait_until

LINES = {"05000000001", "05000000002"}


def start(api: Api, to: str, mode: str = "call_in", **members: Any) -> dict[str, Any]:
    """Start a verification and return it."""
    answer = api.post("/verifications", {"to": to, "mode": mode, **members})
    assert answer.status_code == 201, answer.text
    verification: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/verifications/{verification['verification_id']}"
    return verification


def query(api: Api, verification: dict[str, Any]) -> dict[str, Any]:
    """Return the verification as the API shows it now."""
    current: dict[str, Any] = api.get(f"/verifications/{verification['verification_id']}").json()
    return current


def wait_until_verification(
    api: Api, verification: dict[str, Any], condition: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Query the verification until it meets the condition and return it."""
    return wait_until(lambda: query(api, verification), condition)


def wait_until_verified(api: Api, verification: dict[str, Any]) -> dict[str, Any]:
    """Query the verification until its state is `verified` and return it."""
    return wait_until_verification(api, verification, lambda current: current["state"] == "verified")


def code_of(api: Api, verification: dict[str, Any]) -> str:
    """Return the code that the simulated call read out, as soon as the simulator shows it."""
    calls = wait_until(
        lambda: api.control(f"ivr?smsid={verification['verification_id']}")["items"],
        lambda calls: [call["read_out"] is None for call in calls] == [False],
    )
    return str(calls[0]["read_out"])


def check(api: Api, verification: dict[str, Any], code: str, **headers: str) -> requests.Response:
    """Check a code once."""
    return api.post(f"/verifications/{verification['verification_id']}/check", {"code": code}, **headers)


def cancel(api: Api, verification: dict[str, Any]) -> requests.Response:
    """Cancel the verification."""
    return api.request("DELETE", f"/verifications/{verification['verification_id']}")


def check_when_ready(api: Api, verification: dict[str, Any], code: str) -> requests.Response:
    """Check a code until our side has the code to compare with, and return that answer."""
    answer = wait_until(
        lambda: check(api, verification, code),
        lambda answer: (answer.status_code, answer.json().get("code")) != (409, "code_not_ready"),
    )
    assert answer.status_code != 409, answer.text
    return answer


def increment(code: str) -> str:
    """Return the next code, which is a wrong one."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def send_callback(api: Api, **params: str) -> requests.Response:
    """Send an IVR callback to the webhook, as MediaSMS does."""
    return requests.post(api.endpoints.webhook_url("mediasms_ivr"), data=params, timeout=TIMEOUT_S)


def test_a_person_who_calls_the_line_is_verified(api: Api) -> None:
    verification = start(api, "090-0000-0101")
    assert (verification["state"], verification["to"]) == ("pending", "+819000000101")
    assert verification["attempts_left"] is None
    assert verification["call"] in LINES
    dialled = api.control("dial", {"number": "09000000101", "line": verification["call"]})
    assert dialled["heard"] == "success"
    verified = wait_until_verified(api, verification)
    assert verified["created_at"] < verified["verified_at"] < verified["expires_at"]
    items = api.get("/verifications?to=09000000101&state=verified").json()["items"]
    assert [item["verification_id"] for item in items] == [verification["verification_id"]]


def test_a_number_has_one_verification_per_line_and_a_third_is_refused(api: Api) -> None:
    first, second = start(api, "090-0000-0102"), start(api, "090-0000-0102")
    assert {first["call"], second["call"]} == LINES
    before = api.control("requests")["count"]
    third = api.post("/verifications", {"to": "090-0000-0102", "mode": "call_in"})
    assert (third.status_code, third.json()["code"]) == (409, "verification_open")
    assert int(third.headers["Retry-After"]) > 0
    assert api.control("requests")["count"] == before
    api.control("dial", {"number": "09000000102", "line": second["call"]})
    wait_until_verified(api, second)
    assert query(api, first)["state"] == "pending"


def test_a_call_after_the_deadline_is_recorded_and_changes_nothing(api: Api) -> None:
    api.control("config", {"holding_zero": "no_end"})
    try:
        body = {"to": "090-0000-0103", "mode": "call_in", "holding_minutes": 0}
        verification = api.post("/verifications", body).json()
        assert query(api, verification)["state"] == "expired"
        assert api.control("dial", {"number": "09000000103", "line": verification["call"]})["heard"] == "success"
    finally:
        api.control("config", {"holding_zero": "closed"})
    late = wait_until_verification(api, verification, lambda current: current["late_call_at"] is not None)
    assert (late["state"], late["final"], late["verified_at"]) == ("expired", True, None)


def test_a_call_after_the_sms_verifies_the_number(api: Api) -> None:
    text = "050-0000-0001 にお電話ください。"
    verification = start(api, "090-0000-0104", "sms_and_call_in", text=text, line="050-0000-0001")
    assert [item["received_by_phone"] for item in api.received(verification["verification_id"])] == [text]
    api.control("dial", {"number": "09000000104", "line": verification["call"]})
    wait_until_verified(api, verification)


def test_the_code_read_out_to_a_fixed_line_verifies_it(api: Api) -> None:
    verification = start(api, "03-0000-0105", "call_out", lines="fixed", repeat_calls=1)
    code = code_of(api, verification)
    wrong = check_when_ready(api, verification, increment(code))
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["attempts_left"]) == (422, "wrong_code", 4)
    right = check(api, verification, f" {code[:2]} {code[2:]}")
    assert (right.status_code, right.json()["state"]) == (200, "verified")
    current = query(api, verification)
    assert (current["state"], current["attempts_left"]) == ("verified", 4)
    for again in (check(api, verification, code), check(api, verification, increment(code))):
        assert (again.status_code, again.json()["code"]) == (409, "already_verified")


def test_of_12_concurrent_wrong_codes_only_four_are_compared(api: Api) -> None:
    verification = start(api, "090-0000-0106", "call_out")
    code = code_of(api, verification)
    check_when_ready(api, verification, increment(code))
    with ThreadPoolExecutor(12) as guesses:
        answers = list(guesses.map(lambda _: check(api, verification, increment(code)), range(12)))
    codes = Counter(answer.json()["code"] for answer in answers)
    # Nine of them count for the number, which has ten wrong codes an hour.
    assert codes["wrong_code"] == 4
    assert set(codes) <= {"wrong_code", "too_many_attempts", "recipient_limit"}
    assert {answer.status_code for answer in answers} == {422, 429}
    assert check(api, verification, code).json()["code"] == "too_many_attempts"


def test_of_12_concurrent_right_codes_one_verifies(api: Api) -> None:
    verification = start(api, "090-0000-0112", "call_out")
    code = code_of(api, verification)
    wait_until(lambda: check(api, verification, increment(code)).status_code, lambda status: status == 422)
    with ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda _: check(api, verification, code), range(12)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 11}


def test_the_winners_check_is_answered_again_under_its_key(api: Api) -> None:
    verification = start(api, "090-0000-0113", "call_out")
    code, key = code_of(api, verification), {"Idempotency-Key": uuid4().hex}
    first = wait_until(lambda: check(api, verification, code, **key), lambda answer: answer.status_code == 200)
    again = check(api, verification, code, **key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json() == first.json()
    assert check(api, verification, increment(code), **key).json()["code"] == "idempotency_key_reused"
    assert check(api, verification, code, **{"Idempotency-Key": uuid4().hex}).status_code == 409


def test_wrong_codes_for_one_number_are_limited_over_its_verifications(api: Api) -> None:
    verifications = [start(api, "090-0000-0114", "call_out") for _ in range(3)]
    codes = [code_of(api, verification) for verification in verifications]
    answers = [
        check_when_ready(api, verification, increment(code))
        for verification, code in zip(verifications, codes, strict=True)
        for _ in range(4)
    ]
    assert [answer.json()["code"] for answer in answers] == ["wrong_code"] * 10 + ["recipient_limit"] * 2
    limited = check(api, verifications[0], codes[0])
    assert (limited.status_code, limited.json()["code"]) == (429, "recipient_limit")
    assert 0 < int(limited.headers["Retry-After"]) <= 3600
    assert query(api, verifications[0])["state"] == "pending"


def test_a_canceled_verification_frees_its_line_and_is_never_verified(api: Api) -> None:
    first = start(api, "090-0000-0115", line="050-0000-0001")
    canceled, again = cancel(api, first), cancel(api, first)
    assert (canceled.status_code, canceled.json()["state"]) == (200, "canceled")
    assert again.json() == canceled.json()
    send_callback(api, mobilenumber="09000000115", ipphone=first["call"], method="4")
    late = query(api, first)
    assert (late["state"], late["late_call_at"] is None) == ("canceled", False)
    second = start(api, "090-0000-0115", line="050-0000-0001")
    api.control("dial", {"number": "09000000115", "line": second["call"]})
    wait_until_verified(api, second)
    refused = cancel(api, second)
    assert (refused.status_code, refused.json()["code"]) == (409, "already_verified")
    assert cancel(api, {"verification_id": "nothing"}).status_code == 404


def test_a_call_reported_before_the_answer_or_twice_counts_once(api: Api) -> None:
    early = start(api, "090-0000-0013")
    assert early["state"] == "verified"
    twice = start(api, "090-0000-0011")
    api.control("dial", {"number": "09000000011", "line": twice["call"]})
    verified = wait_until_verified(api, twice)
    send_callback(api, mobilenumber="090-0000-0011", ipphone=twice["call"], method="4")
    assert query(api, twice)["verified_at"] == verified["verified_at"]


def test_a_call_with_another_number_line_mode_or_id_changes_nothing(api: Api) -> None:
    verification = start(api, "090-0000-0107")
    line, other_line = verification["call"], next(iter(LINES - {verification["call"]}))
    for params in (
        {"mobilenumber": "09000000108", "ipphone": line, "method": "4"},
        {"mobilenumber": "09000000107", "ipphone": other_line, "method": "4"},
        {"mobilenumber": "09000000107", "ipphone": line, "method": "2"},
        {"mobilenumber": "09000000107", "ipphone": line, "method": "5"},
        {"mobilenumber": "09000000107", "ipphone": line, "method": "4", "smsid": "unknown"},
    ):
        answers = [send_callback(api, **params) for _ in range(2)]
        assert [(answer.status_code, answer.text) for answer in answers] == [(200, "OK")] * 2
    assert query(api, verification)["state"] == "pending"
    send_callback(api, mobilenumber="+81 90 0000 0107", ipphone=line, method="4")
    assert query(api, verification)["state"] == "verified"


def test_a_repeated_start_is_made_once_and_a_lost_answer_is_unknown(api: Api) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    body = {"to": "090-0000-0109", "mode": "call_in"}
    first, replay = (api.post("/verifications", body, **key) for _ in range(2))
    assert first.json()["verification_id"] == replay.json()["verification_id"]
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert len(api.received(first.json()["verification_id"])) == 1
    lost = api.post("/verifications", {"to": "090-0000-0006", "mode": "call_in"})
    assert (lost.status_code, lost.json()["state"]) == (202, "unknown")


def test_a_503_from_mediasms_is_answered_and_frees_the_line(api: Api) -> None:
    api.control("faults", {"kind": "answer", "code": 503})
    refused = api.post("/verifications", {"to": "090-0000-0110", "mode": "call_in", "line": "050-0000-0001"})
    assert (refused.status_code, refused.json()["code"]) == (503, "provider_unavailable")
    assert refused.headers["Retry-After"]
    start(api, "090-0000-0110", line="050-0000-0001")


def test_no_log_contains_the_code_or_the_number_of_a_verification(api: Api) -> None:
    api.control("config", {"authcode_digits": 12})
    try:
        verification = start(api, "090-0000-0111", "call_out")
        code = code_of(api, verification)
    finally:
        api.control("config", {"authcode_digits": 4})
    check_when_ready(api, verification, code)
    assert query(api, verification)["state"] == "verified"
    log_text = read_logs(api.endpoints)
    assert "verification checked" in log_text
    assert code not in log_text
    assert "9000000111" not in log_text
