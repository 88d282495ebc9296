"""A client's subscription through the handlers: registered, posted to, owed, changed, disabled and deleted. (I35)"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

import pytest
from botocore.client import BaseClient
from standardwebhooks import Webhook

from sandbox.webhook_receiver import ReceivedPost, WebhookReceiver
from switchboard.domain.api_keys import Scope
from switchboard.domain.changes import CIRCUITS
from switchboard.domain.subscription.signatures import derive_secret, format_secret
from switchboard.domain.timestamps import to_rfc3339
from switchboard.storage import aws
from tests.deployment import Deployment, HttpAnswer, deployed
from tests.events import load_event, of_client
from tests.translated_template import ROOT
from tests.unit.handlers.test_api_keys import put_key, watched_calls
from tests.unit.handlers.test_publish_changes import Bus, Stream

READS: Final = {"GetItem", "BatchGetItem", "TransactGetItems", "Query"}
WRITES: Final = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "PutEvents"}
RUNBOOK: Final = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
_numbers = count(1)


class Receiver(WebhookReceiver):
    """A receiver that can give any answer. It lets the specification's own library verify each post."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 204
        self.answered: list[dict[str, str]] = []

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """Keep the post if it is genuine, and answer with the status of the moment."""
        Webhook(self.secret).verify(body, headers)
        self.answered.append(headers)
        status = super().receive(headers, body)
        return status if self.status == 204 else self.status


@dataclass(kw_only=True)
class Customer:
    """A client with one subscription to messages, and what it can do and see."""

    stack: Deployment
    stream: Stream
    receiver: Receiver
    key: str
    subscription: dict[str, Any] = field(default_factory=dict)
    smsid: str = ""

    def manage(self, case: str, **event: Any) -> HttpAnswer:
        path = {"pathParameters": {"subscription_id": self.subscription["subscription_id"]}}
        return self.stack.http(
            "manage_subscriptions", of_client(load_event("manage_subscriptions", case, **path, **event), self.key)
        )

    def subscribe(self, **members: Any) -> None:
        body = {"url": self.receiver.url, "events": ["sms"], **members}
        event = of_client(load_event("manage_subscriptions", "create", body=body), self.key)
        answer = self.stack.http("manage_subscriptions", event)
        assert answer.status == 201
        self.subscription = answer.json
        self.receiver.secret = self.subscription["secret"]

    def read(self) -> dict[str, Any]:
        return dict(self.manage("unknown_subscription").json)

    def send(self) -> None:
        self.smsid = f"hooked{next(_numbers)}"
        body = {"to": "090-0000-0001", "text": "test", "smsid": self.smsid}
        assert self.stack.http("send_sms", of_client(load_event("send_sms", "japanese_text", body=body), self.key)).json

    def publish(self) -> list[str]:
        """Publish what has changed, and return the entries of the hooks' queue."""
        self.stack.invoke("publish_changes", self.stream.take())
        return self.entries()

    def entries(self) -> list[str]:
        """Take the entries that the hooks' queue gives out now."""
        url = self.stack.references["HookQueue"]
        bodies = []
        while found := aws.sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in found:
                bodies.append(message["Body"])
                aws.sqs().delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def deliver(self, *bodies: str) -> list[dict[str, Any]]:
        """Let the function handle these entries, and return those that it wants to have again."""
        event = load_event("deliver_changes", "change")
        [record] = event["Records"]
        failed = []
        for body in bodies:
            answer = self.stack.invoke("deliver_changes", event | {"Records": [record | {"body": body}]})
            failed += answer["batchItemFailures"]
        return failed

    def change(self) -> list[ReceivedPost]:
        """Send a message, deliver what it changed, and return the posts that came in."""
        self.send()
        assert self.deliver(*self.publish()) == []
        return self.receiver.take()

    def marks(self) -> list[dict[str, Any]]:
        prefix = f"HOOKED#{self.subscription['subscription_id']}#"
        return [row for row in self.stack.rows() if row["pk"]["S"].startswith(prefix)]

    def sweep(self) -> None:
        """Let the sweep run, and the rounds that it starts."""
        self.stack.invoke("sweep_overdue", load_event("sweep_overdue", "schedule"))
        while bodies := self.entries():
            assert self.deliver(*bodies) == []


@pytest.fixture(scope="module")
def shared() -> Iterator[Deployment]:
    # A slow machine that misses its slot would reserve a second one.
    with deployed(MediaSmsJitterMilliseconds="1000") as stack:
        yield stack


@pytest.fixture
def customer(shared: Deployment) -> Iterator[Customer]:
    """Return a new client. Nothing of an earlier one is left in the stream or in the queue."""
    receiver = Receiver()
    with receiver:
        customer = Customer(
            stack=shared, stream=Stream(shared), receiver=receiver, key=f"key-of-subscriber-{next(_numbers)}"
        )
        customer.stream.take()
        customer.entries()
        customer.subscribe()
        yield customer


@pytest.fixture
def bus(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> Bus:
    bus = Bus()
    monkeypatch.setattr(BaseClient, "_make_api_call", lambda *call: bus.record(*call))  # noqa: PLW0108 - not bound
    return bus


def counted(calls: list[tuple[str, Any]]) -> tuple[int, int, int]:
    """Return the numbers of reads, of writes or requests to the bus, and of requests to queues."""
    names = [operation for operation, _ in calls]
    kinds = (READS, WRITES, {"SendMessage", "SendMessageBatch"})
    return tuple(sum(name in kind for name in names) for kind in kinds)  # type: ignore[return-value]  # three


def documented(page: str, what: str) -> tuple[int, ...]:
    """Return the numbers of one row in the page's table of costs."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    [row] = [line for line in text.splitlines() if line.startswith(f"| {what} |")]
    return tuple(int(cell) for cell in row.strip("| ").split(" | ")[1:])


def test_a_delivered_change_writes_nothing(customer: Customer) -> None:
    customer.change()
    customer.send()
    entries = customer.publish()

    with watched_calls() as calls:
        customer.deliver(*entries)

    [post] = customer.receiver.take()
    assert (post.kind, post.data["smsid"], post.data["state"]) == ("sms.changed", customer.smsid, "accepted")
    assert counted(calls) == documented("receive-webhooks.md", "a post is answered with 2xx")
    assert customer.marks() == []


def test_a_failed_post_is_one_mark_and_its_repetition_deletes_it(customer: Customer) -> None:
    customer.change()
    customer.receiver.status = 500
    customer.send()
    entries = customer.publish()

    with watched_calls() as calls:
        assert customer.deliver(*entries) == []

    assert counted(calls) == documented("receive-webhooks.md", "a post fails")
    [mark] = customer.marks()
    assert (mark["item"], mark["attempts"], mark["problem"]) == ({"S": customer.smsid}, {"N": "1"}, {"S": "answered"})
    assert customer.read()["failing_since"] is not None
    customer.receiver.status, customer.receiver.answered = 204, []
    repetition = {**json.loads(entries[0]), "token": mark["token"]["S"]}

    with watched_calls() as calls:
        customer.deliver(json.dumps(repetition))

    assert counted(calls) == documented("receive-webhooks.md", "a repetition succeeds and ends the failures")
    assert (len(customer.receiver.answered), customer.marks()) == (1, [])
    assert customer.read()["failing_since"] is None


def test_a_change_while_the_address_rests_is_one_mark(customer: Customer) -> None:
    customer.receiver.status = 500
    for _ in range(5):
        customer.change()
    assert customer.read()["state"] == "resting"
    customer.send()
    entries = customer.publish()

    with watched_calls() as calls:
        customer.deliver(*entries)

    assert counted(calls) == documented("receive-webhooks.md", "a change while the address rests")
    assert len(customer.marks()) == 6


@pytest.mark.parametrize(
    ("what", "events"),
    [
        ("a message, without a subscription", ["voice_call"]),
        ("a message, with subscriptions", ["sms"]),
        ("a voice call, with subscriptions", ["voice_call"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_published_change_takes_the_requests_of_the_table(customer: Customer, what: str, events: list[str]) -> None:
    customer.manage("change_unknown", body={"events": events})
    customer.send()
    customer.publish()
    if what.startswith("a message"):
        customer.send()
    else:
        customer.stack.http("place_call", of_client(load_event("place_call", "everything"), customer.key))
    customer.stack.cold_start()
    written = customer.stream.take()

    with watched_calls() as calls:
        customer.stack.invoke("publish_changes", written)

    assert counted(calls) == documented("change-events.md", what)


def test_a_write_that_shows_nothing_new_takes_no_request(customer: Customer) -> None:
    with watched_calls() as calls:
        customer.stack.invoke("publish_changes", load_event("publish_changes", "created"))

    assert counted(calls) == documented("change-events.md", "a write that shows nothing new")


def test_a_subscription_without_the_state_gets_no_post(customer: Customer) -> None:
    answer = customer.manage("change_unknown", body={"states": ["delivered"], "description": "orders"})

    assert answer.status == 200
    assert (answer.json["states"], answer.json["description"]) == (["delivered"], "orders")
    assert "secret" not in answer.json
    assert customer.change() == []
    assert customer.manage("change_unknown", body={"states": None, "thin": True}).json["states"] is None
    [post] = customer.change()
    assert set(post.data) == {"kind", "id", "sequence", "state"}


@pytest.mark.parametrize("case", ["create", "change_unknown"])
def test_a_state_that_no_message_has_is_refused_by_name(customer: Customer, case: str) -> None:
    body = {"url": customer.receiver.url, "events": ["sms"], "states": ["delivered", "nonsense"]}

    answer = customer.manage(case, body=body)

    assert (answer.status, answer.code) == (422, "invalid_request")
    [problem] = answer.json["errors"]
    assert (problem["field"], problem["code"]) == ("states", "unknown_state")
    assert problem["message"].startswith("must be states of `events`: accepted, canceled, delivered")
    assert customer.read()["states"] is None


def test_a_rotation_lets_both_secrets_verify_the_posts(customer: Customer) -> None:
    former = customer.receiver.secret

    rotated = customer.manage("rotate_unknown")

    assert (rotated.status, rotated.json["secret"] == former) == (200, False)
    assert len(customer.change()) == 1
    customer.receiver.secret = rotated.json["secret"]
    assert len(customer.change()) == 1
    assert [len(headers["webhook-signature"].split()) for headers in customer.receiver.answered] == [2, 2]


def test_a_test_returns_the_receivers_answer_and_writes_nothing(customer: Customer) -> None:
    customer.manage("test_unknown")
    with watched_calls() as calls:
        delivered = customer.manage("test_unknown").json
    customer.receiver.status = 500
    refused = customer.manage("test_unknown").json

    assert counted(calls) == documented("receive-webhooks.md", "a test post")
    assert (delivered["delivered"], delivered["problem"], delivered["status"]) == (True, None, None)
    assert (refused["delivered"], refused["problem"], refused["status"]) == (False, "answered", 500)
    assert [post.kind for post in customer.receiver.take()][:2] == ["test", "test"]


def test_a_recovery_posts_what_has_changed_since_then(customer: Customer) -> None:
    customer.send()
    customer.publish()
    since = to_rfc3339(datetime.now(UTC) - timedelta(hours=1))

    answer = customer.manage("recover_unknown", body={"since": since})

    assert (answer.status, answer.json["recovering"]) == (202, True)
    again = customer.manage("recover_unknown", body={"since": since})
    assert (again.status, again.code) == (409, "recovery_in_progress")
    assert 0 < int(again.headers["Retry-After"]) <= 120
    while entries := customer.entries():
        assert customer.deliver(*entries) == []
    assert [post.data["smsid"] for post in customer.receiver.take()] == [customer.smsid]
    assert customer.marks() == []


def test_a_recovery_posts_the_circuits_that_have_changed(customer: Customer) -> None:
    customer.stack.invoke("watch_limits", load_event("watch_limits", "schedule"))
    customer.subscribe(events=["circuit"])
    customer.publish()

    customer.manage("recover_unknown", body={"since": to_rfc3339(datetime.now(UTC) - timedelta(hours=1))})

    while entries := customer.entries():
        assert customer.deliver(*entries) == []
    assert {post.data["provider"] for post in customer.receiver.take()} == set(CIRCUITS)


def test_a_deleted_subscription_gets_nothing_more(customer: Customer) -> None:
    customer.send()
    under_way = customer.publish()

    assert customer.manage("delete_unknown").json == {
        "subscription_id": customer.subscription["subscription_id"],
        "deleted": True,
    }

    assert customer.manage("unknown_subscription").status == 404
    assert customer.manage("list").json["items"] == []
    customer.stack.cold_start()
    customer.deliver(*under_way)
    assert customer.change() == []


def test_410_disables_and_publishes_it(customer: Customer, bus: Bus) -> None:
    customer.receiver.status = 410
    customer.change()

    [event] = [event for event in bus.take() if event["detail-type"] == "SubscriptionDisabled"]
    assert event["detail"]["data"] == {
        "subscription_id": customer.subscription["subscription_id"],
        "state": "disabled",
        "disabled_reason": "gone",
    }
    assert event["detail"]["client"] == customer.key
    assert ("SubscriptionsDisabled", frozenset({("service", "switchboard")})) in customer.stack.metrics()
    assert customer.manage("recover_unknown", body={"since": "2026-11-22T00:00:00Z"}).code == "subscription_disabled"
    customer.receiver.status = 204
    enabled = customer.manage("change_unknown").json
    assert (enabled["state"], enabled["rests_until"]) == ("active", None)
    customer.receiver.answered = []
    while entries := customer.entries():
        assert customer.deliver(*entries) == []
    assert len(customer.receiver.answered) == 1
    assert customer.read()["state"] == "active"
    assert len(customer.change()) == 2


def test_a_test_clients_message_says_so_in_event_and_post(customer: Customer, bus: Bus) -> None:
    put_key(customer.stack, customer.key, *Scope, test=True)
    customer.stack.cold_start()

    customer.send()
    customer.deliver(*customer.publish())

    assert [event["detail"]["data"]["test"] for event in bus.take()] == [True]
    assert [post.data["test"] for post in customer.receiver.take()] == [True]


def test_the_runbooks_commands_disable_and_enable_a_subscription(customer: Customer, bus: Bus) -> None:
    customer.receiver.status = 500
    for _ in range(2):
        customer.change()
    owed = sorted(mark["item"]["S"] for mark in customer.marks())
    assert len(owed) == 2
    disable, enable = runbook_commands(customer.stack, customer.subscription["subscription_id"])
    customer.receiver.status, customer.receiver.answered = 204, []

    aws.dynamodb().update_item(**disable)

    assert (customer.read()["state"], customer.read()["disabled_reason"]) == ("disabled", "operator")
    assert customer.change() == []
    assert customer.receiver.answered == []
    assert customer.manage("change_unknown").code == "subscription_disabled"
    bus.take()
    customer.sweep()
    assert [event["detail"]["data"]["disabled_reason"] for event in bus.take()] == ["operator"]
    customer.sweep()
    assert bus.take() == []

    aws.dynamodb().update_item(**enable)

    assert customer.read()["state"] == "active"
    assert customer.receiver.take() == []
    customer.sweep()
    assert sorted(post.data["smsid"] for post in customer.receiver.take()) == owed
    assert customer.marks() == []


def test_a_new_master_counts_from_the_next_rotation_on(customer: Customer) -> None:
    masters = json.loads(
        aws.secretsmanager().get_secret_value(SecretId=customer.stack.references["WebhookSigningSecret"])[
            "SecretString"
        ]
    )
    section = RUNBOOK.partition("\n### Rotating the signing master\n")[2].partition("\n## ")[0]
    [program] = re.findall(r"python3 -c '(.+)' > masters.json", section)
    command = [sys.executable, "-c", program]
    added = json.loads(
        subprocess.run(command, input=json.dumps(masters), capture_output=True, text=True, check=True).stdout
    )
    assert (added["current"], added["1"], set(added)) == ("2", masters["1"], {"current", "1", "2"})
    former = customer.receiver.secret

    customer.stack.put_secret("WebhookSigningSecret", added)
    customer.stack.cold_start()

    assert len(customer.change()) == 1
    rotated = customer.manage("rotate_unknown").json["secret"]
    derived = derive_secret(added["2"].encode(), subscription=customer.subscription["subscription_id"], generation=2)
    assert rotated == format_secret(derived)
    for secret in (former, rotated):
        customer.receiver.secret = secret
        assert len(customer.change()) == 1

    customer.stack.put_secret("WebhookSigningSecret", {"current": "2", "2": added["2"]})
    customer.stack.cold_start()
    customer.send()

    assert len(customer.deliver(*customer.publish())) == 1
    assert customer.manage("test_unknown").status == 500
    customer.stack.put_secret("WebhookSigningSecret", masters)


def runbook_commands(stack: Deployment, subscription_id: str) -> list[dict[str, Any]]:
    """Run the block of "Disabling a subscription" in a shell whose `aws` prints its arguments; return boto's."""
    section = RUNBOOK.partition("\n## Disabling a subscription\n")[2].partition("\n## ")[0]
    block = section.partition("```sh\n")[2].partition("```")[0].replace("SUBSCRIPTION-ID", subscription_id)
    table = stack.references["StateTable"]
    script = (
        f"aws() {{ printf '%s\\0' \"$@\"; echo; }}\noutput() {{ test $1 = StateTableName && echo {table}; }}\n{block}"
    )
    bash = shutil.which("bash")
    assert bash is not None
    printed = subprocess.run([bash, "-euc", script], capture_output=True, text=True, check=True).stdout
    commands = []
    for line in printed.split("\0\n"):
        if line:
            service, operation, *options = line.split("\0")
            assert (service, operation) == ("dynamodb", "update-item")
            values = dict(zip(options[::2], options[1::2], strict=True))
            commands.append(
                {
                    "TableName": values["--table-name"],
                    "Key": json.loads(values["--key"]),
                    "ConditionExpression": values["--condition-expression"],
                    "UpdateExpression": values["--update-expression"],
                    "ExpressionAttributeValues": json.loads(values["--expression-attribute-values"]),
                }
            )
    return commands
