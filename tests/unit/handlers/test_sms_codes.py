"""Codes by SMS through their handlers: sent, checked, resent, and read out by a call instead (I20, I28, I31, I37)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from botocore.client import BaseClient

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.storage import aws
from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import load_event, with_headers
from tests.translated_template import written_template

FALLBACK: Final = {"mode": "call_out", "after_seconds": 60}


@pytest.fixture
def stack() -> Iterator[Deployment]:
    # A slow machine that misses its slot would reserve a second one.
    with deployed(MediaSmsJitterMilliseconds="1000") as deployment:
        yield deployment


def start(stack: Deployment, *, status: int = 201, key: str | None = None, **members: Any) -> dict[str, Any]:
    event = load_event("start_verification", "sms_code", body={"to": "090-0000-0001", "mode": "sms_code", **members})
    answer = stack.http("start_verification", event if key is None else with_headers(event, {"Idempotency-Key": key}))
    assert answer.status == status, answer.body
    started: dict[str, Any] = answer.json
    return started


def resend(stack: Deployment, verification_id: str, *, key: str | None = None) -> HttpAnswer:
    event = load_event(
        "start_verification", "resend_of_unknown_id", pathParameters={"verification_id": verification_id}
    )
    return stack.http("start_verification", event if key is None else with_headers(event, {"Idempotency-Key": key}))


def check(stack: Deployment, verification_id: str, code: str) -> HttpAnswer:
    path = {"verification_id": verification_id}
    return stack.http(
        "check_verification", load_event("check_verification", "unknown_id", pathParameters=path, body={"code": code})
    )


def read(stack: Deployment, verification_id: str) -> dict[str, Any]:
    path = {"verification_id": verification_id}
    answer = stack.http("query", load_event("query", "unknown_verification", pathParameters=path))
    verification: dict[str, Any] = answer.json
    return verification


def report(stack: Deployment, smsid: str, status: str, **params: str) -> HttpAnswer:
    body = urlencode({"smsid": smsid, "status": status, **params}).encode()
    return stack.http("mediasms_delivery_webhook", load_event("mediasms_delivery_webhook", "post_form_utf8", body=body))


def work_off(stack: Deployment) -> list[dict[str, Any]]:
    """Let the queue's function handle what waits in the outbox now, and return the entries."""
    received = aws.sqs().receive_message(QueueUrl=stack.references["OutboxQueue"], MaxNumberOfMessages=10)
    entries = received.get("Messages", [])
    event = load_event("send_queued_sms", "fallback")
    [record] = event["Records"]
    for entry in entries:
        handled = stack.invoke("send_queued_sms", event | {"Records": [record | {"body": entry["Body"]}]})
        assert handled == {"batchItemFailures": []}
        aws.sqs().delete_message(QueueUrl=stack.references["OutboxQueue"], ReceiptHandle=entry["ReceiptHandle"])
    return [json.loads(entry["Body"]) for entry in entries]


def let_time_pass(stack: Deployment, verification_id: str, seconds: int) -> None:
    """Move what an item says of its SMS into the past."""
    [row] = [row for row in stack.rows() if row["pk"]["S"] == f"SMS#{verification_id}"]
    earlier = timedelta(seconds=seconds)
    for fact in [*row["claims"]["L"], *row.get("resends", {"L": []})["L"]]:
        fact["M"]["at"]["S"] = to_rfc3339(from_rfc3339(fact["M"]["at"]["S"]) - earlier)
    aws.dynamodb().put_item(TableName=stack.references["StateTable"], Item=row)


def sent(stack: Deployment) -> list[dict[str, str]]:
    return [dict(message.parameters) for message in stack.simulator.messages]


def code_in(text: str) -> str:
    [code] = set(re.findall(r"[0-9]{4,10}", text))
    return str(code)


def other_than(code: str) -> str:
    return str((int(code) + 1) % 10 ** len(code)).zfill(len(code))


def test_the_code_of_the_sms_verifies_one_caller(stack: Deployment) -> None:
    started = start(stack)
    assert (started["state"], started["attempts_left"], started["resends_left"]) == ("pending", 5, 3)
    assert (started["call"], started["valid_minutes"], started["verified_by"]) == (None, 10, None)
    [channel] = started["channels"]
    assert (channel["mode"], channel["state"], channel["problem"]) == ("sms_code", "accepted", None)
    [message] = sent(stack)
    assert message["method"] == "1"
    code = code_in(message["smstext"])
    assert len(code) == 6

    wrong = check(stack, started["verification_id"], other_than(code))
    right = check(stack, started["verification_id"], code)

    assert (wrong.status, wrong.code, wrong.json["attempts_left"]) == (422, "wrong_code", 4)
    assert (right.status, right.json["state"], right.json["verified_by"]) == (200, "verified", "sms_code")
    assert check(stack, started["verification_id"], code).code == "already_verified"


def test_the_last_line_binds_the_code_to_its_origin(stack: Deployment) -> None:
    start(stack, text="コード {code}", code_length=8, origin="example.com")
    text = sent(stack)[0]["smstext"]
    code = code_in(text)
    assert text == f"コード {code}\n@example.com #{code}"
    assert len(code) == 8


def test_each_language_has_a_text_of_the_configuration() -> None:
    texts = {"ja": "コード{code}", "zh": "驗證碼{code}", "en": "Code {code}"}
    parameters = {f"CodeText{language.capitalize()}": text for language, text in texts.items()}
    with deployed(MediaSmsJitterMilliseconds="1000", **parameters) as stack:
        for language, text in texts.items():
            start(stack, language=language)
            received = sent(stack)[-1]["smstext"]
            assert received == text.replace("{code}", code_in(received))


def test_the_code_is_nowhere_at_rest(stack: Deployment) -> None:
    started = start(stack, fallback=FALLBACK, origin="example.com")
    codes = [code_in(sent(stack)[0]["smstext"])]
    let_time_pass(stack, started["verification_id"], 31)
    assert resend(stack, started["verification_id"]).status == 200
    codes.append(code_in(sent(stack)[1]["smstext"]))
    check(stack, started["verification_id"], codes[0])
    report(stack, f"{started['verification_id']}r2", "18", authcode="31415926")

    kept = json.dumps([stack.rows(), stack.rows("LimitsTable"), stack.queued(), stack.logged(), stack.objects()])
    assert not [code for code in (*codes, "31415926") if code in kept]


def test_a_code_costs_what_an_sms_costs(stack: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.http("send_sms", load_event("send_sms", "japanese_text"))
    start(stack)
    operations: list[str] = []
    make_call: Callable[..., Any] = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        operations.append(operation)
        return make_call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    stack.http("send_sms", load_event("send_sms", "full_width_number"))
    for_an_sms = operations.copy()
    operations.clear()
    started = start(stack)
    assert operations == for_an_sms
    check(stack, started["verification_id"], "0000000")
    operations.clear()
    check(stack, started["verification_id"], "0000000")
    # The verification's read, the write that counts for the number, and the verification's write.
    assert operations == ["GetItem", "UpdateItem", "UpdateItem"]


def test_a_resend_ends_the_older_code(stack: Deployment) -> None:
    started = start(stack)
    verification_id = started["verification_id"]
    too_soon = resend(stack, verification_id)
    assert (too_soon.status, too_soon.code) == (429, "resend_too_soon")
    assert 25 <= int(too_soon.headers["Retry-After"]) <= 30
    let_time_pass(stack, verification_id, 31)

    resent = resend(stack, verification_id, key="again")
    replayed = resend(stack, verification_id, key="again")

    assert (resent.status, resent.json["resends_left"], len(resent.json["channels"])) == (200, 2, 2)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    older, newer = (code_in(message["smstext"]) for message in sent(stack))
    assert check(stack, verification_id, older).code == "wrong_code"
    assert check(stack, verification_id, newer).json["verified_by"] == "sms_code"
    assert resend(stack, verification_id).code == "already_verified"


def test_three_resends_are_all(stack: Deployment) -> None:
    verification_id = start(stack)["verification_id"]
    for _ in range(3):
        let_time_pass(stack, verification_id, 31)
        assert resend(stack, verification_id).status == 200
    let_time_pass(stack, verification_id, 31)
    assert resend(stack, verification_id).code == "resends_exhausted"
    assert len(sent(stack)) == 4


def test_a_resend_that_sends_nothing_leaves_the_code_valid(stack: Deployment) -> None:
    verification_id = start(stack)["verification_id"]
    code = code_in(sent(stack)[0]["smstext"])
    let_time_pass(stack, verification_id, 31)
    stack.put_secret("MediaSmsSecret", {"user": "acme-user"})
    stack.cold_start()
    assert resend(stack, verification_id).status == 500
    assert check(stack, verification_id, code).status == 200


@pytest.mark.parametrize(
    ("mode", "code"), [pytest.param("call_in", "invalid_request", id="no SMS"), pytest.param("sms_code", "", id="SMS")]
)
def test_only_a_code_by_sms_is_resent(stack: Deployment, mode: str, code: str) -> None:
    verification_id = start(stack, mode=mode)["verification_id"]
    let_time_pass(stack, verification_id, 31)
    answer = resend(stack, verification_id)
    assert (answer.code or "") == code


@pytest.mark.parametrize("status", ["18", "0"])
def test_an_sms_that_does_not_arrive_is_followed_by_a_call(stack: Deployment, status: str) -> None:
    started = start(stack, fallback=FALLBACK)
    verification_id = started["verification_id"]
    assert [(channel["mode"], channel["state"]) for channel in started["channels"]] == [
        ("sms_code", "accepted"),
        ("call_out", "scheduled"),
    ]
    assert work_off(stack) == []

    assert report(stack, verification_id, status).status == 200

    assert work_off(stack) == [{"smsid": verification_id, "fallback": True}]
    call = sent(stack)[1]
    assert (call["method"], call["smsid"], call["repeatcall"]) == ("5", f"{verification_id}c", "1")
    assert call["holdingtime"] == "10"
    early = check(stack, verification_id, "2718")
    assert (early.code, read(stack, verification_id)["attempts_left"]) == ("code_not_ready", 5)
    assert check(stack, verification_id, other_than(code_in(sent(stack)[0]["smstext"]))).code == "wrong_code"
    assert report(stack, call["smsid"], "1", authcode="2718").status == 200
    assert check(stack, verification_id, "2718").json["verified_by"] == "call_out"
    assert [channel["state"] for channel in read(stack, verification_id)["channels"]][1] == "delivered"


def test_a_fallback_calls_once_whatever_is_reported(stack: Deployment) -> None:
    verification_id = start(stack, fallback=FALLBACK)["verification_id"]
    for status in ("18", "0", "18"):
        report(stack, verification_id, status)
    assert len(work_off(stack)) == 3
    report(stack, verification_id, "0")
    work_off(stack)
    assert len(sent(stack)) == 2


@pytest.mark.parametrize("end", ["verified", "canceled", "delivered"])
def test_no_call_follows_once_it_is_not_wanted(stack: Deployment, end: str) -> None:
    verification_id = start(stack, fallback=FALLBACK)["verification_id"]
    report(stack, verification_id, "18")
    if end == "verified":
        check(stack, verification_id, code_in(sent(stack)[0]["smstext"]))
    elif end == "canceled":
        path = {"verification_id": verification_id}
        stack.http("cancel_verification", load_event("cancel_verification", "unknown_id", pathParameters=path))
    else:
        report(stack, verification_id, "1")
    assert len(work_off(stack)) == 1
    assert len(sent(stack)) == 1
    assert read(stack, verification_id)["channels"][1]["state"] == ("scheduled" if end == "delivered" else "canceled")


def test_a_rejected_sms_with_a_fallback_is_called_at_once(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=560))
    started = start(stack, fallback=FALLBACK, key="k")
    assert (started["state"], started["channels"][0]["state"]) == ("pending", "rejected")
    assert start(stack, fallback=FALLBACK, key="k")["verification_id"] == started["verification_id"]
    assert [entry["smsid"] for entry in work_off(stack)] == [started["verification_id"]]
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=560))
    refused = start(stack, status=422)
    assert refused["code"] == "provider_rejected"


def test_a_verification_whose_sms_and_call_are_rejected_is_rejected(stack: Deployment) -> None:
    for _ in range(2):
        stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=560))
    verification_id = start(stack, fallback=FALLBACK)["verification_id"]
    work_off(stack)

    shown = read(stack, verification_id)

    channels = [(channel["mode"], channel["state"], channel["problem"]) for channel in shown["channels"]]
    assert shown["state"] == "rejected"
    assert channels == [("sms_code", "rejected", "provider_rejected"), ("call_out", "rejected", "provider_rejected")]
    assert check(stack, verification_id, "000000").code == "verification_expired"


def test_a_refused_call_leaves_an_accepted_sms_pending(stack: Deployment) -> None:
    verification_id = start(stack, fallback=FALLBACK)["verification_id"]
    report(stack, verification_id, "18")
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=560))
    work_off(stack)

    assert read(stack, verification_id)["state"] == "pending"
    assert check(stack, verification_id, code_in(sent(stack)[0]["smstext"])).status == 200


def test_a_number_suppressed_meanwhile_gets_no_further_channel(stack: Deployment) -> None:
    verification_id = start(stack, fallback=FALLBACK)["verification_id"]
    stack.http("suppressions", load_event("suppressions", "put", pathParameters={"number": "+819000000001"}))
    let_time_pass(stack, verification_id, 31)

    resent = resend(stack, verification_id)
    report(stack, verification_id, "18")
    work_off(stack)

    assert (resent.status, resent.code) == (422, "recipient_suppressed")
    assert len(sent(stack)) == 1
    channels = [(channel["mode"], channel["problem"]) for channel in read(stack, verification_id)["channels"]]
    assert ("call_out", "recipient_suppressed") in channels
    assert check(stack, verification_id, code_in(sent(stack)[0]["smstext"])).status == 200


def test_a_suppressed_number_gets_no_code_and_no_call_instead(stack: Deployment) -> None:
    stack.http("suppressions", load_event("suppressions", "put", pathParameters={"number": "+819000000001"}))

    refused = start(stack, fallback=FALLBACK, key="k", status=422)
    again = start(stack, fallback=FALLBACK, key="k", status=422)

    assert refused["code"] == again["code"] == "recipient_suppressed"
    assert (work_off(stack), sent(stack)) == ([], [])


def test_a_resend_fits_the_default_limits_beside_a_fallback() -> None:
    limit = str(written_template()["Parameters"]["RecipientLimitPerMinute"]["Default"])
    with deployed(RecipientLimitPerMinute=limit, MediaSmsJitterMilliseconds="1000") as stack:
        verification_id = start(stack, fallback=FALLBACK)["verification_id"]
        let_time_pass(stack, verification_id, 31)
        assert resend(stack, verification_id).status == 200


def test_a_fallback_needs_a_line_at_the_start() -> None:
    with deployed(DefaultLines="") as stack:
        assert start(stack)["state"] == "pending"
        refused = start(stack, fallback=FALLBACK, status=422)
        assert [error["field"] for error in refused["errors"]] == ["line"]


def test_a_fallback_is_counted_when_the_verification_starts() -> None:
    # One part of the SMS, and two rings of the call.
    with deployed(RecipientLimitPerMinute="3", MediaSmsJitterMilliseconds="1000") as stack:
        verification_id = start(stack, fallback=FALLBACK)["verification_id"]
        assert start(stack, status=429)["code"] == "recipient_limit"
        report(stack, verification_id, "18")
        work_off(stack)
        assert len(sent(stack)) == 2


def test_a_code_is_not_accepted_while_its_key_is_missing(stack: Deployment) -> None:
    stack.lose_secret("CodeKeysSecret")
    assert start(stack, status=503)["code"] == "service_unavailable"
    assert sent(stack) == []


def test_an_older_key_verifies_until_it_is_removed(stack: Deployment) -> None:
    verification_id = start(stack)["verification_id"]
    code = code_in(sent(stack)[0]["smstext"])
    stack.put_secret("CodeKeysSecret", {"current": "2", "1": "a-code-key-that-derives-nothing-real", "2": "k" * 32})
    stack.cold_start()
    start(stack)
    [_, row] = sorted(
        (row for row in stack.rows() if row["pk"]["S"].startswith("SMS#")), key=lambda row: row["code_key"]["S"]
    )
    assert row["code_key"] == {"S": "2"}
    assert check(stack, verification_id, code).status == 200


def test_a_report_is_kept_while_its_code_cannot_be_hashed(stack: Deployment) -> None:
    started = start(stack, mode="call_out")
    stack.lose_secret("CodeKeysSecret")
    assert report(stack, started["verification_id"], "1", authcode="271828").status == 503
    assert read(stack, started["verification_id"])["channels"][0]["state"] == "delivered"
