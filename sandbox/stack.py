"""Brings a whole sandbox up and takes it down again: emulator, providers, the deployed template and its secrets."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from sandbox import aws_clients, providers
from sandbox.deployment import STACK_NAME, deploy
from sandbox.emulator import REGION, Emulator
from sandbox.endpoints import Endpoints
from sandbox.errors import SandboxError
from sandbox.instance import is_running, only_instance
from sandbox.paths import EMULATOR_PYTHON, SHARED_CACHE, TEMPLATE, SandboxPaths
from sandbox.progress import Progress

_PARAMETERS: Final[Mapping[str, str]] = {
    # The simulators speak plain HTTP.
    "AllowPlainHttp": "true",
    # The emulator shares this machine with every function it runs: it may be slower than DynamoDB ever is.
    "StoreTimeoutSeconds": "10",
    "SlotWaitBudgetSeconds": "5",
    "DefaultLines": "050-0000-0001,050-0000-0002",
    # As the simulated Baidu VMS calls back; the document publishes no names.
    "BaiduVmsCallbackCallIdNames": "callId",
    "BaiduVmsCallbackResultNames": "result",
}
"""What the template is given here beside the providers' addresses."""

_RECIPIENT_LIMITS: Final[Mapping[str, str]] = {
    "RecipientLimitPerMinute": "RECIPIENT_LIMIT_PER_MINUTE",
    "RecipientLimitPerHour": "RECIPIENT_LIMIT_PER_HOUR",
    "RecipientLimitPerDay": "RECIPIENT_LIMIT_PER_DAY",
}
"""The template's parameters by variables of the environment. Off unless given: here a few numbers are used over and
over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox that is up."""

    endpoints: Endpoints
    emulator: Emulator


@contextmanager
def running_sandbox(
    *, paths: SandboxPaths, progress: Progress, environment: Mapping[str, str] = os.environ
) -> Iterator[Sandbox]:
    """Bring a sandbox up for as long as the block runs; its endpoints file exists just as long.

    `environment` may name other servers and credentials, as the README lists. Raises SandboxError when one runs in the
    same directory already or something does not come up; nothing is left running then.
    """
    with ExitStack() as until:
        until.enter_context(only_instance(paths.process_id))
        # Written last and removed first; one that a killed process left would be taken for a running sandbox.
        paths.endpoints.unlink(missing_ok=True)
        with progress.step("Starting the AWS emulator") as update:
            emulator = Emulator.start(python=EMULATOR_PYTHON, paths=paths, port=_port(environment))
            until.callback(emulator.stop)
            update(emulator.url)
        with progress.step("Starting the provider simulators") as update:
            servers = providers.start_all(environment, until, log=paths.simulators_log)
            update(", ".join(f"{server.title} {server.url}" for server in servers))
        with progress.step("Deploying template.yaml") as update:
            deployed = deploy(
                TEMPLATE,
                url=emulator.url,
                parameters={
                    **_PARAMETERS,
                    **{name: environment.get(variable) or "0" for name, variable in _RECIPIENT_LIMITS.items()},
                    **{server.parameter: server.url for server in servers},
                },
                python=EMULATOR_PYTHON,
                cache=SHARED_CACHE,
                artifacts=paths.artifacts,
                update=update,
            )
        webhook_token = environment.get("WEBHOOK_TOKEN") or secrets.token_urlsafe(24)
        endpoints = Endpoints(
            api_url=f"{emulator.url}/_aws/execute-api/{deployed.api_id}",
            api_key=deployed.api_key,
            webhook_token=webhook_token,
            **{server.endpoint: server.url for server in servers},
            aws_endpoint_url=emulator.url,
            region=REGION,
        )
        put_secret(endpoints, "webhook-tokens", {"tokens": [webhook_token]})
        for server in servers:
            put_secret(endpoints, server.name, server.credentials)
            server.connect(f"{endpoints.api_url}/v1/webhooks", webhook_token)
        endpoints.write(paths.endpoints)
        until.callback(paths.endpoints.unlink, missing_ok=True)
        yield Sandbox(endpoints=endpoints, emulator=emulator)


def running_endpoints(paths: SandboxPaths) -> Endpoints:
    """Return where the sandbox of this directory answers. Raises SandboxError when none is up."""
    if not (is_running(paths.process_id) and paths.endpoints.exists()):
        raise SandboxError("No sandbox is up. Start one with: make run")
    return Endpoints.read(paths.endpoints)


def put_secret(endpoints: Endpoints, name: str, value: Mapping[str, object]) -> None:
    """Give one of the stack's secrets a new current version."""
    manager = aws_clients.client("secretsmanager", endpoints.aws_endpoint_url)
    manager.put_secret_value(SecretId=f"{STACK_NAME}/{name}", SecretString=json.dumps(value))


def read_secret(endpoints: Endpoints, name: str) -> dict[str, object]:
    """Return the current value of one of the stack's secrets."""
    manager = aws_clients.client("secretsmanager", endpoints.aws_endpoint_url)
    value: dict[str, object] = json.loads(manager.get_secret_value(SecretId=f"{STACK_NAME}/{name}")["SecretString"])
    return value


def _port(environment: Mapping[str, str]) -> int | None:
    text = environment.get("GATEWAY_PORT", "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise SandboxError(f"GATEWAY_PORT is not a port: {text}")
    return int(text)
