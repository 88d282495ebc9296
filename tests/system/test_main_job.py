"""The main job on the deployed template: one SMS is sent, tracked and reported."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.depth import at_depth

if TYPE_CHECKING:
    from tests.system.conftest import Api

CALLERS = at_depth(usual=12, proof=32)
TEXT = "認証コードは 000000 です。"


def test_a_japanese_text_is_accepted_delivered_and_billable(api: Api) -> None:
    sent = api.post("/sms", {"to": "090-0000-0001", "text": TEXT})
    assert (sent.status_code, sent.json()["to"]) == (201, "+819000000001")
    assert sent.headers["Location"] == f"/v1/sms/{sent.json()['smsid']}"
    message = api.wait_until(sent.json()["smsid"], lambda message: message["state"] == "delivered")
    assert message["billable"] is True
    assert message["final"] is True
    assert {report["meaning"] for report in message["reports"]} == {"in_progress", "delivered"}
    assert [item["received_by_phone"] for item in api.received(message["smsid"])] == [TEXT]


def test_a_message_to_a_phone_out_of_range_is_delivered_later(api: Api) -> None:
    smsid = api.post("/sms", {"to": "090-0000-0002", "text": TEXT}).json()["smsid"]
    undelivered = api.wait_until(smsid, lambda message: message["state"] == "undelivered")
    assert (undelivered["final"], undelivered["billable"]) == (False, False)
    delivered = api.wait_until(smsid, lambda message: message["state"] == "delivered")
    assert [report["status"] for report in delivered["reports"]] == ["14", "18", "1"]


def test_a_lost_answer_is_unknown_until_its_report_and_sent_once(api: Api) -> None:
    key = uuid4().hex
    body = {"to": "090-0000-0005", "text": TEXT}
    sent = api.post("/sms", body, **{"Idempotency-Key": key})
    assert (sent.status_code, sent.json().get("state")) == (202, "unknown"), sent.text
    smsid = sent.json()["smsid"]
    again = api.post("/sms", body, **{"Idempotency-Key": key})
    assert again.headers["Idempotent-Replayed"] == "true"
    message = api.wait_until(smsid, lambda message: message["state"] == "delivered")
    assert message["attempts"] == 1
    assert len(api.received(smsid)) == 1


def test_a_reset_after_the_request_left_is_unknown_and_not_retried(api: Api) -> None:
    sent = api.post("/sms", {"to": "090-0000-0006", "text": TEXT})
    assert (sent.status_code, sent.json()["state"]) == (202, "unknown")
    assert api.received(sent.json()["smsid"]) == []


@pytest.mark.parametrize(
    ("number", "state"),
    [("090-0000-0003", "failed"), ("090-0000-0008", "delivered"), ("090-0000-0009", "delivered")],
    ids=["failed", "duplicated and reordered reports", "an unlisted status first"],
)
def test_a_message_reaches_the_state_that_its_reports_give(api: Api, number: str, state: str) -> None:
    smsid = api.post("/sms", {"to": number, "text": TEXT}).json()["smsid"]
    api.wait_until(smsid, lambda message: message["state"] == state)


def test_a_report_that_overtakes_the_answer_is_stored(api: Api) -> None:
    sent = api.post("/sms", {"to": "090-0000-0010", "text": TEXT})
    assert sent.status_code == 201
    assert sent.json()["reports"]


def test_a_message_without_a_report_stays_accepted(api: Api) -> None:
    smsid = api.post("/sms", {"to": "090-0000-0004", "text": TEXT}).json()["smsid"]
    message = api.get(f"/sms/{smsid}").json()
    assert (message["state"], message["final"], message["reports"]) == ("accepted", False, [])


def test_a_repeated_key_sends_once_and_refuses_another_body(api: Api) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    first = api.post("/sms", {"to": "090-0000-0001", "text": TEXT}, **key)
    again = api.post("/sms", {"to": "+81 90 0000 0001", "text": TEXT}, **key)
    assert (again.status_code, again.json()["smsid"]) == (201, first.json()["smsid"])
    assert again.headers["Idempotent-Replayed"] == "true"
    other = api.post("/sms", {"to": "090-0000-0001", "text": "別の本文"}, **key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(api.received(first.json()["smsid"])) == 1


def test_concurrent_requests_with_one_key_are_one_submission(api: Api) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    with ThreadPoolExecutor(CALLERS) as callers:
        requests = [
            callers.submit(api.post, "/sms", {"to": "090-0000-0007", "text": TEXT}, **key) for _ in range(CALLERS)
        ]
        answers = [request.result() for request in requests]
    smsids = {answer.json()["smsid"] for answer in answers}
    first_answers = [answer for answer in answers if answer.ok and "Idempotent-Replayed" not in answer.headers]
    statuses = [(answer.status_code, answer.json().get("state")) for answer in answers]
    assert len(smsids) == 1
    assert len(first_answers) == 1, statuses
    # On a busy machine there may be no slot in time. Then the queue submits the one message.
    assert {answer.status_code for answer in answers} <= {201, 202, 409}, statuses
    [smsid] = smsids
    api.wait_until(smsid, lambda message: message["state"] == "delivered")
    assert len(api.received(smsid)) == 1


def test_a_message_that_mediasms_answers_with_503_is_sent_by_the_queue(api: Api) -> None:
    api.control("faults", {"kind": "answer", "code": 503})
    sent = api.post("/sms", {"to": "090-0000-0001", "text": TEXT})
    assert (sent.status_code, sent.json()["state"]) == (202, "queued")
    message = api.wait_until(sent.json()["smsid"], lambda message: message["state"] == "delivered")
    assert message["attempts"] == 2
    assert len(api.received(message["smsid"])) == 1


def test_a_rejected_message_and_its_replay_carry_the_providers_code(api: Api) -> None:
    api.control("faults", {"kind": "answer", "code": 550})
    key = {"Idempotency-Key": uuid4().hex}
    body = {"to": "090-0000-0001", "text": TEXT}
    answers = [api.post("/sms", body, **key) for _ in range(2)]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"], answer.json()["provider_code"]) == (
            422,
            "provider_rejected",
            "550",
        )
    assert api.get(f"/sms/{answers[0].json()['smsid']}").json()["state"] == "rejected"


def test_a_list_has_every_message_newest_first_page_by_page(api: Api) -> None:
    to = "090-0000-0077"
    smsids = [api.post("/sms", {"to": to, "text": TEXT}).json()["smsid"] for _ in range(5)]
    listed_smsids: list[str] = []
    query = "/sms?to=09000000077&limit=2"
    cursor = ""
    while True:
        page = api.get(query + cursor).json()
        listed_smsids += [item["smsid"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert listed_smsids == smsids[::-1]


def test_a_dry_run_sends_nothing(api: Api) -> None:
    before = api.control("requests")["count"]
    answer = api.post("/sms", {"to": "090-0000-0001", "text": "受付①😀", "dry_run": True})
    assert answer.status_code == 200
    assert [(problem["code"], problem["position"]) for problem in answer.json()["problems"]] == [
        ("nec_special_character", 2),
        ("emoji", 3),
    ]
    assert answer.json()["fits"] is False
    assert api.control("requests")["count"] == before


def test_the_status_page_has_every_part_with_its_roles_permissions(api: Api) -> None:
    answer = api.get("/status")

    assert answer.status_code == 200
    status = answer.json()
    assert status["unavailable"] == []
    assert status["providers"]["mediasms"]["in_flight_limit"] >= 1
    assert set(status["queues"]) == {
        "outbox",
        "bulk",
        "outbox_dead_letters",
        "recordings",
        "recordings_backlog",
        "recording_dead_letters",
        "transcriptions",
        "transcription_events",
        "transcription_dead_letters",
    }
