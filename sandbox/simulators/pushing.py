"""One report over HTTP to the address the customer registered: no redirects, no proxy, a time-out."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

_MOST_ANSWER_BYTES: Final = 65_536
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json; charset=utf-8"


class Pusher:
    """Sends reports, each on a connection of its own, and can break off those under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._aborted = False

    def send(self, url: str, *, method: str, fields: Mapping[str, str], timeout_s: float, as_json: bool = False) -> int:
        """Send `fields` in UTF-8 as a form or JSON object (POST) or query (GET); return the HTTP status of the answer.

        Raises OSError or http.client.HTTPException when there is no answer, ValueError for an impossible address.
        """
        parts = urlsplit(url)
        encoded = urlencode(fields)
        query, body, headers = parts.query, None, {"User-Agent": "provider-simulator", "Connection": "close"}
        if method == "GET":
            query = f"{query}&{encoded}" if query else encoded
        elif as_json:
            body, headers["Content-Type"] = json.dumps(fields, ensure_ascii=False).encode(), _JSON
        else:
            body, headers["Content-Type"] = encoded.encode("ascii"), _FORM
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=timeout_s or None)
        sock: socket.socket | None = None
        try:
            connection.connect()
            sock = connection.sock  # the connection forgets it once the answer's headers are read
            self._register(sock)
            connection.request(method, (parts.path or "/") + (f"?{query}" if query else ""), body, headers)
            with connection.getresponse() as response:
                response.read(_MOST_ANSWER_BYTES)
                return response.status
        finally:
            if sock is not None:
                with self._lock:
                    self._open.discard(sock)
            connection.close()

    def abort(self) -> None:
        """Break off every report under way and refuse new ones."""
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
