"""Sends one HTTP request to an address that the customer registered: no redirects, no proxy, with a time-out."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

_MAX_ANSWER_BYTES: Final = 65_536
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json; charset=utf-8"

CALLBACK_ERRORS: Final = (OSError, http.client.HTTPException, ValueError)
"""The errors that `CallbackClient.exchange` may raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequest:
    """A callback that is ready to be sent."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


class CallbackClient:
    """An HTTP client that opens a connection for each request and can abort all requests under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._aborted = False

    def send(
        self, url: str | None, *, method: str, fields: Mapping[str, str], timeout_s: float, as_json: bool = False
    ) -> tuple[int | None, str | None]:
        """Send `fields` in UTF-8: in the query for GET, otherwise as a form or a JSON object.

        Returns:
            The HTTP status of the answer and None, or None and the name of the problem. Having no `url` is a problem.
        """
        if url is None:
            return None, ConnectionError.__name__
        try:
            request = _build_request(url, method=method, fields=fields, as_json=as_json)
            return self.exchange(request, timeout_s=timeout_s)[0], None
        except CALLBACK_ERRORS as problem:
            return None, type(problem).__name__

    def exchange(self, request: CallbackRequest, *, timeout_s: float) -> tuple[int, str]:
        """Return the HTTP status and the text of the answer, of which at most 64 KiB are read.

        Raises:
            OSError: when there is no answer.
            http.client.HTTPException: when the answer is no HTTP or is incomplete.
            ValueError: when the request is impossible.
        """
        parts = urlsplit(request.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=timeout_s or None)
        sock: socket.socket | None = None
        try:
            connection.connect()
            sock = connection.sock  # the connection forgets it once the answer's headers are read
            self._register(sock)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(request.method, path, request.body, {"Connection": "close", **request.headers})
            with connection.getresponse() as response:
                return response.status, response.read(_MAX_ANSWER_BYTES).decode("utf-8", "replace")
        finally:
            if sock is not None:
                with self._lock:
                    self._open.discard(sock)
            connection.close()

    def abort(self) -> None:
        """Abort every request under way and refuse new ones."""
        with self._lock:
            self._aborted = True
            for sock in self._open:
                with contextlib.suppress(OSError):  # the receiver closed it first
                    sock.shutdown(socket.SHUT_RDWR)

    def _register(self, sock: socket.socket) -> None:
        with self._lock:
            if self._aborted:
                raise ConnectionAbortedError("the simulator is stopping")
            self._open.add(sock)


def _build_request(url: str, *, method: str, fields: Mapping[str, str], as_json: bool) -> CallbackRequest:
    encoded, body, headers = urlencode(fields), None, {"User-Agent": "provider-simulator"}
    if method == "GET":
        parts = urlsplit(url)
        url = parts._replace(query=f"{parts.query}&{encoded}" if parts.query else encoded).geturl()
    elif as_json:
        body, headers["Content-Type"] = json.dumps(fields, ensure_ascii=False).encode(), _JSON
    else:
        body, headers["Content-Type"] = encoded.encode("ascii"), _FORM
    return CallbackRequest(method=method, url=url, headers=headers, body=body)
