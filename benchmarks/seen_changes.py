"""Changes as the outside sees them: on the event bus, and at receivers that verify signatures."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

from sandbox.aws_clients import create_client

_HANG_S: Final = 30.0
_QUEUE: Final = "benchmark-changes"


@dataclass(frozen=True, slots=True)
class SeenChange:
    """One event or post: its resource, its sequence, its id, a digest of its bytes, and Unix times in seconds."""

    resource: str
    sequence: int
    id: str
    digest: str
    fact_at: float
    seen_at: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The comparison of what was seen with the last sequence of each resource."""

    seen: int
    missing: Mapping[str, tuple[int, int]]
    """The resources whose last sequence was not seen, each with the highest one that was, and the last one."""
    falling: int
    """The changes that came after a higher sequence of their resource."""
    two_views: int
    """The ids under which different bytes came."""
    repeated: int
    """The changes whose id had come before."""


def judge(seen: Sequence[SeenChange], last: Mapping[str, int]) -> Verdict:
    """Compare `seen`, in the order of its coming, with the `last` sequences."""
    highest: dict[str, int] = defaultdict(int)
    views: dict[str, set[str]] = defaultdict(set)
    falling = 0
    for change in seen:
        falling += change.sequence < highest[change.resource]
        highest[change.resource] = max(highest[change.resource], change.sequence)
        views[change.id].add(change.digest)
    return Verdict(
        seen=len(seen),
        missing={name: (highest[name], sequence) for name, sequence in last.items() if highest[name] < sequence},
        falling=falling,
        two_views=sum(len(digests) > 1 for digests in views.values()),
        repeated=len(seen) - len(views),
    )


def lateness(seen: Iterable[SeenChange]) -> str:
    """Write the median, the 99th percentile and the maximum of the time from the fact on."""
    times = sorted(change.seen_at - change.fact_at for change in seen)
    if not times:
        return "nothing seen"
    p50, p99 = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s, at most {times[-1]:.2f} s"


class BusReader:
    """A rule on the changes' bus with a queue as its target, read while the block runs."""

    def __init__(self, url: str, *, bus: str) -> None:
        self.seen: list[SeenChange] = []
        self._events = create_client("events", url)
        self._sqs = create_client("sqs", url)
        self._bus = bus
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._queue_url = ""

    def __enter__(self) -> BusReader:
        self._queue_url = self._sqs.create_queue(QueueName=_QUEUE)["QueueUrl"]
        self._sqs.purge_queue(QueueUrl=self._queue_url)
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["QueueArn"])
        self._events.put_rule(Name=_QUEUE, EventBusName=self._bus, EventPattern=json.dumps({"source": ["switchboard"]}))
        target = {"Id": _QUEUE, "Arn": attributes["Attributes"]["QueueArn"]}
        self._events.put_targets(Rule=_QUEUE, EventBusName=self._bus, Targets=[target])
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._events.remove_targets(Rule=_QUEUE, EventBusName=self._bus, Ids=[_QUEUE])
        self._events.delete_rule(Name=_QUEUE, EventBusName=self._bus)
        self._sqs.delete_queue(QueueUrl=self._queue_url)

    def _read(self) -> None:
        while not self._ended.is_set():
            response = self._sqs.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=10,
                AttributeNames=["SentTimestamp"],
                WaitTimeSeconds=1,
            )
            messages = response.get("Messages", [])
            for message in messages:
                detail = json.loads(message["Body"])["detail"]
                if "sequence" in detail:
                    sent_at = int(message["Attributes"]["SentTimestamp"]) / 1000
                    view = json.dumps(detail["data"]).encode()
                    self.seen.append(_seen(detail["id"], detail, at=detail["at"], seen_at=sent_at, view=view))
            if messages:
                entries = [
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ]
                self._sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)


class Reception(StrEnum):
    """The way in which a receiver treats a post."""

    UP = "up"
    DOWN = "down"
    """It closes each connection without an answer."""
    HANGING = "hanging"
    """It never answers."""


@dataclass
class Receiver:
    """One receiver: its address, the secret of its subscription, and the genuine posts that it took."""

    url: str
    secret: str = ""
    reception: Reception = Reception.UP
    seen: list[SeenChange] = field(default_factory=list)
    refused: int = 0
    """The posts without a right signature."""
    missed: int = 0
    """The posts that came while it was not up."""

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """Take one post, and return the status of the answer."""
        try:
            Webhook(self.secret).verify(body.decode(), dict(headers))
        except WebhookVerificationError:
            self.refused += 1
            return 400
        content = json.loads(body)
        seen_at = time.time()
        self.seen.append(
            _seen(headers["webhook-id"], content["data"], at=content["timestamp"], seen_at=seen_at, view=body)
        )
        return 204


class Receivers:
    """A server on this machine with `count` receivers, each with a path of its own."""

    def __init__(self, count: int) -> None:
        receivers: dict[str, Receiver] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver = receivers[self.path]
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.reception is not Reception.UP:
                    receiver.missed += 1
                    if receiver.reception is Reception.HANGING:
                        time.sleep(_HANG_S)
                    return
                self.send_response(receiver.take({name.lower(): text for name, text in self.headers.items()}, body))
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Print nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Print nothing: a client that was killed reads no answer."""

        self._server = Server(("127.0.0.1", 0), Handler)
        receivers |= {
            f"/{number}": Receiver(f"http://127.0.0.1:{self._server.server_port}/{number}") for number in range(count)
        }
        self.all = list(receivers.values())

    def __enter__(self) -> list[Receiver]:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self.all

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _seen(event_id: str, values: Mapping[str, Any], *, at: str, seen_at: float, view: bytes) -> SeenChange:
    return SeenChange(
        resource=event_id.rsplit("_", 2)[0],
        sequence=values["sequence"],
        id=event_id,
        digest=sha256(view).hexdigest(),
        fact_at=datetime.fromisoformat(at).timestamp(),
        seen_at=seen_at,
    )
