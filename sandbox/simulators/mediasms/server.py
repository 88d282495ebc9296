"""Answers HTTP requests to the send API, `/sms/api/`, and to the result API, `/sms/result/`, as MediaSMS does."""

import json
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from sandbox.simulators.http_server import JSON, SimulatorHandler
from sandbox.simulators.mediasms.decisions import Decision, SmsRequest
from sandbox.simulators.mediasms.document_tables import REASONS, STATUS_NAMES, Code
from sandbox.simulators.mediasms.faults import CODE_IN_BODY
from sandbox.simulators.mediasms.provider import Provider
from sandbox.simulators.outcomes import Outcome

SEND_PATH: Final = "/sms/api/"
RESULT_PATH: Final = "/sms/result/"
_TEXT: Final = "text/plain; charset=UTF-8"
_FORM: Final = "application/x-www-form-urlencoded"
_HTML: Final = "text/html; charset=UTF-8"


class Handler(SimulatorHandler[Provider]):
    """A handler that takes messages and answers with a response code."""

    def serve(self, path: str, body: bytes) -> None:
        """Answer a request to the send API or the result API; any other path is not found."""
        if path == SEND_PATH:
            self._serve_sms(body)
        elif path == RESULT_PATH and self.command == "GET":
            self._serve_result()
        else:
            self._send(404, b"not found", _HTML)

    def refuse(self, status: int) -> None:
        """Answer a request that is no readable HTTP with its status as the code."""
        self._send(status, str(status).encode(), _HTML)

    def _serve_sms(self, body: bytes) -> None:
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
                parameters=_decode_form(encoded),
            )
        )
        self._wait(decision)
        self._carry_out(decision)

    def _serve_result(self) -> None:
        """Answer the code and the status's name, line by line, or the code of a refusal in JSON.

        The form is that of the company's CONSOLE product. None is published for this API.
        """
        result = self.provider.handle_inquiry(
            source=self.client_address[0],
            authorization=self.headers.get("Authorization", ""),
            smsid=self.query().get("smsid", ""),
        )
        if isinstance(result, int):
            status = result if self.provider.config.http_status_style == "code" and result < 600 else 200
            self._send(status, json.dumps({"result": str(result)}).encode(), JSON)
            return
        name = STATUS_NAMES.get(result.status or 0, str(result.status))
        self._send(200, f"{int(Code.SUCCESS)}\n{name}\n".encode(), _TEXT)

    def _wait(self, decision: Decision) -> None:
        self.server.wait(self.provider.config.answer_after_s)
        message = decision.message
        events: Sequence[object] = ()
        if message is not None and decision.wait_ends_with is not None:
            events = message.reports if decision.wait_ends_with == "report" else message.callbacks
        self.server.wait(decision.wait_s, lambda: bool(events))

    def _carry_out(self, decision: Decision) -> None:
        if self.end_without_answer(decision.outcome):
            return
        if decision.garbage is not None:
            self._send(decision.garbage.http_status, decision.garbage.body.encode(), _HTML)
        elif decision.code is not None:
            for _ in range(decision.provisional_answers):
                self.wfile.write(self.head(103, "Early Hints", {"Link": "</sms.css>; rel=preload"}))
            if decision.wrapping is not None:
                body = decision.wrapping.body.replace(CODE_IN_BODY, str(decision.code))
                self._send(decision.wrapping.http_status, body.encode(), _HTML)
                return
            self._answer(decision.code, cut=decision.outcome is Outcome.CUT)

    def _answer(self, code: int, *, cut: bool) -> None:
        """Answer the bare code in the configured form."""
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


def _decode_form(encoded: bytes) -> dict[str, str]:
    """Return the parameters of a form. Of a repeated name the last one counts; an empty one counts as not sent."""
    pairs = parse_qsl(encoded.decode("utf-8", "replace"), keep_blank_values=True, errors="replace")
    return {name: value for name, value in dict(pairs).items() if value}
