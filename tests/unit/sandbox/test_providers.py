"""The sandbox starts a simulator for each provider, unless the environment names another server."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sandbox.endpoints import WEBHOOKS, Endpoints
from sandbox.errors import SandboxError
from sandbox.providers import Provider, start_all

ADDRESSES = {
    webhook: f"http://127.0.0.1:8{path.format(token=f'token-of-{webhook}')}" for webhook, path in WEBHOOKS.items()
}


class Sandbox:
    """The part of a sandbox that starts the providers."""

    def __init__(self, folder: Path) -> None:
        self.until = ExitStack()
        self.log = folder / "simulators.log"

    def start(self, **environment: str) -> Mapping[str, Provider]:
        return {provider.name: provider for provider in start_all(environment, self.until, log=self.log)}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    started = Sandbox(tmp_path)
    with started.until:
        yield started


def fetch(url: str, *, token: str = "", body: object = None) -> Any:
    encoded = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, encoded, {"Authorization": f"Token {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def control(provider: Provider, path: str, body: object = None) -> Any:
    return json.loads(fetch(f"{provider.url.removesuffix('/sms/api/')}/control/{path}", body=body))


def test_each_provider_is_simulated_on_its_own_port(sandbox: Sandbox) -> None:
    providers = sandbox.start()

    assert {"mediasms", "biztel", "baidu_vms"} <= providers.keys()
    assert len({provider.url for provider in providers.values()}) == len(providers)
    assert all(provider.url.startswith("http://127.0.0.1:") for provider in providers.values())


def test_each_provider_has_its_own_credentials_and_endpoint(sandbox: Sandbox) -> None:
    providers = sandbox.start()

    assert {provider.endpoint for provider in providers.values()} <= {field.name for field in fields(Endpoints)}
    assert set(providers["baidu_vms"].credentials) == {"ak", "sk"}
    assert all(providers["baidu_vms"].credentials.values())
    assert control(providers["baidu_vms"], "calls")["count"] == 0


def test_biztels_secret_opens_its_simulator(sandbox: Sandbox) -> None:
    biztel = sandbox.start()["biztel"]
    call_id = control(biztel, "calls", {"announce": False})["id"]

    recording = fetch(f"{biztel.url}/public/api/v1/monitor/{call_id}", token=biztel.credentials["token"])

    assert recording.startswith(b"ID3")


def test_a_simulator_gets_the_credentials_of_the_environment(sandbox: Sandbox) -> None:
    providers = sandbox.start(BIZTEL_TOKEN="chosen", BAIDU_VMS_AK="a", BAIDU_VMS_SK="b")

    assert providers["biztel"].credentials == {"token": "chosen"}
    assert providers["baidu_vms"].credentials == {"ak": "a", "sk": "b"}


def test_two_sandboxes_have_different_tokens(sandbox: Sandbox) -> None:
    assert sandbox.start()["biztel"].credentials != sandbox.start()["biztel"].credentials


@pytest.mark.parametrize(
    ("name", "credentials", "expected"),
    [
        pytest.param("biztel", {"BIZTEL_TOKEN": "theirs"}, {"token": "theirs"}, id="BIZTEL"),
        pytest.param("baidu_vms", {"BAIDU_VMS_AK": "a", "BAIDU_VMS_SK": "b"}, {"ak": "a", "sk": "b"}, id="Baidu VMS"),
    ],
)
def test_another_server_replaces_the_simulator(
    sandbox: Sandbox, name: str, credentials: dict[str, str], expected: dict[str, str]
) -> None:
    provider = sandbox.start(**{f"{name.upper()}_URL": "http://127.0.0.1:9"}, **credentials)[name]

    provider.connect(ADDRESSES)

    assert provider.url == "http://127.0.0.1:9"
    assert provider.credentials == expected


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        pytest.param({"MEDIASMS_URL": "http://127.0.0.1:9"}, "MEDIASMS_URL needs", id="MediaSMS"),
        pytest.param({"BIZTEL_URL": "http://127.0.0.1:9"}, "BIZTEL_URL needs", id="BIZTEL"),
        pytest.param(
            {"BAIDU_VMS_URL": "http://127.0.0.1:9", "BAIDU_VMS_AK": "a"}, "BAIDU_VMS_SK", id="Baidu VMS with one key"
        ),
    ],
)
def test_another_server_without_credentials_is_refused(
    sandbox: Sandbox, environment: dict[str, str], message: str
) -> None:
    with pytest.raises(SandboxError, match=message):
        sandbox.start(**environment)


@pytest.mark.parametrize(
    ("name", "setting", "expected"),
    [
        pytest.param("mediasms", "report_url", ADDRESSES["mediasms_delivery"], id="MediaSMS' delivery webhook"),
        pytest.param("mediasms", "ivr_url", ADDRESSES["mediasms_ivr"], id="MediaSMS' IVR webhook"),
        pytest.param("biztel", "action_url", ADDRESSES["biztel"] + "?ID={ID}&TEL={TEL}&DATE={DATE}", id="BIZTEL"),
        pytest.param("baidu_vms", "callback_url", ADDRESSES["baidu_vms"], id="Baidu VMS"),
    ],
)
def test_a_connected_simulator_calls_the_deployed_webhook(
    sandbox: Sandbox, name: str, setting: str, expected: str
) -> None:
    provider = sandbox.start()[name]

    provider.connect(ADDRESSES)

    assert control(provider, "config")[setting] == expected


def test_the_log_names_the_simulator_and_has_no_credentials(sandbox: Sandbox) -> None:
    biztel = sandbox.start()["biztel"]
    call_id = control(biztel, "calls", {"announce": False, "tel": "09000000077"})["id"]
    fetch(f"{biztel.url}/public/api/v1/monitor/{call_id}", token=biztel.credentials["token"])

    lines = sandbox.log.read_text()

    assert f"biztel 200 answered {call_id} monaural" in lines
    assert biztel.credentials["token"] not in lines
    assert "09000000077" not in lines


def test_the_repr_of_a_provider_has_no_credentials(sandbox: Sandbox) -> None:
    for provider in sandbox.start().values():
        assert not any(value in repr(provider) for value in provider.credentials.values())
