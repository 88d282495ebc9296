"""Which servers stand for the providers: simulators started here, or those the environment names."""

import secrets
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sandbox.problems import SandboxError
from sandbox.simulators.biztel import BiztelSimulator
from sandbox.simulators.biztel import SimulatorConfig as BiztelConfig
from sandbox.simulators.mediasms import MediaSmsSimulator
from sandbox.simulators.mediasms import SimulatorConfig as MediaSmsConfig

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Where one provider answers, as whom we call it, and what in the template is its own."""

    name: str
    """Also the last part of its secret's name and the first of its webhooks' paths."""
    title: str
    url: str
    parameter: str
    """The template's parameter for `url`. A template without it has no use for this provider yet."""
    secret: Mapping[str, str] = field(repr=False)
    connect: Callable[[str, str], None] = lambda _webhooks, _token: None
    """Tells the simulator where webhooks are (`…/v1/webhooks`) and their token; does nothing for another's server."""


def start_all(environment: Mapping[str, str], until: ExitStack, *, log: Path) -> dict[str, Provider]:
    """Return every provider by name; simulators run, and write a line per event to `log`, until `until` is closed.

    Raises SandboxError when another server is named without credentials for it.
    """
    lines = until.enter_context(log.open("w", buffering=1, encoding="utf-8"))
    providers = (start(environment, until, lambda line: print(line, file=lines)) for start in _STARTS)
    return {provider.name: provider for provider in providers}


def known_to(template: Collection[str], started: Mapping[str, Provider]) -> list[Provider]:
    """Return the providers that a template with these parameters has a use, and a secret, for."""
    return [provider for provider in started.values() if provider.parameter in template]


def _mediasms(environment: Mapping[str, str], until: ExitStack, log: Log) -> Provider:
    url = environment.get("MEDIASMS_URL", "")
    user, password = environment.get("MEDIASMS_USER", ""), environment.get("MEDIASMS_PASSWORD", "")
    if url and not (user and password):
        raise SandboxError("MEDIASMS_URL needs MEDIASMS_USER and MEDIASMS_PASSWORD beside it.")
    secret = {
        "user": user or f"sandbox-{secrets.token_hex(4)}",
        "password": password or secrets.token_urlsafe(18),
    }
    if url:
        return Provider(name="mediasms", title="MediaSMS", url=url, parameter="MediaSmsBaseUrl", secret=secret)
    simulator = MediaSmsSimulator(
        MediaSmsConfig(user=secret["user"], password=secret["password"]), log=lambda line: log(f"mediasms {line}")
    )
    simulator.start()
    until.callback(simulator.stop)

    def connect(webhooks: str, token: str) -> None:
        simulator.provider.configure(
            {
                "report_url": f"{webhooks}/mediasms/{token}/delivery",
                "ivr_url": f"{webhooks}/mediasms/{token}/ivr",
            }
        )

    return Provider(
        name="mediasms",
        title="MediaSMS",
        url=simulator.url,
        parameter="MediaSmsBaseUrl",
        secret=secret,
        connect=connect,
    )


def _biztel(environment: Mapping[str, str], until: ExitStack, log: Log) -> Provider:
    url, token = environment.get("BIZTEL_URL", ""), environment.get("BIZTEL_TOKEN", "")
    if url and not token:
        raise SandboxError("BIZTEL_URL needs BIZTEL_TOKEN beside it.")
    secret = {"token": token or secrets.token_hex(40)}
    if url:
        return Provider(name="biztel", title="BIZTEL", url=url, parameter="BiztelBaseUrl", secret=secret)
    simulator = BiztelSimulator(BiztelConfig(token=secret["token"]), log=lambda line: log(f"biztel {line}"))
    simulator.start()
    until.callback(simulator.stop)

    def connect(webhooks: str, webhook_token: str) -> None:
        address = f"{webhooks}/biztel/{webhook_token}/monitor_file_event"
        simulator.provider.configure({"action_url": address + "?ID={ID}&TEL={TEL}&DATE={DATE}"})

    return Provider(
        name="biztel",
        title="BIZTEL",
        url=simulator.url,
        parameter="BiztelBaseUrl",
        secret=secret,
        connect=connect,
    )


_STARTS: Final = (_mediasms, _biztel)
