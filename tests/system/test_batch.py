"""Batches through the deployed template: the queue sends each message once, and a single message overtakes them."""

from __future__ import annotations

from tests.system.conftest import Api

TEXT = "本日より営業いたします。"


def test_the_queue_sends_each_message_of_a_batch_once(api: Api) -> None:
    messages = [{"to": f"090-0000-01{number:02}", "text": TEXT} for number in range(20)]
    body = {"messages": [*messages, {"to": "03-0000-0001", "text": TEXT}]}

    answers = [api.post("/sms/batch", body, **{"idempotency-key": "opening"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    *items, refused = answers[0].json()["items"]
    assert [problem["code"] for problem in refused["errors"]] == ["not_sms_capable"]
    smsids = [item["smsid"] for item in items]
    assert [item.get("smsid") for item in answers[1].json()["items"]] == [*smsids, None]
    for smsid in smsids:
        api.wait_until(smsid, lambda message: message["state"] == "delivered")
    assert all(len(api.received(smsid)) == 1 for smsid in smsids)


def test_a_single_message_is_sent_before_the_end_of_a_batch(api: Api) -> None:
    # Starts a container for single messages: a cold start could outlast the batch on a slow machine.
    assert api.post("/sms", {"to": "090-0000-0001", "text": TEXT, "dry_run": True}).status_code == 200
    api.control("faults", {"kind": "delay", "seconds": 0.6, "times": 61})
    messages = [{"to": f"090-0000-02{number:02}", "text": TEXT} for number in range(60)]
    items = api.post("/sms/batch", {"messages": messages}).json()["items"]

    password = api.post("/sms", {"to": "090-0000-0001", "text": TEXT})

    assert password.status_code == 201
    unsent = [item["smsid"] for item in items if not api.received(item["smsid"])]
    assert unsent, "the whole batch was sent before the password, so this run proves nothing"
    for smsid in unsent:
        api.wait_until(smsid, lambda message: message["state"] == "delivered")
