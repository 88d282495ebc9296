"""Verification by telephone through its handlers, on the template's resources and the simulated MediaSMS."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from switchboard.domain.errors import ConfigurationError
from tests.deployment import TOKEN, Deployment, HttpAnswer, deployed
from tests.events import load_event, of_client, with_headers

IVR: Final = "mediasms_ivr_webhook"
CODE: Final = "314159265"


def start(stack: Deployment, mode: str = "call_in", *, status: int = 201, **members: Any) -> dict[str, Any]:
    body = {"to": "090-0000-0001", "mode": mode, **members}
    answer = stack.http("start_verification", load_event("start_verification", "call_in", body=body))
    assert answer.status == status, answer.body
    body_of_answer: dict[str, Any] = answer.json
    return body_of_answer


def query(stack: Deployment, started: dict[str, Any]) -> dict[str, Any]:
    path = {"verification_id": started["verification_id"]}
    answer = stack.http("query", load_event("query", "unknown_verification", pathParameters=path))
    verification: dict[str, Any] = answer.json
    return verification


def report_ivr_call(stack: Deployment, **params: str) -> HttpAnswer:
    return stack.http(IVR, load_event(IVR, "post_form", body=urlencode(params).encode()))


def report(stack: Deployment, started: dict[str, Any], **changes: str) -> HttpAnswer:
    params = {"smsid": started["verification_id"], "status": "1", **changes}
    event = load_event("mediasms_delivery_webhook", "post_form_utf8", body=urlencode(params).encode())
    return stack.http("mediasms_delivery_webhook", event)


def check(
    stack: Deployment, started: dict[str, Any], code: str, *, client: str | None = None, key: str | None = None
) -> HttpAnswer:
    path = {"verification_id": started["verification_id"]}
    event = load_event("check_verification", "unknown_id", pathParameters=path, body={"code": code})
    event = event if key is None else with_headers(event, {"Idempotency-Key": key})
    return stack.http("check_verification", event if client is None else of_client(event, client))


def cancel(stack: Deployment, started: dict[str, Any], *, client: str | None = None) -> HttpAnswer:
    path = {"verification_id": started["verification_id"]}
    event = load_event("cancel_verification", "unknown_id", pathParameters=path)
    return stack.http("cancel_verification", event if client is None else of_client(event, client))


def metric_names(stack: Deployment) -> Counter[str]:
    """Count the metrics that are not by mode, by their names."""
    return Counter(name for name, dimensions in stack.metrics() if "mode" not in dict(dimensions))


@pytest.mark.parametrize("mode", ["call_in", "sms_and_call_in"])
@pytest.mark.parametrize("with_id", [True, False], ids=["with id", "without id"])
def test_a_call_in_verifies_the_number(stack: Deployment, mode: str, with_id: bool) -> None:
    started = start(stack, mode, text="お電話ください" if mode == "sms_and_call_in" else None)
    assert (started["state"], started["call"], started["attempts_left"]) == ("pending", "05000000001", None)
    method = {"call_in": "4", "sms_and_call_in": "2"}[mode]
    extra = {"smsid": started["verification_id"]} if with_id else {}

    answer = report_ivr_call(stack, mobilenumber="+81 90 0000 0001", ipphone="050-0000-0001", method=method, **extra)

    assert (answer.status, answer.body) == (200, "OK")
    verification = query(stack, started)
    assert (verification["state"], verification["final"]) == ("verified", True)
    assert metric_names(stack)["IvrCallsMatched"] == 1


def test_the_provider_gets_the_parameters_of_its_document(stack: Deployment) -> None:
    start(stack, "call_out", lines="any", to="03-0000-0001", holding_minutes=7, repeat_calls=2)
    [message] = stack.simulator.messages
    sent = dict(message.parameters)
    expected = {"mobilecareer": "b", "method": "5", "ipphone": "05000000001", "holdingtime": "7", "repeatcall": "2"}
    assert expected.items() <= sent.items()
    assert sent["status"] == "1"


def test_a_number_has_one_open_verification_on_a_line(stack: Deployment) -> None:
    assert [start(stack)["call"] for _ in range(2)] == ["05000000001", "05000000002"]
    refused = start(stack, status=409)
    assert refused["code"] == "verification_open"
    assert start(stack, to="090-0000-0002")["call"] == "05000000001"


def test_calls_that_match_no_verification_are_quarantined(stack: Deployment) -> None:
    started = start(stack)
    ivr_calls = [
        {"mobilenumber": "09000000009", "ipphone": "05000000001", "method": "4"},
        {"mobilenumber": "09000000001", "ipphone": "05000000002", "method": "4"},
        {"mobilenumber": "09000000001", "ipphone": "05000000001", "method": "2"},
        {"mobilenumber": "09000000001", "ipphone": "05000000001", "method": "4", "smsid": "unknown"},
        {
            "mobilenumber": "09000000009",
            "ipphone": "05000000001",
            "method": "4",
            "smsid": started["verification_id"],
        },
    ]
    for params in ivr_calls:
        assert report_ivr_call(stack, **params).status == 200

    assert query(stack, started)["state"] == "pending"
    reasons = Counter(callback["reason"] for callback in stack.objects("quarantine/mediasms_ivr/"))
    assert reasons == {"no_candidate": 3, "foreign": 2}
    assert metric_names(stack)["IvrCallsUnmatched"] == len(ivr_calls)
    assert TOKEN not in json.dumps(stack.objects())


def test_a_late_call_is_recorded_and_verifies_nothing(stack: Deployment) -> None:
    started = start(stack, holding_minutes=0)
    report_ivr_call(stack, mobilenumber="09000000001", ipphone=started["call"], method="4")
    verification = query(stack, started)
    assert (verification["state"], verification["verified_at"]) == ("expired", None)
    assert verification["late_call_at"] is not None
    assert metric_names(stack)["IvrCallsLate"] == 1


def test_a_call_is_spooled_while_the_table_is_down_and_replayed_later(stack: Deployment) -> None:
    started = start(stack)
    rows = stack.rows()
    stack.lose_table()
    answer = report_ivr_call(stack, mobilenumber="09000000001", ipphone=started["call"], method="4")
    report_ivr_call(stack, mobilenumber="09000000009", ipphone=started["call"], method="4")
    assert (answer.status, answer.body) == (200, "OK")
    assert metric_names(stack)["IvrCallsSpooled"] == 2

    stack.restore_table(rows)
    assert stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))["event_replayed"] == 2

    assert query(stack, started)["state"] == "verified"
    assert stack.objects("spool/") == []
    assert [callback["reason"] for callback in stack.objects("quarantine/")] == ["no_candidate"]


def test_only_the_code_that_was_read_out_verifies(stack: Deployment) -> None:
    started = start(stack, "call_out")
    assert check(stack, started, CODE).code == "code_not_ready"
    report(stack, started, authcode=CODE, mobilenumber="09000000001")

    wrong = check(stack, started, "000")
    assert (wrong.status, wrong.code, wrong.json["attempts_left"]) == (422, "wrong_code", 4)
    assert wrong.json["verification_id"] == started["verification_id"]
    right = check(stack, started, "３１４ １５９ ２６５")
    assert (right.status, right.json["state"], right.json["attempts_left"]) == (200, "verified", 4)
    for code in (CODE, "000"):
        again = check(stack, started, code)
        assert (again.status, again.code) == (409, "already_verified")
        assert again.json["verification_id"] == started["verification_id"]


def test_the_same_check_under_its_key_is_answered_again(stack: Deployment) -> None:
    started = start(stack, "call_out")
    report(stack, started, authcode=CODE)
    first, again = check(stack, started, CODE, key="check-1"), check(stack, started, f" {CODE}", key="check-1")
    assert (first.status, "Idempotent-Replayed" in first.headers) == (200, False)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json == first.json
    other_code, other_key = check(stack, started, "000", key="check-1"), check(stack, started, CODE, key="check-2")
    assert (other_code.status, other_code.code) == (422, "idempotency_key_reused")
    assert (other_key.status, other_key.code) == (409, "already_verified")
    counted = metric_names(stack)
    assert (counted["VerificationsChecked"], counted["VerificationChecksReplayed"]) == (1, 1)
    assert "check-1" not in json.dumps([stack.rows(), stack.rows("LimitsTable"), stack.logged()])


def test_wrong_codes_are_counted_by_number() -> None:
    with deployed(WrongCodesPerHour="6") as stack:
        started = [start(stack, "call_out") for _ in range(2)]
        for verification in started:
            report(stack, verification, authcode=CODE)
        assert [check(stack, started[0], "1").code for _ in range(5)] == ["wrong_code"] * 5
        assert check(stack, started[1], "1").code == "wrong_code"
        for code in ("1", CODE):
            limited = check(stack, started[1], code)
            assert (limited.status, limited.code) == (429, "recipient_limit")
            assert 0 < int(limited.headers["Retry-After"]) <= 3600
        assert check(stack, started[0], CODE).code == "too_many_attempts"
        assert query(stack, started[1])["attempts_left"] == 4
        assert metric_names(stack)["WrongCodeLimitReached"] == 2
        other = start(stack, "call_out", to="090-0000-0002")
        report(stack, other, authcode=CODE)
        assert check(stack, other, CODE).status == 200
        assert "9000000001" not in json.dumps(stack.rows("LimitsTable"))


def test_a_check_without_the_limits_table_is_503(stack: Deployment) -> None:
    started = start(stack, "call_out")
    report(stack, started, authcode=CODE)
    stack.lose_table("LimitsTable")
    for code in (CODE, "1"):
        assert (check(stack, started, code).status, query(stack, started)["state"]) == (503, "pending")


@pytest.mark.parametrize("mode", ["call_in", "sms_and_call_in", "call_out"])
def test_a_canceled_verification_stays_canceled(stack: Deployment, mode: str) -> None:
    started = start(stack, mode, text="お電話ください" if mode == "sms_and_call_in" else None)
    assert (started["canceled_at"], started["state"]) == (None, "pending")
    first, again = cancel(stack, started), cancel(stack, started)
    assert (first.status, first.json["state"], first.json["final"]) == (200, "canceled", True)
    assert again.json == first.json
    assert query(stack, started) == first.json
    assert not [row for row in stack.rows() if "pending" in row]
    method = {"call_in": "4", "sms_and_call_in": "2"}.get(mode)
    if method is not None:
        report_ivr_call(stack, mobilenumber="09000000001", ipphone=started["call"], method=method)
        assert query(stack, started)["late_call_at"] is not None
        assert metric_names(stack)["IvrCallsLate"] == 1
    else:
        report(stack, started, authcode=CODE)
        refused = check(stack, started, CODE)
        assert (refused.status, refused.code) == (409, "verification_canceled")
    assert (query(stack, started)["state"], query(stack, started)["verified_at"]) == ("canceled", None)
    listed = load_event("query", "verifications")
    listed |= {"multiValueQueryStringParameters": {"state": ["canceled"]}}
    assert [item["verification_id"] for item in stack.http("query", listed).json["items"]] == [
        started["verification_id"]
    ]


def test_only_its_client_cancels_what_is_still_open(stack: Deployment) -> None:
    started = start(stack)
    assert (cancel(stack, started, client="another").status, query(stack, started)["state"]) == (404, "pending")
    report_ivr_call(stack, mobilenumber="09000000001", ipphone=started["call"], method="4")
    refused = cancel(stack, started)
    assert (refused.status, refused.code) == (409, "already_verified")
    expired = cancel(stack, start(stack, holding_minutes=0))
    assert (expired.status, expired.code) == (410, "verification_expired")


def test_a_canceled_line_is_free_at_once_for_its_client_only(stack: Deployment) -> None:
    line = "050-0000-0001"
    first = start(stack, line=line)
    cancel(stack, first)
    body = {"to": "090-0000-0001", "mode": "call_in", "line": line}
    other = of_client(load_event("start_verification", "call_in", body=body), "another")
    assert stack.http("start_verification", other).code == "verification_open"
    second = start(stack, line=line)
    assert start(stack, status=409, line=line)["code"] == "verification_open"
    report_ivr_call(stack, mobilenumber="09000000001", ipphone=second["call"], method="4")
    assert (query(stack, first)["state"], query(stack, second)["state"]) == ("canceled", "verified")


@pytest.mark.parametrize(
    ("members", "field"),
    [({"holding_minutes": 31}, "holding_minutes"), ({"repeat_calls": 3, "mode": "call_out"}, "repeat_calls")],
    ids=["too long", "too many rings"],
)
def test_a_value_above_the_deployments_maximum_is_refused(
    stack: Deployment, members: dict[str, Any], field: str
) -> None:
    refused = start(stack, **{"mode": "call_in", **members}, status=422)
    assert [(problem["field"], problem["code"]) for problem in refused["errors"]] == [(field, "too_large")]
    assert not stack.simulator.messages


def test_the_maximum_values_are_parameters() -> None:
    with deployed(MaxHoldingMinutes="999", MaxRepeatCalls="0") as stack:
        start(stack, holding_minutes=999)
        start(stack, "call_out")
        assert dict(stack.simulator.messages[-1].parameters)["repeatcall"] == "0"
        assert start(stack, "call_out", repeat_calls=1, status=422)["code"] == "invalid_request"


def test_a_call_out_without_repeat_calls_is_repeated_once(stack: Deployment) -> None:
    start(stack, "call_out")
    assert dict(stack.simulator.messages[-1].parameters)["repeatcall"] == "1"


def test_after_five_wrong_codes_the_right_one_is_refused(stack: Deployment) -> None:
    started = start(stack, "call_out")
    report(stack, started, authcode=CODE)
    codes = [check(stack, started, "1").code for _ in range(5)]
    assert codes == ["wrong_code"] * 5
    late = check(stack, started, CODE)
    assert (late.status, late.code) == (429, "too_many_attempts")
    assert query(stack, started)["attempts_left"] == 0


def test_the_first_code_for_the_number_counts(stack: Deployment) -> None:
    started = start(stack, "call_out")
    report(stack, started, authcode="271828", mobilenumber="09000000002")
    assert metric_names(stack)["DeliveryReportsOrphaned"] == 1
    assert check(stack, started, "271828").code == "code_not_ready"
    for code in (CODE, "161803"):
        report(stack, started, authcode=code, mobilenumber="09000000001")
    assert check(stack, started, "161803").code == "wrong_code"
    assert check(stack, started, CODE).status == 200


def test_another_callers_verification_is_not_found(stack: Deployment) -> None:
    started = start(stack, "call_out")
    report(stack, started, authcode=CODE)
    missing = {"verification_id": "nothing"}
    foreign, unknown = check(stack, started, CODE, client="another"), check(stack, missing, CODE)
    assert (foreign.status, foreign.json) == (unknown.status, unknown.json)
    assert foreign.code == "not_found"
    assert query(stack, started)["attempts_left"] == 5


def test_a_code_is_refused_after_the_deadline_and_for_a_call_in(stack: Deployment) -> None:
    expired = start(stack, "call_out", holding_minutes=0)
    report(stack, expired, authcode=CODE)
    answer = check(stack, expired, CODE)
    assert (answer.status, answer.code) == (410, "verification_expired")
    assert check(stack, start(stack), CODE).code == "invalid_request"


def test_a_code_is_stored_nowhere_in_plain(stack: Deployment) -> None:
    started = start(stack, "call_out")
    report(stack, started, authcode=CODE)
    check(stack, started, CODE)
    report(stack, started, authcode=CODE, status="")
    rows = stack.rows()
    stack.lose_table()
    report(stack, started, authcode=CODE)
    text = json.dumps([rows, stack.objects(), stack.logged(), row_of(rows, started)])
    assert CODE not in text
    assert len(stack.objects("spool/")) == 1


def row_of(rows: list[dict[str, Any]], started: dict[str, Any]) -> dict[str, Any]:
    [row] = [row for row in rows if row["pk"]["S"].endswith(started["verification_id"])]
    assert any(name.startswith("code|") for name in row)
    return row


def test_a_code_is_spooled_as_a_hash_while_the_table_is_down(stack: Deployment) -> None:
    started = start(stack, "call_out")
    rows = stack.rows()
    stack.lose_table()
    assert report(stack, started, authcode=CODE).status == 200
    stack.restore_table(rows)
    stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))
    assert check(stack, started, CODE).status == 200


def test_forged_codes_do_not_keep_out_the_true_one(stack: Deployment) -> None:
    """A sender who knows the webhook fills no item with codes. (I28)"""
    started = start(stack, "call_out")
    for number in range(100):
        report(stack, started, authcode="271828", mobilenumber=f"0900000{1000 + number}")
    [row] = [row for row in stack.rows() if row["pk"]["S"].endswith(started["verification_id"])]
    assert not [name for name in row if name.startswith("code|")]
    report(stack, started, authcode=CODE, mobilenumber="09000000001")
    assert check(stack, started, CODE).status == 200


def test_a_code_for_no_verification_is_not_stored(stack: Deployment) -> None:
    report(stack, {"verification_id": "nothing"}, authcode=CODE)
    assert not [name for row in stack.rows() for name in row if name.startswith("code|")]
    assert metric_names(stack)["AuthcodesRefused"] == 0


def test_an_unreadable_code_is_counted_and_its_report_stored(stack: Deployment) -> None:
    started = start(stack, "call_out")
    assert report(stack, started, authcode="12ab").status == 200
    assert metric_names(stack)["AuthcodesUnreadable"] == 1
    assert check(stack, started, "12").code == "code_not_ready"


def test_a_rejected_start_frees_its_line(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=550))
    refused = start(stack, status=422)
    assert (refused["code"], refused["provider_code"]) == ("provider_rejected", "550")
    assert query(stack, refused)["state"] == "rejected"
    assert start(stack)["call"] == "05000000001"


def test_a_start_beyond_the_rate_limit_may_be_repeated_with_its_key(stack: Deployment) -> None:
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


def test_a_start_with_a_lost_answer_keeps_its_line_and_may_be_verified(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ACCEPT_THEN_DROP))
    unknown = start(stack, line="050-0000-0001", status=202)
    assert unknown["state"] == "unknown"
    assert start(stack, line="050-0000-0001", status=409)["code"] == "verification_open"
    report_ivr_call(stack, mobilenumber="09000000001", ipphone="05000000001", method="4")
    assert query(stack, unknown)["state"] == "verified"


def test_messages_and_verifications_share_the_limit_of_a_number() -> None:
    with deployed(RecipientLimitPerHour="1") as stack:
        stack.http("send_sms", load_event("send_sms", "japanese_text"))
        refused = start(stack, status=429)
        assert refused["code"] == "recipient_limit"
        assert start(stack, to="090-0000-0002")["call"] == "05000000001"


def test_an_undocumented_method_is_used_only_if_allowed() -> None:
    with deployed(VerificationMethods="sms_and_call_in=6", AllowUndocumentedMethods="true") as stack:
        start(stack, "sms_and_call_in", text="a")
        assert [message.parameters["method"] for message in stack.simulator.messages] == ["6"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"DefaultLines": "090-0000-0001"},
        {"VerificationMethods": "call=1"},
        {"VerificationMethods": "call_in=x"},
        {"VerificationMethods": "sms_and_call_in=6", "AllowUndocumentedMethods": "false"},
        {"VerificationMinutes": "31"},
    ],
    ids=["line", "mode", "method", "undocumented method", "holding time"],
)
def test_an_invalid_configuration_ends_the_init_phase(parameters: dict[str, str]) -> None:
    with deployed(**parameters) as stack:
        with pytest.raises(
            ConfigurationError, match=r"VERIFICATION_(LINES|METHODS|MINUTES)|ALLOW_UNDOCUMENTED_METHODS"
        ):
            start(stack)
        assert not stack.simulator.messages


def test_without_lines_a_start_is_refused() -> None:
    with deployed(DefaultLines="") as stack:
        assert start(stack, status=422)["errors"][0]["code"] == "no_lines"


def test_a_list_has_the_callers_own_verifications_and_no_messages(stack: Deployment) -> None:
    stack.http("send_sms", load_event("send_sms", "japanese_text"))
    ids = [start(stack)["verification_id"], start(stack, "call_out", to="090-0000-0002")["verification_id"]]
    page = stack.http("query", load_event("query", "verifications")).json
    assert {item["verification_id"] for item in page["items"]} == set(ids)
    assert stack.http("query", of_client(load_event("query", "verifications"), "another")).json["items"] == []
    assert len(stack.http("query", load_event("query", "list")).json["items"]) == 1
