"""Announced recordings through the worker's handler, from the simulated BIZTEL into the recordings bucket."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote_plus

import pytest

from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.biztel.faults import Fault, FaultKind
from sandbox.simulators.biztel.recorded_calls import CallSpec
from sandbox.simulators.biztel.recorded_calls import RecordedCall as Call
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.storage import aws
from tests.deployment import Deployment, deployed
from tests.events import load_event, with_query

BOTH: Final = {"left.mp3", "right.mp3"}


def announce(stack: Deployment, **spec: Any) -> Call:
    """End a call whose call action is accepted."""
    call = stack.biztel.finish(CallSpec(announce=False, **spec))
    event = with_query(
        load_event("biztel_call_action_webhook", "get_query"),
        ("ID", call.call_id),
        ("TEL", call.tel),
        ("DATE", call.processed),
    )
    assert stack.http("biztel_call_action_webhook", event).status == 200
    return call


def handle(stack: Deployment, call: Call, case: str = "job") -> Any:
    event = load_event("fetch_recording", case)
    body = event["Records"][0]["body"].replace("21061600000268000060", call.call_id)
    answer = stack.invoke("fetch_recording", {"Records": [{**event["Records"][0], "body": body}]})
    return answer["batchItemFailures"]


def content_of(stack: Deployment, call: Call, channel: Channel) -> bytes:
    return b"".join(stack.biztel.provider.file(call, channel).chunks())


def stored(stack: Deployment) -> dict[str, bytes]:
    bucket = stack.references["RecordingsBucket"]
    objects = aws.s3().list_objects_v2(Bucket=bucket).get("Contents", [])
    return {
        entry["Key"].rpartition("/")[2]: aws.s3().get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        for entry in objects
    }


def facts(stack: Deployment, prefix: str) -> list[dict[str, Any]]:
    [row] = stack.rows()
    return [value["M"] for name, value in row.items() if name.startswith(prefix)]


def count_requests(stack: Deployment) -> int:
    return sum(int(row["requests"]["N"]) for row in stack.rows("LimitsTable") if "requests" in row)


def test_both_channels_of_a_finished_call_are_stored_whole(stack: Deployment) -> None:
    call = announce(stack)

    assert handle(stack, call) == []

    assert stored(stack).keys() == BOTH
    [row] = stack.rows()
    assert "pending" not in row
    for channel in (Channel.LEFT, Channel.RIGHT):
        content = content_of(stack, call, channel)
        assert stored(stack)[f"{channel}.mp3"] == content
        [outcome] = [fact for fact in facts(stack, "outcome|") if fact["channel"]["S"] == channel]
        file = outcome["file"]["M"]
        assert file["sha256"]["S"] == hashlib.sha256(content).hexdigest()
        assert int(file["bytes"]["N"]) == len(content)
        assert float(file["seconds"]["N"]) == pytest.approx(6.0, abs=0.2)
    assert count_requests(stack) == len(stack.biztel.requests) == 2


@pytest.mark.parametrize("case", ["job", "requeued"])
def test_a_repeated_entry_sends_no_request(stack: Deployment, case: str) -> None:
    call = announce(stack)
    handle(stack, call)

    assert handle(stack, call, case) == []

    assert len(stack.biztel.requests) == 2
    assert len(facts(stack, "attempt|")) == 2


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        (FaultKind.SERVER_ERROR, "failed"),
        (FaultKind.CUT, "failed"),
        (FaultKind.SHORT_LENGTH, "failed"),
        (FaultKind.LONG_LENGTH, "failed"),
        (FaultKind.NO_LENGTH, "quarantined"),
        (FaultKind.NOT_MP3, "quarantined"),
        (FaultKind.JSON, "quarantined"),
        (FaultKind.HTML, "quarantined"),
        (FaultKind.EMPTY, "failed"),
        (FaultKind.RESET, "failed"),
        (FaultKind.BURST, "failed"),
    ],
)
def test_a_failed_download_stores_nothing_and_is_queued_again(stack: Deployment, kind: FaultKind, end: str) -> None:
    call = announce(stack)
    stack.biztel.provider.add_fault(Fault(kind=kind, channel=Channel.LEFT))

    assert handle(stack, call) == []

    assert stored(stack).keys() == {"right.mp3"}
    assert sorted(fact["end"]["S"] for fact in facts(stack, "outcome|")) == sorted([end, "stored"])
    [row] = stack.rows()
    assert row["pending"]["S"] == "pending#recording"
    assert count_requests(stack) == len(stack.biztel.requests) == 2


@pytest.mark.parametrize(
    ("kind", "name", "content_type", "seconds"),
    [
        pytest.param(FaultKind.MISLABELLED, "left.mp3", "audio/mpeg", 6.0, id="as text/html"),
        pytest.param(FaultKind.ZEROS_FIRST, "left.mp3", "audio/mpeg", 6.0, id="zeros before the first frame"),
        pytest.param(FaultKind.LARGE_TAGS, "left.mp3", "audio/mpeg", 6.0, id="tags of 80 KB"),
        pytest.param(FaultKind.WAV, "left.wav", "audio/wav", 1.0, id="WAV"),
        pytest.param(FaultKind.LAYER_II, "left.mp2", "audio/mpeg", 1.008, id="layer II"),
    ],
)
def test_a_recording_in_any_dress_is_stored_at_once(
    stack: Deployment, kind: FaultKind, name: str, content_type: str, seconds: float
) -> None:
    call = announce(stack)
    stack.biztel.provider.add_fault(Fault(kind=kind, channel=Channel.LEFT))

    assert handle(stack, call) == []

    assert stored(stack).keys() == {name, "right.mp3"}
    [file] = [fact["file"]["M"] for fact in facts(stack, "outcome|") if fact["channel"]["S"] == "left"]
    assert file["content_type"]["S"] == content_type
    assert float(file["seconds"]["N"]) == pytest.approx(seconds, abs=0.2)
    assert len(stack.biztel.requests) == 2


def quarantined(stack: Deployment) -> dict[str, bytes]:
    bucket = stack.references["QuarantineBucket"]
    objects = aws.s3().list_objects_v2(Bucket=bucket).get("Contents", [])
    return {entry["Key"]: aws.s3().get_object(Bucket=bucket, Key=entry["Key"])["Body"].read() for entry in objects}


def make_due(stack: Deployment) -> None:
    """Make all facts a day older, so that every pause is over."""
    [row] = stack.rows()
    text = json.dumps(row)
    for at in {fact["at"]["S"] for prefix in ("attempt|", "outcome|") for fact in facts(stack, prefix)}:
        earlier = to_rfc3339(from_rfc3339(at) - timedelta(minutes=10))
        text = text.replace(at, earlier)
    aws.dynamodb().put_item(TableName=stack.references["StateTable"], Item=json.loads(text))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        pytest.param(FaultKind.NOT_MP3, "not_audio", id="no recording"),
        pytest.param(FaultKind.NO_LENGTH, "no_length", id="perhaps cut"),
    ],
)
def test_the_same_unrecognised_bytes_twice_end_in_quarantine(stack: Deployment, kind: FaultKind, reason: str) -> None:
    call = announce(stack)
    stack.biztel.provider.add_fault(Fault(kind=kind, channel=Channel.LEFT, times=None))
    handle(stack, call)
    assert len(quarantined(stack)) == 1
    make_due(stack)

    for _ in range(4):
        assert handle(stack, call) == []

    # Right once, left twice, and the monaural file in its place.
    assert len(stack.biztel.requests) == count_requests(stack) == 4
    assert stored(stack).keys() == {"right.mp3", "monaural.mp3"}
    objects = quarantined(stack)
    assert len(objects) == 2
    assert all(key.startswith("quarantine/recordings/") and f"/{call.call_id}/left/" in key for key in objects)
    if kind is FaultKind.NO_LENGTH:
        assert set(objects.values()) == {content_of(stack, call, Channel.LEFT)}
    [key, _] = objects
    metadata = aws.s3().head_object(Bucket=stack.references["QuarantineBucket"], Key=key)["Metadata"]
    assert metadata == {"reason": reason}
    assert "ChannelsQuarantined" in [name for name, _ in stack.metrics()]
    assert "ChannelsLost" not in [name for name, _ in stack.metrics()]


@pytest.mark.parametrize("kind", [FaultKind.HTML, FaultKind.JSON], ids=["page", "JSON"])
def test_a_page_in_place_of_a_recording_is_kept_and_asked_past(stack: Deployment, kind: FaultKind) -> None:
    call = announce(stack)
    stack.biztel.provider.add_fault(Fault(kind=kind, channel=Channel.LEFT, times=2))
    handle(stack, call)
    make_due(stack)
    handle(stack, call)
    make_due(stack)

    assert handle(stack, call) == []

    assert len(quarantined(stack)) == 2
    assert stored(stack).keys() == BOTH
    assert len(stack.biztel.requests) == 4


@pytest.mark.parametrize("channel_bytes", [None, 3 * 2**20], ids=["endless", "chunked and a little too large"])
def test_a_download_beyond_the_limit_is_not_repeated(channel_bytes: int | None) -> None:
    with deployed(BiztelMaxBytes=str(2**20)) as stack:
        call = announce(stack)
        stack.biztel.provider.add_fault(
            Fault(kind=FaultKind.ENDLESS, channel=Channel.LEFT, times=None, bytes=channel_bytes)
        )

        for _ in range(3):
            assert handle(stack, call) == []

        assert stored(stack).keys() == {"right.mp3", "monaural.mp3"}
        assert "too_large" in [fact["end"]["S"] for fact in facts(stack, "outcome|")]
        assert len(stack.biztel.requests) == 3
        assert quarantined(stack) == {}
        for bucket in ("RecordingsBucket", "QuarantineBucket"):
            assert aws.s3().list_multipart_uploads(Bucket=stack.references[bucket]).get("Uploads", []) == []
        assert "ChannelsLost" in [name for name, _ in stack.metrics()]


def test_the_other_channel_waits_for_one_that_is_not_there_yet(stack: Deployment) -> None:
    call = announce(stack)
    stack.biztel.provider.add_fault(Fault(kind=FaultKind.NOT_FOUND, channel=Channel.LEFT))

    assert handle(stack, call) == []

    assert count_requests(stack) == len(stack.biztel.requests) == 1
    assert [json.loads(body) for body in stack.queued("RecordingBacklogQueue")] == []
    assert "ChannelsNotFound" in [name for name, _ in stack.metrics()]


PLACEHOLDERS: Final = {
    "folder": "jobs/",
    "bulk folder": "bulk/2026/",
    "hidden file": "bulk/.keep",
    "hidden in jobs": "jobs/.keep",
    "macOS": "bulk/2026/.DS_Store",
    "macOS archive": "bulk/__MACOSX/._20190718161058-2006-2002-1563433858.66-SRC_l.mp3",
    "Windows": "bulk/Thumbs.db",
    "copy under way": "bulk/20190718161058-2006-2002-1563433858.66-SRC_l.mp3.part",
    "temporary job": "jobs/x.json.tmp",
    "no id": "jobs/no id.json",
    "no JSON": "jobs/notes.txt",
    "folder in jobs": "jobs/2026/",
    "backlog folder": "backlog/",
}


def created(stack: Deployment, key: str, *, size: int) -> Any:
    """Return the answer to S3's notification of a new object."""
    body = {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": quote_plus(key), "size": size}}}]}
    record = load_event("fetch_recording", "job")["Records"][0]
    return stack.invoke("fetch_recording", {"Records": [{**record, "body": json.dumps(body)}]})


@pytest.mark.parametrize("key", PLACEHOLDERS.values(), ids=PLACEHOLDERS)
def test_a_placeholder_is_ignored(stack: Deployment, key: str) -> None:
    assert created(stack, key, size=5) == {"batchItemFailures": []}

    assert stack.rows() == []
    assert stack.objects("quarantine/") == []
    assert {name for name, _ in stack.metrics()} <= {"EntriesFailed"}


@pytest.mark.parametrize("key", ["jobs/26112200000001000050.json", "bulk/20190718161058-2006-2002-1-SRC_l.mp3"])
def test_an_empty_object_is_ignored(stack: Deployment, key: str) -> None:
    assert created(stack, key, size=0) == {"batchItemFailures": []}

    assert stack.objects("quarantine/") == []


def test_an_unreadable_job_is_quarantined_at_once(stack: Deployment) -> None:
    aws.s3().put_object(Bucket=stack.references["JobsBucket"], Key="jobs/abc.json", Body=b'{"tel": 1}')

    assert created(stack, "jobs/abc.json", size=10) == {"batchItemFailures": []}

    assert stack.objects("quarantine/jobs/") == [{"tel": 1}]
    assert "JobsQuarantined" in [name for name, _ in stack.metrics()]


def test_a_forbidden_channel_is_replaced_by_the_monaural_file(stack: Deployment) -> None:
    call = announce(stack)
    stack.biztel.provider.add_fault(Fault(kind=FaultKind.FORBIDDEN, channel=Channel.RIGHT))

    handle(stack, call)
    handle(stack, call)

    assert stored(stack).keys() == {"left.mp3", "monaural.mp3"}
    assert len(stack.biztel.requests) == 3
    assert "ChannelsForbidden" in [name for name, _ in stack.metrics()]


def test_a_refused_token_opens_the_circuit_for_all_recordings(stack: Deployment) -> None:
    calls = [announce(stack) for _ in range(5)]
    stack.biztel.provider.set_token("another-token-that-opens-nothing-real")

    for call in calls:
        assert handle(stack, call) == []

    assert stored(stack) == {}
    assert len(stack.biztel.requests) == 2
    assert all(row["pending"]["S"] == "pending#recording" for row in stack.rows())
    assert "ProviderConfigurationRefused" in [name for name, _ in stack.metrics()]


def test_recordings_beyond_the_monthly_quota_wait() -> None:
    with deployed(BiztelRequestsPerMonth="3", BiztelMonthReserve="0") as stack:
        calls = [announce(stack) for _ in range(3)]
        for call in calls:
            assert handle(stack, call) == []

        assert count_requests(stack) == len(stack.biztel.requests) == 3
        assert sum("pending" in row for row in stack.rows()) == 2


def test_a_state_table_that_is_down_loses_no_recording(stack: Deployment) -> None:
    call = announce(stack)
    rows = stack.rows()
    stack.lose_table()

    assert handle(stack, call) == []

    assert stack.biztel.requests == ()
    stack.restore_table(rows)
    assert handle(stack, call, "requeued") == []
    assert stored(stack).keys() == BOTH


def test_the_sweep_requeues_an_overdue_recording(stack: Deployment) -> None:
    call = announce(stack)
    stack.biztel.provider.add_fault(Fault(kind=FaultKind.SERVER_ERROR, channel=Channel.LEFT))
    handle(stack, call)
    [row] = stack.rows()
    aws.dynamodb().put_item(
        TableName=stack.references["StateTable"], Item={**row, "due": {"S": "2026-01-01T00:00:00.000Z"}}
    )

    actions = stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))

    assert actions == {"requeued": 1}
    assert {"recording_id": call.call_id} in [json.loads(body) for body in stack.queued("RecordingQueue")]


@pytest.fixture
def bulk(stack: Deployment) -> Iterator[tuple[Deployment, bytes]]:
    call = stack.biztel.finish(CallSpec(announce=False))
    yield stack, content_of(stack, call, Channel.LEFT)


def put_bulk_file(stack: Deployment, key: str, content: bytes) -> None:
    aws.s3().put_object(Bucket=stack.references["JobsBucket"], Key=key, Body=content)


def test_bulk_files_become_recordings_without_a_request(bulk: tuple[Deployment, bytes]) -> None:
    stack, content = bulk
    put_bulk_file(stack, "bulk/2019-07-18/20190718161058-2006-2002-1563433858.66-SRC_l.mp3", content)
    put_bulk_file(stack, "bulk/録音 1/20190718161058-2006-2002-1563433858.66-DST_r.mp3", content)

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
        pytest.param("bulk_file_without_the_rule", "bulk/notes of the day.mp3", "form", id="another name"),
        pytest.param(
            "bulk_file",
            "bulk/2019-07-18/20190718161058-2006-2002-1563433858.66-SRC_l.mp3",
            "not_audio",
            id="no MP3",
        ),
    ],
)
def test_a_bulk_file_that_is_no_recording_is_quarantined(stack: Deployment, case: str, key: str, reason: str) -> None:
    put_bulk_file(stack, key, b"<html>")

    assert stack.invoke("fetch_recording", load_event("fetch_recording", case)) == {"batchItemFailures": []}

    bucket = stack.references["QuarantineBucket"]
    [entry] = aws.s3().list_objects_v2(Bucket=bucket)["Contents"]
    answer = aws.s3().get_object(Bucket=bucket, Key=entry["Key"])
    assert answer["Metadata"] == {"reason": reason}
    assert answer["Body"].read() == b"<html>"
    assert stack.rows() == []
    assert "BulkFilesQuarantined" in [name for name, _ in stack.metrics()]
