"""BIZTEL in a sandbox: a simulator, or the server and the token that the environment names."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import SandboxError
from sandbox.providers import Provider, start_all


class Sandbox:
    """The part of a sandbox that starts the providers."""

    def __init__(self, folder: Path) -> None:
        self.until = ExitStack()
        self.log = folder / "simulators.log"

    def start(self, **environment: str) -> Mapping[str, Provider]:
        return {each.name: each for each in start_all(environment, self.until, log=self.log)}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    started = Sandbox(tmp_path)
    with started.until:
        yield started


def fetched(url: str, *, token: str = "", body: object = None) -> Any:
    encoded = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, encoded, {"Authorization": f"Token {token}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return answer.read()


def control(biztel: Provider, path: str, body: object = None) -> Any:
    return json.loads(fetched(f"{biztel.url}/control/{path}", body=body))


def test_each_provider_is_simulated_on_a_port_of_its_own(sandbox: Sandbox) -> None:
    started = sandbox.start()

    assert {"mediasms", "biztel"} <= started.keys()
    assert len({each.url for each in started.values()}) == len(started)
    assert all(each.url.startswith("http://127.0.0.1:") for each in started.values())


def test_the_secret_of_biztel_opens_its_simulator(sandbox: Sandbox) -> None:
    biztel = sandbox.start()["biztel"]
    call_id = control(biztel, "calls", {"announce": False})["id"]

    recording = fetched(f"{biztel.url}/public/api/v1/monitor/{call_id}", token=biztel.credentials["token"])

    assert recording.startswith(b"ID3")


def test_the_token_of_the_environment_is_the_simulated_ones(sandbox: Sandbox) -> None:
    assert sandbox.start(BIZTEL_TOKEN="chosen")["biztel"].credentials == {"token": "chosen"}


def test_two_sandboxes_have_different_tokens(sandbox: Sandbox, tmp_path: Path) -> None:
    assert sandbox.start()["biztel"].credentials != sandbox.start()["biztel"].credentials


def test_another_server_takes_the_simulators_place(sandbox: Sandbox) -> None:
    biztel = sandbox.start(BIZTEL_URL="http://127.0.0.1:9", BIZTEL_TOKEN="theirs")["biztel"]

    biztel.connect("http://127.0.0.1:8/v1/webhooks", "hook")

    assert biztel.url == "http://127.0.0.1:9"
    assert biztel.credentials == {"token": "theirs"}


@pytest.mark.parametrize("named", ["MEDIASMS_URL", "BIZTEL_URL"])
def test_another_server_needs_credentials(sandbox: Sandbox, named: str) -> None:
    with pytest.raises(SandboxError, match=f"{named} needs"):
        sandbox.start(**{named: "http://127.0.0.1:9"})


def test_biztel_is_told_where_the_webhook_is(sandbox: Sandbox) -> None:
    biztel = sandbox.start()["biztel"]

    biztel.connect("http://127.0.0.1:8/v1/webhooks", "hook")

    assert control(biztel, "config")["action_url"] == (
        "http://127.0.0.1:8/v1/webhooks/biztel/hook/monitor_file_event?ID={ID}&TEL={TEL}&DATE={DATE}"
    )


def test_the_log_says_which_simulator_speaks_and_no_credentials(sandbox: Sandbox) -> None:
    biztel = sandbox.start()["biztel"]
    call_id = control(biztel, "calls", {"announce": False, "tel": "09000000077"})["id"]
    fetched(f"{biztel.url}/public/api/v1/monitor/{call_id}", token=biztel.credentials["token"])

    lines = sandbox.log.read_text()

    assert f"biztel 200 answered {call_id} monaural" in lines
    assert biztel.credentials["token"] not in lines
    assert "09000000077" not in lines


def test_no_credential_is_in_the_text_of_a_provider(sandbox: Sandbox) -> None:
    for each in sandbox.start().values():
        assert not any(value in repr(each) for value in each.credentials.values())
