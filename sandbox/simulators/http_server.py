"""Serves HTTP/1.1 for all simulators: reads requests strictly, writes answers, dispatches control requests."""

import io
import ipaddress
import json
import socket
import ssl
import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl, urlsplit

from sandbox.simulators import control
from sandbox.simulators.account import Account
from sandbox.simulators.clock_and_locks import Condition
from sandbox.simulators.connections import TrackedServer
from sandbox.simulators.outcomes import Outcome

P = TypeVar("P", bound=Account[Any, Any, Any])

JSON: Final = "application/json"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class _Reader(io.BufferedReader):
    """A reader that notices a request cut in the middle of a line, which the standard library takes for a whole one."""

    cut_short = False

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            self.cut_short = True
        return line


class Wait(Protocol):
    """A wait by the simulator's clock."""

    def __call__(self, seconds: float, condition: Condition = ...) -> None:
        """Wait for `seconds`, until `condition()` holds, or until the simulator stops."""


class SimulatorServer(TrackedServer, Generic[P]):
    """A server of one provider's API and its control requests, over TLS if `tls` is given."""

    def __init__(
        self,
        address: tuple[str, int],
        handler: "type[SimulatorHandler[P]]",
        *,
        provider: P,
        routes: control.Routes[P],
        wait: Wait,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.provider = provider
        self.routes = routes
        self.wait = wait
        super().__init__(address, handler, tls=tls)


class SimulatorHandler(BaseHTTPRequestHandler, ABC, Generic[P]):
    """The requests of one connection. Each simulator has a subclass that answers as its provider does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SimulatorServer[P]

    @abstractmethod
    def serve(self, path: str, body: bytes) -> None:
        """Answer a complete request to the provider's API; `path` is without the query."""

    @abstractmethod
    def refuse(self, status: int) -> None:
        """Answer a request that is no readable HTTP."""

    @property
    def provider(self) -> P:
        """The simulated provider."""
        return self.server.provider

    def query(self) -> dict[str, str]:
        """Return the parameters in the address.

        Of a repeated name the last one counts. An empty parameter counts as not sent.
        """
        return dict(parse_qsl(urlsplit(self.path).query))

    def setup(self) -> None:
        """Complete the TLS handshake, and replace the reader by one that notices cut requests."""
        self.request.settimeout(self.provider.config.keep_alive_s or None)
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()
        self.rfile.close()
        self.rfile = self._reader = _Reader(self.connection.makefile("rb", buffering=0))

    def parse_request(self) -> bool:
        """Parse the request line and the headers, and return whether they are complete."""
        complete = super().parse_request() and not self._reader.cut_short
        self.close_connection = self.close_connection or not complete
        return complete

    def do_GET(self) -> None:
        """Answer a GET request."""
        self.route()

    def do_POST(self) -> None:
        """Answer a POST request."""
        self.route()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer in the provider's form, without repeating the request, if the standard library refuses a request."""
        self.close_connection = True
        self.refuse(code)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing: the library's lines carry the address, and that may carry numbers and texts."""

    def route(self) -> None:
        """Read the body, and serve the request as a control request or as one to the provider's API."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self.send_error(411)
            return
        body = self.rfile.read(int(length))
        path = urlsplit(self.path).path
        if len(body) < int(length):
            self.close_connection = True
        elif path.startswith(control.PREFIX):
            self.control(path.removeprefix(control.PREFIX), body)
        else:
            self.serve(path, body)

    def control(self, path: str, body: bytes) -> None:
        """Answer a control request; `path` is without the prefix."""
        if not ipaddress.ip_address(self.client_address[0]).is_loopback:
            self.send_control(403, {})
            return
        status, answer = control.handle(
            self.server.routes,
            self.provider,
            origin=self.server.origin,
            method=self.command,
            path=path,
            query=self.query(),
            body=body,
        )
        self.send_control(status, answer)

    def send_control(self, status: int, answer: object) -> None:
        """Write the answer to a control request."""
        self.send(status, json.dumps(answer, ensure_ascii=False).encode(), JSON)

    def end_without_answer(self, outcome: Outcome) -> bool:
        """End the connection if a request with `outcome` has no answer, and return whether that is so."""
        if outcome is Outcome.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.server.reset_on_close(self.connection)
        elif outcome not in {Outcome.KEPT_OPEN, Outcome.DROPPED}:
            return False
        self.close_connection = True
        return True

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
        """Write an answer in one piece. A `cut` one announces its whole body and ends in the middle of it."""
        fields = {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})}
        if cut:
            self.close_connection = True
            body = body[: len(body) // 2]
        elif self.close_connection:
            fields["Connection"] = "close"
        self.wfile.write(self.head(status, reason or ("OK" if status < 400 else "Error"), fields) + body)

    def head(self, status: int, reason: str, fields: Mapping[str, str]) -> bytes:
        """Return the status line and the headers of an answer, Date among them."""
        lines = [f"HTTP/1.1 {status} {reason}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
