"""The functions nobody calls: the outbox's worker and the sweep, on the stack that the template describes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from switchboard.domain.errors import StoreUnavailableError
from tests.deployment import Deployment
from tests.events import load_event


def queue_up(stack: Deployment, smsid: str) -> None:
    """A message that the provider had no room for."""
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=503))
    body = {"to": "09000000001", "text": "お待たせしました", "smsid": smsid}
    answer = stack.http("send_sms", load_event("send_sms", "japanese_text", body=body))
    assert (answer.status, answer.json["state"]) == (202, "queued")


def work_on(stack: Deployment, case: str) -> list[str]:
    """The ids of the entries that are to come again."""
    answer = stack.invoke("send_queued_sms", load_event("send_queued_sms", case))
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def state(stack: Deployment, smsid: str) -> Any:
    return stack.http("query", load_event("query", "one", pathParameters={"smsid": smsid})).json["state"]


def test_a_queued_message_is_sent_by_the_worker_once_however_often_its_entry_comes(stack: Deployment) -> None:
    queue_up(stack, "order1001")

    assert work_on(stack, "one") == []
    assert work_on(stack, "one") == []

    assert state(stack, "order1001") == "accepted"
    [received] = stack.simulator.messages
    assert received.received_by_phone == "お待たせしました"


def test_a_poisonous_entry_does_not_keep_the_others_from_being_sent(stack: Deployment) -> None:
    queue_up(stack, "order1001")
    queue_up(stack, "order1003")

    assert len(work_on(stack, "with_a_poisonous_entry")) == 3

    assert {each.smsid for each in stack.simulator.messages} == {"order1001", "order1003"}


def test_a_message_that_still_finds_no_room_goes_back_as_a_new_entry(stack: Deployment) -> None:
    queue_up(stack, "order1001")
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=503))

    assert work_on(stack, "one") == []

    assert state(stack, "order1001") == "queued"
    assert stack.simulator.messages == ()
    names = [name for name, _ in stack.metrics()]
    assert names.count("SmsRequeued") == 1


def test_an_entry_whose_effect_cannot_be_written_comes_again(stack: Deployment) -> None:
    queue_up(stack, "order1001")
    stack.lose_table()

    assert work_on(stack, "one") == ["00000000-0000-4000-8000-000000000001"]
    assert stack.simulator.messages == ()


def test_a_refusal_of_our_account_is_counted_for_the_alarm_also_from_the_queue(stack: Deployment) -> None:
    queue_up(stack, "order1001")
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=402))

    assert work_on(stack, "one") == []

    dimensions = frozenset({("service", "switchboard"), ("provider", "mediasms")})
    assert ("ProviderConfigurationRefused", dimensions) in stack.metrics()
    assert state(stack, "order1001") == "queued"


def test_the_sweep_puts_a_message_that_waits_too_long_into_the_queue_again(stack: Deployment) -> None:
    queue_up(stack, "order1001")
    [row] = stack.rows()
    stack.lose_table()
    stack.restore_table([{**row, "due": {"S": "2026-01-01T00:00:00.000Z"}, "queued_at": row["created_at"]}])

    done = stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))

    assert sum(done.values()) == 1
    assert all(json.loads(body)["smsid"] == "order1001" for body in stack.queued())


def test_a_sweep_that_cannot_read_fails_so_that_its_alarm_rings(stack: Deployment) -> None:
    stack.lose_table()

    with pytest.raises(StoreUnavailableError):
        stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))
