"""Answers HTTP requests for recordings, `/public/api/v1/monitor/…`, as BIZTEL does."""

import json
import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.simulators.biztel.audio import Content
from sandbox.simulators.biztel.download_answers import HTML, DownloadAnswer, create_answer
from sandbox.simulators.biztel.error_bodies import REASONS
from sandbox.simulators.biztel.provider import Download, Provider
from sandbox.simulators.http_server import SimulatorHandler
from sandbox.simulators.outcomes import Outcome

_MONITOR: Final = re.compile(r"/public/api/v1/monitor/([^/]+)")


class Handler(SimulatorHandler[Provider]):
    """A handler that takes downloads and sends files."""

    def query(self) -> dict[str, str]:
        """Return the parameters in the address. An empty parameter counts as sent."""
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def refuse(self, status: int) -> None:
        """Answer a request that is no readable HTTP with its status."""
        self._send(create_answer(status, str(status).encode(), content_type=HTML))

    def serve(self, path: str, body: bytes) -> None:  # noqa: ARG002
        """Answer a request for a recording; any other path is not found."""
        monitor = _MONITOR.fullmatch(path)
        if monitor is None:
            self._send(create_answer(404, b"not found", content_type=HTML))
        elif self.command != "GET":
            self._send(create_answer(405, b"{}"))
        else:
            self._serve_download(unquote(monitor[1]), self.query().get("content_type"))

    def _serve_download(self, call_id: str, channel: str | None) -> None:
        answer = self.provider.handle(
            Download(call_id=call_id, channel=channel, authorization=self.headers.get("Authorization", ""))
        )
        if answer.outcome is Outcome.KEPT_OPEN:
            self.server.wait(answer.hold_s)
        if not self.end_without_answer(answer.outcome):
            self._send(answer)

    def send_control(self, status: int, answer: object) -> None:
        """Write the answer to a control request: a file or JSON."""
        if isinstance(answer, Content):
            self._send(
                DownloadAnswer(status=status, content=answer, content_type="audio/mpeg", announced=answer.length)
            )
        else:
            self._send(create_answer(status, json.dumps(answer, ensure_ascii=False).encode()))

    def _send(self, answer: DownloadAnswer) -> None:
        """Write an answer piece by piece, as much of it and as fast as it says."""
        self.close_connection = self.close_connection or answer.ends_connection
        fields = {"Content-Type": answer.content_type, **answer.headers}
        if answer.announced is not None:
            fields["Content-Length"] = str(answer.announced)
        elif answer.chunked:
            fields["Transfer-Encoding"] = "chunked"
        if self.close_connection:
            fields["Connection"] = "close"
        self.wfile.write(self.head(answer.status, REASONS.get(answer.status, "Other"), fields))
        remaining = answer.content.length if answer.sent is None else answer.sent
        for chunk in answer.content.chunks():
            if remaining <= 0:
                return
            self._write(chunk[:remaining], answer)
            remaining -= len(chunk)
        if answer.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, chunk: bytes, answer: DownloadAnswer) -> None:
        if answer.chunked:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            return
        if answer.drip is None:
            self.wfile.write(chunk)
            return
        for start in range(0, len(chunk), answer.drip.bytes):
            self.wfile.write(chunk[start : start + answer.drip.bytes])
            self.server.wait(answer.drip.every_s)
