"""`GET /v1/status` through its handler: what senders did shows, and lost stores leave the rest of the page."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from switchboard.storage import aws
from tests.deployment import Deployment
from tests.events import load_event


def send(stack: Deployment) -> None:
    stack.http("send_sms", load_event("send_sms", "japanese_text"))


def status(stack: Deployment) -> Any:
    answer = stack.http("query_status", load_event("query_status", "status"))
    assert answer.status == 200
    return answer.json


def test_what_was_accepted_is_an_obligation_and_its_lane_is_closed(stack: Deployment) -> None:
    assert status(stack)["oldest_pending_deadline"] is None
    send(stack)

    shown = status(stack)

    assert shown["oldest_pending_deadline"] > shown["at"]
    mediasms = shown["providers"]["mediasms"]
    assert (mediasms["circuit"], mediasms["in_flight"], mediasms["in_flight_limit"]) == ("closed", 1, 7)
    assert mediasms["requests_per_s"] == 80
    assert shown["unavailable"] == []


def test_a_blocked_address_shows_as_an_open_circuit(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=557))
    send(stack)

    mediasms = status(stack)["providers"]["mediasms"]

    assert (mediasms["circuit"], mediasms["open_because"]) == ("open", "557")


def test_a_401_shows_in_the_count(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=401))
    send(stack)

    mediasms = status(stack)["providers"]["mediasms"]

    assert (mediasms["circuit"], mediasms["consecutive_401s"]) == ("closed", 1)


def test_queues_show_how_full_they_are(stack: Deployment) -> None:
    for queue, entries in (("OutboxQueue", 2), ("BulkQueue", 3), ("OutboxDeadLetterQueue", 1), ("RecordingQueue", 4)):
        for _ in range(entries):
            aws.sqs().send_message(QueueUrl=stack.references[queue], MessageBody='{"smsid": "order1"}')

    queues = status(stack)["queues"]

    assert {name: each["waiting"] for name, each in queues.items()} == {
        "outbox": 2,
        "bulk": 3,
        "outbox_dead_letters": 1,
        "recordings": 4,
        "recording_dead_letters": 0,
    }


def test_the_month_of_a_new_stack_is_unused(stack: Deployment) -> None:
    month = status(stack)["month_quotas"]["biztel"]

    assert (month["used"], month["limit"], month["reserve"]) == (0, 100_000, 5_000)


@pytest.mark.parametrize(
    ("table", "missing"),
    [
        ("StateTable", ["oldest_pending_deadline"]),
        ("LimitsTable", ["providers.mediasms", "providers.baidu_vms", "providers.biztel", "month_quotas.biztel"]),
    ],
)
def test_a_lost_table_leaves_the_rest_of_the_page(stack: Deployment, table: str, missing: list[str]) -> None:
    stack.lose_table(table)

    shown = status(stack)

    assert shown["unavailable"] == missing
    assert shown["queues"]["outbox"] is not None
