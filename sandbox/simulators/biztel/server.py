"""The wire: `/public/api/v1/monitor/…` for downloads and `/control/…` for whoever scripts the simulator."""

import json
import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.simulators.biztel.audio import Content
from sandbox.simulators.biztel.download_answers import HTML, DownloadAnswer, plain
from sandbox.simulators.biztel.error_bodies import REASONS
from sandbox.simulators.biztel.provider import Download, Provider
from sandbox.simulators.http_server import SimulatorHandler
from sandbox.simulators.outcomes import Outcome

_MONITOR: Final = re.compile(r"/public/api/v1/monitor/([^/]+)")


class Handler(SimulatorHandler[Provider]):
    """Takes downloads and sends files."""

    def query(self) -> dict[str, str]:
        """Return the parameters in the address; an empty one was sent."""
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def refuse(self, status: int) -> None:
        self._send(plain(status, str(status).encode(), content_type=HTML))

    def serve(self, path: str, body: bytes) -> None:  # noqa: ARG002
        monitor = _MONITOR.fullmatch(path)
        if monitor is None:
            self._send(plain(404, b"not found", content_type=HTML))
        elif self.command != "GET":
            self._send(plain(405, b"{}"))
        else:
            self._monitor(unquote(monitor[1]), self.query().get("content_type"))

    def _monitor(self, call_id: str, channel: str | None) -> None:
        answer = self.provider.handle(
            Download(call_id=call_id, channel=channel, authorization=self.headers.get("Authorization", ""))
        )
        if answer.outcome is Outcome.HELD:
            self.server.wait(answer.hold_s)
        if not self.ended(answer.outcome):
            self._send(answer)

    def send_control(self, status: int, answer: object) -> None:
        if isinstance(answer, Content):
            self._send(
                DownloadAnswer(status=status, content=answer, content_type="audio/mpeg", announced=answer.length)
            )
        else:
            self._send(plain(status, json.dumps(answer, ensure_ascii=False).encode()))

    def _send(self, answer: DownloadAnswer) -> None:
        """Write an answer piece by piece, as far and as fast as it is to go."""
        self.close_connection = self.close_connection or answer.ends_connection
        fields = {"Content-Type": answer.content_type, **answer.headers}
        if answer.announced is not None:
            fields["Content-Length"] = str(answer.announced)
        if self.close_connection:
            fields["Connection"] = "close"
        self.wfile.write(self.head(answer.status, REASONS.get(answer.status, "Other"), fields))
        left = answer.content.length if answer.sent is None else answer.sent
        for chunk in answer.content.chunks():
            if left <= 0:
                return
            self._write(chunk[:left], answer)
            left -= len(chunk)

    def _write(self, chunk: bytes, answer: DownloadAnswer) -> None:
        if answer.drip is None:
            self.wfile.write(chunk)
            return
        for start in range(0, len(chunk), answer.drip.bytes):
            self.wfile.write(chunk[start : start + answer.drip.bytes])
            self.server.wait(answer.drip.every_s)
