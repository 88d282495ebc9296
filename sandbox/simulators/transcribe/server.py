"""Answers HTTP requests as Amazon Transcribe does: JSON 1.1, the operation in `X-Amz-Target`."""

import json
from typing import Final

from sandbox.simulators.http_server import SimulatorHandler
from sandbox.simulators.transcribe.provider import Provider

_JSON: Final = "application/x-amz-json-1.1"


class Handler(SimulatorHandler[Provider]):
    """A handler of the operations on jobs."""

    def refuse(self, status: int) -> None:
        """Answer a request that is no readable HTTP."""
        self.send(status, json.dumps({"__type": "SerializationException"}).encode(), _JSON)

    def serve(self, path: str, body: bytes) -> None:  # noqa: ARG002 - every operation has the same path
        """Answer one operation."""
        action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        answer = self.provider.handle(action, body, dict(self.headers.items()))
        if not self.end_without_answer(answer.outcome):
            self.send(answer.status, answer.body, _JSON)
