"""The sandbox of all system tests: the real template on the embedded emulator, as `make run` starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from sandbox.endpoints import Endpoints

REPOSITORY = Path(__file__).parents[2]
T = TypeVar("T")
TIMEOUT_S = 300.0
"""The time after which a test hangs. No test measures time, because a machine may be slow and busy."""


def wait_until(read: Callable[[], T], condition: Callable[[T], bool]) -> T:
    """Read until the value meets the condition and return it; fail with the last value after TIMEOUT_S."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        value = read()
        if condition(value):
            return value
        assert time.monotonic() < deadline, value
        time.sleep(0.1)


def request_control(url: str, body: object | None = None) -> Any:
    """Send a request to a simulator's control interface and return the JSON of its response."""
    response = requests.request("GET" if body is None else "POST", url, json=body, timeout=TIMEOUT_S)
    response.raise_for_status()
    return response.json()


@dataclass(frozen=True, slots=True)
class Api:
    """A caller of the deployed API, with access to the control interface of the simulated MediaSMS."""

    endpoints: Endpoints

    def post(self, path: str, body: object, **headers: str) -> requests.Response:
        """Send a POST with a JSON body; bytes are sent unchanged."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, data=data, headers={"content-type": "application/json", **headers})

    def get(self, path: str) -> requests.Response:
        """Send a GET."""
        return self.request("GET", path)

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Send a request with the API key."""
        headers = {"x-api-key": self.endpoints.api_key, **arguments.pop("headers", {})}
        return requests.request(
            method, f"{self.endpoints.api_url}/v1{path}", headers=headers, timeout=TIMEOUT_S, **arguments
        )

    def report(self, token: str | None = None, **params: str) -> requests.Response:
        """Send a delivery report to the webhook, as MediaSMS does."""
        url = self.endpoints.webhook_url("mediasms_delivery", token)
        return requests.post(url, data=params, timeout=TIMEOUT_S)

    def control(self, path: str, body: object | None = None) -> Any:
        """Send a request to the control interface of the simulated MediaSMS."""
        return request_control(self.endpoints.mediasms_url.replace("/sms/api/", f"/control/{path}"), body)

    def received(self, smsid: str) -> list[dict[str, Any]]:
        """Return the messages that the simulated MediaSMS accepted under this id."""
        items: list[dict[str, Any]] = self.control(f"messages?smsid={smsid}")["items"]
        return items

    def wait_until(self, smsid: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Query the message until it meets the condition and return it."""
        return wait_until(lambda: self.get(f"/sms/{smsid}").json(), condition)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse two tests with one node id: pytest-xdist would run only one of them."""
    node_ids = Counter(item.nodeid for item in items)
    duplicates = [node_id for node_id, count in node_ids.items() if count > 1]
    if duplicates:
        raise pytest.UsageError(f"several tests have one node id: {', '.join(duplicates)}")


@pytest.fixture(scope="session")
def sandbox_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the sandbox, of which a run of the tests has one (`OneSandbox` in tests/conftest.py)."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        (tmp_path_factory.getbasetemp().parent / "one-sandbox").touch(exist_ok=False)
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture(scope="session")
def api(sandbox_dir: Path) -> Iterator[Api]:
    """Start a sandbox, and check at the end that it stops with exit code 0 after SIGTERM."""
    environment = {**os.environ, "SANDBOX_DIR": str(sandbox_dir), "DEMO": "0"}
    for name in ("MEDIASMS_URL", "GATEWAY_PORT", "WEBHOOK_TOKEN"):
        environment.pop(name, None)
    output = (sandbox_dir / "output.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "up"], cwd=REPOSITORY, env=environment, stdout=output, stderr=output
    )
    try:
        endpoints = _await_endpoints(sandbox_dir, process)
        yield Api(endpoints)
    finally:
        process.terminate()
        exit_code = process.wait(timeout=TIMEOUT_S)
        output.close()
    assert exit_code == 0, (sandbox_dir / "output.log").read_text()


def _await_endpoints(sandbox_dir: Path, process: subprocess.Popen[bytes]) -> Endpoints:
    deadline = time.monotonic() + TIMEOUT_S
    while not (sandbox_dir / "endpoints.json").exists():
        assert process.poll() is None, (sandbox_dir / "output.log").read_text()
        assert time.monotonic() < deadline, "the sandbox did not start"
        time.sleep(0.1)
    return Endpoints.read(sandbox_dir / "endpoints.json")


@pytest.fixture(autouse=True)
def reset_mediasms(api: Api) -> Iterator[None]:
    """Reset the simulated MediaSMS after each test."""
    yield
    api.control("reset", {})
