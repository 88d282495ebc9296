"""Voice notices on the deployed template: placed once, reported, found by either id, refused with Baidu's own codes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.system.conftest import PATIENCE_S, Api, until

pytestmark = pytest.mark.xdist_group("sandbox")

NOTICE: dict[str, Any] = {"to": "138-0000-0001", "template_id": "123", "variables": {"name": "王", "number": "1"}}


def placed_at_baidu(api: Api, token: str) -> list[dict[str, Any]]:
    """The calls that the simulator placed under this token."""
    answer = requests.get(f"{api.endpoints.baidu_vms_url}/control/calls", params={"token": token}, timeout=PATIENCE_S)
    answer.raise_for_status()
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_call_is_placed_once_for_its_key_and_found_by_either_id(api: Api) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    first, again = (api.post("/calls", NOTICE, **key) for _ in range(2))
    call = first.json()

    assert (first.status_code, call.get("state"), call.get("callback_expected")) == (201, "accepted", True), first.text
    assert again.headers["Idempotent-Replayed"] == "true"
    assert [item["call_id"] for item in placed_at_baidu(api, call["token"])] == [call["call_id"]]
    found = {api.get(f"/calls/{call[name]}").json()["token"] for name in ("call_id", "token")}
    assert found == {call["token"]}
    assert call["token"] in {item["token"] for item in api.get("/calls?to=13800000001&limit=100").json()["items"]}


def test_its_result_is_shown_as_the_provider_reported_it(api: Api) -> None:
    call = api.post("/calls", NOTICE).json()
    shown = until(lambda: api.get(f"/calls/{call['call_id']}").json(), lambda shown: bool(shown["reports"]))

    assert [report["result"] for report in shown["reports"]] == ["answered"]
    assert shown["state"] == "accepted"


@pytest.mark.parametrize(
    ("members", "status", "code", "provider_code"),
    [
        ({"template_id": "999"}, 422, "provider_rejected", "RequestFailed"),
        ({"to": "13800000213"}, 422, "provider_rejected", "IllegalNumber"),
        ({"to": "13800000212"}, 429, "provider_busy", "QueueFull"),
    ],
)
def test_a_refusal_carries_baidus_own_code(
    api: Api, members: dict[str, Any], status: int, code: str, provider_code: str
) -> None:
    answer = api.post("/calls", NOTICE | members)
    said = answer.json()

    assert (answer.status_code, said["code"], said["provider_code"]) == (status, code, provider_code)
    assert placed_at_baidu(api, said["token"]) == []


def test_a_lost_answer_is_unknown_and_rings_once(api: Api) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    first, again = (api.post("/calls", NOTICE | {"to": "13800000005"}, **key) for _ in range(2))

    assert (first.status_code, again.status_code, again.json()["state"]) == (202, 202, "unknown")
    assert len(placed_at_baidu(api, first.json()["token"])) == 1
