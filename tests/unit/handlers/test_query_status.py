"""`GET /v1/status` through its handler: it shows the limits and queues, even while a store is down."""

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


def test_an_accepted_message_has_a_pending_deadline(stack: Deployment) -> None:
    assert status(stack)["oldest_pending_deadline"] is None
    send(stack)

    page = status(stack)

    assert page["oldest_pending_deadline"] > page["at"]
    mediasms = page["providers"]["mediasms"]
    assert (mediasms["circuit"], mediasms["in_flight"], mediasms["in_flight_limit"]) == ("closed", 1, 7)
    assert mediasms["requests_per_s"] == 80
    assert page["unavailable"] == []


def test_a_blocked_address_is_an_open_circuit(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=557))
    send(stack)

    mediasms = status(stack)["providers"]["mediasms"]

    assert (mediasms["circuit"], mediasms["open_because"]) == ("open", "557")


def test_a_401_is_counted(stack: Deployment) -> None:
    stack.simulator.provider.add_fault(Fault(kind=FaultKind.ANSWER, code=401))
    send(stack)

    mediasms = status(stack)["providers"]["mediasms"]

    assert (mediasms["circuit"], mediasms["consecutive_401s"]) == ("closed", 1)


def test_queues_have_their_depth(stack: Deployment) -> None:
    for queue, entries in (("OutboxQueue", 2), ("BulkQueue", 3), ("OutboxDeadLetterQueue", 1), ("RecordingQueue", 4)):
        for _ in range(entries):
            aws.sqs().send_message(QueueUrl=stack.references[queue], MessageBody='{"smsid": "order1"}')

    queues = status(stack)["queues"]

    assert {name: depth["waiting"] for name, depth in queues.items()} == {
        "outbox": 2,
        "bulk": 3,
        "outbox_dead_letters": 1,
        "recordings": 4,
        "recordings_backlog": 0,
        "recording_dead_letters": 0,
        "transcriptions": 0,
        "transcription_events": 0,
        "transcription_dead_letters": 0,
    }


def test_the_monthly_quota_of_a_new_stack_is_unused(stack: Deployment) -> None:
    quota = status(stack)["month_quotas"]["biztel"]

    assert (quota["used"], quota["limit"], quota["reserve"]) == (0, 100_000, 5_000)


@pytest.mark.parametrize(
    ("table", "missing"),
    [
        pytest.param("StateTable", ["oldest_pending_deadline"], id="StateTable"),
        pytest.param(
            "LimitsTable",
            [
                "providers.mediasms",
                "providers.baidu_vms",
                "providers.biztel",
                "month_quotas.biztel",
                "month_quotas.transcribe",
            ],
            id="LimitsTable",
        ),
    ],
)
def test_a_table_that_is_down_leaves_the_rest_of_the_page(stack: Deployment, table: str, missing: list[str]) -> None:
    status(stack)  # reads the API key, whose last value counts for five minutes
    stack.lose_table(table)

    page = status(stack)

    assert page["unavailable"] == missing
    assert page["queues"]["outbox"] is not None
