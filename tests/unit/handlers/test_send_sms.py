"""`POST /v1/sms` through its handler: what reaches the provider, and what the caller reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import Event, load_event, of_client, with_headers

BODY = {"to": "090-0000-0001", "text": "認証コード 000000"}


def sms(*, key: str | None = None, client: str | None = None, **members: Any) -> Event:
    event = load_event("send_sms", "japanese_text", body={**BODY, **members})
    if key is not None:
        event = with_headers(event, {"Idempotency-Key": key})
    return event if client is None else of_client(event, client)


def send(stack: Deployment, event: Event) -> HttpAnswer:
    return stack.http("send_sms", event)


def test_an_accepted_message_arrives_once_and_has_the_contracts_fields(stack: Deployment) -> None:
    answer = send(stack, load_event("send_sms", "japanese_text"))

    assert answer.status == 201
    assert answer.headers["Location"] == "/v1/sms/order1001"
    message = answer.json
    assert message.pop("created_at") <= message.pop("updated_at")
    assert message == {
        "smsid": "order1001",
        "to": "+819000000001",
        "state": "accepted",
        "final": False,
        "billable": False,
        "provider": "mediasms",
        "provider_code": "200",
        "problem": None,
        "reports": [],
        "evidence": [],
        "text": {"characters": 20, "bytes_sjis": 33, "parts": 1},
        "reference": None,
        "attempts": 1,
        "send_at": None,
        "not_after": None,
        "sequence": 3,
        "test": False,
    }
    [received] = stack.simulator.messages
    assert (received.number, received.smsid) == ("09000000001", "order1001")
    assert received.received_by_phone == "ご予約を承りました。11月22日 12時"
    assert received.wants_reports


def test_a_reference_is_returned_and_no_provider_receives_it(stack: Deployment) -> None:
    body = {"to": "09000000001", "text": "はい", "smsid": "order1", "reference": "春の案内 7"}

    answer = send(stack, load_event("send_sms", "japanese_text", body=body))

    assert (answer.status, answer.json["reference"]) == (201, "春の案内 7")
    [received] = stack.simulator.messages
    assert "春の案内 7" not in str(received.parameters)


def test_a_template_is_sent_by_its_number_and_not_measured(stack: Deployment) -> None:
    answer = send(stack, load_event("send_sms", "template"))

    assert answer.json["text"] is None
    [received] = stack.simulator.messages
    assert received.parameters["smstextid"] == "1"
    assert received.parameters["smstitle"] == "Acme2026"
    assert received.parameters["mobilecareer"] == "1"


def test_a_repeated_key_and_body_give_the_same_message(stack: Deployment) -> None:
    first, again = send(stack, sms(key="k1")), send(stack, sms(key="k1"))

    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status, again.json) == (201, first.json)
    assert len(stack.simulator.requests) == 1


def test_a_key_is_remembered_across_containers(stack: Deployment) -> None:
    first = send(stack, sms(key="k1"))
    stack.cold_start()

    assert send(stack, sms(key="k1")).json == first.json
    assert len(stack.simulator.requests) == 1


def test_a_number_in_another_spelling_is_the_same_request(stack: Deployment) -> None:
    first = send(stack, sms(key="k1", to="090-0000-0001"))
    again = send(stack, sms(key="k1", to="+81 90 0000 0001"))

    assert again.json["smsid"] == first.json["smsid"]
    assert len(stack.simulator.requests) == 1


@pytest.mark.parametrize(
    "other",
    [{"text": "認証コード 999999"}, {"to": "09000000002"}, {"carrier": "au"}, {"sender": "Acme2026"}],
    ids=["text", "to", "carrier", "sender"],
)
def test_a_repeated_key_with_another_body_is_refused(stack: Deployment, other: dict[str, str]) -> None:
    send(stack, sms(key="k1"))

    answer = send(stack, sms(key="k1", **other))

    assert (answer.status, answer.code) == (422, "idempotency_key_reused")
    assert len(stack.simulator.requests) == 1


def test_a_key_belongs_to_the_api_key_that_used_it(stack: Deployment) -> None:
    ours, theirs = send(stack, sms(key="k1", client="ours")), send(stack, sms(key="k1", client="theirs"))

    assert (ours.status, theirs.status) == (201, 201)
    assert ours.json["smsid"] != theirs.json["smsid"]
    assert len(stack.simulator.requests) == 2


def test_an_id_of_another_client_is_refused_without_its_message(stack: Deployment) -> None:
    send(stack, sms(smsid="order1", client="theirs"))

    answer = send(stack, sms(smsid="order1", client="ours"))

    assert (answer.status, answer.code) == (409, "smsid_taken")
    assert "to" not in answer.json
    assert len(stack.simulator.requests) == 1


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="empty"),
        pytest.param("k" * 65, id="65 letters"),
        pytest.param("with space", id="blank"),
        pytest.param("ключ", id="no ASCII"),
        pytest.param("tab\t", id="tab"),
        pytest.param("\x7f", id="DEL"),
    ],
)
def test_a_key_other_than_1_to_64_visible_ascii_characters_is_refused(stack: Deployment, key: str) -> None:
    answer = send(stack, sms(key=key))

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert answer.json["errors"][0]["field"] == "Idempotency-Key"
    assert stack.simulator.requests == ()


def test_a_dry_run_returns_the_preflight_and_leaves_no_trace(stack: Deployment) -> None:
    answer = send(stack, load_event("send_sms", "dry_run"))

    assert answer.status == 200
    assert set(answer.json) == {"characters", "bytes_sjis", "parts", "limit", "fits", "carriers", "problems"}
    [problem] = answer.json["problems"]
    assert (problem["character"], problem["position"]) == ("①", 0)
    assert answer.json["fits"] is False
    assert stack.simulator.requests == ()
    assert not [*stack.rows("StateTable"), *stack.rows("LimitsTable"), *stack.queued()]


@pytest.mark.parametrize(
    "case", ["bad_number", "text_and_template", "text_too_long", "unknown_field", "past_not_after", "no_api_key"]
)
def test_a_refused_request_leaves_no_trace(stack: Deployment, case: str) -> None:
    send(stack, load_event("send_sms", case))

    assert stack.simulator.requests == ()
    assert not [*stack.rows("StateTable"), *stack.rows("LimitsTable"), *stack.queued()]


@pytest.mark.parametrize(
    ("members", "fields"),
    [
        pytest.param({"to": "110"}, {"to"}, id="emergency number"),
        pytest.param({"text": "了解😀"}, {"text"}, id="emoji"),
        pytest.param({"text": 5}, {"text"}, id="text: a number"),
        pytest.param({"to": None}, {"to"}, id="to: null"),
        pytest.param({"template_id": "1"}, {"template_id"}, id="text and template"),
        pytest.param({"carrier": "nttdata"}, {"carrier"}, id="unknown carrier"),
        pytest.param({"sender": "!"}, {"sender"}, id="invalid sender"),
        pytest.param({"smsid": "with-hyphen"}, {"smsid"}, id="smsid with a hyphen"),
        pytest.param({"dry_run": "yes"}, {"dry_run"}, id="dry_run: a text"),
        pytest.param({"not_after": "tomorrow"}, {"not_after"}, id="not_after: a word"),
        pytest.param({"not_after": "2026-11-22T03:04:05"}, {"not_after"}, id="not_after: no zone"),
        pytest.param({"a": 1, "b": 2}, {"a", "b"}, id="unknown members"),
        pytest.param({"template_id": 10**30, "text": None}, {"template_id"}, id="template of 31 digits"),
        pytest.param({"template_id": True, "text": None}, {"template_id"}, id="template: a boolean"),
    ],
)
def test_every_invalid_field_is_named(stack: Deployment, members: dict[str, Any], fields: set[str]) -> None:
    answer = send(stack, sms(**members))

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert {problem["field"] for problem in answer.json["errors"]} == fields
    assert all(problem["message"] and problem["code"] for problem in answer.json["errors"])


def test_a_body_larger_than_any_sms_is_too_large(stack: Deployment) -> None:
    answer = send(stack, load_event("send_sms", "japanese_text", body=b"{" + b" " * 70_000))

    assert (answer.status, answer.code) == (413, "payload_too_large")


def test_a_repeated_key_repeats_the_providers_refusal(stack: Deployment) -> None:
    event = sms(key="k1", text=None, template_id="404")

    first, again = send(stack, event), send(stack, event)

    assert (first.status, first.code, first.json["provider_code"]) == (422, "provider_rejected", "550")
    assert first.json["smsid"]
    assert (again.status, again.json) == (first.status, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(stack.simulator.requests) == 1


@pytest.mark.parametrize("code", [401, 402, 555, 557])
def test_a_refusal_of_our_account_or_address_is_our_configuration(stack: Deployment, code: int) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=code))

    answer = send(stack, sms())

    assert (answer.status, answer.code, answer.json["provider_code"]) == (502, "provider_configuration", str(code))
    dimensions = frozenset({("service", "switchboard"), ("provider", "mediasms")})
    assert ("ProviderConfigurationRefused", dimensions) in stack.metrics()


def test_after_a_block_no_request_reaches_the_provider(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=557))
    send(stack, sms())

    answer = send(stack, sms())

    assert (answer.status, answer.code) == (503, "provider_locked_out")
    assert int(answer.headers["Retry-After"]) > 0
    assert len(stack.simulator.requests) == 1


def test_an_unreachable_provider_may_be_tried_again_with_the_same_key() -> None:
    with deployed(MediaSmsBaseUrl="http://127.0.0.1:9/sms/api/") as unreachable:
        answer = send(unreachable, sms(key="k1"))

        assert (answer.status, answer.code) == (503, "provider_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "Idempotent-Replayed" not in send(unreachable, sms(key="k1")).headers


@pytest.mark.parametrize(
    "body", ["", "<h1>ただいまメンテナンス中です</h1>", "<form>Login<input></form>", "200 OK", "<p>200 queued</p>"]
)
def test_a_200_without_the_bare_code_is_unknown_without_a_code(stack: Deployment, body: str) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.GARBAGE, body=body))

    first, again = send(stack, sms(key="k1")), send(stack, sms(key="k1"))

    assert [(answer.status, answer.json["state"]) for answer in (first, again)] == [(202, "unknown")] * 2
    assert first.json["provider_code"] is None
    assert len(stack.simulator.requests) == 1


@pytest.mark.parametrize("body", ["ERROR:{code}", '{"code":{code},"message":"NG"}', "<h1>Error {code}</h1><p>NG</p>"])
def test_a_wrapped_refusal_is_that_refusal(stack: Deployment, body: str) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.WRAP, code=560, body=body))

    answer = send(stack, sms())

    assert (answer.status, answer.code, answer.json["provider_code"]) == (422, "provider_rejected", "560")


@pytest.mark.parametrize(
    ("body", "status"), [("<p>ERROR:{code}</p>", 502), ("<h1>{code}</h1><p>nginx/1.27.3</p>", 202)]
)
def test_three_wrapped_401s_open_the_circuit(stack: Deployment, body: str, status: int) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.WRAP, code=401, body=body, times=3))

    assert [send(stack, sms()).status for _ in range(3)] == [status] * 3
    assert send(stack, sms()).code == "provider_locked_out"
    assert len(stack.simulator.requests) == 3


def test_provisional_answers_are_read_past(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.PROVISIONAL, count=3))

    assert (send(stack, sms()).json["state"], len(stack.simulator.messages)) == ("accepted", 1)


def test_a_message_with_a_lost_answer_is_unknown_and_not_sent_again(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ACCEPT_THEN_DROP))

    first, again = send(stack, sms(key="k1")), send(stack, sms(key="k1"))

    assert (first.status, first.json["state"]) == (202, "unknown")
    assert (again.status, again.json["state"]) == (202, "unknown")
    assert len(stack.simulator.requests) == 1


def test_a_message_beyond_the_rate_limit_is_queued_by_its_id(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=503))

    answer = send(stack, sms(smsid="order1001"))

    assert (answer.status, answer.json["state"]) == (202, "queued")
    assert [json.loads(body)["smsid"] for body in stack.queued()] == ["order1001"]


def test_the_long_text_option_lets_long_texts_pass() -> None:
    with deployed(LongSms="true") as stack:
        stack.simulator.provider.configure({"long_sms": True})

        answer = send(stack, sms(text="あ" * 200))

        assert answer.status == 201
        [received] = stack.simulator.messages
        assert received.received_by_phone == "あ" * 200


def test_a_table_that_is_down_is_service_unavailable_and_sends_nothing(stack: Deployment) -> None:
    stack.lose_table()

    answer = send(stack, sms(key="k1"))

    assert (answer.status, answer.code) == (503, "service_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert stack.simulator.requests == ()


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param({"user": "acme-user"}, id="no password"),
        pytest.param({"password": "hidden-in-a-secret"}, id="no user"),
        pytest.param(["hidden-in-a-secret"], id="list"),
        pytest.param("hidden-in-a-secret", id="no JSON"),
    ],
)
def test_an_unreadable_secret_is_an_error_in_the_log_without_its_value(stack: Deployment, secret: object) -> None:
    stack.put_secret("MediaSmsSecret", secret)

    answer = send(stack, sms())

    assert (answer.status, answer.code) == (500, "internal_error")
    assert [line["error"] for line in stack.logged() if line.get("level") == "ERROR"] == ["ConfigurationError"]
    assert "hidden-in-a-secret" not in answer.body + stack.output.getvalue()
    assert stack.simulator.requests == ()


def test_a_key_whose_request_met_an_unreadable_secret_may_be_repeated(stack: Deployment) -> None:
    stack.put_secret("MediaSmsSecret", {"user": "acme-user"})
    send(stack, sms(key="k1"))
    stack.put_secret("MediaSmsSecret", {"user": "acme-user", "password": "a-password-that-opens-nothing-real"})
    stack.cold_start()

    assert send(stack, sms(key="k1")).json["state"] == "accepted"
