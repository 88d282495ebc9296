"""The sandbox starts a simulator for each provider, unless the environment names another server."""

import json
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from urllib.request import urlopen

import pytest

from sandbox import providers
from sandbox.endpoints import Endpoints
from sandbox.errors import SandboxError
from sandbox.providers import Provider


def started(environment: dict[str, str], until: ExitStack, folder: Path) -> dict[str, Provider]:
    return {each.name: each for each in providers.start_all(environment, until, log=folder / "simulators.log")}


def test_each_provider_is_simulated_with_credentials_of_its_own(tmp_path: Path) -> None:
    with ExitStack() as until:
        servers = started({}, until, tmp_path)
        assert {"mediasms", "baidu_vms"} <= set(servers)
        assert {each.endpoint for each in servers.values()} <= {field.name for field in fields(Endpoints)}
        assert set(servers["baidu_vms"].credentials) == {"ak", "sk"}
        assert all(servers["baidu_vms"].credentials.values())
        url = servers["baidu_vms"].url
        assert url.startswith("http://127.0.0.1:")
        with urlopen(f"{url}/control/calls") as answer:
            assert json.load(answer)["count"] == 0


def test_callbacks_go_to_the_deployed_webhook(tmp_path: Path) -> None:
    with ExitStack() as until:
        baidu = started({"BAIDU_VMS_AK": "a", "BAIDU_VMS_SK": "b"}, until, tmp_path)["baidu_vms"]
        baidu.connect("http://127.0.0.1:9/v1/webhooks", "token")

        assert baidu.credentials == {"ak": "a", "sk": "b"}
        with urlopen(f"{baidu.url}/control/config") as answer:
            assert json.load(answer)["callback_url"] == "http://127.0.0.1:9/v1/webhooks/baidu_vms/token"


def test_another_server_is_taken_as_named_and_needs_its_keys(tmp_path: Path) -> None:
    environment = {"BAIDU_VMS_URL": "http://127.0.0.1:9", "BAIDU_VMS_AK": "a"}
    with ExitStack() as until:
        with pytest.raises(SandboxError, match="BAIDU_VMS_SK"):
            started(environment, until, tmp_path)

        baidu = started({**environment, "BAIDU_VMS_SK": "b"}, until, tmp_path)["baidu_vms"]

    assert baidu.url == "http://127.0.0.1:9"
