"""The composition root retries exactly the store calls that are harmless if they are repeated. (I1, I2)

Each test runs a request once for every call that it makes to a table, and loses the answer to that one call. `+` marks
a call without whose answer the request succeeds, `-` a call without whose answer it fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.timestamps import to_rfc3339
from tests.deployment import Deployment
from tests.events import Event, load_event, with_headers


@dataclass(slots=True)
class LostAnswer:
    """A table that does not answer the call with this number."""

    table: str
    number: int
    operations: list[str] = field(default_factory=list)

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_call: Callable[..., Any] = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

        def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            if repr(self.table) not in repr(parameters):
                return make_call(client, operation, parameters)
            self.operations.append(operation)
            if len(self.operations) == self.number:
                raise EndpointConnectionError(endpoint_url="scripted")
            return make_call(client, operation, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", call)


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request: its event, made anew for each run, and the test of its answer."""

    function: str
    prepare: Callable[[Deployment, int], Event]
    succeeds: Callable[[Deployment, Any], bool]


def mark_calls(stack: Deployment, case: Case, *, table: str = "StateTable") -> list[str]:
    marks: list[str] = []
    while True:
        lost = LostAnswer(stack.references[table], len(marks) + 1)
        event = case.prepare(stack, lost.number)
        stack.cold_start()  # a container keeps a block of the usage limits
        with pytest.MonkeyPatch.context() as patch:
            lost.watch(patch)
            try:
                answer = stack.invoke(case.function, event)
            except StoreUnavailableError:
                answer = None
        succeeded = case.succeeds(stack, answer)
        if len(lost.operations) < lost.number:
            assert succeeded, answer
            return marks
        marks.append(lost.operations[lost.number - 1] + ("+" if succeeded else "-"))


def contains(text: str) -> Callable[[Deployment, Any], bool]:
    return lambda _, answer: text in answer["body"]


def has_status(status: int) -> Callable[[Deployment, Any], bool]:
    return lambda _, answer: bool(answer["statusCode"] == status)


def an_sms(stack: Deployment, number: int) -> Event:
    event = load_event("send_sms", "japanese_text", body={"to": "09000000001", "text": "text"})
    return with_headers(event, {"Idempotency-Key": f"key-{number}"})


def a_batch(stack: Deployment, number: int) -> Event:
    body = {"messages": [{"to": "09000000001", "text": "text"}]}
    event = load_event("send_sms_batch", "two_messages", body=body)
    return with_headers(event, {"Idempotency-Key": f"key-{number}"})


def a_voice_call(stack: Deployment, number: int) -> Event:
    return with_headers(load_event("place_call", "chinese_text"), {"Idempotency-Key": f"key-{number}"})


def a_verification(stack: Deployment, number: int, *, mode: str = "call_in") -> Event:
    return load_event("start_verification", "call_in", body={"to": f"0900000{number:04d}", "mode": mode})


def a_code(stack: Deployment, number: int) -> Event:
    started = stack.http("start_verification", a_verification(stack, number, mode="call_out")).json
    report = {"smsid": started["verification_id"], "status": "1", "authcode": "314159"}
    callback = load_event("mediasms_delivery_webhook", "post_form_utf8", body=urlencode(report).encode())
    stack.http("mediasms_delivery_webhook", callback)
    path = {"verification_id": started["verification_id"]}
    return load_event("check_verification", "unknown_id", pathParameters=path, body={"code": "314159"})


def a_wrong_code(stack: Deployment, number: int) -> Event:
    return load_event(
        "check_verification",
        "unknown_id",
        pathParameters=a_code(stack, number)["pathParameters"],
        body={"code": "271828"},
    )


def a_cancellation(stack: Deployment, number: int) -> Event:
    started = stack.http("start_verification", a_verification(stack, number)).json
    path = {"verification_id": started["verification_id"]}
    return load_event("cancel_verification", "unknown_id", pathParameters=path)


def a_request_for_later(stack: Deployment, number: int) -> Event:
    send_at = to_rfc3339(datetime.now(UTC) + timedelta(hours=1))
    body = {"to": "09000000001", "text": "はい", "smsid": f"later{number}", "send_at": send_at}
    return load_event("send_sms", "japanese_text", body=body)


def a_scheduled_sms(stack: Deployment, number: int) -> Event:
    answer = stack.http("send_sms", a_request_for_later(stack, number))
    return load_event("cancel_sms", "unknown_id", pathParameters={"smsid": answer.json["smsid"]})


def a_suppression(stack: Deployment, number: int) -> Event:
    return load_event("suppressions", "put", pathParameters={"number": f"+8190000001{number:02d}"})


def an_ivr_call(stack: Deployment, number: int) -> Event:
    started = stack.http("start_verification", a_verification(stack, number)).json
    fields = {"mobilenumber": f"0900000{number:04d}", "ipphone": started["call"], "method": "4"}
    return load_event("mediasms_ivr_webhook", "post_form", body=urlencode(fields).encode())


def a_queued_sms(stack: Deployment, number: int) -> Event:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=503))
    smsid = stack.http("send_sms", an_sms(stack, number)).json["smsid"]
    [record] = load_event("send_queued_sms", "one")["Records"]
    return {"Records": [record | {"body": json.dumps({"smsid": smsid})}]}


def a_call_result(stack: Deployment, number: int) -> Event:
    return load_event("baidu_vms_webhook", "post_form")


def a_report(stack: Deployment, number: int) -> Event:
    report = {"smsid": f"order{number}", "status": "1"}
    return load_event("mediasms_delivery_webhook", "post_form_utf8", body=urlencode(report).encode())


def a_report_alone(stack: Deployment, number: int) -> Event:
    stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))
    assert not is_spooled(stack)
    return a_report(stack, number)


def a_sweep(stack: Deployment, number: int) -> Event:
    """A sweep that finds one spooled report."""
    with pytest.MonkeyPatch.context() as patch:
        LostAnswer(stack.references["StateTable"], 1).watch(patch)
        stack.invoke("mediasms_delivery_webhook", a_report(stack, number))
    assert is_spooled(stack)
    return load_event("sweep_overdue", "schedule")


def is_spooled(stack: Deployment) -> bool:
    return bool(stack.objects("spool"))


def is_recorded(stack: Deployment, answer: object) -> bool:
    return not is_spooled(stack)


SHARDS: Final = 2
"""The shards of the deadlines' index here: a sweep reads each of them in the same way."""

CASES = {
    # The order with its claim, the suppression of the number, and the outcome.
    "an SMS": (Case("send_sms", an_sms, has_status(201)), ["UpdateItem+", "GetItem+", "UpdateItem+"]),
    "a verification": (
        Case("start_verification", a_verification, has_status(201)),
        ["TransactWriteItems+", "GetItem+", "UpdateItem+"],
    ),
    # The outcome is written under the provider's id first.
    "a voice call": (
        Case("place_call", a_voice_call, has_status(201)),
        ["UpdateItem+", "GetItem+", "UpdateItem+", "UpdateItem+"],
    ),
    # The batch's key, the suppression of the number, and the message.
    "a batch": (Case("send_sms_batch", a_batch, contains('"queued"')), ["UpdateItem+", "GetItem+", "UpdateItem+"]),
    # The claim, the suppression of the number, and the outcome.
    "a queued SMS": (
        Case("send_queued_sms", a_queued_sms, lambda _, answer: bool(answer == {"batchItemFailures": []})),
        ["UpdateItem+", "GetItem+", "UpdateItem+"],
    ),
    # The verification, and the success.
    "a code": (Case("check_verification", a_code, has_status(200)), ["GetItem+", "UpdateItem+"]),
    # The verification, and the wrong code, which a repetition may count twice.
    "a wrong code": (Case("check_verification", a_wrong_code, has_status(422)), ["GetItem+", "UpdateItem-"]),
    # The verification, the cancellation, and the lease.
    "a cancellation": (
        Case("cancel_verification", a_cancellation, has_status(200)),
        ["GetItem+", "UpdateItem+", "UpdateItem+"],
    ),
    # The suppression of the number, and the message.
    "a scheduled SMS": (Case("send_sms", a_request_for_later, has_status(202)), ["GetItem+", "UpdateItem+"]),
    "a cancellation of an SMS": (Case("cancel_sms", a_scheduled_sms, has_status(200)), ["GetItem+", "UpdateItem+"]),
    # The suppression before, which tells if it is new, and the suppression.
    "a suppression": (Case("suppressions", a_suppression, has_status(201)), ["GetItem+", "UpdateItem+"]),
    # The lease, the call, and the lease again, which may stay as it is.
    "an IVR call": (
        Case("mediasms_ivr_webhook", an_ivr_call, is_recorded),
        ["GetItem+", "UpdateItem+", "GetItem+", "UpdateItem+"],
    ),
    "a call result": (Case("baidu_vms_webhook", a_call_result, is_recorded), ["UpdateItem+"]),
    # An orphan, after the refused write into its item. It is spooled after the first failure.
    "a delivery report": (
        Case("mediasms_delivery_webhook", a_report_alone, is_recorded),
        ["UpdateItem-", "UpdateItem-"],
    ),
    # The spooled orphan, the overdue orders of each kind by shards (verifications have further channels), what is owed
    # to subscribers by shards, the overdue recordings and transcriptions, and the parked recordings of each reason:
    # those that have waited for too long, and the newest. All wait for the next sweep.
    "a sweep": (
        Case("sweep_overdue", a_sweep, lambda _, answer: answer is not None),
        ["UpdateItem+", "UpdateItem+", *["Query-"] * (5 * SHARDS + 8)],
    ),
}


@pytest.mark.parametrize(("case", "expected"), CASES.values(), ids=CASES)
def test_one_lost_answer_of_the_state_table(
    stack: Deployment, monkeypatch: pytest.MonkeyPatch, case: Case, expected: list[str]
) -> None:
    monkeypatch.setattr("switchboard.storage.items.DUE_SHARDS", SHARDS)
    assert mark_calls(stack, case) == expected


def test_one_lost_answer_of_the_limits_table(stack: Deployment) -> None:
    """The API key is read again and usage is counted once more; a slot is not reserved twice."""
    marks = mark_calls(stack, Case("send_sms", an_sms, has_status(201)), table="LimitsTable")
    assert marks[:5] == ["GetItem+", "UpdateItem+", "UpdateItem+", "UpdateItem+", "UpdateItem-"]


def test_one_lost_answer_of_the_counter_of_wrong_codes(stack: Deployment) -> None:
    """The look at the limit is repeated. A wrong code may be counted, and its caller does not learn of it."""
    assert mark_calls(stack, Case("check_verification", a_code, has_status(200)), table="LimitsTable") == [
        "GetItem+",
        "UpdateItem+",
    ]
    wrong = Case("check_verification", a_wrong_code, has_status(422))
    assert mark_calls(stack, wrong, table="LimitsTable") == ["GetItem+", "UpdateItem-"]
