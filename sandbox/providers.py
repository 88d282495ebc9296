"""Provides a server for each provider: a simulator started here, or the server that the environment names.

A provider is one entry of KINDS.
"""

import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from sandbox.errors import SandboxError
from sandbox.simulators import baidu_vms, biztel, mediasms, transcribe
from sandbox.simulators.account import Log
from sandbox.simulators.simulator import Simulator
from sandbox.simulators.transcribe.account_storage import EmulatedAccount
from sandbox.simulators.transcribe.results import read_known_words

DIALOGUE_WORDS: Final = Path(biztel.__file__).parent / "dialogue" / "words.json"
"""The words of the dialogue that the simulator of BIZTEL serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A server in the place of a provider, and the values for the deployed template."""

    title: str
    url: str
    endpoint: str
    """The member of the endpoints file with `url`."""
    parameter: str
    """The template's parameter for `url`."""
    name: str
    """The name of the provider and, below the stack's name, of its secret."""
    credentials: Mapping[str, str] = field(repr=False)
    more_parameters: Mapping[str, str] = field(default_factory=dict)
    """The template's parameters for what only the simulator offers."""
    connect: Callable[[Mapping[str, str]], None] = field(default=lambda _addresses: None, repr=False)
    """A function that gives the simulator the addresses of its webhooks, from the addresses of all by name.

    It does nothing if the environment names another server.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKind:
    """The particulars of one provider."""

    title: str
    name: str
    """The name, which in capitals begins the variable of another server, such as `MEDIASMS_URL`."""
    parameter: str
    credentials: Mapping[str, tuple[str, Callable[[], str]]]
    """The credentials by their names in the secret: the variable with the value, and a function that makes one up."""
    simulator: Callable[[Mapping[str, str], Log], Simulator[Any, Any]]
    """A function that creates the simulator with credentials and a log."""
    more_parameters: Callable[[str], Mapping[str, str]] = field(default=lambda _url: {}, kw_only=True)
    """A function that returns further parameters of the template for the simulator's address."""
    webhooks: Callable[[Mapping[str, str]], Mapping[str, object]]
    """A function that returns the simulator's settings for its webhooks, from the addresses of all by name."""


KINDS: Final = (
    ProviderKind(
        title="MediaSMS",
        name="mediasms",
        parameter="MediaSmsBaseUrl",
        credentials={
            "user": ("MEDIASMS_USER", lambda: f"sandbox-{secrets.token_hex(4)}"),
            "password": ("MEDIASMS_PASSWORD", lambda: secrets.token_urlsafe(18)),
        },
        simulator=lambda credentials, log: mediasms.MediaSmsSimulator(
            mediasms.SimulatorConfig(user=credentials["user"], password=credentials["password"]), log=log
        ),
        more_parameters=lambda url: {
            "MediaSmsResultsUrl": url.removesuffix("/api/") + "/result/",
            "MediaSmsNoSuchIdCodes": "404",
        },
        webhooks=lambda addresses: {
            "report_url": addresses["mediasms_delivery"],
            "ivr_url": addresses["mediasms_ivr"],
        },
    ),
    ProviderKind(
        title="BIZTEL",
        name="biztel",
        parameter="BiztelBaseUrl",
        credentials={"token": ("BIZTEL_TOKEN", lambda: secrets.token_hex(40))},
        simulator=lambda credentials, log: biztel.BiztelSimulator(
            biztel.SimulatorConfig(token=credentials["token"]), log=log
        ),
        # The values that docs/guides/connect-biztel.md tells an operator to enter in BIZTEL's form.
        webhooks=lambda addresses: {
            "action_url": addresses["biztel"] + "?ID={ID}&TEL={TEL}&DATE={DATE}",
            "action_error_pattern": '/"result":"error"/',
            "action_retries": 3,
        },
    ),
    ProviderKind(
        title="Baidu VMS",
        name="baidu_vms",
        parameter="BaiduVmsBaseUrl",
        credentials={
            "ak": ("BAIDU_VMS_AK", lambda: secrets.token_hex(16)),
            "sk": ("BAIDU_VMS_SK", lambda: secrets.token_hex(16)),
        },
        simulator=lambda credentials, log: baidu_vms.BaiduVmsSimulator(
            baidu_vms.SimulatorConfig(access_key=credentials["ak"], secret_key=credentials["sk"]), log=log
        ),
        webhooks=lambda addresses: {"callback_url": addresses["baidu_vms"]},
    ),
)


def start_all(environment: Mapping[str, str], until: ExitStack, *, log: Path) -> tuple[Provider, ...]:
    """Start a simulator of every provider, or use the server that `environment` names.

    Args:
        environment: names other servers and credentials.
        until: stops the simulators when it is closed.
        log: the file in which simulators write a line for each request.

    Raises:
        SandboxError: when another server is named without its credentials.
    """
    log_file = until.enter_context(log.open("w", buffering=1, encoding="utf-8"))
    return tuple(_start(kind, environment, until, lambda line: print(line, file=log_file)) for kind in KINDS)


def start_transcribe(environment: Mapping[str, str], until: ExitStack, *, emulator_url: str, log: Path) -> str:
    """Start a simulator of Amazon Transcribe over the emulator's account, and return its address.

    `TRANSCRIBE_URL` in `environment` names another service. The emulator's own knows no channels and no limits.
    """
    url = environment.get("TRANSCRIBE_URL", "")
    if url:
        return url
    log_file = until.enter_context(log.open("a", buffering=1, encoding="utf-8"))
    account = EmulatedAccount(emulator_url)
    account.prepare()
    simulator = transcribe.TranscribeSimulator(
        transcribe.SimulatorConfig(),
        aws=account,
        known=read_known_words(DIALOGUE_WORDS),
        log=lambda line: print(f"transcribe {line}", file=log_file),
    )
    simulator.start()
    until.callback(simulator.stop)
    return simulator.url


def recognizer_parameters(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the template's parameters for the recogniser that `RECOGNIZER_URL` names, or none.

    Raises:
        SandboxError: when it is named without its token.
    """
    url = environment.get("RECOGNIZER_URL", "")
    if url and not environment.get("RECOGNIZER_TOKEN"):
        raise SandboxError("RECOGNIZER_URL needs RECOGNIZER_TOKEN too. Set it, or unset RECOGNIZER_URL.")
    return {"TranscriptionRecognizer": "http", "RecognizerUrl": url} if url else {}


def _start(kind: ProviderKind, environment: Mapping[str, str], until: ExitStack, log: Log) -> Provider:
    url_variable = f"{kind.name.upper()}_URL"
    url = environment.get(url_variable, "")
    variables = [variable for variable, _ in kind.credentials.values()]
    if url and not all(environment.get(variable) for variable in variables):
        raise SandboxError(f"{url_variable} needs {' and '.join(variables)} too. Set them, or unset {url_variable}.")
    provider = Provider(
        title=kind.title,
        url=url,
        endpoint=f"{kind.name}_url",
        parameter=kind.parameter,
        name=kind.name,
        credentials={
            name: environment.get(variable) or make_up() for name, (variable, make_up) in kind.credentials.items()
        },
    )
    if url:
        return provider
    simulator = kind.simulator(provider.credentials, lambda line: log(f"{kind.name} {line}"))
    simulator.start()
    until.callback(simulator.stop)

    def connect(addresses: Mapping[str, str]) -> None:
        simulator.provider.configure(kind.webhooks(addresses))

    return replace(provider, url=simulator.url, more_parameters=kind.more_parameters(simulator.url), connect=connect)
