"""Which servers stand for the providers: simulators started here, or those the environment names.

A provider is one function here and its line in STARTS.
"""

import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sandbox.problems import SandboxError
from sandbox.simulators import baidu_vms as baidu
from sandbox.simulators import biztel as biz
from sandbox.simulators import mediasms as media

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A server that stands for a provider, and what the deployed template is told of it."""

    title: str
    url: str
    endpoint: str
    """The member of the endpoints file that carries `url`."""
    parameter: str
    """The template's parameter for `url`."""
    name: str
    """Also the secret's, below the stack's."""
    credentials: Mapping[str, str] = field(repr=False)
    connect: Callable[[str, str], None] = field(default=lambda _webhooks, _token: None, repr=False)
    """Told where webhooks are (`…/v1/webhooks`) and their token. Nothing is, where the server is somebody else's."""


Start = Callable[[Mapping[str, str], ExitStack, Log], Provider]
"""Takes the environment, what is closed when the sandbox goes down, and where lines are logged."""


def mediasms(environment: Mapping[str, str], until: ExitStack, log: Log) -> Provider:
    """Return the server of MEDIASMS_URL, or start a simulator that runs until `until` is closed.

    Raises SandboxError when another server is named without credentials for it.
    """
    url = environment.get("MEDIASMS_URL", "")
    user, password = environment.get("MEDIASMS_USER", ""), environment.get("MEDIASMS_PASSWORD", "")
    if url and not (user and password):
        raise SandboxError("MEDIASMS_URL needs MEDIASMS_USER and MEDIASMS_PASSWORD beside it.")
    user, password = user or f"sandbox-{secrets.token_hex(4)}", password or secrets.token_urlsafe(18)
    provider = Provider(
        title="MediaSMS",
        url=url,
        endpoint="mediasms_url",
        parameter="MediaSmsBaseUrl",
        name="mediasms",
        credentials={"user": user, "password": password},
    )
    if url:
        return provider
    simulator = media.MediaSmsSimulator(
        media.SimulatorConfig(user=user, password=password), log=lambda line: log(f"mediasms {line}")
    )
    simulator.start()
    until.callback(simulator.stop)

    def connect(webhooks: str, token: str) -> None:
        ours = f"{webhooks}/mediasms/{token}"
        simulator.provider.configure({"report_url": f"{ours}/delivery", "ivr_url": f"{ours}/ivr"})

    return replace(provider, url=simulator.url, connect=connect)


def baidu_vms(environment: Mapping[str, str], until: ExitStack, log: Log) -> Provider:
    """Return the server of BAIDU_VMS_URL, or start a simulator that runs until `until` is closed.

    Raises SandboxError when another server is named without keys for it.
    """
    url = environment.get("BAIDU_VMS_URL", "")
    access_key, secret_key = environment.get("BAIDU_VMS_AK", ""), environment.get("BAIDU_VMS_SK", "")
    if url and not (access_key and secret_key):
        raise SandboxError("BAIDU_VMS_URL needs BAIDU_VMS_AK and BAIDU_VMS_SK beside it.")
    access_key, secret_key = access_key or secrets.token_hex(16), secret_key or secrets.token_hex(16)
    provider = Provider(
        title="Baidu VMS",
        url=url,
        endpoint="baidu_vms_url",
        parameter="BaiduVmsBaseUrl",
        name="baidu_vms",
        credentials={"ak": access_key, "sk": secret_key},
    )
    if url:
        return provider
    simulator = baidu.BaiduVmsSimulator(
        baidu.SimulatorConfig(access_key=access_key, secret_key=secret_key), log=lambda line: log(f"baidu_vms {line}")
    )
    simulator.start()
    until.callback(simulator.stop)

    def connect(webhooks: str, token: str) -> None:
        simulator.provider.configure({"callback_url": f"{webhooks}/baidu_vms/{token}"})

    return replace(provider, url=simulator.url, connect=connect)


def biztel(environment: Mapping[str, str], until: ExitStack, log: Log) -> Provider:
    """Return the server of BIZTEL_URL, or start a simulator that runs until `until` is closed.

    Raises SandboxError when another server is named without a token for it.
    """
    url, token = environment.get("BIZTEL_URL", ""), environment.get("BIZTEL_TOKEN", "")
    if url and not token:
        raise SandboxError("BIZTEL_URL needs BIZTEL_TOKEN beside it.")
    token = token or secrets.token_hex(40)
    provider = Provider(
        title="BIZTEL",
        url=url,
        endpoint="biztel_url",
        parameter="BiztelBaseUrl",
        name="biztel",
        credentials={"token": token},
    )
    if url:
        return provider
    simulator = biz.BiztelSimulator(biz.SimulatorConfig(token=token), log=lambda line: log(f"biztel {line}"))
    simulator.start()
    until.callback(simulator.stop)

    def connect(webhooks: str, webhook_token: str) -> None:
        address = f"{webhooks}/biztel/{webhook_token}/monitor_file_event"
        # As README.md says to fill in the form.
        simulator.provider.configure(
            {
                "action_url": address + "?ID={ID}&TEL={TEL}&DATE={DATE}",
                "action_error_pattern": '/"result":"error"/',
                "action_retries": 3,
            }
        )

    return replace(provider, url=simulator.url, connect=connect)


STARTS: Final[tuple[Start, ...]] = (mediasms, biztel, baidu_vms)


def start_all(environment: Mapping[str, str], until: ExitStack, *, log: Path) -> tuple[Provider, ...]:
    """Start every provider or find it in `environment`; simulators write a line a request to the file `log`."""
    lines = until.enter_context(log.open("w", buffering=1, encoding="utf-8"))
    return tuple(start(environment, until, lambda line: print(line, file=lines)) for start in STARTS)
