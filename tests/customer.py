"""Act as a provider's customer on this machine: a clock to set, plain HTTP requests, and a server for callbacks."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


class ManualClock:
    """A clock that moves only if a test sets `now`."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Answered:
    """An answer, unparsed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.body)


def connection_to(url: str, *, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    """Build a connection to the host of `url`. It opens with the first request."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=10, context=tls)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)


def answer_of(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: Mapping[str, str] = {},
) -> Answered:
    """Send one request, close the connection and return the answer."""
    try:
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        return Answered(response.status, dict(response.headers), response.read())
    finally:
        connection.close()


def json_or_nothing(body: object) -> bytes | None:
    """Encode a body as JSON, or return None for None."""
    return None if body is None else json.dumps(body).encode()


@dataclass(frozen=True)
class Received:
    """A request from a simulator."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        """The fields of its form or, for a GET request, of its query."""
        encoded = self.query if self.method == "GET" else self.body.decode("ascii")
        return dict(parse_qsl(encoded, keep_blank_values=True))


class Receiver(ThreadingHTTPServer):
    """The customer's server while its context is open: it keeps each request and answers from `answers`, else 200."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, path: str = "/") -> None:
        self._path = path
        self.received: list[Received] = []
        self.answers: list[tuple[int, bytes]] = []
        """The next answers, as status and body."""
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.on_arrival: Callable[[], None] = lambda: None
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        super().__init__(("127.0.0.1", 0), _ReceiverHandler)

    @property
    def url(self) -> str:
        """The URL of the path that the server was built with."""
        return self.at(self._path)

    def at(self, path: str) -> str:
        """Return the URL of a path on this server."""
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def fields(self, path: str | None = None) -> list[dict[str, str]]:
        """Return the fields of each request, or of those to `path` alone."""
        return [request.fields for request in self.received if path in {None, request.path}]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a simulator that closed the connection. Any other error is a mistake in this file."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.may_answer.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _ReceiverHandler(BaseHTTPRequestHandler):
    server: Receiver

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts, server = urlsplit(self.path), self.server
        with server.lock:
            server.received.append(Received(self.command, parts.path, parts.query, dict(self.headers), body))
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
            server.on_arrival()
            status, answer = server.answers.pop(0) if server.answers else (200, b"")
        server.may_answer.wait(timeout=30)
        with server.lock:
            server.under_way -= 1
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""
