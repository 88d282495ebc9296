"""Change events and outgoing webhooks on the running sandbox: `python -m benchmarks.outgoing_webhooks changes 300`.

- `changes 300`: so many messages from 6 writers. The last sequence of each one is on the bus and at the receiver.
- `outage 1`: a receiver that was down for so many minutes gets one post an item, with its newest state.
- `dead 6`: for so many minutes changes are posted to 20 receivers, one of which never answers.
- `kills 5`: for so many minutes all processes of either function are killed at random. No last state is lost.
- `facts 10000`: so many facts in bursts, and the publisher is killed 20 times. No last state is lost on the bus.

`changes` and `outage` send through the API. The other three write their facts by the real stores into the deployed
table, since the emulated API is much slower than what follows it. An entry of a queue whose function was killed comes
again after the queue's visibility time-out of six minutes.

On AWS 50 posts run at once, each on a machine of its own. Here a post is a process, so that 16 run at once, and all of
them are started before anything is measured.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import urllib3

from benchmarks.seen_changes import BusReader, Receiver, Receivers, Reception, SeenChange, judge, lateness
from sandbox import api_keys
from sandbox.aws_clients import create_client
from sandbox.deployment import STACK_NAME
from sandbox.endpoints import Endpoints
from sandbox.paths import SandboxPaths
from sandbox.stack import running_endpoints
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.messages import Message
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage.sms.messages import DynamoDbMessageStore
from tests.builders import DEADLINES, a_message, a_report, an_outcome

_WRITERS: Final = 6
_POSTS_AT_ONCE: Final = 16
_BURST: Final = 80
_BETWEEN_BURSTS_S: Final = 2.0
_PUBLISHERS_KILLED: Final = 20
_CLIENTS: Final = 4
_POLL_S: Final = 2.0
_KILLED_ENTRY_S: Final = 900.0
"""The longest wait for what a killed process left: twice the queue's visibility time-out, and a sweep."""
_SECOND_POST_S: Final = 30.0
"""The wait for second posts, which must not come and of which nothing says that none is under way.

A failed post is repeated after 5 s at first, and a round of the release takes 10 s.
"""
_OWN_STATUSES: Final = 20
"""The reports of statuses without a row in the table that one message keeps."""
_REPORTS: Final = (*sorted(DELIVERY_STATUSES.rows), *(str(status) for status in range(900, 900 + _OWN_STATUSES)))
_RANDOM: Final = random.Random()  # noqa: S311 - it chooses what is killed
_HTTP: Final = urllib3.PoolManager(retries=False, timeout=600.0, maxsize=16)


class RunningSandbox:
    """The running sandbox, as a caller and as its operator."""

    def __init__(self) -> None:
        self.paths = SandboxPaths.from_environment()
        self.endpoints: Endpoints = running_endpoints(self.paths)
        self.url = self.endpoints.aws_endpoint_url
        stack = create_client("cloudformation", self.url).describe_stack_resources(StackName=STACK_NAME)
        self.names: dict[str, str] = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in stack["StackResources"]
        }
        self._usage_plan = next(
            resource["PhysicalResourceId"]
            for resource in stack["StackResources"]
            if resource["ResourceType"] == "AWS::ApiGateway::UsagePlan"
        )

    def call(self, method: str, path: str, body: object | None = None, *, key: str) -> Any:
        """Call the API.

        Raises:
            AssertionError: it answers with no success.
        """
        response = _HTTP.request(method, f"{self.endpoints.api_url}/v1{path}", json=body, headers={"x-api-key": key})
        assert 200 <= response.status < 300, response.data
        return response.json()

    def new_client(self) -> tuple[str, str]:
        """Make an API key of a client of its own, and return the client and the key."""
        client = f"benchmark-{uuid.uuid4().hex[:12]}"
        key = api_keys.create_key(self.url, usage_plan=self._usage_plan, name=client)
        api_keys.put_item(
            self.url, table=self.names["LimitsTable"], key=key, client=client, scopes=api_keys.EVERY_SCOPE
        )
        return client, key

    def read_bus(self) -> BusReader:
        """Return a reader of the changes' bus."""
        return BusReader(self.url, bus=self.names["ChangesBus"])

    def message_store(self) -> DynamoDbMessageStore:
        """Return the real store of messages over the deployed table."""
        return DynamoDbMessageStore(
            client=create_client("dynamodb", self.url),
            table=self.names["StateTable"],
            deadlines=DEADLINES,
            statuses=DELIVERY_STATUSES,
            retention=timedelta(days=90),
        )

    @contextmanager
    def warm_posts(self) -> Iterator[None]:
        """Let `_POSTS_AT_ONCE` processes post while the block runs, and start them before it."""
        functions, sqs = create_client("lambda", self.url), create_client("sqs", self.url)
        [mapping] = functions.list_event_source_mappings(FunctionName=self.names["DeliverChanges"])[
            "EventSourceMappings"
        ]
        usual = mapping["ScalingConfig"]
        functions.update_event_source_mapping(
            UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": _POSTS_AT_ONCE}
        )
        queue = self.names["HookQueue"]
        for _ in range(_POSTS_AT_ONCE):
            sqs.send_message(QueueUrl=queue, MessageBody='{"subscription": "none"}')
        counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        while any(
            int(count)
            for count in sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=counts)["Attributes"].values()
        ):
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=usual)

    def kill_workers(self, function: str) -> bool:
        """Kill all processes of a function, and return whether there were any."""
        prefix = f"{self.paths.temporary}/ministack-lambda-{STACK_NAME}-{function}-".encode()
        processes = [
            int(entry.parent.name)
            for entry in Path("/proc").glob("[0-9]*/cmdline")
            if any(part.startswith(prefix) for part in _read(entry).split(b"\0"))
        ]
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return bool(processes)

    @contextmanager
    def subscribed(self, receivers: Sequence[Receiver], *, key: str) -> Iterator[list[str]]:
        """Subscribe receivers while the block runs."""
        ids = []
        for receiver in receivers:
            created = self.call("POST", "/subscriptions", {"url": receiver.url, "events": ["sms"]}, key=key)
            receiver.secret = created["secret"]
            ids.append(created["subscription_id"])
        try:
            yield ids
        finally:
            for subscription_id in ids:
                self.call("DELETE", f"/subscriptions/{subscription_id}", key=key)


@dataclass
class Messages:
    """Messages of one client that the real store writes, and their facts, one at a time."""

    store: DynamoDbMessageStore
    client: str
    last: dict[str, int] = field(default_factory=dict)
    """The last sequence of each message, by the name of its resource."""

    def facts(self) -> Iterator[Callable[[], None]]:
        """Yield the writes of one visible fact each, of one new message after another."""
        while True:
            message = a_message(uuid.uuid4().hex, at=datetime.now(UTC), client=self.client)
            yield partial(self._submit, message)
            for status in _REPORTS:
                yield partial(self._report, message.id, status)

    def _submit(self, message: Message) -> None:
        """Write the first three facts: creation and claim, of which no event tells before the third, the outcome."""
        self.store.create(message)
        self.store.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.ACCEPTED, at=datetime.now(UTC)))
        self.last[f"sms_{message.id}"] = 3

    def _report(self, message_id: str, status: str) -> None:
        self.store.record_report(a_report(status, message_id), seen_at=datetime.now(UTC))
        self.last[f"sms_{message_id}"] += 1


def play_changes(sandbox: RunningSandbox, count: int) -> None:
    """Send messages from six writers, and compare what bus and receiver saw with what the API shows."""
    _, key = sandbox.new_client()
    with sandbox.read_bus() as bus, Receivers(1) as [receiver], sandbox.subscribed([receiver], key=key):
        _send(sandbox, count, key=key)
        last = _wait_for_last(lambda: _final_sequences(sandbox, key=key, count=count), [bus.seen, receiver.seen])
        _print_verdict("bus", bus.seen, last)
        _print_verdict("receiver", receiver.seen, last)
        assert receiver.refused == 0


def play_outage(sandbox: RunningSandbox, minutes: int, *, count: int = 30) -> None:
    """Send messages while the receiver is down, and count the posts of each afterwards."""
    _, key = sandbox.new_client()
    with sandbox.read_bus() as bus, Receivers(1) as [receiver], sandbox.subscribed([receiver], key=key) as [hook]:
        receiver.reception = Reception.DOWN
        down_since = time.time()
        _send(sandbox, count, key=key)
        last = _wait_for_last(lambda: _final_sequences(sandbox, key=key, count=count), [bus.seen])
        time.sleep(max(0.0, down_since + 60 * minutes - time.time()))
        state = sandbox.call("GET", f"/subscriptions/{hook}", key=key)["state"]
        up_at, receiver.reception = time.time(), Reception.UP
        print(
            f"down for {up_at - down_since:.0f} s: {receiver.missed} posts missed, the address is {state}", flush=True
        )
        _wait_for_last(lambda: last, [receiver.seen])
        times = [change.seen_at - up_at for change in receiver.seen]
        print(f"first post {min(times):.0f} s after the return, the last one after {max(times):.0f} s")
        time.sleep(_SECOND_POST_S)
        _print_verdict("receiver", receiver.seen, last)
        assert {change.resource: change.sequence for change in receiver.seen} == last
        assert len(receiver.seen) == count, "an item was posted more than once"


def play_dead(sandbox: RunningSandbox, minutes: int, *, per_s: float = 2.0) -> None:
    """Post to 20 receivers of four clients, one of which never answers."""
    with sandbox.read_bus() as bus, Receivers(20) as receivers, ExitStack() as until:
        dead, *healthy = receivers
        dead.reception = Reception.HANGING
        last: dict[str, int] = {}
        sources, expected = [], []
        for group in range(_CLIENTS):
            client, key = sandbox.new_client()
            of_client = receivers[group::_CLIENTS]
            until.enter_context(sandbox.subscribed(of_client, key=key))
            messages = Messages(sandbox.message_store(), client)
            sources.append(messages.facts())
            expected += [(receiver, messages) for receiver in of_client if receiver is not dead]
        _write_for(60 * minutes, (next(sources[number % _CLIENTS]) for number in itertools.count()), per_s=per_s)
        for receiver, messages in expected:
            _wait_for_last(partial(getattr, messages, "last"), [receiver.seen])
            last |= messages.last
        _print_verdict("bus", bus.seen, last)
        posts = [change for receiver in healthy for change in receiver.seen]
        print(f"{len(healthy)} healthy receivers: {len(posts)} posts, {lateness(posts)}")
        changes = len(posts) // len(healthy)
        print(f"the dead one: {dead.missed} posts of {changes} changes: {100 * dead.missed / len(posts):.2f} % of all")


def play_kills(sandbox: RunningSandbox, minutes: int, *, per_s: float = 3.0) -> None:
    """Kill both functions at random under load, and look for the last state of each message."""
    client, key = sandbox.new_client()
    with sandbox.read_bus() as bus, Receivers(2) as receivers, sandbox.subscribed(receivers, key=key):
        messages = Messages(sandbox.message_store(), client)
        last = messages.last
        with _killing(sandbox, ("PublishChanges", "DeliverChanges"), every_s=(1.0, 6.0)) as kills:
            _write_for(60 * minutes, messages.facts(), per_s=per_s)
        print(f"{sum(kills.values())} kills: {kills}; {len(last)} messages, {sum(last.values())} facts", flush=True)
        _wait_for_last(lambda: last, [bus.seen, *(receiver.seen for receiver in receivers)])
        _print_verdict("bus", bus.seen, last)
        for receiver in receivers:
            _print_verdict("receiver", receiver.seen, last)


def play_facts(sandbox: RunningSandbox, count: int) -> None:
    """Write facts in bursts from six writers, and kill the publisher 20 times meanwhile."""
    client, _ = sandbox.new_client()
    store, last, per_writer = sandbox.message_store(), dict[str, int](), count // _WRITERS + 1

    def write(_: int) -> None:
        facts = itertools.islice(Messages(store, client, last).facts(), per_writer)
        for number, fact in enumerate(facts, start=1):
            fact()
            if number % _BURST == 0:
                time.sleep(_BETWEEN_BURSTS_S)

    with sandbox.read_bus() as bus:
        began = time.monotonic()
        with (
            _killing(sandbox, ("PublishChanges",), every_s=(1.0, 4.0), at_most=_PUBLISHERS_KILLED) as kills,
            ThreadPoolExecutor(_WRITERS) as pool,
        ):
            list(pool.map(write, range(_WRITERS)))
        print(
            f"{_WRITERS * per_writer} facts of {len(last)} messages in {time.monotonic() - began:.0f} s, {kills}",
            flush=True,
        )
        _wait_for_last(lambda: last, [bus.seen])
        _print_verdict("bus", bus.seen, last)


@contextmanager
def _killing(
    sandbox: RunningSandbox, functions: Sequence[str], *, every_s: tuple[float, float], at_most: int = 10**9
) -> Iterator[dict[str, int]]:
    """Kill processes of the functions at random times while the block runs, and count the kills."""
    kills, ended = dict.fromkeys(functions, 0), threading.Event()

    def kill() -> None:
        while sum(kills.values()) < at_most and not ended.wait(_RANDOM.uniform(*every_s)):
            function = _RANDOM.choice(functions)
            kills[function] += sandbox.kill_workers(function)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield kills
    finally:
        ended.set()
        thread.join()


def _write_for(seconds: float, facts: Iterator[Callable[[], None]], *, per_s: float) -> None:
    """Write facts at an even pace."""
    began = time.monotonic()
    for number, fact in enumerate(facts):
        time.sleep(max(0.0, began + number / per_s - time.monotonic()))
        if time.monotonic() - began > seconds:
            return
        fact()


def _send(sandbox: RunningSandbox, count: int, *, key: str) -> None:
    def send(number: int) -> None:
        sandbox.call("POST", "/sms", {"to": "090-0000-0001", "text": f"Change {number}"}, key=key)

    began = time.monotonic()
    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(send, range(count)))
    print(f"{count} messages in {time.monotonic() - began:.0f} s", flush=True)


def _final_sequences(sandbox: RunningSandbox, *, key: str, count: int) -> dict[str, int] | None:
    """Return the last sequence of each of the client's messages once all of them are final."""
    items: list[dict[str, Any]] = []
    position = ""
    while True:
        page = sandbox.call("GET", f"/sms?limit=100{position}", key=key)
        items += page["items"]
        if not page["next"]:
            break
        position = f"&cursor={quote(page['next'])}"
    if len(items) < count or not all(item["final"] for item in items):
        return None
    return {f"sms_{item['smsid']}": item["sequence"] for item in items}


def _wait_for_last(
    read_last: Callable[[], Mapping[str, int] | None], seen: Sequence[Sequence[SeenChange]]
) -> Mapping[str, int]:
    """Wait until each of the lists has the last sequence of each message.

    Raises:
        AssertionError: one of them still has not.
    """
    began = time.monotonic()
    while True:
        last = read_last()
        missing = [len(judge(list(changes), last).missing) for changes in seen] if last is not None else ["not final"]
        if not any(missing):
            assert last is not None
            if time.monotonic() - began > _POLL_S:
                print(f"complete {time.monotonic() - began:.0f} s after the last write", flush=True)
            return last
        assert time.monotonic() - began < _KILLED_ENTRY_S, f"missing: {missing}"
        time.sleep(_POLL_S)


def _print_verdict(where: str, seen: Sequence[SeenChange], last: Mapping[str, int]) -> None:
    verdict = judge(seen, last)
    print(
        f"{where}: {verdict.seen} seen of {len(last)} messages, {len(verdict.missing)} last sequences missing, "
        f"{verdict.falling} falling, {verdict.two_views} ids with two views, {verdict.repeated} repeated; "
        f"{lateness(seen)}",
        flush=True,
    )
    assert not verdict.missing
    assert not verdict.two_views


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended
        return b""


_SCENARIOS: Final[Mapping[str, Callable[[RunningSandbox, int], None]]] = {
    "changes": play_changes,
    "outage": play_outage,
    "dead": play_dead,
    "kills": play_kills,
    "facts": play_facts,
}


def main(scenario: str, amount: int) -> None:
    """Play one scenario, and print its figures with the machine's load before and after it.

    Raises:
        AssertionError: a last state is lost, an id has two views, or a post was repeated that must not be.
    """
    print(
        f"{scenario} {amount}: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {_load()}",
        flush=True,
    )
    sandbox = RunningSandbox()
    with sandbox.warm_posts():
        print(f"{_POSTS_AT_ONCE} posts at once, load {_load()}", flush=True)
        _SCENARIOS[scenario](sandbox, amount)
    print(f"load {_load()}")


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
