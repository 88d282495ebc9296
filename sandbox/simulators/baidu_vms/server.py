"""Answers HTTP requests to the API, `/v1/call`, as Baidu VMS does."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from sandbox.simulators.baidu_vms.authentication import error_message
from sandbox.simulators.baidu_vms.decisions import Answer, Page, Success
from sandbox.simulators.baidu_vms.errors import INVALID_REQUEST, NOT_IMPLEMENTED
from sandbox.simulators.baidu_vms.provider import Provider
from sandbox.simulators.baidu_vms.requests import HttpRequest
from sandbox.simulators.http_server import SimulatorHandler
from sandbox.simulators.outcomes import Outcome

_JSON: Final = "application/json; charset=utf-8"


class Handler(SimulatorHandler[Provider]):
    """A handler that takes calls and answers as the document says of every interface."""

    def refuse(self, status: int) -> None:
        """Answer a request that is no readable HTTP.

        The document has no row for such a request, except for a method that is not implemented.
        """
        error = NOT_IMPLEMENTED if status == NOT_IMPLEMENTED.http_status else INVALID_REQUEST
        self._answer(replace(error, http_status=status), {})

    def serve(self, path: str, body: bytes) -> None:
        """Answer a request to the API."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        decision = self.provider.handle(
            HttpRequest(method=self.command, path=path, query=urlsplit(self.path).query, headers=headers, body=body)
        )
        self.server.wait(decision.wait_s)
        if not self.end_without_answer(decision.outcome) and decision.answer is not None:
            self._answer(decision.answer, headers, cut=decision.outcome is Outcome.CUT)

    def _answer(self, answer: Answer, request_headers: Mapping[str, str], *, cut: bool = False) -> None:
        if isinstance(answer, Page):
            self.send(answer.http_status, answer.body.encode(), "text/html")
            return
        request_id = str(uuid.uuid4())
        if isinstance(answer, Success):
            status, members = (
                200,
                {
                    "callId": answer.call_id,
                    "userDefinedTag": answer.tag,
                    "dateCreate": answer.date_create,
                    "showNum": answer.show_number,
                },
            )
        else:
            space = " " if self.provider.config.space_before_request_id else ""
            status, members = (
                answer.http_status,
                {
                    "code": answer.code,
                    "message": error_message(answer, request_headers),
                    "requestId": space + request_id,
                },
            )
        body = json.dumps(members, ensure_ascii=False).encode()
        self.send(status, body, _JSON, headers={"x-bce-request-id": request_id}, cut=cut)
