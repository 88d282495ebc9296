"""Recordings on the deployed template: from BIZTEL's call action to files, with each role's own rights."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import boto3
import pytest
import requests

from tests.system.conftest import PATIENCE_S, Api, asked, until

pytestmark = pytest.mark.xdist_group("sandbox")

CALLS_AT_ONCE: Final = 40
REQUESTS_PER_S: Final = 10


def control(api: Api, path: str, body: object | None = None) -> Any:
    return asked(f"{api.endpoints.biztel_url}/control/{path}", body)


def recording(api: Api, call_id: str) -> Any:
    return api.get(f"/recordings/{call_id}").json()


def test_a_finished_call_is_two_files_that_can_be_had_by_their_addresses(api: Api) -> None:
    call = control(api, "calls", {"tel": "09000000001"})
    assert [action["answer"] for action in call["actions"]] == [200]

    shown = until(lambda: recording(api, call["id"]), lambda seen: seen.get("state") == "stored")

    for channel, role in (("left", "customer"), ("right", "operator")):
        file = shown["channels"][channel]
        assert file["role"] == role
        content = requests.get(file["url"], timeout=PATIENCE_S).content
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content) == file["bytes"]
    assert [each["recording_id"] for each in api.get("/recordings?tel=090-0000-0001&limit=1").json()["items"]] == [
        call["id"]
    ]
    corrected = api.post(f"/recordings/{call['id']}/roles", {"left": "operator", "right": "customer"})
    assert corrected.json()["channels"]["left"]["role"] == "operator"
    again = control(api, "calls/repeat", {"id": call["id"]})
    assert [action["answer"] for action in again["actions"]] == [200, 200]


def test_a_transfer_that_breaks_off_is_made_again_and_stored_once(api: Api) -> None:
    call = control(api, "calls", {"faults": [{"kind": "cut", "channel": "left"}]})

    until(lambda: recording(api, call["id"]), lambda seen: seen.get("state") == "stored")

    assert control(api, f"requests?id={call['id']}")["channels"] == {"left": 2, "right": 1}


def test_calls_that_end_at_once_are_all_stored_within_the_burst_limit_and_nothing_twice(api: Api) -> None:
    before = control(api, "requests")["count"]
    # The emulator shares this machine with every function: it may take longer than BIZTEL waits.
    control(api, "config", {"action_timeout_s": 60})
    calls = control(api, "calls/many", {"n": CALLS_AT_ONCE, "wait": True})
    control(api, "config", {"action_timeout_s": 10})

    def unfinished() -> list[str]:
        return [each for each in calls["ids"] if recording(api, each).get("state") != "stored"]

    until(unfinished, lambda left: left == [])

    seen = control(api, "requests")["items"][before:]
    # Other tests announced calls that there are none of, and those are still being asked for.
    files = [(each["call_id"], each["channel"], each["status"]) for each in seen if each["call_id"] in calls["ids"]]
    assert sorted(files) == sorted((each, channel, 200) for each in calls["ids"] for channel in ("left", "right"))
    times = sorted(each["at_s"] for each in seen)
    assert all(last - first >= 1.0 for first, last in zip(times, times[REQUESTS_PER_S:], strict=False))


def test_a_file_dropped_in_bulk_becomes_a_recording_without_a_request(api: Api) -> None:
    call = control(api, "calls", {"announce": False})
    file = next(each for each in control(api, f"bulk?id={call['id']}")["files"] if each["channel"] == "left")
    s3 = boto3.client(
        "s3",
        endpoint_url=api.endpoints.aws_endpoint_url,
        region_name=api.endpoints.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    [bucket] = [each["Name"] for each in s3.list_buckets()["Buckets"] if "-jobs-" in each["Name"]]

    s3.put_object(
        Bucket=bucket, Key=f"bulk/a day/{file['name']}", Body=requests.get(file["url"], timeout=PATIENCE_S).content
    )

    shown = until(lambda: recording(api, call["id"]), lambda seen: seen.get("state") == "stored")
    assert shown["channels"]["left"]["file_name"] == file["name"]
    assert control(api, f"requests?id={call['id']}")["count"] == 0


def test_a_wrong_token_and_an_unusable_id_are_told_apart(api: Api) -> None:
    base = f"{api.endpoints.api_url}/v1/webhooks/biztel"
    path = "monitor_file_event?ID=../x&TEL=&DATE="
    refused = requests.get(f"{base}/{api.endpoints.webhook_token}/{path}", timeout=PATIENCE_S)
    assert (refused.status_code, refused.text) == (400, '{"result":"error","code":"id_unusable"}')
    assert requests.get(f"{base}/no-live-token/{path}", timeout=PATIENCE_S).status_code == 403
