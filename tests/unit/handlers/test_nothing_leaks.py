"""Secrets, numbers and texts appear in no log line, no metric and no other caller's answer."""

from __future__ import annotations

import base64
import json
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus, urlencode

import pytest

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from tests.deployment import WEBHOOK_SECRETS, Deployment
from tests.events import Event, cases_of, load_event, with_headers, with_query
from tests.translated_template import function_folders

NUMBER: Final = "090-0000-7351"
CANARIES: Final[Mapping[str, str]] = {
    "number": "00007351",
    "number in E.164": "+819000007351",
    "number in national form": "09000007351",
    "text": "暗証カナリア七三五一",
    "text for au": "秘密ｶﾅﾘｱ7351",
    "sender": "Canary7351",
    "webhook token": "canary-token-7351",
    "user": "canary-user-7351",
    "password": "canary-password-7351",
    "authcode": "canarycode7351",
    "api key": "canary-api-key-7351",
    "idempotency key": "canary-idempotency-7351",
    "other header": "canary-header-7351",
    "unknown member": "canary-member-7351",
    "body": "canary-body-7351",
    "called number": "13800007351",
    "variable": "伝言canary値7351",
    "access key": "canaryAccessKey7351",
    "secret key": "canarySecretKey7351",
    "unknown smsid": "CanarySmsid7351",
    "unknown call id": "canary-call-id-7351",
    "unknown recording id": "canary-recording-7351",
}


def spellings(text: str) -> Iterator[str]:
    """Yield the forms of a text in a log: plain, URL-encoded, in JSON, in base64 at any offset, in Shift_JIS."""
    yield text
    yield json.dumps(text)[1:-1]
    yield repr(text)[1:-1]
    for encoding in ("utf-8", "cp932"):
        raw = text.encode(encoding)
        yield from (quote(raw), quote_plus(raw), quote(raw).lower(), raw.hex(), str(raw)[2:-1])
        for offset in range(3):
            # The characters at both ends also depend on the neighbouring bytes: they are cut off.
            encoded = base64.b64encode(b"\0" * offset + raw).decode()[-(-offset * 8 // 6) :]
            yield encoded[: len(raw) * 8 // 6 - 1]


def find_leaks(output: str, *, ignored: frozenset[str] = frozenset()) -> dict[str, str]:
    return {
        name: spelling
        for name, canary in CANARIES.items()
        if name not in ignored
        for spelling in spellings(canary)
        if spelling in output
    }


@pytest.fixture
def guarded(stack: Deployment) -> Deployment:
    """Build a stack whose secrets are canaries too."""
    secret = {"user": CANARIES["user"], "password": CANARIES["password"]}
    stack.put_secret("MediaSmsSecret", secret)
    stack.simulator.provider.set_credentials(**secret)
    for tokens_secret in WEBHOOK_SECRETS.values():
        stack.put_secret(tokens_secret, {"tokens": [CANARIES["webhook token"]]})
    keys = {"access_key": CANARIES["access key"], "secret_key": CANARIES["secret key"]}
    stack.put_secret("BaiduVmsSecret", {"ak": keys["access_key"], "sk": keys["secret_key"]})
    stack.baidu_vms.provider.set_credentials(**keys)
    return stack


def with_canaries(event: Event) -> Event:
    """Put canaries wherever a sender or the gateway may put something."""
    if "Records" in event or "detail-type" in event:
        return event
    headers = {"Idempotency-Key": CANARIES["idempotency key"], "X-Other": CANARIES["other header"]}
    event = with_headers(event, {**headers, "x-api-key": CANARIES["api key"]})
    context = event["requestContext"]
    identity = {**context["identity"], "apiKey": CANARIES["api key"]}
    event = event | {"requestContext": {**context, "identity": identity}}
    if event["pathParameters"] and "token" in event["pathParameters"]:
        token = CANARIES["webhook token"]
        path = event["resource"].replace("{token}", token)
        event = event | {"pathParameters": {"token": token}, "path": path}
    text = json.dumps(event, ensure_ascii=False).replace("09000000001", "09000007351").replace("090-0000-0001", NUMBER)
    text = text.replace("13800000001", "13800007351").replace("138-0000-0001", "138-0000-7351")
    replaced: Event = json.loads(text)
    return replaced


def send_requests() -> Iterator[Event]:
    """Yield requests to send, valid and invalid, with a canary in every member."""
    valid: dict[str, Any] = {"to": NUMBER, "text": CANARIES["text"], "sender": CANARIES["sender"]}
    yield from (
        load_event("send_sms", "japanese_text", body=body)
        for body in (
            {**valid},
            {**valid, "text_au": CANARIES["text for au"], "carrier": "au"},
            {**valid, "sender": CANARIES["sender"] + "!"},
            {**valid, "to": [NUMBER]},
            {**valid, "text": [CANARIES["text"]]},
            {**valid, "text": CANARIES["text"] + "😀"},
            {**valid, "text": CANARIES["text"] * 10},
            {**valid, "dry_run": True},
            {**valid, CANARIES["unknown member"]: CANARIES["unknown member"]},
            {**valid, "smsid": CANARIES["unknown member"]},
            {**valid, "carrier": CANARIES["unknown member"]},
            {**valid, "not_after": CANARIES["unknown member"]},
            {**valid, "template_id": "1"},
            {**valid, "to": NUMBER + "0"},
        )
    )
    broken = f'{{"to": "{NUMBER}", "text": "{CANARIES["text"]}", "{CANARIES["body"]}": '
    yield load_event("send_sms", "japanese_text", body=broken.encode())
    yield load_event("send_sms", "japanese_text", body=broken.encode("cp932"))


def delivery_reports() -> Iterator[Event]:
    """Yield delivery reports, readable and unreadable, with canaries in the parameters."""
    report = {"smsid": "order1001", "status": "1", "mobilenumber": NUMBER, "authcode": CANARIES["authcode"]}
    base = load_event("mediasms_delivery_webhook", "post_form_utf8")
    yield with_query(base | {"body": None}, *report.items())
    for body in (
        urlencode({**report, "smstext": CANARIES["text"]}).encode(),
        urlencode({**report, "smstext": CANARIES["text"]}, encoding="cp932").encode(),
        json.dumps({**report, "smsid": CANARIES["body"]}).encode(),
        json.dumps({**report, "status": CANARIES["body"]}).encode(),
        json.dumps({**report, "nested": [CANARIES["body"]]}).encode(),
        CANARIES["text"].encode("cp932") + b"\x81",
        CANARIES["body"].encode() * 6_000,
    ):
        yield load_event("mediasms_delivery_webhook", "post_form_utf8", body=body)


def queries() -> Iterator[Event]:
    """Yield requests to query, with canaries in the parameters."""
    base = load_event("query", "list")
    yield with_query(base, ("to", NUMBER))
    yield with_query(base, ("to", NUMBER + "0"))
    for name in ("state", "since", "limit", "cursor", CANARIES["unknown member"]):
        yield with_query(base, (name, CANARIES["body"]))
    yield load_event("query", "one", pathParameters={"smsid": CANARIES["body"]})


def verification_events() -> Iterator[tuple[str, Iterator[Event]]]:
    """Yield starts, codes and IVR calls, with canaries in them."""
    start = {"to": NUMBER, "mode": "sms_and_call_in", "text": CANARIES["text"]}
    starts: list[dict[str, str]] = [
        {},
        {"to": NUMBER + "0"},
        {"line": NUMBER},
        {"text": CANARIES["text"] + "😀"},
        {"mode": CANARIES["body"]},
    ]
    yield (
        "start_verification",
        (load_event("start_verification", "call_in", body={**start, **members}) for members in starts),
    )
    codes: tuple[object, ...] = (CANARIES["authcode"], [CANARIES["authcode"]], CANARIES["authcode"] * 9)
    yield "check_verification", (load_event("check_verification", "unknown_id", body={"code": code}) for code in codes)
    ivr_call = {"mobilenumber": NUMBER, "ipphone": "05000000001", "method": "2", "smstext": CANARIES["text"]}
    ivr_calls: list[dict[str, str]] = [
        {},
        {"method": CANARIES["body"]},
        {"ipphone": NUMBER},
        {"smsid": CANARIES["body"]},
    ]
    yield (
        "mediasms_ivr_webhook",
        (
            load_event("mediasms_ivr_webhook", "post_form", body=urlencode({**ivr_call, **params}).encode())
            for params in ivr_calls
        ),
    )


def call_requests() -> Iterator[Event]:
    """Yield requests to call, valid and invalid, with a canary in every member."""
    valid: dict[str, Any] = {
        "to": CANARIES["called number"],
        "template_id": "123",
        "variables": {"name": CANARIES["variable"], "number": "1"},
    }
    yield from (
        load_event("place_call", "chinese_text", body=body)
        for body in (
            valid,
            {**valid, "template_id": "999"},
            {**valid, "variables": {"name": CANARIES["variable"] + "&", "number": "1"}},
            {**valid, "variables": {"name": [CANARIES["variable"]]}},
            {**valid, "variables": {CANARIES["variable"] + " ": "1"}},
            {**valid, "to": CANARIES["called number"] + "0"},
            {**valid, "to": [CANARIES["called number"]]},
            {**valid, "template_id": CANARIES["variable"]},
            {**valid, "show_number": CANARIES["variable"]},
        )
    )


def call_results() -> Iterator[Event]:
    """Yield call results, readable and unreadable, with canaries in the parameters."""
    for body in (
        {"callId": "c1", "result": "answered", "number": CANARIES["called number"]},
        {"callId": CANARIES["variable"], "result": "answered"},
        {"callId": "c1", "result": [CANARIES["variable"]]},
        {"phone": CANARIES["called number"]},
    ):
        yield load_event("baidu_vms_webhook", "post_json", body=body)


def callbacks_about_unknown_items() -> Iterator[tuple[str, Event]]:
    """Yield readable callbacks whose ids name no item of ours, by query, form and JSON: an id is a sender's text."""
    report = {"smsid": CANARIES["unknown smsid"], "status": "1", "mobilenumber": NUMBER}
    ivr_call = {"mobilenumber": NUMBER, "ipphone": "05000000001", "method": "4"}
    samples: list[tuple[str, dict[str, str]]] = [
        ("mediasms_delivery_webhook", report),
        ("mediasms_delivery_webhook", {**report, "smsid": "09000007351"}),
        ("mediasms_delivery_webhook", {**report, "status": "999"}),
        ("mediasms_delivery_webhook", {**report, "authcode": "7351"}),
        ("mediasms_ivr_webhook", {**ivr_call, "smsid": CANARIES["unknown smsid"]}),
        ("mediasms_ivr_webhook", {**ivr_call, "smsid": "09000007351"}),
        ("baidu_vms_webhook", {"callId": CANARIES["unknown call id"], "result": "answered"}),
        ("baidu_vms_webhook", {"callId": "13800007351", "result": CANARIES["unknown call id"]}),
        ("biztel_call_action_webhook", {"ID": CANARIES["unknown recording id"], "TEL": NUMBER, "DATE": ""}),
        ("biztel_call_action_webhook", {"ID": "09000007351", "TEL": "", "DATE": ""}),
    ]
    for function, params in samples:
        query = load_event(function, "get_query")
        form = "post_form_utf8" if function == "mediasms_delivery_webhook" else "post_form"
        yield function, with_query(query, *params.items())
        yield function, load_event(function, form, body=urlencode(params).encode())
        yield function, load_event(function, "post_json", body=params)
    for recording_id in (CANARIES["unknown recording id"], "09000007351"):
        entry = load_event("fetch_recording", "requeued")
        entry["Records"][0]["body"] = json.dumps({"recording_id": recording_id})
        yield "fetch_recording", entry


def all_events() -> Iterator[tuple[str, Event]]:
    """Yield function and event: every sample event with canaries, and all requests and callbacks above."""
    for function in (
        "place_call",
        "baidu_vms_webhook",
        "send_sms",
        "mediasms_delivery_webhook",
        "biztel_call_action_webhook",
        "query_recordings",
        "correct_recording_roles",
        "query",
        "query_status",
        "send_queued_sms",
        "fetch_recording",
        "start_transcription",
        "store_transcript",
        "sweep_overdue",
        "start_verification",
        "check_verification",
        "cancel_verification",
        "cancel_sms",
        "suppressions",
        "mediasms_ivr_webhook",
    ):
        for case in cases_of(function):
            yield function, with_canaries(load_event(function, case))
    yield (
        "query_status",
        with_canaries(with_query(load_event("query_status", "status"), (CANARIES["unknown member"], NUMBER))),
    )
    events_by_function = [
        ("send_sms", send_requests()),
        ("mediasms_delivery_webhook", delivery_reports()),
        ("query", queries()),
        ("place_call", call_requests()),
        ("baidu_vms_webhook", call_results()),
        *verification_events(),
    ]
    for function, events in events_by_function:
        for event in events:
            yield function, with_canaries(event)
    for function, event in callbacks_about_unknown_items():
        yield function, with_canaries(event)


def test_a_canary_is_found_in_every_spelling() -> None:
    secret = CANARIES["text"]
    for raw in (secret.encode(), secret.encode("cp932")):
        for line in (
            json.dumps({"message": secret}),
            f"POST /?text={quote(raw)}",
            "body " + base64.b64encode(b"smstext=" + raw + b"&x").decode(),
            "body " + base64.b64encode(b'{"t":"' + raw + b'"}').decode(),
            "body " + base64.b64encode(b"x" + raw).decode(),
            f"sent {raw!r}",
        ):
            assert "text" in find_leaks(line), line
    assert find_leaks("nothing of interest, smsid order1001") == {}


def test_no_canary_is_logged_or_measured(guarded: Deployment) -> None:
    invocations = 0
    for function, event in all_events():
        guarded.invoke(function, event)
        invocations += 1

    assert invocations > 60
    assert len(guarded.logged()) > invocations
    assert find_leaks(guarded.output.getvalue()) == {}


def test_no_id_of_an_unknown_item_is_logged(guarded: Deployment) -> None:
    answers = [guarded.invoke(function, with_canaries(event)) for function, event in callbacks_about_unknown_items()]

    assert {answer["statusCode"] for answer in answers if "statusCode" in answer} == {200}
    assert {"orphan", "no_candidate", "unmatched", "announced", "repeated"} <= {
        line.get("outcome") for line in guarded.logged()
    }
    assert find_leaks(guarded.output.getvalue()) == {}


def test_the_id_of_our_own_item_is_logged(guarded: Deployment) -> None:
    body = {"to": NUMBER, "text": CANARIES["text"], "smsid": "order1001"}
    guarded.http("send_sms", with_canaries(load_event("send_sms", "japanese_text", body=body)))

    guarded.http("mediasms_delivery_webhook", with_canaries(load_event("mediasms_delivery_webhook", "get_query")))

    [line] = [line for line in guarded.logged() if line.get("message") == "delivery report"]
    # The report carries a code, which a message has no use for.
    assert (line["outcome"], line["smsid"]) == ("recorded_without_code", "order1001")


class _Broken:
    """An application that fails with a canary in the error's text, as a stored item may make it."""

    def __call__(self, *_: object, **__: object) -> object:
        raise ValueError(f"invalid literal for int() with base 10: {CANARIES['number in national form']!r}")

    def __getattr__(self, name: str) -> object:
        return self()


FUNCTIONS: Final = sorted(function_folders().values())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_canary_of_an_unexpected_error_is_logged_or_answered(
    guarded: Deployment, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [load_event(function, case) for case in cases_of(function)]
    guarded.invoke(function, events[0])  # imports the function's modules
    broken = _Broken()
    monkeypatch.setattr(sys.modules[f"switchboard.bootstrap.{function}"], "application", lambda: broken)
    answers = []

    for event in events:
        try:
            answers.append(json.dumps(guarded.invoke(function, event)))
        except Exception as error:  # noqa: BLE001 - Lambda logs the text and the traceback of any error
            answers.append("".join(traceback.format_exception(error)))

    assert "unexpected error" in guarded.output.getvalue()
    assert find_leaks(guarded.output.getvalue() + "".join(answers)) == {}


@pytest.mark.parametrize("code", [401, 402, 414, 503, 550, 555, 557, 999])
def test_no_canary_is_logged_if_the_provider_refuses(guarded: Deployment, code: int) -> None:
    guarded.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=code))
    [event, *_] = send_requests()

    answer = guarded.http("send_sms", with_canaries(event))

    assert find_leaks(guarded.output.getvalue()) == {}
    assert find_leaks(answer.body, ignored=frozenset({"number", "number in E.164"})) == {}


@pytest.mark.parametrize(
    "kind", [FaultKind.RESET_BEFORE, FaultKind.ACCEPT_THEN_DROP, FaultKind.CUT_ANSWER, FaultKind.GARBAGE]
)
def test_no_canary_is_logged_if_the_answer_is_lost_or_unreadable(guarded: Deployment, kind: FaultKind) -> None:
    guarded.simulator.provider.add_fault(Fault(kind=kind, body=f"{NUMBER} {CANARIES['text']}"))
    [event, *_] = send_requests()

    guarded.http("send_sms", with_canaries(event))

    assert find_leaks(guarded.output.getvalue()) == {}


def test_no_canary_is_logged_if_the_stores_do_not_answer(guarded: Deployment) -> None:
    guarded.lose_table()
    guarded.lose_bucket()

    for function, event in all_events():
        if function != "sweep_overdue":
            guarded.invoke(function, event)

    assert find_leaks(guarded.output.getvalue()) == {}


def test_an_answer_holds_no_canary_but_the_number_it_is_about(guarded: Deployment) -> None:
    # The answer repeats an unknown member's name, so that the caller can correct it.
    repeated = frozenset({"unknown member"})
    for function, event in all_events():
        if function in {
            *("send_queued_sms", "fetch_recording", "start_transcription", "store_transcript", "sweep_overdue")
        }:
            continue
        answer = guarded.http(function, event)
        body = json.loads(answer.body) if answer.headers["Content-Type"] != "text/plain; charset=utf-8" else {}
        for message in [body, *body.get("items", [])]:
            # A suppression has its number as its name.
            message.pop("number" if function == "suppressions" else "to", None)
        headers = json.dumps(dict(answer.headers))
        assert find_leaks(json.dumps(body, ensure_ascii=False) + headers, ignored=repeated) == {}, function


def test_the_outbox_holds_no_canary(guarded: Deployment) -> None:
    guarded.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=503))
    [event, *_] = send_requests()
    guarded.http("send_sms", with_canaries(event))

    assert len(guarded.queued()) == 1
    assert find_leaks("".join(guarded.queued())) == {}


def test_a_decided_message_holds_no_text(guarded: Deployment) -> None:
    [event, *_] = send_requests()
    guarded.http("send_sms", with_canaries(event))

    stored = json.dumps(guarded.rows(), ensure_ascii=False)

    numbers = frozenset(name for name in CANARIES if name.startswith("number"))
    assert find_leaks(stored, ignored=numbers) == {}


def test_the_quarantine_holds_no_token(guarded: Deployment) -> None:
    for event in delivery_reports():
        guarded.http("mediasms_delivery_webhook", with_canaries(event))

    objects = guarded.objects()
    assert objects
    assert CANARIES["webhook token"] not in json.dumps(objects)
