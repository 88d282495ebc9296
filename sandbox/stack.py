"""Brings a whole sandbox up and down: the emulator, the providers, the deployed template and its secrets."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from sandbox import api_keys, providers
from sandbox.aws_clients import create_client
from sandbox.deployment import STACK_NAME, deploy
from sandbox.emulator import REGION, Emulator
from sandbox.endpoints import WEBHOOKS, Endpoints
from sandbox.errors import SandboxError
from sandbox.instance import is_running, only_instance
from sandbox.paths import EMULATOR_PYTHON, SHARED_CACHE, TEMPLATE, SandboxPaths
from sandbox.progress import Progress

_PARAMETERS: Final[Mapping[str, str]] = {
    # Allows plain HTTP, which the simulators speak, and gives a slow store more time.
    "Profile": "sandbox",
    "SlotWaitBudgetSeconds": "5",
    "DefaultLines": "050-0000-0001,050-0000-0002",
    # The names in the callbacks of the simulated Baidu VMS; the document publishes none.
    "BaiduVmsCallbackCallIdNames": "callId",
    "BaiduVmsCallbackResultNames": "result",
    # The receivers of outgoing webhooks run on the same machine.
    "AllowLoopbackWebhooks": "true",
    "TranscriptionMinutesPerMonth": "1000",
}
"""The template's parameters in a sandbox, besides the providers' addresses."""

_RECIPIENT_LIMITS: Final[Mapping[str, str]] = {
    "RecipientLimitPerMinute": "RECIPIENT_LIMIT_PER_MINUTE",
    "RecipientLimitPerHour": "RECIPIENT_LIMIT_PER_HOUR",
    "RecipientLimitPerDay": "RECIPIENT_LIMIT_PER_DAY",
}
"""The variables of the environment that set the template's limits for a recipient.

Without them the limits are off, because a sandbox uses the same few numbers again and again.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A running sandbox."""

    endpoints: Endpoints
    emulator: Emulator


@contextmanager
def running_sandbox(
    *, paths: SandboxPaths, progress: Progress, environment: Mapping[str, str] = os.environ
) -> Iterator[Sandbox]:
    """Bring a sandbox up while the block runs; its endpoints file exists for the same time.

    Args:
        paths: the sandbox's files.
        progress: shows the steps.
        environment: may name other servers and credentials, as docs/reference/sandbox.md lists.

    Raises:
        SandboxError: when a sandbox is already running in the same directory, or a part does not start. No part is
            left running then.
    """
    with ExitStack() as until:
        until.enter_context(only_instance(paths.process_id))
        # The endpoints file is written last and removed first: one left by a killed process would look like a sandbox.
        paths.endpoints.unlink(missing_ok=True)
        with progress.step("Starting the AWS emulator") as update:
            emulator = Emulator.start(python=EMULATOR_PYTHON, paths=paths, port=_read_port(environment))
            until.callback(emulator.stop)
            update(emulator.url)
        with progress.step("Starting the provider simulators") as update:
            servers = providers.start_all(environment, until, log=paths.simulators_log)
            transcribe_url = providers.start_transcribe(
                environment, until, emulator_url=emulator.url, log=paths.simulators_log
            )
            addresses = {**{server.title: server.url for server in servers}, "Amazon Transcribe": transcribe_url}
            update(", ".join(f"{title} {url}" for title, url in addresses.items()))
        with progress.step("Deploying template.yaml") as update:
            outputs = deploy(
                TEMPLATE,
                url=emulator.url,
                parameters={
                    **_PARAMETERS,
                    **{name: environment.get(variable) or "0" for name, variable in _RECIPIENT_LIMITS.items()},
                    **{server.parameter: server.url for server in servers},
                    **{name: value for server in servers for name, value in server.more_parameters.items()},
                    **providers.recognizer_parameters(environment),
                },
                python=EMULATOR_PYTHON,
                cache=SHARED_CACHE,
                artifacts=paths.artifacts,
                endpoints={"TRANSCRIBE": transcribe_url},
                update=update,
            )
        limited_api_key = api_keys.create_key(emulator.url, usage_plan=outputs.usage_plan, name="limited")
        for key, client, scopes in (
            (outputs.api_key, "sandbox", api_keys.EVERY_SCOPE),
            (limited_api_key, "limited", ("sms",)),
        ):
            api_keys.put_item(emulator.url, table=outputs.limits_table, key=key, client=client, scopes=scopes)
        webhook_tokens = {
            webhook: environment.get("WEBHOOK_TOKEN") or secrets.token_urlsafe(24) for webhook in WEBHOOKS
        }
        endpoints = Endpoints(
            api_url=f"{emulator.url}/_aws/execute-api/{outputs.api_id}",
            api_key=outputs.api_key,
            limited_api_key=limited_api_key,
            webhook_tokens=webhook_tokens,
            **{server.endpoint: server.url for server in servers},
            transcribe_url=transcribe_url,
            aws_endpoint_url=emulator.url,
            region=REGION,
        )
        for webhook, token in webhook_tokens.items():
            put_secret(endpoints, f"webhook-tokens/{webhook}", {"tokens": [token]})
        put_secret(endpoints, "webhook-signing", {"current": "1", "1": secrets.token_urlsafe(48)})
        if recognizer_token := environment.get("RECOGNIZER_TOKEN"):
            put_secret(endpoints, "recognizer", {"token": recognizer_token})
        for server in servers:
            put_secret(endpoints, server.name, server.credentials)
            server.connect({webhook: endpoints.webhook_url(webhook) for webhook in WEBHOOKS})
        endpoints.write(paths.endpoints)
        until.callback(paths.endpoints.unlink, missing_ok=True)
        yield Sandbox(endpoints=endpoints, emulator=emulator)


def running_endpoints(paths: SandboxPaths) -> Endpoints:
    """Return the addresses of this directory's sandbox.

    Raises:
        SandboxError: when no sandbox is running.
    """
    if not (is_running(paths.process_id) and paths.endpoints.exists()):
        raise SandboxError("No sandbox is running. Start one with: make run")
    return Endpoints.read(paths.endpoints)


def put_secret(endpoints: Endpoints, name: str, value: Mapping[str, object]) -> None:
    """Give one of the stack's secrets a new current version."""
    manager = create_client("secretsmanager", endpoints.aws_endpoint_url)
    manager.put_secret_value(SecretId=f"{STACK_NAME}/{name}", SecretString=json.dumps(value))


def read_secret(endpoints: Endpoints, name: str) -> dict[str, object]:
    """Return the current value of one of the stack's secrets."""
    manager = create_client("secretsmanager", endpoints.aws_endpoint_url)
    value: dict[str, object] = json.loads(manager.get_secret_value(SecretId=f"{STACK_NAME}/{name}")["SecretString"])
    return value


def _read_port(environment: Mapping[str, str]) -> int | None:
    text = environment.get("GATEWAY_PORT", "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise SandboxError(f"GATEWAY_PORT is no port: {text}. Set it to a number from 1 to 65535.")
    return int(text)
