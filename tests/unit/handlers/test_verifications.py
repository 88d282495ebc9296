"""Verification by telephone through its handlers, on the template's resources and against the simulated exchange."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from tests.deployment import TOKEN, Deployment, HttpAnswer, deployed
from tests.events import load_event, of_client

IVR: Final = "mediasms_ivr_webhook"
CODE: Final = "314159265"


def start(stack: Deployment, mode: str = "call_in", *, status: int = 201, **asked: Any) -> dict[str, Any]:
    body = {"to": "090-0000-0001", "mode": mode, **asked}
    answer = stack.http("start_verification", load_event("start_verification", "call_in", body=body))
    assert answer.status == status, answer.body
    started: dict[str, Any] = answer.json
    return started


def look(stack: Deployment, started: dict[str, Any]) -> dict[str, Any]:
    path = {"verification_id": started["verification_id"]}
    seen: dict[str, Any] = stack.http("query", load_event("query", "unknown_verification", pathParameters=path)).json
    return seen


def call(stack: Deployment, **params: str) -> HttpAnswer:
    return stack.http(IVR, load_event(IVR, "post_form", body=urlencode(params).encode()))


def notify(stack: Deployment, started: dict[str, Any], **params: str) -> HttpAnswer:
    report = {"smsid": started["verification_id"], "status": "1", **params}
    event = load_event("mediasms_delivery_webhook", "post_form_utf8", body=urlencode(report).encode())
    return stack.http("mediasms_delivery_webhook", event)


def check(stack: Deployment, started: dict[str, Any], code: str, *, client: str | None = None) -> HttpAnswer:
    path = {"verification_id": started["verification_id"]}
    event = load_event("check_verification", "unknown_id", pathParameters=path, body={"code": code})
    return stack.http("check_verification", event if client is None else of_client(event, client))


def metric_names(stack: Deployment) -> Counter[str]:
    return Counter(name for name, _ in stack.metrics())


@pytest.mark.parametrize("mode", ["call_in", "sms_and_call_in"])
@pytest.mark.parametrize("with_id", [True, False])
def test_a_call_in_verifies_the_number(stack: Deployment, mode: str, with_id: bool) -> None:
    started = start(stack, mode, text="お電話ください" if mode == "sms_and_call_in" else None)
    assert (started["state"], started["call"], started["attempts_left"]) == ("pending", "05000000001", None)
    method = {"call_in": "4", "sms_and_call_in": "2"}[mode]
    named = {"smsid": started["verification_id"]} if with_id else {}

    answer = call(stack, mobilenumber="+81 90 0000 0001", ipphone="050-0000-0001", method=method, **named)

    assert (answer.status, answer.body) == (200, "OK")
    seen = look(stack, started)
    assert (seen["state"], seen["final"]) == ("verified", True)
    assert metric_names(stack)["IvrCallsMatched"] == 1


def test_the_provider_is_asked_as_its_document_says(stack: Deployment) -> None:
    start(stack, "call_out", lines="any", to="03-0000-0001", holding_minutes=7, repeat_calls=3)
    [message] = stack.simulator.messages
    sent = dict(message.parameters)
    expected = {"mobilecareer": "b", "method": "5", "ipphone": "05000000001", "holdingtime": "7", "repeatcall": "3"}
    assert expected.items() <= sent.items()
    assert sent["status"] == "1"


def test_numbers_share_lines_and_one_number_gets_each_line_once(stack: Deployment) -> None:
    assert [start(stack)["call"] for _ in range(2)] == ["05000000001", "05000000002"]
    refused = start(stack, status=409)
    assert refused["code"] == "verification_open"
    assert start(stack, to="090-0000-0002")["call"] == "05000000001"


def test_what_calls_do_not_fit_is_kept_apart_and_counted(stack: Deployment) -> None:
    started = start(stack)
    strangers = [
        {"mobilenumber": "09000000009", "ipphone": "05000000001", "method": "4"},
        {"mobilenumber": "09000000001", "ipphone": "05000000002", "method": "4"},
        {"mobilenumber": "09000000001", "ipphone": "05000000001", "method": "2"},
        {"mobilenumber": "09000000001", "ipphone": "05000000001", "method": "4", "smsid": "nobodys"},
        {
            "mobilenumber": "09000000009",
            "ipphone": "05000000001",
            "method": "4",
            "smsid": started["verification_id"],
        },
    ]
    for params in strangers:
        assert call(stack, **params).status == 200

    assert look(stack, started)["state"] == "pending"
    reasons = Counter(each["reason"] for each in stack.objects("quarantine/mediasms_ivr/"))
    assert reasons == {"no_candidate": 3, "foreign": 2}
    assert metric_names(stack)["IvrCallsUnmatched"] == len(strangers)
    assert TOKEN not in json.dumps(stack.objects())


def test_a_late_call_is_recorded_and_changes_nothing(stack: Deployment) -> None:
    started = start(stack, holding_minutes=0)
    call(stack, mobilenumber="09000000001", ipphone=started["call"], method="4")
    seen = look(stack, started)
    assert (seen["state"], seen["verified_at"]) == ("expired", None)
    assert seen["late_call_at"] is not None
    assert metric_names(stack)["IvrCallsLate"] == 1


def test_a_call_for_which_the_table_does_not_answer_is_held_and_released_by_the_sweep(stack: Deployment) -> None:
    started = start(stack)
    rows = stack.rows()
    stack.lose_table()
    answer = call(stack, mobilenumber="09000000001", ipphone=started["call"], method="4")
    call(stack, mobilenumber="09000000009", ipphone=started["call"], method="4")
    assert (answer.status, answer.body) == (200, "OK")
    assert metric_names(stack)["IvrCallsSpooled"] == 2

    stack.restore_table(rows)
    assert stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))["event_replayed"] == 2

    assert look(stack, started)["state"] == "verified"
    assert stack.objects("spool/") == []
    assert [each["reason"] for each in stack.objects("quarantine/")] == ["no_candidate"]


def test_the_code_that_was_read_out_verifies_and_another_does_not(stack: Deployment) -> None:
    started = start(stack, "call_out")
    assert check(stack, started, CODE).code == "code_not_ready"
    notify(stack, started, authcode=CODE, mobilenumber="09000000001")

    wrong = check(stack, started, "000")
    assert (wrong.status, wrong.code, wrong.json["attempts_left"]) == (422, "wrong_code", 4)
    assert wrong.json["verification_id"] == started["verification_id"]
    right = check(stack, started, "３１４ １５９ ２６５")
    assert (right.status, right.json["state"], right.json["attempts_left"]) == (200, "verified", 3)
    assert check(stack, started, CODE).status == 200


def test_after_five_codes_no_other_is_looked_at(stack: Deployment) -> None:
    started = start(stack, "call_out")
    notify(stack, started, authcode=CODE)
    codes = [check(stack, started, "1").code for _ in range(5)]
    assert codes == ["wrong_code"] * 5
    late = check(stack, started, CODE)
    assert (late.status, late.code) == (429, "too_many_attempts")
    assert look(stack, started)["attempts_left"] == 0


def test_the_first_code_stays_and_one_for_another_number_is_none(stack: Deployment) -> None:
    started = start(stack, "call_out")
    notify(stack, started, authcode="271828", mobilenumber="09000000002")
    assert check(stack, started, "271828").code == "code_not_ready"
    for code in (CODE, "161803"):
        notify(stack, started, authcode=code, mobilenumber="09000000001")
    assert check(stack, started, "161803").code == "wrong_code"
    assert check(stack, started, CODE).status == 200


def test_another_callers_verification_is_as_if_it_were_not_there(stack: Deployment) -> None:
    started = start(stack, "call_out")
    notify(stack, started, authcode=CODE)
    missing = {"verification_id": "nothing"}
    strange, none = check(stack, started, CODE, client="another"), check(stack, missing, CODE)
    assert (strange.status, strange.json) == (none.status, none.json)
    assert strange.code == "not_found"
    assert look(stack, started)["attempts_left"] == 5


def test_a_code_is_no_use_after_the_time_and_there_is_none_for_a_call_in(stack: Deployment) -> None:
    expired = start(stack, "call_out", holding_minutes=0)
    notify(stack, expired, authcode=CODE)
    answer = check(stack, expired, CODE)
    assert (answer.status, answer.code) == (410, "verification_expired")
    assert check(stack, start(stack), CODE).code == "invalid_request"


def test_what_was_read_out_lies_nowhere(stack: Deployment) -> None:
    started = start(stack, "call_out")
    notify(stack, started, authcode=CODE)
    check(stack, started, CODE)
    notify(stack, started, authcode=CODE, status="")
    rows = stack.rows()
    stack.lose_table()
    notify(stack, started, authcode=CODE)
    everything = json.dumps([rows, stack.objects(), stack.logged(), look_at(rows, started)])
    assert CODE not in everything
    assert len(stack.objects("spool/")) == 1


def look_at(rows: list[dict[str, Any]], started: dict[str, Any]) -> dict[str, Any]:
    [row] = [each for each in rows if each["pk"]["S"].endswith(started["verification_id"])]
    assert any(name.startswith("code|") for name in row)
    return row


def test_a_code_for_which_the_table_does_not_answer_is_held_as_a_hash_and_released(stack: Deployment) -> None:
    started = start(stack, "call_out")
    rows = stack.rows()
    stack.lose_table()
    assert notify(stack, started, authcode=CODE).status == 200
    stack.restore_table(rows)
    stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))
    assert check(stack, started, CODE).status == 200


def test_a_code_that_is_none_is_counted_and_its_report_kept(stack: Deployment) -> None:
    started = start(stack, "call_out")
    assert notify(stack, started, authcode="12ab").status == 200
    assert metric_names(stack)["AuthcodesUnreadable"] == 1
    assert check(stack, started, "12").code == "code_not_ready"


def test_a_refused_start_says_so_and_frees_its_line(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=550))
    refused = start(stack, status=422)
    assert (refused["code"], refused["provider_code"]) == ("provider_rejected", "550")
    assert look(stack, refused)["state"] == "rejected"
    assert start(stack)["call"] == "05000000001"


def test_a_start_without_room_is_not_queued_and_may_be_repeated_with_its_key(stack: Deployment) -> None:
    event = load_event("start_verification", "idempotency_key")
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=503))
    refused = stack.http("start_verification", event)
    assert (refused.status, refused.code) == (503, "provider_unavailable")
    assert refused.headers["Retry-After"]
    assert stack.queued() == []
    again = stack.http("start_verification", event)
    assert (again.status, again.json["verification_id"]) == (201, refused.json["verification_id"])
    replayed = stack.http("start_verification", event)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert len(stack.simulator.messages) == 1


def test_a_lost_answer_is_unknown_keeps_its_line_and_a_call_still_verifies(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ACCEPT_THEN_DROP))
    unknown = start(stack, line="050-0000-0001", status=202)
    assert unknown["state"] == "unknown"
    assert start(stack, line="050-0000-0001", status=409)["code"] == "verification_open"
    call(stack, mobilenumber="09000000001", ipphone="05000000001", method="4")
    assert look(stack, unknown)["state"] == "verified"


def test_the_limits_of_messages_are_those_of_verifications() -> None:
    with deployed(RecipientLimitPerHour="1") as stack:
        stack.http("send_sms", load_event("send_sms", "japanese_text"))
        refused = start(stack, status=429)
        assert refused["code"] == "recipient_limit"
        assert start(stack, to="090-0000-0002")["call"] == "05000000001"


@pytest.mark.parametrize(("allowed", "status"), [("true", 201), ("false", 500)])
def test_undocumented_methods_are_used_only_where_that_is_allowed(allowed: str, status: int) -> None:
    with deployed(VerificationMethods="sms_and_call_in=6", AllowUndocumentedMethods=allowed) as stack:
        start(stack, "sms_and_call_in", status=status, text="a")
        assert [message.parameters["method"] for message in stack.simulator.messages] == ["6"] * (allowed == "true")


@pytest.mark.parametrize(
    "parameters",
    [{"DefaultLines": "090-0000-0001"}, {"VerificationMethods": "call=1"}, {"VerificationMethods": "call_in=x"}],
)
def test_a_deployment_that_is_put_together_wrongly_starts_nothing(parameters: dict[str, str]) -> None:
    with deployed(**parameters) as stack:
        assert start(stack, status=500)["code"] == "internal_error"


def test_a_deployment_without_lines_says_so() -> None:
    with deployed(DefaultLines="") as stack:
        assert start(stack, status=422)["errors"][0]["code"] == "no_lines"


def test_a_list_shows_a_callers_own_verifications_and_no_messages(stack: Deployment) -> None:
    stack.http("send_sms", load_event("send_sms", "japanese_text"))
    ids = [start(stack)["verification_id"], start(stack, "call_out", to="090-0000-0002")["verification_id"]]
    listed = stack.http("query", load_event("query", "verifications")).json
    assert {each["verification_id"] for each in listed["items"]} == set(ids)
    assert stack.http("query", of_client(load_event("query", "verifications"), "another")).json["items"] == []
    assert len(stack.http("query", load_event("query", "list")).json["items"]) == 1
