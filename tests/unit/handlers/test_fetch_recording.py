"""Announced recordings through the worker's handler, from the simulated BIZTEL into the recordings bucket."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.biztel.faults import Fault, FaultKind
from sandbox.simulators.biztel.recorded_calls import CallSpec
from sandbox.simulators.biztel.recorded_calls import RecordedCall as Call
from switchboard.storage import aws
from tests.deployment import Deployment, deployed
from tests.events import load_event, with_query

BOTH: Final = {"left.mp3", "right.mp3"}


def announced(stack: Deployment, **spec: Any) -> Call:
    """A call that ended, whose call action has been accepted."""
    call = stack.biztel.finish(CallSpec(announce=False, **spec))
    event = with_query(
        load_event("biztel_call_action_webhook", "get_query"),
        ("ID", call.call_id),
        ("TEL", call.tel),
        ("DATE", call.processed),
    )
    assert stack.http("biztel_call_action_webhook", event).status == 200
    return call


def work(stack: Deployment, call: Call, case: str = "job") -> Any:
    event = load_event("fetch_recording", case)
    body = event["Records"][0]["body"].replace("21061600000268000060", call.call_id)
    answer = stack.invoke("fetch_recording", {"Records": [{**event["Records"][0], "body": body}]})
    return answer["batchItemFailures"]


def content_of(stack: Deployment, call: Call, channel: Channel) -> bytes:
    return b"".join(stack.biztel.provider.file(call, channel).chunks())


def stored(stack: Deployment) -> dict[str, bytes]:
    bucket = stack.references["RecordingsBucket"]
    found = aws.s3().list_objects_v2(Bucket=bucket).get("Contents", [])
    return {
        each["Key"].rpartition("/")[2]: aws.s3().get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
        for each in found
    }


def facts(stack: Deployment, prefix: str) -> list[dict[str, Any]]:
    [row] = stack.rows()
    return [value["M"] for name, value in row.items() if name.startswith(prefix)]


def counted(stack: Deployment) -> int:
    return sum(int(row["requests"]["N"]) for row in stack.rows("LimitsTable") if "requests" in row)


def test_both_channels_of_a_finished_call_are_stored_whole(stack: Deployment) -> None:
    call = announced(stack)

    assert work(stack, call) == []

    assert stored(stack).keys() == BOTH
    [row] = stack.rows()
    assert "pending" not in row
    for channel in (Channel.LEFT, Channel.RIGHT):
        content = content_of(stack, call, channel)
        assert stored(stack)[f"{channel}.mp3"] == content
        [outcome] = [each for each in facts(stack, "outcome|") if each["channel"]["S"] == channel]
        file = outcome["file"]["M"]
        assert file["sha256"]["S"] == hashlib.sha256(content).hexdigest()
        assert int(file["bytes"]["N"]) == len(content)
        assert float(file["seconds"]["N"]) == pytest.approx(6.0, abs=0.2)
    assert counted(stack) == len(stack.biztel.requests) == 2


@pytest.mark.parametrize("case", ["job", "requeued"])
def test_an_entry_that_comes_again_asks_for_nothing(stack: Deployment, case: str) -> None:
    call = announced(stack)
    work(stack, call)

    assert work(stack, call, case) == []

    assert len(stack.biztel.requests) == 2
    assert len(facts(stack, "attempt|")) == 2


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        (FaultKind.SERVER_ERROR, "failed"),
        (FaultKind.CUT, "failed"),
        (FaultKind.SHORT_LENGTH, "failed"),
        (FaultKind.LONG_LENGTH, "failed"),
        (FaultKind.NO_LENGTH, "failed"),
        (FaultKind.NOT_MP3, "failed"),
        (FaultKind.JSON, "failed"),
        (FaultKind.HTML, "failed"),
        (FaultKind.EMPTY, "failed"),
        (FaultKind.RESET, "failed"),
        (FaultKind.BURST, "failed"),
        (FaultKind.NOT_FOUND, "not_found"),
    ],
)
def test_what_may_succeed_later_stores_nothing_and_waits_in_the_queue(
    stack: Deployment, kind: FaultKind, end: str
) -> None:
    call = announced(stack)
    stack.biztel.provider.add_fault(Fault(kind=kind, channel=Channel.LEFT))

    assert work(stack, call) == []

    assert stored(stack).keys() == {"right.mp3"}
    assert sorted(each["end"]["S"] for each in facts(stack, "outcome|")) == sorted([end, "stored"])
    [row] = stack.rows()
    assert row["pending"]["S"] == "pending#recording"
    assert counted(stack) == len(stack.biztel.requests) == 2


def test_a_forbidden_channel_stays_so_while_the_other_and_the_monaural_file_are_fetched(stack: Deployment) -> None:
    call = announced(stack)
    stack.biztel.provider.add_fault(Fault(kind=FaultKind.FORBIDDEN, channel=Channel.RIGHT))

    work(stack, call)
    work(stack, call)

    assert stored(stack).keys() == {"left.mp3", "monaural.mp3"}
    assert len(stack.biztel.requests) == 3
    assert "ChannelsForbidden" in [name for name, _ in stack.metrics()]


def test_refused_tokens_end_each_look_and_open_the_circuit_for_all(stack: Deployment) -> None:
    calls = [announced(stack) for _ in range(5)]
    stack.biztel.provider.set_token("another-token-that-opens-nothing-real")

    for call in calls:
        assert work(stack, call) == []

    assert stored(stack) == {}
    assert len(stack.biztel.requests) == 2
    assert all(row["pending"]["S"] == "pending#recording" for row in stack.rows())
    assert "ProviderConfigurationRefused" in [name for name, _ in stack.metrics()]


def test_the_month_is_never_exceeded_and_what_does_not_fit_waits() -> None:
    with deployed(BiztelRequestsPerMonth="3", BiztelMonthReserve="0") as stack:
        calls = [announced(stack) for _ in range(3)]
        for call in calls:
            assert work(stack, call) == []

        assert counted(stack) == len(stack.biztel.requests) == 3
        assert sum("pending" in row for row in stack.rows()) == 2


def test_a_state_table_that_does_not_answer_loses_nothing(stack: Deployment) -> None:
    call = announced(stack)
    rows = stack.rows()
    stack.lose_table()

    assert work(stack, call) == []

    assert stack.biztel.requests == ()
    stack.restore_table(rows)
    assert work(stack, call, "requeued") == []
    assert stored(stack).keys() == BOTH


def test_the_sweep_puts_into_the_queue_what_nobody_has_looked_at(stack: Deployment) -> None:
    call = announced(stack)
    stack.biztel.provider.add_fault(Fault(kind=FaultKind.SERVER_ERROR, channel=Channel.LEFT))
    work(stack, call)
    [row] = stack.rows()
    aws.dynamodb().put_item(
        TableName=stack.references["StateTable"], Item={**row, "due": {"S": "2026-01-01T00:00:00.000Z"}}
    )

    done = stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))

    assert done == {"requeued": 1}
    assert {"recording_id": call.call_id} in [json.loads(each) for each in stack.queued("RecordingQueue")]


@pytest.fixture
def bulk(stack: Deployment) -> Iterator[tuple[Deployment, bytes]]:
    call = stack.biztel.finish(CallSpec(announce=False))
    yield stack, content_of(stack, call, Channel.LEFT)


def drop(stack: Deployment, key: str, content: bytes) -> None:
    aws.s3().put_object(Bucket=stack.references["JobsBucket"], Key=key, Body=content)


def test_files_that_come_in_bulk_become_recordings_without_a_request(bulk: tuple[Deployment, bytes]) -> None:
    stack, content = bulk
    drop(stack, "bulk/2019-07-18/20190718161058-2006-2002-1563433858.66-SRC_l.mp3", content)
    drop(stack, "bulk/録音 1/20190718161058-2006-2002-1563433858.66-DST_r.mp3", content)

    for case in ("bulk_file", "bulk_file", "bulk_file_with_an_encoded_key"):
        assert stack.invoke("fetch_recording", load_event("fetch_recording", case)) == {"batchItemFailures": []}

    assert stored(stack) == {"left.mp3": content, "right.mp3": content}
    assert stack.biztel.requests == ()
    assert len(facts(stack, "outcome|")) == 2
    [row] = stack.rows()
    assert "pending" not in row


@pytest.mark.parametrize(
    ("case", "key", "reason"),
    [
        ("bulk_file_without_the_rule", "bulk/notes of the day.mp3", "form"),
        ("bulk_file", "bulk/2019-07-18/20190718161058-2006-2002-1563433858.66-SRC_l.mp3", "not_audio"),
    ],
)
def test_what_cannot_become_a_recording_goes_to_quarantine_with_the_reason(
    stack: Deployment, case: str, key: str, reason: str
) -> None:
    drop(stack, key, b"<html>")

    assert stack.invoke("fetch_recording", load_event("fetch_recording", case)) == {"batchItemFailures": []}

    bucket = stack.references["QuarantineBucket"]
    [kept] = aws.s3().list_objects_v2(Bucket=bucket)["Contents"]
    answer = aws.s3().get_object(Bucket=bucket, Key=kept["Key"])
    assert answer["Metadata"] == {"reason": reason}
    assert answer["Body"].read() == b"<html>"
    assert stack.rows() == []
    assert "BulkFilesQuarantined" in [name for name, _ in stack.metrics()]
