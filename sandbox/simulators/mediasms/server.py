"""The wire: `/sms/api/` for senders and `/control/…` for whoever scripts the simulator, both over HTTP/1.1."""

import json
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from sandbox.simulators.http_server import JSON, SimulatorHandler
from sandbox.simulators.mediasms.decisions import Decision, SmsRequest
from sandbox.simulators.mediasms.document_tables import REASONS
from sandbox.simulators.mediasms.provider import Provider
from sandbox.simulators.outcomes import Outcome

SEND_PATH: Final = "/sms/api/"
_FORM: Final = "application/x-www-form-urlencoded"
_HTML: Final = "text/html; charset=UTF-8"


class Handler(SimulatorHandler[Provider]):
    """Takes SMS and answers with a code."""

    def serve(self, path: str, body: bytes) -> None:
        if path == SEND_PATH:
            self._sms(body)
        else:
            self._send(404, b"not found", _HTML)

    def refuse(self, status: int) -> None:
        self._send(status, str(status).encode(), _HTML)

    def _sms(self, body: bytes) -> None:
        if self.command == "GET":
            encoded = urlsplit(self.path).query.encode("latin-1")
        else:
            encoded = body if self.headers.get_content_type() == _FORM else b""
        is_whole = self.path.startswith("http")
        url = self.path if is_whole else f"http://{self.headers.get('Host', '')}{self.path}"
        decision = self.provider.handle(
            SmsRequest(
                method=self.command,
                url_bytes=len(url),
                source=self.client_address[0],
                authorization=self.headers.get("Authorization", ""),
                parameters=_parameters(encoded),
            )
        )
        self._wait(decision)
        self._carry_out(decision)

    def _wait(self, decision: Decision) -> None:
        """Wait as long as the answer is to be held back."""
        message = decision.message
        told: Sequence[object] = ()
        if message is not None and decision.until_told is not None:
            told = message.reports if decision.until_told == "report" else message.callbacks
        self.server.wait(decision.wait_s, lambda: bool(told))

    def _carry_out(self, decision: Decision) -> None:
        if self.ended(decision.outcome):
            return
        if decision.garbage is not None:
            self._send(decision.garbage.http_status, decision.garbage.body.encode(), _HTML)
        elif decision.code is not None:
            self._answer(decision.code, cut=decision.outcome is Outcome.CUT)

    def _answer(self, code: int, *, cut: bool) -> None:
        """Answer the bare code, in the configured form."""
        config = self.provider.config
        body, content_type = {
            "text": (str(code), _HTML),
            "html": (f"<html><body>{code}</body></html>", _HTML),
            "json": (json.dumps({"result": str(code)}), JSON),
        }[config.body_style]
        self._send(code if config.http_status_style == "code" else 200, body.encode(), content_type, cut=cut)

    def _send(self, status: int, body: bytes, content_type: str, *, cut: bool = False) -> None:
        headers = {"WWW-Authenticate": 'Basic realm="MediaSMS"'} if status == 401 else {}
        self.send(status, body, content_type, reason=REASONS.get(status, ""), headers=headers, cut=cut)


def _parameters(encoded: bytes) -> dict[str, str]:
    """Decode a form; of a repeated name the last counts, and one that is empty was not sent."""
    pairs = parse_qsl(encoded.decode("utf-8", "replace"), keep_blank_values=True, errors="replace")
    return {name: value for name, value in dict(pairs).items() if value}
