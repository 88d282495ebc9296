"""A company's application, as far as the story needs one, and the simulators' control endpoints beside it."""

import json
from typing import Any

import urllib3

from sandbox.endpoints import Endpoints

_CONNECTIONS = 8


class Caller:
    """An API key and HTTP."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self._base = f"{endpoints.api_url}/v1"
        self._key = endpoints.api_key
        self._http = urllib3.PoolManager(retries=False, timeout=30.0, maxsize=_CONNECTIONS)

    def post(self, path: str, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any], str | None]:
        """Status, JSON and the `Idempotent-Replayed` header."""
        answer = self._http.request(
            "POST",
            self._base + path,
            body=json.dumps(body),
            headers={"x-api-key": self._key, "content-type": "application/json", **headers},
        )
        return answer.status, answer.json(), answer.headers.get("Idempotent-Replayed")

    def get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self._http.request("GET", self._base + path, headers={"x-api-key": self._key}).json()
        return found

    def ask(self, url: str) -> Any:
        """What a simulator's control endpoint answers to a GET."""
        return self._http.request("GET", url).json()

    def control(self, url: str, body: dict[str, Any]) -> Any:
        """What a simulator's control endpoint answers to a POST."""
        headers = {"content-type": "application/json"}
        return self._http.request("POST", url, body=json.dumps(body), headers=headers).json()
