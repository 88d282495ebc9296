"""`GET /v1/recordings` and `POST /v1/recordings/{recording_id}/roles` through their handlers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.biztel.faults import Fault, FaultKind
from sandbox.simulators.biztel.recorded_calls import CallSpec
from sandbox.simulators.biztel.recorded_calls import RecordedCall as Call
from switchboard.storage import aws
from tests.deployment import Deployment, HttpAnswer
from tests.events import load_event, with_query


def finish(stack: Deployment, **spec: Any) -> Call:
    """End a call, announce its recording and let the worker fetch it once."""
    call = stack.biztel.finish(CallSpec(announce=False, **spec))
    query = (("ID", call.call_id), ("TEL", call.tel), ("DATE", call.processed))
    event = with_query(load_event("biztel_call_action_webhook", "get_query"), *query)
    assert stack.http("biztel_call_action_webhook", event).status == 200
    entry = load_event("fetch_recording", "requeued")["Records"][0]
    body = entry["body"].replace("21061600000268000060", call.call_id)
    assert stack.invoke("fetch_recording", {"Records": [{**entry, "body": body}]}) == {"batchItemFailures": []}
    return call


def query_one(stack: Deployment, recording_id: str) -> Any:
    answer = stack.http(
        "query_recordings", load_event("query_recordings", "one", pathParameters={"recording_id": recording_id})
    )
    assert answer.status == 200
    return answer.json


def query_list(stack: Deployment, *query: tuple[str, str]) -> HttpAnswer:
    return stack.http("query_recordings", with_query(load_event("query_recordings", "list"), *query))


def ids(answer: HttpAnswer) -> list[str]:
    assert answer.status == 200, answer.body
    return [item["recording_id"] for item in answer.json["items"]]


def test_a_stored_recording_has_its_files(stack: Deployment) -> None:
    call = finish(stack, tel="09000000001")

    recording = query_one(stack, call.call_id)

    assert (recording["recording_id"], recording["state"], recording["tel"]) == (
        call.call_id,
        "stored",
        "+819000000001",
    )
    assert recording["transcript"] == {"state": "none"}
    assert recording["channels"].keys() == {"left", "right"}
    left = recording["channels"]["left"]
    assert (left["role"], left["role_from"], left["state"]) == ("customer", "channel", "stored")
    assert recording["channels"]["right"]["role"] == "operator"
    assert left["file_name"].endswith("_l.mp3")
    assert left["side"] in {"SRC", "DST"}
    assert left["seconds"] == pytest.approx(6.0, abs=0.2)
    expires = datetime.fromisoformat(left["url_expires_at"])
    assert timedelta(minutes=14) < expires - datetime.now(tz=UTC) <= timedelta(minutes=15)
    assert "problem" not in left


def announce(stack: Deployment, recording_id: str, *, tel: str, date: str = "2026-11-22 12:00:00") -> None:
    event = load_event("biztel_call_action_webhook", "get_query")
    event = with_query(event, ("ID", recording_id), ("TEL", tel), ("DATE", date))
    assert stack.http("biztel_call_action_webhook", event).status == 200


def list_keys(stack: Deployment) -> list[str]:
    entries = aws.s3().list_objects_v2(Bucket=stack.references["JobsBucket"])["Contents"]
    return [entry["Key"] for entry in entries]


@pytest.mark.parametrize("recording_id", ["21061600000268000060", "abc"], ids=["of another day", "no date"])
def test_a_recording_is_announced_before_any_worker_looks_at_it(stack: Deployment, recording_id: str) -> None:
    announce(stack, recording_id, tel="09000000001")

    recording = query_one(stack, recording_id)

    assert (recording["state"], recording["tel"]) == ("announced", "+819000000001")
    assert [notice["tel"] for notice in recording["announcements"]] == ["+819000000001"]
    assert {channel["state"] for channel in recording["channels"].values()} == {"announced"}
    assert stack.rows() == []
    body = {"recording_id": recording_id}
    corrected = stack.http(
        "correct_recording_roles", load_event("correct_recording_roles", "swapped", pathParameters=body)
    )
    assert corrected.json["channels"]["left"]["role_from"] == "correction"


def test_a_forged_first_call_action_gives_way_to_the_files_name(stack: Deployment) -> None:
    call = stack.biztel.finish(CallSpec(announce=False, tel="09000000001"))
    announce(stack, call.call_id, tel="09000000009", date="2020-01-01 00:00:00")
    announce(stack, call.call_id, tel=call.tel, date=call.processed)
    [extra] = [key for key in list_keys(stack) if key.count("/") == 2]
    assert query_one(stack, call.call_id)["tel"] == "+819000000009"
    for key in (f"jobs/{call.call_id}.json", extra):
        record = load_event("fetch_recording", "requeued")["Records"][0]
        body = json.dumps({"recording_id": call.call_id, "job_key": key})
        assert stack.invoke("fetch_recording", {"Records": [{**record, "body": body}]}) == {"batchItemFailures": []}

    recording = query_one(stack, call.call_id)

    assert (recording["state"], recording["tel"]) == ("stored", "+819000000001")
    assert recording["called_at"] > "2026"
    assert [notice["tel"] for notice in recording["announcements"]] == ["+819000000009", "+819000000001"]


def test_an_unreadable_job_is_no_recording(stack: Deployment) -> None:
    aws.s3().put_object(Bucket=stack.references["JobsBucket"], Key="jobs/abc.json", Body=b"{")
    event = load_event("query_recordings", "one", pathParameters={"recording_id": "abc"})

    assert stack.http("query_recordings", event).status == 404


def test_the_url_of_a_file_gives_the_file(stack: Deployment) -> None:
    call = finish(stack)
    left = query_one(stack, call.call_id)["channels"]["left"]

    # moto answers as S3 in this process.
    answer = requests.get(left["url"], timeout=5)

    assert answer.content == b"".join(stack.biztel.provider.file(call, Channel.LEFT).chunks())
    assert "X-Amz-Expires=900" in left["url"]
    assert "AWS4-HMAC-SHA256" in left["url"]


def test_a_channel_without_a_file_says_why(stack: Deployment) -> None:
    stack.biztel.provider.add_fault(Fault(kind=FaultKind.SERVER_ERROR, channel=Channel.LEFT))

    recording = query_one(stack, finish(stack, tel="anonymous").call_id)

    assert (recording["state"], recording["tel"]) == ("fetching", "anonymous")
    left = recording["channels"]["left"]
    assert (left["state"], left["problem"], left["url"], left["sha256"]) == ("fetching", "failed", None, None)
    assert recording["channels"]["right"]["state"] == "stored"


def test_pages_are_ordered_by_the_time_of_the_call_newest_first(stack: Deployment) -> None:
    now = datetime.now(tz=UTC)
    recording_ids = [finish(stack, date=(now - timedelta(hours=hours)).timestamp()).call_id for hours in (2, 1, 3)]
    expected = [recording_ids[1], recording_ids[0], recording_ids[2]]

    assert ids(query_list(stack)) == expected
    first = query_list(stack, ("limit", "2"))
    assert ids(first) == expected[:2]
    assert ids(query_list(stack, ("limit", "2"), ("cursor", first.json["next"]))) == expected[2:]
    page = query_list(
        stack,
        ("from", (now - timedelta(hours=2, minutes=30)).isoformat()),
        ("to", (now - timedelta(minutes=90)).isoformat()),
    )
    assert ids(page) == [recording_ids[0]]


def test_a_filter_by_tel_finds_every_spelling_and_withheld_numbers(stack: Deployment) -> None:
    number = finish(stack, tel="09000000001").call_id
    withheld = finish(stack, tel="anonymous").call_id

    for spelling in ("090-0000-0001", "+819000000001", "０９０\u3000００００\u3000０００１", "090\u00a00000\u00a00001"):
        assert ids(query_list(stack, ("tel", spelling))) == [number]
    assert ids(query_list(stack, ("tel", "anonymous"))) == [withheld]


def test_a_filter_by_state_uses_the_present_state(stack: Deployment) -> None:
    stored = finish(stack).call_id
    stack.biztel.provider.add_fault(Fault(kind=FaultKind.SERVER_ERROR, times=2))
    fetching = finish(stack).call_id

    assert ids(query_list(stack, ("state", "stored"))) == [stored]
    assert ids(query_list(stack, ("state", "fetching"))) == [fetching]
    assert ids(query_list(stack, ("state", "lost"))) == []


def test_the_latest_correction_of_roles_counts(stack: Deployment) -> None:
    call = finish(stack)
    path = {"recording_id": call.call_id}

    for left, right in (("operator", "customer"), ("customer", "operator"), ("operator", "customer")):
        event = load_event(
            "correct_recording_roles", "swapped", pathParameters=path, body={"left": left, "right": right}
        )
        answer = stack.http("correct_recording_roles", event)
        assert answer.status == 200
        assert answer.json["channels"]["left"]["role"] == left

    channels = query_one(stack, call.call_id)["channels"]
    assert (channels["left"]["role"], channels["right"]["role"]) == ("operator", "customer")
    assert {channel["role_from"] for channel in channels.values()} == {"correction"}
    [row] = stack.rows()
    assert len([name for name in row if name.startswith("correction|")]) == 3
