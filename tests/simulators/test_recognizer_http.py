"""The simulator of a recogniser follows docs/providers/recognizer_http.md, and the example server answers alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.simulators.recognizer_http import RecognizerSimulator, SimulatorConfig
from sandbox.simulators.transcribe.results import read_known_words
from tests.customer import Answered, ManualClock, answer_of, connection_to

DIALOGUE: Final = Path(__file__).parents[2] / "sandbox/simulators/biztel/dialogue"
TOKEN: Final = "right-token"
REQUEST: Final = {
    "language": "ja-JP",
    "channels": ["left"],
    "format": "mp3",
    "audio_url": "https://bucket.example/left.mp3",
    "audio_url_expires_at": "2026-11-22T04:04:05.678Z",
}


@dataclass
class Customer:
    """A plain client of one simulator."""

    simulator: RecognizerSimulator
    clock: ManualClock
    downloads: list[str] = field(default_factory=list)

    def request(self, method: str, path: str, body: object = None, *, token: str = TOKEN) -> Answered:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return answer_of(connection_to(self.simulator.url), method, path, content, headers)

    def start(self, name: str = "job", **members: Any) -> int:
        return self.request("PUT", f"/jobs/{name}", {**REQUEST, **members}).status

    def state(self, name: str = "job") -> Any:
        return self.request("GET", f"/jobs/{name}").json

    def control(self, path: str, body: object = None) -> Any:
        return self.request("GET" if body is None else "POST", f"/control/{path}", body).json


@pytest.fixture
def customer() -> Iterator[Customer]:
    clock, downloads = ManualClock(), list[str]()
    audio = (DIALOGUE / "left.mp3").read_bytes()

    def download(url: str) -> bytes | None:
        downloads.append(url)
        return audio if url == REQUEST["audio_url"] else None

    known = read_known_words(DIALOGUE / "words.json")
    config = SimulatorConfig(token=TOKEN)
    with RecognizerSimulator(config, download=download, known=known, clock=clock) as simulator:
        yield Customer(simulator, clock, downloads)


def test_a_job_runs_and_ends_with_its_words(customer: Customer) -> None:
    assert customer.request("GET", "/jobs/job").status == 404
    assert (customer.start(), customer.state()) == (201, {"state": "running"})
    assert customer.request("GET", "/jobs/job/result").status == 404
    customer.clock.now += 1

    assert customer.state() == {"state": "completed"}
    [words] = customer.request("GET", "/jobs/job/result").json["channels"]
    assert "".join(word["text"] for word in words).startswith("もしもし、山田と申します")
    assert all(type(word["start_ms"]) is int for word in words)


def test_a_taken_name_is_recognised_once(customer: Customer) -> None:
    assert [customer.start(), customer.start()] == [201, 200]
    assert customer.downloads == [REQUEST["audio_url"]]


@pytest.mark.parametrize("path", ["/jobs/job", "/jobs/job/result"])
def test_another_token_is_refused(customer: Customer, path: str) -> None:
    assert customer.request("GET", path, token="wrong-token").status == 401


@pytest.mark.parametrize(
    "members",
    [{"channels": ["right", "left"]}, {"channels": []}, {"language": None}, {"more": 1}],
    ids=["order", "no channel", "no language", "unknown member"],
)
def test_a_request_that_does_not_follow_the_document_is_refused(customer: Customer, members: dict[str, Any]) -> None:
    assert customer.start(**members) == 422


@pytest.mark.parametrize(
    ("members", "reason"),
    [({"audio_url": "https://bucket.example/gone"}, "not_accessible"), ({"channels": ["left", "right"]}, "media")],
    ids=["link", "channels"],
)
def test_audio_that_cannot_be_used_fails_the_job(customer: Customer, members: dict[str, Any], reason: str) -> None:
    assert customer.start(**members) == 201
    customer.clock.now += 1

    assert customer.state() == {"state": "failed", "reason": reason}


def test_more_running_jobs_than_its_limit_are_refused(customer: Customer) -> None:
    customer.control("config", {"concurrent_jobs": 1})
    assert [customer.start("one"), customer.start("two")] == [201, 429]


def test_faults_meet_the_requests_that_they_match(customer: Customer) -> None:
    customer.control("faults", {"kind": "status", "status": 500, "match_operation": "look"})
    customer.control("faults", {"kind": "failed", "reason": "internal"})

    assert customer.start() == 201
    assert customer.request("GET", "/jobs/job").status == 500
    customer.clock.now += 1
    assert customer.state() == {"state": "failed", "reason": "internal"}
    assert customer.control("requests?job=job")["statuses"] == {"201": 1, "500": 1, "200": 1}
