"""The wire: `/sms/api/` for senders and `/control/…` for whoever scripts the simulator, both over HTTP/1.1."""

import io
import ipaddress
import json
import socket
import struct
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from sandbox.simulators.mediasms import control
from sandbox.simulators.mediasms.codes import REASONS
from sandbox.simulators.mediasms.connections import TrackedServer
from sandbox.simulators.mediasms.records import Outcome
from sandbox.simulators.mediasms.verdicts import SmsRequest, Verdict

if TYPE_CHECKING:
    from sandbox.simulators.mediasms.simulator import MediaSmsSimulator

SEND_PATH: Final = "/sms/api/"
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_HTML: Final = "text/html; charset=UTF-8"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class SimulatorServer(TrackedServer):
    """Serves one simulator."""

    def __init__(self, address: tuple[str, int], simulator: "MediaSmsSimulator") -> None:
        self.simulator = simulator
        super().__init__(address, _Handler)


class _Reader(io.BufferedReader):
    """Notices a request that ends in the middle of a line, which the standard library would take for a whole one."""

    cut_short = False

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            self.cut_short = True
        return line


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SimulatorServer

    def setup(self) -> None:
        super().setup()
        self.simulator = self.server.simulator
        self.connection.settimeout(self.simulator.provider.config.keep_alive_s or None)
        self.rfile.close()
        self.rfile = self._reader = _Reader(self.connection.makefile("rb", buffering=0))

    def parse_request(self) -> bool:
        whole = super().parse_request() and not self._reader.cut_short
        self.close_connection = self.close_connection or not whole
        return whole

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer what the standard library refuses by itself in our form, without repeating the request."""
        self.close_connection = True
        self._send(code, str(code).encode(), _HTML)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing: the library's lines carry the address, and that carries numbers and texts."""

    def _route(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self.send_error(411)
            return
        body = self.rfile.read(int(length))
        path = urlsplit(self.path).path
        if len(body) < int(length):
            self.close_connection = True
        elif path == SEND_PATH:
            self._sms(body)
        elif path.startswith(control.PREFIX):
            self._control(path.removeprefix(control.PREFIX), body)
        else:
            self._send(404, b"not found", _HTML)

    def _sms(self, body: bytes) -> None:
        if self.command == "GET":
            encoded = urlsplit(self.path).query.encode("latin-1")
        else:
            encoded = body if self.headers.get_content_type() == _FORM else b""
        is_whole = self.path.startswith("http")
        url = self.path if is_whole else f"http://{self.headers.get('Host', '')}{self.path}"
        verdict = self.simulator.provider.handle(
            SmsRequest(
                method=self.command,
                url_bytes=len(url),
                source=self.client_address[0],
                authorization=self.headers.get("Authorization", ""),
                parameters=_parameters(encoded),
            )
        )
        self.simulator.wait_for_answer(verdict)
        self._carry_out(verdict)

    def _carry_out(self, verdict: Verdict) -> None:
        if verdict.outcome is Outcome.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.server.reset_on_close(self.connection)
            self.close_connection = True
        elif verdict.outcome in {Outcome.HELD, Outcome.DROPPED}:
            self.close_connection = True
        elif verdict.garbage is not None:
            self._send(verdict.garbage.http_status, verdict.garbage.body.encode(), _HTML)
        elif verdict.code is not None:
            self._answer(verdict.code, cut=verdict.outcome is Outcome.CUT)

    def _answer(self, code: int, *, cut: bool) -> None:
        """Answer the bare code, in the configured form."""
        config = self.simulator.provider.config
        body, content_type = {
            "text": (str(code), _HTML),
            "html": (f"<html><body>{code}</body></html>", _HTML),
            "json": (json.dumps({"result": str(code)}), _JSON),
        }[config.body_style]
        self._send(code if config.http_status_style == "code" else 200, body.encode(), content_type, cut=cut)

    def _control(self, path: str, body: bytes) -> None:
        if not ipaddress.ip_address(self.client_address[0]).is_loopback:
            self._send(403, b"{}", _JSON)
            return
        query = dict(parse_qsl(urlsplit(self.path).query))
        status, answer = control.handle(self.simulator, self.command, path, query, body)
        self._send(status, json.dumps(answer, ensure_ascii=False).encode(), _JSON)

    def _send(self, status: int, body: bytes, content_type: str, *, cut: bool = False) -> None:
        """Write an answer in one piece; a cut one announces its whole body and breaks off in the middle."""
        head = [
            f"HTTP/1.1 {status} {REASONS.get(status, 'OK' if status < 400 else 'Error')}",
            f"Date: {self.date_time_string()}",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
        ]
        if status == 401:
            head.append('WWW-Authenticate: Basic realm="MediaSMS"')
        if cut:
            self.close_connection = True
            body = body[: len(body) // 2]
        elif self.close_connection:
            head.append("Connection: close")
        self.wfile.write("\r\n".join([*head, "", ""]).encode("ascii") + body)


def _parameters(encoded: bytes) -> dict[str, str]:
    """Decode a form; of a repeated name the last counts, and one that is empty was not sent."""
    pairs = parse_qsl(encoded.decode("utf-8", "replace"), keep_blank_values=True, errors="replace")
    return {name: value for name, value in dict(pairs).items() if value}
