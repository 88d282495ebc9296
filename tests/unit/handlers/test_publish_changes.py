"""Each visible change is on the bus as docs/events/ describes it, and nothing that stops one stops the others."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from botocore.client import BaseClient
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from openapi_schema_validator import OAS31Validator

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.timestamps import to_rfc3339
from switchboard.storage import aws, changes
from tests.deployment import Deployment
from tests.events import Event, load_event
from tests.translated_template import REGION, ROOT
from tests.unit.handlers.test_query_recordings import finish, query_one
from tools.event_schemas import build_schemas, file_name

PUBLISHED: Final[dict[str, list[tuple[str, str, int, int | None]]]] = {
    "created": [],
    "accepted": [("SmsChanged", "accepted", 3, 2)],
    "delivered": [("SmsChanged", "delivered", 5, 3)],
    "burst": [("SmsChanged", "delivered", 5, 0)],
    "expired": [],
    "erased": [("SmsErased", "", 6, 5)],
    "with_a_poisonous_record": [("SmsChanged", "delivered", 5, 3)],
    "circuit_opened": [("ProviderCircuitChanged", "open", 2, 1)],
    "repair": [],
    "republish": [],
}
"""The type, the state, the sequence and the one before of what each sample event publishes in an empty stack."""


class Bus:
    """The events that were put on the bus."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []

    def record(self, client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        """Make a call to AWS, and keep what it puts on the bus."""
        answer = _make_call(client, operation, parameters)
        if operation == "PutEvents":
            self._events += parameters["Entries"]
        return answer

    def take(self) -> list[dict[str, Any]]:
        """Return the events that came since the last call, in order, as a rule's target gets them."""
        events, self._events = self._events, []
        assert {event["Source"] for event in events} <= {"switchboard"}
        return [{"detail-type": event["DetailType"], "detail": json.loads(event["Detail"])} for event in events]


_make_call = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs


class Stream:
    """The state table's stream, read from its beginning. moto keeps it and does not serve it."""

    def __init__(self, stack: Deployment) -> None:
        backend = get_backend("dynamodb")[DEFAULT_ACCOUNT_ID][REGION]
        self._shard: Any = backend.tables[stack.references["StateTable"]].stream_shard
        self._taken = 0

    def take(self) -> Event:
        """Return the records since the last call, as Lambda gives them to a function."""
        records = [copy.deepcopy(entry.to_json()) for entry in self._shard.items[self._taken :]]
        self._taken += len(records)
        for record in records:
            change = record["dynamodb"]
            change["ApproximateCreationDateTime"] = change["ApproximateCreationDateTime"].timestamp()
        return {"Records": records}


@pytest.fixture
def bus(stack: Deployment, monkeypatch: pytest.MonkeyPatch) -> Bus:
    bus = Bus()
    monkeypatch.setattr(BaseClient, "_make_api_call", lambda *call: bus.record(*call))  # noqa: PLW0108 - not bound
    return bus


@pytest.fixture
def stream(stack: Deployment) -> Stream:
    return Stream(stack)


def validate(event: dict[str, Any]) -> None:
    """Check an event against its file in docs/events/."""
    name = "Erased" if event["detail-type"].endswith("Erased") else event["detail-type"]
    schema = json.loads((ROOT / "docs" / "events" / file_name(name)).read_text(encoding="utf-8"))
    OAS31Validator(schema).validate(event["detail"])


def summary(events: list[dict[str, Any]]) -> list[tuple[str, str, int, int | None]]:
    return [
        (event["detail-type"], event["detail"]["data"].get("state", ""), event["detail"]["sequence"],
         event["detail"]["previous"])
        for event in events
    ]  # fmt: skip


@pytest.mark.parametrize("case", PUBLISHED)
def test_a_sample_event_publishes_what_it_makes_visible(stack: Deployment, bus: Bus, case: str) -> None:
    stack.invoke("publish_changes", load_event("publish_changes", case))

    events = bus.take()

    assert summary(events) == PUBLISHED[case]
    for event in events:
        validate(event)


def test_the_schemas_are_those_of_the_openapi_document() -> None:
    for detail_type, schema in build_schemas().items():
        OAS31Validator.check_schema(schema)
        text = (ROOT / "docs" / "events" / file_name(detail_type)).read_text(encoding="utf-8")
        assert json.loads(text) == schema, "run tools/event_schemas.py"


def test_every_kind_of_resource_is_published_as_get_shows_it(stack: Deployment, bus: Bus, stream: Stream) -> None:
    stack.http("send_sms", load_event("send_sms", "japanese_text"))
    verification = stack.http("start_verification", load_event("start_verification", "call_in")).json
    voice_call = stack.http("place_call", load_event("place_call", "everything")).json
    recording_id = finish(stack, tel="09000000001").call_id
    stack.invoke("watch_limits", load_event("watch_limits", "schedule"))

    stack.invoke("publish_changes", stream.take())

    events = bus.take()
    for event in events:
        validate(event)
    views = {event["detail-type"]: event["detail"]["data"] for event in events}
    message = stack.http("query", load_event("query", "one", pathParameters={"smsid": "order1001"})).json
    assert views["SmsChanged"] == message
    assert views["VerificationChanged"] == verification
    assert views["VoiceCallChanged"] == voice_call
    recording = query_one(stack, recording_id)
    for channel in recording["channels"].values():
        del channel["url"], channel["url_expires_at"]
    assert views["RecordingChanged"] == recording
    assert views["ProviderCircuitChanged"]["state"] == "closed"
    assert {event["detail"]["client"] for event in events} == {None, message_client(stack)}


def message_client(stack: Deployment) -> str:
    [client] = {row["client"]["S"] for row in stack.rows() if row.get("kind", {}).get("S") == "sms"}
    return str(client)


def test_a_result_of_a_call_publishes_both_items_of_the_call(stack: Deployment, bus: Bus, stream: Stream) -> None:
    call_id = stack.http("place_call", load_event("place_call", "everything")).json["call_id"]
    stack.invoke("publish_changes", stream.take())
    before = bus.take()
    event = load_event("baidu_vms_webhook", "get_query", multiValueQueryStringParameters=None)
    stack.http(
        "baidu_vms_webhook",
        event | {"queryStringParameters": {"callId": call_id, "result": "answered"},
                 "multiValueQueryStringParameters": {"callId": [call_id], "result": ["answered"]}},
    )  # fmt: skip

    stack.invoke("publish_changes", stream.take())

    [change] = bus.take()
    assert change["detail"]["previous"] == before[-1]["detail"]["sequence"]
    assert [report["result"] for report in change["detail"]["data"]["reports"]] == ["answered"]


def test_an_unchanged_circuit_writes_nothing(stack: Deployment, stream: Stream) -> None:
    stack.invoke("watch_limits", load_event("watch_limits", "schedule"))
    stream.take()

    stack.invoke("watch_limits", load_event("watch_limits", "schedule"))

    assert stream.take()["Records"] == []


def test_an_opened_circuit_is_published_once(stack: Deployment, bus: Bus, stream: Stream) -> None:
    stack.invoke("watch_limits", load_event("watch_limits", "schedule"))
    stack.put_secret("MediaSmsSecret", {"user": "wrong", "password": "wrong"})
    for _ in range(3):
        stack.http("send_sms", load_event("send_sms", "japanese_text"))
    stack.invoke("watch_limits", load_event("watch_limits", "schedule"))

    stack.invoke("publish_changes", stream.take())

    circuits = [event for event in bus.take() if event["detail"]["id"].startswith("circuit_mediasms")]
    assert summary(circuits) == [("ProviderCircuitChanged", "open", 2, 0)]
    assert circuits[0]["detail"]["data"]["reason"] == "authentication"


def test_an_unreadable_item_goes_into_the_repair_queue(stack: Deployment) -> None:
    stack.invoke("publish_changes", load_event("publish_changes", "with_a_poisonous_record"))

    assert stack.queued("ChangesRepairQueue") == ['{"pk": "SMS#order1002"}']
    assert ("ChangesDeferred", frozenset({("service", "switchboard")})) in stack.metrics()


def test_a_repair_publishes_the_present_state(stack: Deployment, bus: Bus) -> None:
    stack.http("send_sms", load_event("send_sms", "japanese_text"))

    assert stack.invoke("publish_changes", load_event("publish_changes", "repair")) == {"batchItemFailures": []}

    assert summary(bus.take()) == [("SmsChanged", "accepted", 3, None)]


def take(stack: Deployment) -> list[str]:
    """Take all entries out of the repair queue."""
    url, bodies = stack.references["ChangesRepairQueue"], []
    while found := aws.sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in found:
            aws.sqs().delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            bodies.append(message["Body"])
    return bodies


def republish(stack: Deployment, since: datetime) -> list[str]:
    """Let everything be republished that was created since then, and return the keys that come into the queue."""
    answer = stack.invoke("publish_changes", {"republish": {"since": to_rfc3339(since)}})
    entries, keys = take(stack), list[str]()
    assert answer == {"queued": len(entries)}
    event = load_event("publish_changes", "repair")
    [record] = event["Records"]
    while entries:
        records = [record | {"body": body, "messageId": str(number)} for number, body in enumerate(entries)]
        assert stack.invoke("publish_changes", event | {"Records": records}) == {"batchItemFailures": []}
        queued = [json.loads(body) for body in take(stack)]
        keys += [entry["pk"] for entry in queued if "pk" in entry]
        entries = [json.dumps(entry) for entry in queued if "pk" not in entry]
    return keys


def test_a_republication_queues_everything_since_then(stack: Deployment) -> None:
    stack.http("send_sms", load_event("send_sms", "japanese_text"))
    stack.http("place_call", load_event("place_call", "everything"))

    keys = republish(stack, datetime.now(UTC) - timedelta(days=2))

    assert len(keys) == 2
    assert "SMS#order1001" in keys


def test_a_republication_goes_on_page_by_page(stack: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_KEYS_A_PAGE", 2)
    smsids = [f"page{number:02}" for number in range(12)]
    for smsid in smsids:
        body = {"to": f"090-0000-00{smsid[-2:]}", "text": "test", "smsid": smsid}
        assert stack.http("send_sms", load_event("send_sms", "japanese_text", body=body)).status in {201, 202}

    keys = republish(stack, datetime.now(UTC) - timedelta(hours=1))

    assert set(keys) == {f"SMS#{smsid}" for smsid in smsids}


def test_a_bus_that_refuses_one_entry_sends_its_key_to_the_repair_queue(
    stack: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "PutEvents", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]})

    stack.invoke("publish_changes", load_event("publish_changes", "accepted"))

    assert stack.queued("ChangesRepairQueue") == ['{"pk": "SMS#order1001"}']


def test_a_refused_erasure_fails_the_batch(stack: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "PutEvents", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]})

    with pytest.raises(StoreUnavailableError):
        stack.invoke("publish_changes", load_event("publish_changes", "erased"))


def test_a_bus_that_is_down_fails_the_batch(stack: Deployment) -> None:
    aws.events().delete_event_bus(Name=stack.references["ChangesBus"])

    with pytest.raises(StoreUnavailableError):
        stack.invoke("publish_changes", load_event("publish_changes", "accepted"))


def test_a_repair_queue_that_is_down_fails_the_batch(stack: Deployment) -> None:
    aws.sqs().delete_queue(QueueUrl=stack.references["ChangesRepairQueue"])

    with pytest.raises(StoreUnavailableError):
        stack.invoke("publish_changes", load_event("publish_changes", "with_a_poisonous_record"))


def test_a_change_is_logged_by_ids_and_states_only(stack: Deployment) -> None:
    stack.invoke("publish_changes", load_event("publish_changes", "delivered"))

    [line] = [line for line in stack.logged() if line.get("message") == "change"]
    assert (line["kind"], line["id"], line["sequence"], line["state"]) == ("sms", "order1001", 5, "delivered")
    assert "+8190" not in json.dumps(line)


def refuse(monkeypatch: pytest.MonkeyPatch, operation: str, answer: dict[str, Any]) -> None:
    """Let every call of one operation be answered like this."""
    monkeypatch.setattr(
        BaseClient,
        "_make_api_call",
        lambda client, name, parameters: answer if name == operation else _make_call(client, name, parameters),
    )
