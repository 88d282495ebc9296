"""Which servers stand for the providers: simulators started here, or those the environment names."""

import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.problems import SandboxError
from sandbox.simulators.mediasms import MediaSmsSimulator, SimulatorConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSms:
    """Where MediaSMS answers, and as whom we call it."""

    url: str
    user: str
    password: str = field(repr=False)
    simulator: MediaSmsSimulator | None
    """None when the server is somebody else's."""


def mediasms(environment: Mapping[str, str], until: ExitStack, *, log: Path) -> MediaSms:
    """Return the server of MEDIASMS_URL, or start a simulator that runs until `until` is closed.

    Raises SandboxError when another server is named without credentials for it.
    """
    url = environment.get("MEDIASMS_URL", "")
    user, password = environment.get("MEDIASMS_USER", ""), environment.get("MEDIASMS_PASSWORD", "")
    if url:
        if not (user and password):
            raise SandboxError("MEDIASMS_URL needs MEDIASMS_USER and MEDIASMS_PASSWORD beside it.")
        return MediaSms(url=url, user=user, password=password, simulator=None)
    user, password = user or f"sandbox-{secrets.token_hex(4)}", password or secrets.token_urlsafe(18)
    lines = until.enter_context(log.open("w", buffering=1, encoding="utf-8"))
    config = SimulatorConfig(user=user, password=password)
    simulator = MediaSmsSimulator(config, log=lambda line: print(f"mediasms {line}", file=lines))
    simulator.start()
    until.callback(simulator.stop)
    return MediaSms(url=simulator.url, user=user, password=password, simulator=simulator)
