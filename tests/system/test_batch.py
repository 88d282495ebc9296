"""Batches through the deployed template: the queue sends them once each, and single messages overtake them."""

from __future__ import annotations

import pytest

from tests.system.conftest import Api

pytestmark = pytest.mark.xdist_group("sandbox")

TEXT = "本日より営業いたします。"


def test_a_batch_is_sent_by_the_queue_once_each(api: Api) -> None:
    messages = [{"to": f"090-0000-01{number:02}", "text": TEXT} for number in range(20)]
    body = {"messages": [*messages, {"to": "03-0000-0001", "text": TEXT}]}

    answers = [api.post("/sms/batch", body, **{"idempotency-key": "opening"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    *items, refused = answers[0].json()["items"]
    assert [problem["code"] for problem in refused["errors"]] == ["not_sms_capable"]
    smsids = [item["smsid"] for item in items]
    assert [item.get("smsid") for item in answers[1].json()["items"]] == [*smsids, None]
    for smsid in smsids:
        api.until(smsid, lambda message: message["state"] == "delivered")
    assert all(len(api.received(smsid)) == 1 for smsid in smsids)


def test_a_message_that_somebody_waits_for_does_not_wait_behind_a_batch(api: Api) -> None:
    # A container that has yet to start would outlast the batch on a slow machine.
    assert api.post("/sms", {"to": "090-0000-0001", "text": TEXT, "dry_run": True}).status_code == 200
    api.control("faults", {"kind": "delay", "seconds": 0.6, "times": 61})
    messages = [{"to": f"090-0000-02{number:02}", "text": TEXT} for number in range(60)]
    items = api.post("/sms/batch", {"messages": messages}).json()["items"]

    password = api.post("/sms", {"to": "090-0000-0001", "text": TEXT})

    assert password.status_code == 201
    behind = [item["smsid"] for item in items if not api.received(item["smsid"])]
    assert behind, "the batch was over before the password was sent: it proves nothing"
    for smsid in behind:
        api.until(smsid, lambda message: message["state"] == "delivered")
