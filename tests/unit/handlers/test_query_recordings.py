"""`GET /v1/recordings` and `POST /v1/recordings/{recording_id}/roles` through their handlers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.biztel.faults import Fault, FaultKind
from sandbox.simulators.biztel.recorded_calls import CallSpec
from sandbox.simulators.biztel.recorded_calls import RecordedCall as Call
from tests.deployment import Deployment, HttpAnswer
from tests.events import load_event, with_query


def finish(stack: Deployment, **spec: Any) -> Call:
    """A call that ended, was announced, and looked at once."""
    call = stack.biztel.finish(CallSpec(announce=False, **spec))
    query = (("ID", call.call_id), ("TEL", call.tel), ("DATE", call.processed))
    event = with_query(load_event("biztel_call_action_webhook", "get_query"), *query)
    assert stack.http("biztel_call_action_webhook", event).status == 200
    entry = load_event("fetch_recording", "requeued")["Records"][0]
    body = entry["body"].replace("21061600000268000060", call.call_id)
    assert stack.invoke("fetch_recording", {"Records": [{**entry, "body": body}]}) == {"batchItemFailures": []}
    return call


def one(stack: Deployment, recording_id: str) -> Any:
    answer = stack.http(
        "query_recordings", load_event("query_recordings", "one", pathParameters={"recording_id": recording_id})
    )
    assert answer.status == 200
    return answer.json


def listed(stack: Deployment, *query: tuple[str, str]) -> HttpAnswer:
    return stack.http("query_recordings", with_query(load_event("query_recordings", "list"), *query))


def ids(answer: HttpAnswer) -> list[str]:
    assert answer.status == 200, answer.body
    return [each["recording_id"] for each in answer.json["items"]]


def test_a_stored_recording_shows_its_files(stack: Deployment) -> None:
    call = finish(stack, tel="09000000001")

    shown = one(stack, call.call_id)

    assert (shown["recording_id"], shown["state"], shown["tel"]) == (call.call_id, "stored", "+819000000001")
    assert shown["transcript"] == {"state": "none"}
    assert shown["channels"].keys() == {"left", "right"}
    left = shown["channels"]["left"]
    assert (left["role"], left["role_from"], left["state"]) == ("customer", "channel", "stored")
    assert shown["channels"]["right"]["role"] == "operator"
    assert left["file_name"].endswith("_l.mp3")
    assert left["side"] in {"SRC", "DST"}
    assert left["seconds"] == pytest.approx(6.0, abs=0.2)
    expires = datetime.fromisoformat(left["url_expires_at"])
    assert timedelta(minutes=14) < expires - datetime.now(tz=UTC) <= timedelta(minutes=15)
    assert "problem" not in left


def test_the_address_of_a_file_gives_the_file(stack: Deployment) -> None:
    call = finish(stack)
    left = one(stack, call.call_id)["channels"]["left"]

    # moto answers for S3 in this process.
    answer = requests.get(left["url"], timeout=5)

    assert answer.content == b"".join(stack.biztel.provider.file(call, Channel.LEFT).chunks())
    assert "X-Amz-Expires=900" in left["url"]
    assert "AWS4-HMAC-SHA256" in left["url"]


def test_a_channel_that_is_not_there_says_why(stack: Deployment) -> None:
    stack.biztel.provider.add_fault(Fault(kind=FaultKind.SERVER_ERROR, channel=Channel.LEFT))

    shown = one(stack, finish(stack, tel="anonymous").call_id)

    assert (shown["state"], shown["tel"]) == ("fetching", "anonymous")
    left = shown["channels"]["left"]
    assert (left["state"], left["problem"], left["url"], left["sha256"]) == ("fetching", "failed", None, None)
    assert shown["channels"]["right"]["state"] == "stored"


def test_lists_are_by_the_time_of_the_call_newest_first_in_pages(stack: Deployment) -> None:
    now = datetime.now(tz=UTC)
    made = [finish(stack, date=(now - timedelta(hours=hours)).timestamp()).call_id for hours in (2, 1, 3)]
    expected = [made[1], made[0], made[2]]

    assert ids(listed(stack)) == expected
    first = listed(stack, ("limit", "2"))
    assert ids(first) == expected[:2]
    assert ids(listed(stack, ("limit", "2"), ("cursor", first.json["next"]))) == expected[2:]
    between = listed(
        stack,
        ("from", (now - timedelta(hours=2, minutes=30)).isoformat()),
        ("to", (now - timedelta(minutes=90)).isoformat()),
    )
    assert ids(between) == [made[0]]


def test_a_number_is_found_however_it_is_written_and_so_is_what_is_none(stack: Deployment) -> None:
    number = finish(stack, tel="09000000001").call_id
    withheld = finish(stack, tel="anonymous").call_id

    for spelling in ("090-0000-0001", "+819000000001", "０９０\u3000００００\u3000０００１", "090\u00a00000\u00a00001"):
        assert ids(listed(stack, ("tel", spelling))) == [number]
    assert ids(listed(stack, ("tel", "anonymous"))) == [withheld]


def test_a_filter_by_state_is_by_the_state_shown(stack: Deployment) -> None:
    stored = finish(stack).call_id
    stack.biztel.provider.add_fault(Fault(kind=FaultKind.SERVER_ERROR, times=2))
    fetching = finish(stack).call_id

    assert ids(listed(stack, ("state", "stored"))) == [stored]
    assert ids(listed(stack, ("state", "fetching"))) == [fetching]
    assert ids(listed(stack, ("state", "lost"))) == []


def test_corrected_roles_are_shown_and_the_latest_counts(stack: Deployment) -> None:
    call = finish(stack)
    path = {"recording_id": call.call_id}

    for left, right in (("operator", "customer"), ("customer", "operator"), ("operator", "customer")):
        event = load_event(
            "correct_recording_roles", "swapped", pathParameters=path, body={"left": left, "right": right}
        )
        answer = stack.http("correct_recording_roles", event)
        assert answer.status == 200
        assert answer.json["channels"]["left"]["role"] == left

    shown = one(stack, call.call_id)["channels"]
    assert (shown["left"]["role"], shown["right"]["role"]) == ("operator", "customer")
    assert {each["role_from"] for each in shown.values()} == {"correction"}
    [row] = stack.rows()
    assert len([name for name in row if name.startswith("correction|")]) == 3
