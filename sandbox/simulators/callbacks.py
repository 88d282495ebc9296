"""One request over HTTP to an address the customer registered: no redirects, no proxy, a time-out."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

_MOST_ANSWER_BYTES: Final = 65_536
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json; charset=utf-8"

NO_ANSWER: Final = (OSError, http.client.HTTPException, ValueError)
"""What an exchange may raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequest:
    """A request ready to be sent."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


class CallbackClient:
    """Sends requests, each on a connection of its own, and can break off those under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._aborted = False

    def send(
        self, url: str | None, *, method: str, fields: Mapping[str, str], timeout_s: float, as_json: bool = False
    ) -> tuple[int | None, str | None]:
        """Send `fields` in UTF-8 as a form or JSON object (POST) or query (GET).

        Return the HTTP status of the answer, or else the name of the problem; there is one when no `url` is set.
        """
        if url is None:
            return None, ConnectionError.__name__
        try:
            push = _prepared(url, method=method, fields=fields, as_json=as_json)
            return self.exchange(push, timeout_s=timeout_s)[0], None
        except NO_ANSWER as problem:
            return None, type(problem).__name__

    def exchange(self, push: CallbackRequest, *, timeout_s: float) -> tuple[int, str]:
        """Return the HTTP status and the text of the answer, of which no more than 64 KiB are read.

        Raises OSError or http.client.HTTPException when there is no answer, ValueError for an impossible request.
        """
        parts = urlsplit(push.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=timeout_s or None)
        sock: socket.socket | None = None
        try:
            connection.connect()
            sock = connection.sock  # the connection forgets it once the answer's headers are read
            self._register(sock)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(push.method, path, push.body, {"Connection": "close", **push.headers})
            with connection.getresponse() as response:
                return response.status, response.read(_MOST_ANSWER_BYTES).decode("utf-8", "replace")
        finally:
            if sock is not None:
                with self._lock:
                    self._open.discard(sock)
            connection.close()

    def abort(self) -> None:
        """Break off every request under way and refuse new ones."""
        with self._lock:
            self._aborted = True
            for sock in self._open:
                with contextlib.suppress(OSError):  # the other side was faster
                    sock.shutdown(socket.SHUT_RDWR)

    def _register(self, sock: socket.socket) -> None:
        with self._lock:
            if self._aborted:
                raise ConnectionAbortedError("the simulator is stopping")
            self._open.add(sock)


def _prepared(url: str, *, method: str, fields: Mapping[str, str], as_json: bool) -> CallbackRequest:
    encoded, body, headers = urlencode(fields), None, {"User-Agent": "provider-simulator"}
    if method == "GET":
        parts = urlsplit(url)
        url = parts._replace(query=f"{parts.query}&{encoded}" if parts.query else encoded).geturl()
    elif as_json:
        body, headers["Content-Type"] = json.dumps(fields, ensure_ascii=False).encode(), _JSON
    else:
        body, headers["Content-Type"] = encoded.encode("ascii"), _FORM
    return CallbackRequest(method=method, url=url, headers=headers, body=body)
