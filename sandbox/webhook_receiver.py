"""Receives posts as a company's application does: verifies their signatures, and can be switched off."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from threading import Lock, Thread
from typing import Any

from sandbox.simulators.connections import TrackedServer


@dataclass(frozen=True, slots=True)
class ReceivedPost:
    """A post with a right signature."""

    webhook_id: str
    kind: str
    data: dict[str, Any]


class WebhookReceiver:
    """A receiver on a free port of this machine. While it is off it answers 503."""

    def __init__(self) -> None:
        self.secret = ""
        self.is_on = True
        self.refused = 0
        self._posts: list[ReceivedPost] = []
        self._lock = Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver.receive(dict(self.headers.items()), body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Print nothing: the story prints the posts."""

        self._server = TrackedServer(("127.0.0.1", 0), Handler)
        self.url = f"{self._server.origin}/switchboard"

    def __enter__(self) -> "WebhookReceiver":
        """Begin to listen."""
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.close_and_join()

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """Keep one genuine post, and return the status of the answer."""
        with self._lock:
            if not self.is_on:
                self.refused += 1
                return 503
            if not self._is_genuine(headers, body):
                return 400
            content = json.loads(body)
            self._posts.append(ReceivedPost(headers["webhook-id"], content["type"], content["data"]))
            return 204

    def take(self) -> list[ReceivedPost]:
        """Return the posts since the last call."""
        with self._lock:
            posts, self._posts = self._posts, []
            return posts

    def _is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        return any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split())
