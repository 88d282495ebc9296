"""The wire: `/public/api/v1/monitor/…` for downloads and `/control/…` for whoever scripts the simulator."""

import ipaddress
import json
import re
import socket
import ssl
import struct
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.simulators.biztel import control
from sandbox.simulators.biztel.answers import HTML, Answer, Outcome, plain
from sandbox.simulators.biztel.audio import Content
from sandbox.simulators.biztel.provider import Download
from sandbox.simulators.biztel.wording import REASONS
from sandbox.simulators.connections import TrackedServer

if TYPE_CHECKING:
    from sandbox.simulators.biztel.simulator import BiztelSimulator

_MONITOR: Final = re.compile(r"/public/api/v1/monitor/([^/]+)")
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class SimulatorServer(TrackedServer):
    """Serves one simulator, over TLS when given a context."""

    def __init__(self, address: tuple[str, int], simulator: "BiztelSimulator", tls: ssl.SSLContext | None) -> None:
        self.simulator = simulator
        self._tls = tls
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; the handshake is left to its own thread, so that none waits for another's."""
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SimulatorServer

    def setup(self) -> None:
        self.simulator = self.server.simulator
        self.request.settimeout(self.simulator.provider.config.keep_alive_s or None)
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer what the standard library refuses by itself without repeating the request."""
        self.close_connection = True
        self._send(plain(code, str(code).encode(), content_type=HTML))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing: the library's lines carry the address."""

    def _route(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self.send_error(411)
            return
        body = self.rfile.read(int(length))
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        monitor = _MONITOR.fullmatch(parts.path)
        if len(body) < int(length):
            self.close_connection = True
        elif parts.path.startswith(control.PREFIX):
            self._control(parts.path.removeprefix(control.PREFIX), query, body)
        elif monitor is None:
            self._send(plain(404, b"not found", content_type=HTML))
        elif self.command != "GET":
            self._send(plain(405, b"{}"))
        else:
            self._monitor(unquote(monitor[1]), query.get("content_type"))

    def _monitor(self, call_id: str, channel: str | None) -> None:
        answer = self.simulator.provider.handle(
            Download(call_id=call_id, channel=channel, authorization=self.headers.get("Authorization", ""))
        )
        if answer.outcome is Outcome.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.server.reset_on_close(self.connection)
            self.close_connection = True
        elif answer.outcome is Outcome.HELD:
            self.simulator.wait(answer.hold_s)
            self.close_connection = True
        else:
            self._send(answer)

    def _control(self, path: str, query: Mapping[str, str], body: bytes) -> None:
        if not ipaddress.ip_address(self.client_address[0]).is_loopback:
            self._send(plain(403, b"{}"))
            return
        status, answer = control.handle(self.simulator, self.command, path, query, body)
        if isinstance(answer, Content):
            self._send(Answer(status=status, content=answer, content_type="audio/mpeg", announced=answer.length))
        else:
            self._send(plain(status, json.dumps(answer, ensure_ascii=False).encode()))

    def _send(self, answer: Answer) -> None:
        """Write an answer piece by piece, as far and as fast as it is to go."""
        self.close_connection = self.close_connection or answer.ends_connection
        head = [
            f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Other')}",
            f"Date: {self.date_time_string()}",
            f"Content-Type: {answer.content_type}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        if answer.announced is not None:
            head.append(f"Content-Length: {answer.announced}")
        if self.close_connection:
            head.append("Connection: close")
        self.wfile.write("\r\n".join([*head, "", ""]).encode("latin-1", "replace"))
        left = answer.content.length if answer.sent is None else answer.sent
        for chunk in answer.content.chunks():
            if left <= 0:
                return
            self._write(chunk[:left], answer)
            left -= len(chunk)

    def _write(self, chunk: bytes, answer: Answer) -> None:
        if answer.drip is None:
            self.wfile.write(chunk)
            return
        for start in range(0, len(chunk), answer.drip.bytes):
            self.wfile.write(chunk[start : start + answer.drip.bytes])
            self.simulator.wait(answer.drip.every_s)
