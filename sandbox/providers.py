"""Which servers stand for the providers: simulators started here, or those the environment names.

A provider is one entry of KINDS.
"""

import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from sandbox.errors import SandboxError
from sandbox.simulators import baidu_vms, biztel, mediasms
from sandbox.simulators.account import Log
from sandbox.simulators.simulator import Simulator


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is particular to one provider."""

    title: str
    name: str
    """In capitals it begins the variable that names another server, such as `MEDIASMS_URL`."""
    parameter: str
    credentials: Mapping[str, tuple[str, Callable[[], str]]]
    """By their names in the secret: the variable that gives each, and what makes one up."""
    simulator: Callable[[Mapping[str, str], Log], Simulator[Any, Any]]
    """Takes the credentials, and where lines are logged."""
    webhooks: Callable[[str], Mapping[str, object]]
    """Returns the simulator's settings that say where webhooks are; takes the address they begin with."""


KINDS: Final = (
    Kind(
        title="MediaSMS",
        name="mediasms",
        parameter="MediaSmsBaseUrl",
        credentials={
            "user": ("MEDIASMS_USER", lambda: f"sandbox-{secrets.token_hex(4)}"),
            "password": ("MEDIASMS_PASSWORD", lambda: secrets.token_urlsafe(18)),
        },
        simulator=lambda given, log: mediasms.MediaSmsSimulator(
            mediasms.SimulatorConfig(user=given["user"], password=given["password"]), log=log
        ),
        webhooks=lambda ours: {"report_url": f"{ours}/delivery", "ivr_url": f"{ours}/ivr"},
    ),
    Kind(
        title="BIZTEL",
        name="biztel",
        parameter="BiztelBaseUrl",
        credentials={"token": ("BIZTEL_TOKEN", lambda: secrets.token_hex(40))},
        simulator=lambda given, log: biztel.BiztelSimulator(biztel.SimulatorConfig(token=given["token"]), log=log),
        # As README.md says to fill in the form.
        webhooks=lambda ours: {
            "action_url": ours + "/monitor_file_event?ID={ID}&TEL={TEL}&DATE={DATE}",
            "action_error_pattern": '/"result":"error"/',
            "action_retries": 3,
        },
    ),
    Kind(
        title="Baidu VMS",
        name="baidu_vms",
        parameter="BaiduVmsBaseUrl",
        credentials={
            "ak": ("BAIDU_VMS_AK", lambda: secrets.token_hex(16)),
            "sk": ("BAIDU_VMS_SK", lambda: secrets.token_hex(16)),
        },
        simulator=lambda given, log: baidu_vms.BaiduVmsSimulator(
            baidu_vms.SimulatorConfig(access_key=given["ak"], secret_key=given["sk"]), log=log
        ),
        webhooks=lambda ours: {"callback_url": ours},
    ),
)


def start_all(environment: Mapping[str, str], until: ExitStack, *, log: Path) -> tuple[Provider, ...]:
    """Start every provider or find it in `environment`; simulators write a line a request to the file `log`.

    They run until `until` is closed. Raises SandboxError when another server is named without credentials for it.
    """
    lines = until.enter_context(log.open("w", buffering=1, encoding="utf-8"))
    return tuple(_start(kind, environment, until, lambda line: print(line, file=lines)) for kind in KINDS)


def _start(kind: Kind, environment: Mapping[str, str], until: ExitStack, log: Log) -> Provider:
    named = f"{kind.name.upper()}_URL"
    url = environment.get(named, "")
    variables = [variable for variable, _ in kind.credentials.values()]
    if url and not all(environment.get(variable) for variable in variables):
        raise SandboxError(f"{named} needs {' and '.join(variables)} beside it.")
    provider = Provider(
        title=kind.title,
        url=url,
        endpoint=f"{kind.name}_url",
        parameter=kind.parameter,
        name=kind.name,
        credentials={
            name: environment.get(variable) or made_up() for name, (variable, made_up) in kind.credentials.items()
        },
    )
    if url:
        return provider
    simulator = kind.simulator(provider.credentials, lambda line: log(f"{kind.name} {line}"))
    simulator.start()
    until.callback(simulator.stop)

    def connect(webhooks: str, token: str) -> None:
        simulator.provider.configure(kind.webhooks(f"{webhooks}/{kind.name}/{token}"))

    return replace(provider, url=simulator.url, connect=connect)
