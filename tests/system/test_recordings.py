"""Recordings on the deployed template: from BIZTEL's call action to files, with each role's own permissions."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import boto3
import pytest
import requests

from tests.depth import at_depth
from tests.system.conftest import TIMEOUT_S, Api, request_control, wait_until

CALLS_AT_ONCE: Final = at_depth(usual=20, proof=40)
REQUESTS_PER_S: Final = 10


def control(api: Api, path: str, body: object | None = None) -> Any:
    """Send a request to the control interface of the simulated BIZTEL."""
    return request_control(f"{api.endpoints.biztel_url}/control/{path}", body)


def query_recording(api: Api, call_id: str) -> Any:
    """Return the recording of a call, or the problem if there is none."""
    return api.get(f"/recordings/{call_id}").json()


def wait_until_stored(api: Api, call_id: str) -> Any:
    """Query the recording of a call until it is stored and return it."""
    return wait_until(lambda: query_recording(api, call_id), lambda recording: recording.get("state") == "stored")


def test_an_ended_call_becomes_two_files_that_their_urls_return(api: Api) -> None:
    call = control(api, "calls", {"tel": "09000000001"})
    assert [action["answer"] for action in call["actions"]] == [200]

    recording = wait_until_stored(api, call["id"])

    for channel, role in (("left", "customer"), ("right", "operator")):
        file = recording["channels"][channel]
        assert file["role"] == role
        content = requests.get(file["url"], timeout=TIMEOUT_S).content
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content) == file["bytes"]
    page = api.get("/recordings?tel=090-0000-0001&limit=1").json()
    assert [item["recording_id"] for item in page["items"]] == [call["id"]]
    corrected = api.post(f"/recordings/{call['id']}/roles", {"left": "operator", "right": "customer"})
    assert corrected.json()["channels"]["left"]["role"] == "operator"
    again = control(api, "calls/repeat", {"id": call["id"]})
    assert [action["answer"] for action in again["actions"]] == [200, 200]


def test_a_download_that_is_cut_is_repeated_and_stored_once(api: Api) -> None:
    call = control(api, "calls", {"faults": [{"kind": "cut", "channel": "left"}]})

    wait_until_stored(api, call["id"])

    assert control(api, f"requests?id={call['id']}")["channels"] == {"left": 2, "right": 1}


def test_a_recording_behind_tags_of_many_megabytes_is_stored(api: Api) -> None:
    """It is recognised only in quarantine, from which the worker copies it."""
    call = control(api, "calls", {"faults": [{"kind": "large_tags", "channel": "left", "bytes": 9_000_000}]})

    left = wait_until_stored(api, call["id"])["channels"]["left"]

    assert (left["content_type"], left["seconds"]) == ("audio/mpeg", pytest.approx(6.0, abs=0.2))
    content = requests.get(left["url"], timeout=TIMEOUT_S).content
    assert hashlib.sha256(content).hexdigest() == left["sha256"]
    assert len(content) > 18_000_000


def test_what_is_no_recording_is_quarantined_after_two_requests(api: Api) -> None:
    call = control(api, "calls", {"faults": [{"kind": "not_mp3", "channel": "left", "times": None}]})

    recording = wait_until(lambda: query_recording(api, call["id"]), lambda found: found.get("state") == "partial")

    states = {name: channel["state"] for name, channel in recording["channels"].items()}
    assert states == {"left": "quarantined", "right": "stored", "monaural": "stored"}
    assert control(api, f"requests?id={call['id']}")["channels"]["left"] == 2


def test_calls_that_end_at_once_are_stored_once_within_the_burst_limit(api: Api) -> None:
    before = control(api, "requests")["count"]
    # The emulator shares this machine with every function, so its answer may take longer than BIZTEL waits.
    control(api, "config", {"action_timeout_s": 60})
    calls = control(api, "calls/many", {"n": CALLS_AT_ONCE, "wait": True})
    control(api, "config", {"action_timeout_s": 10})

    def find_unfinished() -> list[str]:
        return [call_id for call_id in calls["ids"] if query_recording(api, call_id).get("state") != "stored"]

    wait_until(find_unfinished, lambda call_ids: call_ids == [])

    new_requests = control(api, "requests")["items"][before:]
    # Other tests announced calls that do not exist. The worker still requests their recordings.
    files = [
        (request["call_id"], request["channel"], request["status"])
        for request in new_requests
        if request["call_id"] in calls["ids"]
    ]
    assert sorted(files) == sorted((call_id, channel, 200) for call_id in calls["ids"] for channel in ("left", "right"))
    times = sorted(request["at_s"] for request in new_requests)
    assert all(last - first >= 1.0 for first, last in zip(times, times[REQUESTS_PER_S:], strict=False))


def test_a_bulk_file_becomes_a_recording_without_a_request(api: Api) -> None:
    call = control(api, "calls", {"announce": False})
    files = control(api, f"bulk?id={call['id']}")["files"]
    left = next(file for file in files if file["channel"] == "left")
    s3 = boto3.client(
        "s3",
        endpoint_url=api.endpoints.aws_endpoint_url,
        region_name=api.endpoints.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    [jobs_bucket] = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"] if "-jobs-" in bucket["Name"]]
    content = requests.get(left["url"], timeout=TIMEOUT_S).content

    s3.put_object(Bucket=jobs_bucket, Key=f"bulk/a day/{left['name']}", Body=content)

    recording = wait_until_stored(api, call["id"])
    assert recording["channels"]["left"]["file_name"] == left["name"]
    assert control(api, f"requests?id={call['id']}")["count"] == 0


def test_a_wrong_token_and_an_unusable_id_have_different_answers(api: Api) -> None:
    query = {"ID": "../x", "TEL": "", "DATE": ""}
    refused = requests.get(api.endpoints.webhook_url("biztel"), params=query, timeout=TIMEOUT_S)
    assert (refused.status_code, refused.text) == (400, '{"result":"error","code":"id_unusable"}')
    forged = api.endpoints.webhook_url("biztel", "no-live-token")
    assert requests.get(forged, params=query, timeout=TIMEOUT_S).status_code == 403
