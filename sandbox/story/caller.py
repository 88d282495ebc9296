"""Calls the API as a company's application does, and the simulators' control interfaces."""

import json
from typing import Any

import urllib3

from sandbox.endpoints import Endpoints

_CONNECTIONS = 8


class Caller:
    """An HTTP client with an API key."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self._base = f"{endpoints.api_url}/v1"
        self._key = endpoints.api_key
        self._http = urllib3.PoolManager(retries=False, timeout=30.0, maxsize=_CONNECTIONS)

    def post(self, path: str, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any], str | None]:
        """Send a POST to the API, and return the status, the JSON and the `Idempotent-Replayed` header."""
        response = self._http.request(
            "POST",
            self._base + path,
            body=json.dumps(body),
            headers={"x-api-key": self._key, "content-type": "application/json", **headers},
        )
        return response.status, response.json(), response.headers.get("Idempotent-Replayed")

    def put(self, path: str, body: dict[str, Any]) -> int:
        """Send a PUT to the API, and return the status."""
        headers = {"x-api-key": self._key, "content-type": "application/json"}
        return self._http.request("PUT", self._base + path, body=json.dumps(body), headers=headers).status

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a PATCH to the API, and return the JSON."""
        headers = {"x-api-key": self._key, "content-type": "application/json"}
        url = self._base + path
        resource: dict[str, Any] = self._http.request("PATCH", url, body=json.dumps(body), headers=headers).json()
        return resource

    def delete(self, path: str) -> int:
        """Send a DELETE to the API, and return the status."""
        return self._http.request("DELETE", self._base + path, headers={"x-api-key": self._key}).status

    def get(self, path: str) -> dict[str, Any]:
        """Send a GET to the API, and return the JSON."""
        resource: dict[str, Any] = self._http.request("GET", self._base + path, headers={"x-api-key": self._key}).json()
        return resource

    def get_control(self, url: str) -> Any:
        """Send a GET to a simulator's control interface, and return the JSON."""
        return self._http.request("GET", url).json()

    def post_control(self, url: str, body: dict[str, Any]) -> Any:
        """Send a POST to a simulator's control interface, and return the JSON."""
        headers = {"content-type": "application/json"}
        return self._http.request("POST", url, body=json.dumps(body), headers=headers).json()
