"""What the simulators' servers have in common: HTTP/1.1 read strictly, answers in one piece, the control requests."""

import io
import ipaddress
import json
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from sandbox.simulators import controlling
from sandbox.simulators.connections import TrackedServer

JSON: Final = "application/json"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class _Reader(io.BufferedReader):
    """Notices a request that ends in the middle of a line, which the standard library would take for a whole one."""

    cut_short = False

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            self.cut_short = True
        return line


class SimulatorHandler(BaseHTTPRequestHandler, ABC):
    """One connection. A simulator's own handler says what its provider answers and what its control requests do."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: TrackedServer

    @property
    @abstractmethod
    def keep_alive_s(self) -> float:
        """Return after how many idle seconds a connection is closed; 0 is never."""

    @abstractmethod
    def serve(self, path: str, body: bytes) -> None:
        """Answer a whole request to the provider's API; `path` is without the query."""

    @abstractmethod
    def control(self, path: str, query: Mapping[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        """Return the HTTP status and the JSON answer to a control request; `path` is without the prefix."""

    @abstractmethod
    def refuse(self, status: int) -> None:
        """Answer what is no HTTP request of ours at all."""

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.keep_alive_s or None)
        self.rfile.close()
        self.rfile = self._reader = _Reader(self.connection.makefile("rb", buffering=0))

    def parse_request(self) -> bool:
        whole = super().parse_request() and not self._reader.cut_short
        self.close_connection = self.close_connection or not whole
        return whole

    def do_GET(self) -> None:
        self.route()

    def do_POST(self) -> None:
        self.route()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer what the standard library refuses by itself in the provider's form, without repeating the request."""
        self.close_connection = True
        self.refuse(code)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing: the library's lines carry the address, and that may carry numbers and texts."""

    def route(self) -> None:
        """Read the body and hand the request to whom it is for."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self.send_error(411)
            return
        body = self.rfile.read(int(length))
        path = urlsplit(self.path).path
        if len(body) < int(length):
            self.close_connection = True
        elif path.startswith(controlling.PREFIX):
            self._control(path.removeprefix(controlling.PREFIX), body)
        else:
            self.serve(path, body)

    def reset(self) -> None:
        """End the connection with a TCP reset instead of an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.server.reset_on_close(self.connection)
        self.close_connection = True

    def send(
        self,
        status: int,
        body: bytes,
        content_type: str,
        *,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
        cut: bool = False,
    ) -> None:
        """Write an answer in one piece; a cut one announces its whole body and breaks off in the middle."""
        head = [
            f"HTTP/1.1 {status} {reason or ('OK' if status < 400 else 'Error')}",
            f"Date: {self.date_time_string()}",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        if cut:
            self.close_connection = True
            body = body[: len(body) // 2]
        elif self.close_connection:
            head.append("Connection: close")
        self.wfile.write("\r\n".join([*head, "", ""]).encode("ascii") + body)

    def _control(self, path: str, body: bytes) -> None:
        if not ipaddress.ip_address(self.client_address[0]).is_loopback:
            self.send(403, b"{}", JSON)
            return
        status, answer = self.control(path, dict(parse_qsl(urlsplit(self.path).query)), body)
        self.send(status, json.dumps(answer, ensure_ascii=False).encode(), JSON)
