"""Answers HTTP requests to the API, `/jobs/{job}`."""

from sandbox.simulators.http_server import JSON, SimulatorHandler
from sandbox.simulators.recognizer_http.provider import Provider


class Handler(SimulatorHandler[Provider]):
    """A handler of requests about jobs."""

    def do_PUT(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer a PUT request."""
        self.route()

    def refuse(self, status: int) -> None:
        """Answer a request that is no readable HTTP."""
        self.send(status, b"{}", JSON)

    def serve(self, path: str, body: bytes) -> None:
        """Answer a request to the API."""
        answer = self.provider.handle(self.command, path, self.headers.get("Authorization", ""), body)
        if not self.end_without_answer(answer.outcome):
            self.send(answer.status, answer.body, JSON)
