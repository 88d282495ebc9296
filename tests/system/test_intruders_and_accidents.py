"""Invalid input, wrong tokens and a provider that rejects our credentials, on the deployed template."""

from __future__ import annotations

import base64
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests

from sandbox.aws_clients import create_client
from sandbox.endpoints import WEBHOOKS
from sandbox.logs import read_logs
from sandbox.stack import put_secret, read_secret
from tests.system.conftest import TIMEOUT_S, Api

REFUSED = ("8765", "0100")
"""The last digits of the numbers in the refused requests. Other tests send to neither."""


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"to": 9, "text": ["a"]}', 422, "invalid_request"),
        (b'{"to": "090-0000-8765", "text": "a", "colour": "red"}', 422, "invalid_request"),
        (b'{"to": "090-0000-8765", "text": "a", "template_id": 1}', 422, "invalid_request"),
        (b'{"to": "090-0000-8765", "text": "' + "あ".encode() * 71 + b'"}', 422, "invalid_request"),
        (b'{"to": "+1 202 555 0100", "text": "a"}', 422, "invalid_request"),
        (b'{"to": "090-0000-8765", "text": "a\\u0000b"}', 422, "invalid_request"),
        (b'{"to": "090-0000-8765", "text": "\\ud800"}', 400, "malformed_request"),
        (b'{"to": "090-0000-8765", "to": "090-0000-8765", "text": "a"}', 400, "malformed_request"),
        (b'{"to": "090-0000-8765", "text": "' + b"\xff\xfe" + b'"}', 400, "malformed_request"),
        (b'{"to": ', 400, "malformed_request"),
        (b"[" * 100_000, 413, "payload_too_large"),
        (b"[" * 30_000, 400, "malformed_request"),
        (b"a" * 10_000_000, 413, "payload_too_large"),
    ],
    ids=[
        "wrong types",
        "unknown field",
        "text and template",
        "too long",
        "overseas",
        "NUL",
        "lone surrogate",
        "duplicate name",
        "not UTF-8",
        "broken JSON",
        "large",
        "deep",
        "10 MB",
    ],
)
def test_invalid_input_is_a_problem_and_reaches_no_provider(api: Api, body: bytes, status: int, code: str) -> None:
    answer = api.post("/sms", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert not [sent for sent in api.control("requests")["items"] if sent["number"].endswith(REFUSED)]


def test_a_missing_key_and_an_unknown_route_are_problems(api: Api) -> None:
    keyless = requests.get(f"{api.endpoints.api_url}/v1/sms", timeout=TIMEOUT_S)
    unrouted = api.get("/nowhere")
    assert (keyless.status_code, keyless.json()["code"]) == (403, "forbidden")
    assert (unrouted.status_code, unrouted.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "token", ["wrong", "é", "%00", "a" * 5000], ids=["wrong", "not ASCII", "percent-encoded NUL", "5000 characters"]
)
def test_a_wrong_token_is_refused_and_changes_nothing(api: Api, token: str) -> None:
    smsid = api.post("/sms", {"to": "090-0000-0004", "text": "a"}).json()["smsid"]
    assert api.report(token=quote(token), smsid=smsid, status="1").status_code == 403
    assert api.get(f"/sms/{smsid}").json()["reports"] == []


CALLBACKS = {
    "mediasms_delivery": {"smsid": "unknown1", "status": "1"},
    "mediasms_ivr": {"mobilenumber": "09000000099", "ipphone": "05000000001", "method": "4"},
    "biztel": {"ID": "../unusable", "TEL": "", "DATE": ""},
    "baidu_vms": {"callId": "unknown-call", "result": "answered"},
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("owner", WEBHOOKS)
@pytest.mark.parametrize("webhook", WEBHOOKS)
def test_a_token_opens_its_own_webhook_and_no_other(api: Api, webhook: str, owner: str, method: str) -> None:
    url = api.endpoints.webhook_url(webhook, api.endpoints.webhook_tokens[owner])
    query, form = (CALLBACKS[webhook], None) if method == "GET" else (None, CALLBACKS[webhook])

    answer = requests.request(method, url, params=query, data=form, timeout=TIMEOUT_S)

    accepted = 400 if webhook == "biztel" else 200
    assert answer.status_code == (accepted if webhook == owner else 403)


def test_a_report_that_names_another_number_changes_nothing(api: Api) -> None:
    smsid = api.post("/sms", {"to": "090-0000-0004", "text": "a"}).json()["smsid"]
    assert api.report(smsid=smsid, status="1", mobilenumber="09000000099").status_code == 200
    assert api.get(f"/sms/{smsid}").json()["state"] == "accepted"


def test_a_report_is_read_from_form_query_and_json_by_number_or_name(api: Api) -> None:
    url = api.endpoints.webhook_url("mediasms_delivery")
    smsid = api.post("/sms", {"to": "090-0000-0004", "text": "a"}).json()["smsid"]
    name = "ａｕ　圏外・ＯＦＦ"
    answers = [
        requests.get(url, params={"smsid": smsid, "status": "14"}, timeout=TIMEOUT_S),
        requests.post(url, json={"smsid": smsid, "status": 18}, timeout=TIMEOUT_S),
        requests.post(url, data=f"smsid={smsid}&status={quote(name.encode('cp932'))}", timeout=TIMEOUT_S),
        requests.post(url, data={"smsid": smsid, "status": "空を飛んだ"}, timeout=TIMEOUT_S),
    ]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "OK")] * 4
    reports = {report["status"]: report["meaning"] for report in api.get(f"/sms/{smsid}").json()["reports"]}
    assert reports == {
        "14": "in_progress",
        "18": "undelivered",
        "10": "undelivered",
        "空を飛んだ": "unlisted",
    }


def test_an_unreadable_callback_is_quarantined_unchanged(api: Api) -> None:
    url = api.endpoints.webhook_url("mediasms_delivery")
    marker = uuid4().hex.encode()
    octets = {"content-type": "application/octet-stream"}
    for body in (marker + b"\xff\xfe", marker * 300_000):
        assert requests.post(url, data=body, headers=octets, timeout=TIMEOUT_S).status_code == 200
    s3 = create_client("s3", api.endpoints.aws_endpoint_url)
    names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    quarantine = next(name for name in names if "quarantine" in name.lower())
    listing = s3.list_objects_v2(Bucket=quarantine, Prefix="quarantine/mediasms_delivery/")
    keys = [entry["Key"] for entry in listing["Contents"]]
    files = [s3.get_object(Bucket=quarantine, Key=key)["Body"].read() for key in keys]
    bodies = [base64.b64encode(body) for body in (marker + b"\xff\xfe", marker * 300_000)]
    assert all(any(body in file for file in files) for body in bodies)


def end_permits(api: Api) -> None:
    """Remove the permits of all containers, as half a minute without a request does."""
    dynamodb = create_client("dynamodb", api.endpoints.aws_endpoint_url)
    [table] = [name for name in dynamodb.list_tables()["TableNames"] if "LimitsTable" in name]
    for item in dynamodb.scan(TableName=table, FilterExpression="attribute_exists(permits)")["Items"]:
        dynamodb.update_item(
            TableName=table,
            Key={"pk": item["pk"]},
            UpdateExpression="SET permits = :none",
            ExpressionAttributeValues={":none": {"M": {}}},
        )


def test_three_401s_open_the_circuit_and_new_credentials_close_it(api: Api) -> None:
    credentials = read_secret(api.endpoints, "mediasms")
    api.control("credentials", {"user": "another-user", "password": "else"})
    before = api.control("requests")["codes"].get("401", 0)
    answers = [api.post("/sms", {"to": "090-0000-0001", "text": "a"}) for _ in range(5)]
    assert [answer.json()["code"] for answer in answers] == ["provider_configuration"] * 3 + ["provider_locked_out"] * 2
    assert answers[-1].headers["Retry-After"]
    assert api.control("requests")["codes"]["401"] - before == 3
    # Putting the same value in again makes a new version, and every container has this value in its cache.
    api.control("credentials", credentials)
    assert api.post("/sms", {"to": "090-0000-0001", "text": "a"}).json()["code"] == "provider_locked_out"
    put_secret(api.endpoints, "mediasms", credentials)
    # The first attempt needs every permit.
    end_permits(api)
    first = api.post("/sms", {"to": "090-0000-0001", "text": "a"})
    assert first.status_code in {201, 202}
    api.wait_until(first.json()["smsid"], lambda message: message["state"] == "delivered")
    assert api.post("/sms", {"to": "090-0000-0001", "text": "a"}).status_code == 201
    assert api.control("requests")["codes"]["401"] - before == 3


def test_no_log_contains_a_number_a_text_a_code_a_key_or_a_token(api: Api) -> None:
    number, text, sender = "090-0000-0088", "秘密の本文", "Canary7"
    api.post("/sms", {"to": number, "text": text, "sender": sender}, **{"Idempotency-Key": "canary-key-7"})
    api.post("/sms", {"to": number, "text": text, "oops": text})
    api.report(smsid="canary", status=text, mobilenumber=number, authcode="998877", smstext=text)
    log_text = read_logs(api.endpoints)
    assert "delivery report" in log_text
    secret_values = [number, "09000000088", "819000000088", text, sender, "canary-key-7", "998877"]
    secret_values += [api.endpoints.api_key, *api.endpoints.webhook_tokens.values()]
    forms = [
        form for value in secret_values for form in (value, quote(value), base64.b64encode(value.encode()).decode())
    ]
    assert [form for form in forms if form in log_text] == []
