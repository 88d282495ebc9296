"""`POST /v1/calls` and the call's results, through the handlers and a simulated Baidu VMS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.simulators.baidu_vms.faults import Fault, FaultKind
from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import Event, load_event, of_client, with_query

VALID: dict[str, Any] = {"to": "138-0000-0001", "template_id": "123", "variables": {"name": "a", "number": "1"}}


def place(stack: Deployment, key: str | None = None, **members: Any) -> HttpAnswer:
    event = load_event("place_call", "chinese_text", body={**VALID, **members})
    return stack.http("place_call", event if key is None else with_key(event, key))


def with_key(event: Event, key: str) -> Event:
    return event | {"headers": {**event["headers"], "Idempotency-Key": key}}


def query(stack: Deployment, call_id: str, *, client: str | None = None) -> HttpAnswer:
    event = load_event("query", "unknown_call", pathParameters={"call_id": call_id})
    return stack.http("query", event if client is None else of_client(event, client))


def call_back(stack: Deployment, call_id: str, result: str = "answered") -> HttpAnswer:
    body = {"callId": call_id, "result": result}
    return stack.http("baidu_vms_webhook", load_event("baidu_vms_webhook", "post_json", body=body))


def test_a_call_is_found_by_the_providers_id_and_by_the_token(stack: Deployment) -> None:
    placed = place(stack).json

    assert (placed["state"], placed["show_number"]) == ("accepted", "12345678")
    assert [placed["call_id"]] == [call.call_id for call in stack.baidu_vms.calls]
    assert query(stack, placed["call_id"]).json == query(stack, placed["token"]).json == placed
    assert stack.baidu_vms.calls[0].client_token == placed["token"]


def test_another_client_finds_a_call_by_neither_id_nor_token(stack: Deployment) -> None:
    placed = place(stack).json

    assert {query(stack, placed[name], client="other").status for name in ("call_id", "token")} == {404}


def test_a_repeated_key_is_one_call_and_refuses_another_body(stack: Deployment) -> None:
    first, again = place(stack, "notice-1"), place(stack, "notice-1")
    other = place(stack, "notice-1", variables={"name": "b", "number": "1"})

    assert (again.status, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.json == first.json
    assert len(first.json["token"]) == 40
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert len(stack.baidu_vms.calls) == 1


@pytest.mark.parametrize(
    ("members", "status", "code", "provider_code"),
    [
        pytest.param(
            {"template_id": "999"}, 422, "provider_rejected", "RequestFailed", id="RequestFailed: no such template"
        ),
        pytest.param({"template_id": "200"}, 422, "provider_rejected", "VerifyFailed", id="VerifyFailed"),
        pytest.param(
            {"variables": {"name": "a"}},
            422,
            "provider_rejected",
            "RequestFailed",
            id="RequestFailed: a variable is missing",
        ),
        pytest.param({"to": "13800000213"}, 422, "provider_rejected", "IllegalNumber", id="IllegalNumber"),
        pytest.param({"to": "13800000212"}, 429, "provider_busy", "QueueFull", id="QueueFull"),
        pytest.param({"to": "13800000211"}, 502, "provider_configuration", "ExceedLimit", id="ExceedLimit"),
        pytest.param({"to": "13800000100"}, 502, "provider_configuration", "QualifyNotPass", id="QualifyNotPass"),
    ],
)
def test_a_refusal_has_the_contracts_answer_and_baidus_code(
    stack: Deployment, members: dict[str, Any], status: int, code: str, provider_code: str
) -> None:
    answer = place(stack, **members)

    assert (answer.status, answer.code, answer.json["provider_code"]) == (status, code, provider_code)
    assert answer.json["provider_request_id"]
    assert answer.json["token"]
    assert ("Retry-After" in answer.headers) == (status == 429)
    assert stack.baidu_vms.calls == ()


def test_a_repeated_key_repeats_the_refusal_without_a_request(stack: Deployment) -> None:
    first, again = (place(stack, "notice-1", template_id="999") for _ in range(2))

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    assert len(stack.baidu_vms.requests) == 1


def test_after_a_full_queue_the_same_key_is_sent_with_the_same_token(stack: Deployment) -> None:
    stack.baidu_vms.provider.add_fault(Fault(kind=FaultKind.ANSWER, code="QueueFull"))
    first, again = place(stack, "notice-1"), place(stack, "notice-1")

    assert (first.status, again.status) == (429, 201)
    assert (again.json["token"], again.json["attempts"]) == (first.json["token"], 2)
    assert len({request.client_token for request in stack.baidu_vms.requests}) == 1


def test_a_wrong_secret_opens_the_circuit_after_two_refusals(stack: Deployment) -> None:
    stack.put_secret("BaiduVmsSecret", {"ak": "wrong", "sk": "wrong"})
    stack.cold_start()
    answers = [place(stack) for _ in range(3)]

    assert [(answer.status, answer.json.get("provider_code")) for answer in answers[:2]] == [
        (502, "InvalidAccessKeyId")
    ] * 2
    assert (answers[2].status, answers[2].code) == (503, "provider_locked_out")
    assert len(stack.baidu_vms.requests) == 2


@pytest.mark.parametrize("number", ["13800000005", "13800000006", "13800000008", "13800000010"])
def test_a_call_with_a_lost_answer_is_unknown_and_never_sent_again(stack: Deployment, number: str) -> None:
    first, again = (place(stack, "notice-1", to=number) for _ in range(2))

    assert (first.status, first.json["state"], first.json["final"]) == (202, "unknown", True)
    assert first.json["call_id"] is None
    assert again.json == first.json
    assert len(stack.baidu_vms.calls) == 1


def test_a_lost_answer_is_repeated_if_the_client_token_is_relied_on() -> None:
    with deployed(BaiduVmsRelyOnClientToken="true") as stack:
        stack.baidu_vms.provider.add_fault(Fault(kind=FaultKind.ACCEPT_THEN_DROP))
        answer = place(stack)

        assert (answer.status, answer.json["state"]) == (201, "accepted")
        assert len(stack.baidu_vms.requests) == 2
        assert len(stack.baidu_vms.calls) == 1


def test_a_call_without_a_date_in_the_answer_is_unknown_and_found_by_its_id(stack: Deployment) -> None:
    stack.baidu_vms.provider.configure({"empty_date_create": True})
    answer, again = place(stack, "notice-1"), place(stack, "notice-1")

    assert (answer.status, again.status) == (202, 202)
    assert [answer.json[name] for name in ("state", "placed_at", "provider_code")] == ["unknown", None, None]
    assert [answer.json["call_id"]] == [call.call_id for call in stack.baidu_vms.calls]
    assert call_back(stack, answer.json["call_id"]).status == 200
    found = query(stack, answer.json["call_id"]).json
    assert (found["state"], [report["result"] for report in found["reports"]]) == ("unknown", ["answered"])


def test_a_200_that_means_no_call_is_unknown(stack: Deployment) -> None:
    answer = place(stack, to="138-0000-0012")

    assert (answer.status, answer.json["state"]) == (202, "unknown")
    assert not stack.baidu_vms.calls
    assert len(stack.baidu_vms.requests) == 1


def test_a_result_keeps_the_providers_words_and_changes_no_state(stack: Deployment) -> None:
    placed = place(stack).json
    for result in ("answered", "answered", "呼损"):
        assert call_back(stack, placed["call_id"], result).status == 200

    view = query(stack, placed["token"]).json

    assert [report["result"] for report in view["reports"]] == ["answered", "呼损"]
    assert (view["state"], view["final"], view["callback_expected"]) == ("accepted", False, True)
    items = stack.http("query", load_event("query", "list_calls")).json["items"]
    assert items == [view]


def test_a_result_of_an_unknown_call_is_unmatched(stack: Deployment) -> None:
    stack.baidu_vms.provider.configure({"callback_url": None})
    first = place(stack).json
    assert call_back(stack, "not-yet-ours").status == 200

    names = [name for name, _ in stack.metrics()]

    assert names.count("CallResultsUnmatched") == 1
    assert query(stack, "not-yet-ours").status == 404
    assert query(stack, first["token"]).json["reports"] == []


def test_every_callback_is_kept_raw_without_the_token(stack: Deployment) -> None:
    call_back(stack, "c1")
    stack.http("baidu_vms_webhook", load_event("baidu_vms_webhook", "broken_json"))

    callbacks = stack.objects("quarantine/baidu_vms/")

    assert len(callbacks) == 2
    assert "a-webhook-token" not in json.dumps(callbacks)


def test_without_callbacks_an_accepted_call_is_final() -> None:
    with deployed(BaiduVmsCallbackCallIdNames="", BaiduVmsCallbackResultNames="") as stack:
        placed = place(stack).json

        assert (placed["state"], placed["final"], placed["callback_expected"]) == ("accepted", True, False)
        assert [row for row in stack.rows() if "pending" in row] == []
        # A callback that comes all the same is kept for an operator.
        assert call_back(stack, placed["call_id"]).status == 200
        assert len(stack.objects("quarantine/baidu_vms/")) == 1


def test_calls_and_messages_share_the_limit_of_a_number() -> None:
    with deployed(RecipientLimitPerMinute="1", BaiduVmsPrefixes="+81,+86") as stack:
        first = stack.http("send_sms", load_event("send_sms", "japanese_text"))
        call = place(stack, to="+81 90 0000 0001")

        assert (first.status, call.status, call.code) == (201, 429, "recipient_limit")


def test_a_calls_variables_are_kept_only_while_it_may_be_repeated(stack: Deployment) -> None:
    place(stack, "decided", variables={"name": "canary-1", "number": "1"})
    stack.baidu_vms.provider.add_fault(Fault(kind=FaultKind.ANSWER, code="QueueFull"))
    place(stack, "open", variables={"name": "canary-2", "number": "1"})

    stored = json.dumps(stack.rows(), ensure_ascii=False)

    assert ("canary-1" in stored, "canary-2" in stored) == (False, True)


def test_lists_are_filtered_by_number_and_state(stack: Deployment) -> None:
    place(stack)
    place(stack, to="13800000005")
    base = load_event("query", "list_calls")

    def numbers(*params: tuple[str, str]) -> list[str]:
        items = stack.http("query", with_query(base, *params)).json["items"]
        return [item["to"] for item in items]

    assert numbers(("to", "13800000001")) == ["+8613800000001"]
    assert numbers(("state", "unknown")) == ["+8613800000005"]
    assert numbers() == ["+8613800000005", "+8613800000001"]


def test_a_calls_limits_and_deadline_are_on_the_status_page(stack: Deployment) -> None:
    place(stack)
    status = stack.http("query_status", load_event("query_status", "status")).json

    assert status["providers"]["baidu_vms"]["in_flight_limit"] == 5
    assert status["oldest_pending_deadline"] is not None
