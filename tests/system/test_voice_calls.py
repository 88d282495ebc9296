"""Voice notices on the deployed template: placed once, reported, queried by either id, refused with Baidu's codes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.system.conftest import TIMEOUT_S, Api, wait_until

NOTICE: dict[str, Any] = {"to": "138-0000-0001", "template_id": "123", "variables": {"name": "王", "number": "1"}}


def calls_at_baidu(api: Api, token: str) -> list[dict[str, Any]]:
    """Return the calls that the simulated Baidu VMS placed under this token."""
    answer = requests.get(f"{api.endpoints.baidu_vms_url}/control/calls", params={"token": token}, timeout=TIMEOUT_S)
    answer.raise_for_status()
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_call_is_placed_once_for_its_key_and_has_two_ids(api: Api) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    first, replay = (api.post("/calls", NOTICE, **key) for _ in range(2))
    call = first.json()

    assert (first.status_code, call.get("state"), call.get("callback_expected")) == (201, "accepted", True), first.text
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert [item["call_id"] for item in calls_at_baidu(api, call["token"])] == [call["call_id"]]
    tokens = {api.get(f"/calls/{call[name]}").json()["token"] for name in ("call_id", "token")}
    assert tokens == {call["token"]}
    assert call["token"] in {item["token"] for item in api.get("/calls?to=13800000001&limit=100").json()["items"]}


def test_the_result_of_a_call_is_shown_in_baidus_words(api: Api) -> None:
    call = api.post("/calls", NOTICE).json()
    reported = wait_until(lambda: api.get(f"/calls/{call['call_id']}").json(), lambda call: bool(call["reports"]))

    assert [report["result"] for report in reported["reports"]] == ["answered"]
    assert reported["state"] == "accepted"


@pytest.mark.parametrize(
    ("members", "status", "code", "provider_code"),
    [
        ({"template_id": "999"}, 422, "provider_rejected", "RequestFailed"),
        ({"to": "13800000213"}, 422, "provider_rejected", "IllegalNumber"),
        ({"to": "13800000212"}, 429, "provider_busy", "QueueFull"),
    ],
    ids=["unknown template", "forbidden number", "too many at once"],
)
def test_a_refused_call_carries_baidus_code(
    api: Api, members: dict[str, Any], status: int, code: str, provider_code: str
) -> None:
    answer = api.post("/calls", NOTICE | members)
    problem = answer.json()

    assert (answer.status_code, problem["code"], problem["provider_code"]) == (status, code, provider_code)
    assert calls_at_baidu(api, problem["token"]) == []


def test_a_call_whose_answer_is_lost_is_unknown_and_placed_once(api: Api) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    first, replay = (api.post("/calls", NOTICE | {"to": "13800000005"}, **key) for _ in range(2))

    assert (first.status_code, replay.status_code, replay.json()["state"]) == (202, 202, "unknown")
    assert len(calls_at_baidu(api, first.json()["token"])) == 1
