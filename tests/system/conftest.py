"""One sandbox for all system tests: the real template on the embedded emulator, as `make run` starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from sandbox.endpoints import Endpoints

REPOSITORY = Path(__file__).parents[2]
T = TypeVar("T")
PATIENCE_S = 300.0
"""No test is about how long something takes: after so long it hangs. A machine may be slow and busy."""


def until(look: Callable[[], T], wanted: Callable[[T], bool]) -> T:
    """Looks until it is as wanted; fails with what it was last."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        seen = look()
        if wanted(seen):
            return seen
        assert time.monotonic() < ends, seen
        time.sleep(0.1)


def asked(url: str, body: object | None = None) -> Any:
    """What a simulator's control interface says."""
    answer = requests.request("GET" if body is None else "POST", url, json=body, timeout=PATIENCE_S)
    answer.raise_for_status()
    return answer.json()


@dataclass(frozen=True, slots=True)
class Api:
    """A caller of the deployed API, and the person who can see into the simulated provider."""

    endpoints: Endpoints

    def post(self, path: str, body: object, **headers: str) -> requests.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, data=data, headers={"content-type": "application/json", **headers})

    def get(self, path: str) -> requests.Response:
        return self.request("GET", path)

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        headers = {"x-api-key": self.endpoints.api_key, **arguments.pop("headers", {})}
        return requests.request(
            method, f"{self.endpoints.api_url}/v1{path}", headers=headers, timeout=PATIENCE_S, **arguments
        )

    def report(self, token: str | None = None, **params: str) -> requests.Response:
        route = f"/webhooks/mediasms/{token or self.endpoints.webhook_token}/delivery"
        return requests.post(f"{self.endpoints.api_url}/v1{route}", data=params, timeout=PATIENCE_S)

    def control(self, path: str, body: object | None = None) -> Any:
        return asked(self.endpoints.mediasms_url.replace("/sms/api/", f"/control/{path}"), body)

    def received(self, smsid: str) -> list[dict[str, Any]]:
        """What the provider accepted under this id."""
        items: list[dict[str, Any]] = self.control(f"messages?smsid={smsid}")["items"]
        return items

    def until(self, smsid: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Looks at the message until it is as wanted; fails with what it was last."""
        return until(lambda: self.get(f"/sms/{smsid}").json(), wanted)


@pytest.fixture(scope="session")
def sandbox_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture(scope="session")
def api(sandbox_dir: Path) -> Iterator[Api]:
    """A sandbox that is up; it must end by itself, and cleanly, when it is asked to."""
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
        ended = process.wait(timeout=PATIENCE_S)
        output.close()
    assert ended == 0, (sandbox_dir / "output.log").read_text()


def _await_endpoints(sandbox_dir: Path, process: subprocess.Popen[bytes]) -> Endpoints:
    ends = time.monotonic() + PATIENCE_S
    while not (sandbox_dir / "endpoints.json").exists():
        assert process.poll() is None, (sandbox_dir / "output.log").read_text()
        assert time.monotonic() < ends, "the sandbox did not come up"
        time.sleep(0.1)
    return Endpoints.read(sandbox_dir / "endpoints.json")


@pytest.fixture(autouse=True)
def calm_provider(api: Api) -> Iterator[None]:
    """Each test leaves the simulated provider as it found it."""
    yield
    api.control("reset", {})
