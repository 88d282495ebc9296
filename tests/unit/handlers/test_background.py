"""The functions without a caller: the outbox's worker and the sweep, on the stack that the template describes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from switchboard.domain.errors import StoreUnavailableError
from tests.deployment import Deployment
from tests.events import load_event


def queue_message(stack: Deployment, smsid: str) -> None:
    """Send a message that the provider refuses because of its rate limit."""
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=503))
    body = {"to": "09000000001", "text": "お待たせしました", "smsid": smsid}
    answer = stack.http("send_sms", load_event("send_sms", "japanese_text", body=body))
    assert (answer.status, answer.json["state"]) == (202, "queued")


def handle_batch(stack: Deployment, case: str) -> list[str]:
    """Let the worker handle a batch; return the ids of the entries that it wants again."""
    answer = stack.invoke("send_queued_sms", load_event("send_queued_sms", case))
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def state(stack: Deployment, smsid: str) -> Any:
    return stack.http("query", load_event("query", "one", pathParameters={"smsid": smsid})).json["state"]


def test_a_queued_message_is_sent_once_although_its_entry_comes_twice(stack: Deployment) -> None:
    queue_message(stack, "order1001")

    assert handle_batch(stack, "one") == []
    assert handle_batch(stack, "one") == []

    assert state(stack, "order1001") == "accepted"
    [received] = stack.simulator.messages
    assert received.received_by_phone == "お待たせしました"


def test_a_poison_message_does_not_stop_the_other_entries(stack: Deployment) -> None:
    queue_message(stack, "order1001")
    queue_message(stack, "order1003")

    assert len(handle_batch(stack, "with_a_poisonous_entry")) == 3

    assert {message.smsid for message in stack.simulator.messages} == {"order1001", "order1003"}


def test_a_message_refused_for_the_rate_goes_back_as_a_new_entry(stack: Deployment) -> None:
    queue_message(stack, "order1001")
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=503))

    assert handle_batch(stack, "one") == []

    assert state(stack, "order1001") == "queued"
    assert stack.simulator.messages == ()
    names = [name for name, _ in stack.metrics()]
    assert names.count("SmsRequeued") == 1


def test_an_entry_without_an_answer_from_the_table_comes_again(stack: Deployment) -> None:
    queue_message(stack, "order1001")
    stack.lose_table()

    assert handle_batch(stack, "one") == ["00000000-0000-4000-8000-000000000001"]
    assert stack.simulator.messages == ()


def test_a_refusal_of_our_account_from_the_queue_is_counted(stack: Deployment) -> None:
    queue_message(stack, "order1001")
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=402))

    assert handle_batch(stack, "one") == []

    dimensions = frozenset({("service", "switchboard"), ("provider", "mediasms")})
    assert ("ProviderConfigurationRefused", dimensions) in stack.metrics()
    assert state(stack, "order1001") == "queued"


def test_the_sweep_requeues_an_overdue_queued_message(stack: Deployment) -> None:
    queue_message(stack, "order1001")
    [row] = stack.rows()
    stack.lose_table()
    stack.restore_table([{**row, "due": {"S": "2026-01-01T00:00:00.000Z"}, "queued_at": row["created_at"]}])

    actions = stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))

    assert sum(actions.values()) == 1
    assert all(json.loads(body)["smsid"] == "order1001" for body in stack.queued())


def test_a_sweep_that_cannot_read_the_table_fails(stack: Deployment) -> None:
    stack.lose_table()

    with pytest.raises(StoreUnavailableError):
        stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))
