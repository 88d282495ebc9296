"""Baidu VMS' call results through their handler: none is lost while a table or a bucket is down. (I5)"""

from __future__ import annotations

from typing import Any

from switchboard.storage import aws
from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import load_event


def place(stack: Deployment) -> Any:
    answer = stack.http("place_call", load_event("place_call", "chinese_text"))
    assert answer.status == 201
    return answer.json


def call_back(stack: Deployment, call_id: str) -> HttpAnswer:
    body = {"callId": call_id, "result": "answered"}
    return stack.http("baidu_vms_webhook", load_event("baidu_vms_webhook", "post_json", body=body))


def sweep(stack: Deployment) -> Any:
    return stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))


def reports(stack: Deployment, call_id: str) -> Any:
    event = load_event("query", "unknown_call", pathParameters={"call_id": call_id})
    return stack.http("query", event).json["reports"]


def test_a_result_is_spooled_while_the_table_is_down_and_replayed_later(
    stack: Deployment,
) -> None:
    call_id = place(stack)["call_id"]
    rows = stack.rows()
    stack.lose_table()

    answer = call_back(stack, call_id)

    assert (answer.status, answer.body) == (200, "OK")
    [spooled] = stack.objects("spool/")
    assert (spooled["kind"], spooled["event"]) == ("call_result", {"call_id": call_id, "result": "answered"})
    assert len(stack.objects("quarantine/baidu_vms/")) == 1
    assert ("CallResultsSpooled", "baidu_vms") in {(name, dict(on)["provider"]) for name, on in stack.metrics()}
    stack.restore_table(rows)
    assert reports(stack, call_id) == []
    assert sweep(stack) == {"event_replayed": 1}
    assert [(report["result"], report["at"]) for report in reports(stack, call_id)] == [
        ("answered", spooled["seen_at"])
    ]
    assert stack.objects("spool/") == []
    assert sweep(stack) == {}


def test_a_result_repeated_while_the_table_is_down_is_one_result(stack: Deployment) -> None:
    call_id = place(stack)["call_id"]
    rows = stack.rows()
    stack.lose_table()
    for _ in range(2):
        call_back(stack, call_id)
    first = min(spooled["seen_at"] for spooled in stack.objects("spool/"))
    stack.restore_table(rows)
    call_back(stack, call_id)

    sweep(stack)

    assert [report["at"] for report in reports(stack, call_id)] == [first]


def test_a_spooled_result_of_an_unknown_call_is_stored_unmatched(stack: Deployment) -> None:
    stack.lose_table()
    call_back(stack, "not-yet-ours")
    stack.restore_table([])

    assert sweep(stack) == {"event_replayed": 1}

    [row] = stack.rows()
    assert "result|answered" in row
    assert "bound_to" not in row


def test_an_unreadable_spooled_event_goes_into_quarantine(stack: Deployment) -> None:
    aws.s3().put_object(
        Bucket=stack.references["QuarantineBucket"], Key="spool/0", Body=b'{"kind": "of a later version"}'
    )

    assert sweep(stack) == {"event_quarantined": 1}

    assert stack.objects("spool/") == []
    [callback] = stack.objects("quarantine/spool/")
    assert (callback["query"], callback["reason"]) == ("spool/0", "spooled and unreadable")
    assert ("SpooledEventsQuarantined", frozenset({("service", "switchboard")})) in stack.metrics()


def test_a_result_that_can_be_stored_nowhere_is_not_acknowledged(stack: Deployment) -> None:
    stack.lose_table()
    stack.lose_bucket()

    answer = call_back(stack, "c1")

    assert (answer.status, answer.code) == (503, "service_unavailable")


def test_a_result_is_stored_although_the_raw_callback_is_not(stack: Deployment) -> None:
    call_id = place(stack)["call_id"]
    stack.lose_bucket()

    answer = call_back(stack, call_id)

    assert (answer.status, answer.code) == (503, "service_unavailable")
    assert [report["result"] for report in reports(stack, call_id)] == ["answered"]


def test_the_configured_answer_also_answers_a_spooled_result() -> None:
    with deployed(BaiduVmsCallbackAnswer='{"result":0}') as stack:
        recorded = call_back(stack, "c1")
        stack.lose_table()
        spooled = call_back(stack, "c1")

        assert [(answer.status, answer.body) for answer in (recorded, spooled)] == [(200, '{"result":0}')] * 2
