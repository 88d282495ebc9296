"""The functions without a caller: the outbox's worker and the sweep, on the stack that the template describes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.timestamps import to_rfc3339
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


@pytest.fixture
def asking(stack: Deployment) -> Deployment:
    """Configure the simulator's result API."""
    references = cast("dict[str, str]", stack.references)
    references["MediaSmsResultsUrl"] = stack.simulator.url.removesuffix("/api/") + "/result/"
    references["MediaSmsNoSuchIdCodes"] = "404"
    return stack


def lose_answer(stack: Deployment, kind: FaultKind) -> None:
    """Send a message whose answer is lost a minute ago, and of which no report is pushed."""
    stack.simulator.provider.configure({"report_time_factor": 0.0, "report_url": None})
    stack.simulator.provider.add_fault(Fault(kind=kind))
    body = {"to": "09000000001", "text": "お待たせしました", "smsid": "order1001"}
    answer = stack.http("send_sms", load_event("send_sms", "japanese_text", body=body))
    assert (answer.status, answer.json["state"]) == (202, "unknown")
    [row] = stack.rows()
    [outcome] = row["outcomes"]["M"].values()
    outcome["M"]["at"]["S"] = row["due"]["S"] = to_rfc3339(datetime.now(UTC) - timedelta(minutes=1))
    stack.lose_table()
    stack.restore_table([row])


def sweep_and_ask(stack: Deployment) -> None:
    assert stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule")) == {"inquiry_planned": 1}
    assert [json.loads(body) for body in stack.queued("BulkQueue")] == [{"smsid": "order1001", "inquiry": True}]
    assert handle_batch(stack, "inquiry") == []


def test_a_lost_answer_is_decided_by_asking(asking: Deployment) -> None:
    lose_answer(asking, FaultKind.ACCEPT_THEN_DROP)
    asking.simulator.deliver_due()

    sweep_and_ask(asking)

    message = asking.http("query", load_event("query", "one", pathParameters={"smsid": "order1001"})).json
    assert (message["state"], message["billable"], message["evidence"]) == ("delivered", True, [])
    assert [report["name"] for report in message["reports"]] == ["送信済"]
    assert len(asking.simulator.requests) == 1
    assert [inquiry["code"] for inquiry in asking.simulator.provider.inquiries] == [200]


@pytest.mark.parametrize(("decides", "state", "final"), [("false", "unknown", False), ("true", "failed", True)])
def test_an_id_that_mediasms_does_not_know_is_evidence(
    asking: Deployment, decides: str, state: str, final: bool
) -> None:
    cast("dict[str, str]", asking.references)["MediaSmsNotFoundDecides"] = decides
    lose_answer(asking, FaultKind.RESET_BEFORE)

    sweep_and_ask(asking)

    message = asking.http("query", load_event("query", "one", pathParameters={"smsid": "order1001"})).json
    assert (message["state"], message["final"], message["reports"]) == (state, final, [])
    assert [evidence["kind"] for evidence in message["evidence"]] == ["not_found_at_provider"]
    assert len(asking.simulator.requests) == 1


def test_a_question_with_refused_credentials_counts_for_the_lockout(asking: Deployment) -> None:
    lose_answer(asking, FaultKind.ACCEPT_THEN_DROP)
    asking.simulator.provider.set_credentials(user="other", password="other")
    for _ in range(4):
        assert handle_batch(asking, "inquiry") == []
    assert [inquiry["code"] for inquiry in asking.simulator.provider.inquiries] == [401] * 3
    other = load_event("send_sms", "japanese_text", body={"to": "09000000001", "text": "a"})
    assert asking.http("send_sms", other).code == "provider_locked_out"
