"""The handlers to compare, each run in a new process."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.lambda_path import LAYER, LIBRARIES, link_packages
from benchmarks.stack import REPORTED_ID, Stack
from tests.events import load_event, with_headers

_HERE: Final = Path(__file__).parent
_FUNCTIONS: Final = _HERE.parent / "functions"
_EVENTS: Final[Mapping[str, dict[str, Any]]] = {
    "send_sms": load_event(
        "send_sms", "japanese_text", body={"to": "090-0000-0001", "text": "ご予約を承りました。11月22日 12時"}
    ),
    # An ordinary report. One with the code of a telephone verification costs a slow hash and one more write on purpose.
    "mediasms_delivery_webhook": load_event(
        "mediasms_delivery_webhook",
        "post_form_utf8",
        body=f"mobilenumber=09000000001&status=1&smsid={REPORTED_ID}".encode(),
    ),
}
HANDLERS: Final = tuple(_EVENTS)
_LIBRARY_EVENTS: Final[Mapping[str, dict[str, Any]]] = {
    "powertools_resolver": _EVENTS["mediasms_delivery_webhook"],
    "anymail_postmark": with_headers(
        load_event(
            "mediasms_delivery_webhook",
            "post_form_utf8",
            body={
                "RecordType": "Delivery",
                "MessageID": REPORTED_ID,
                "Recipient": "a@example.com",
                "DeliveredAt": "2026-11-22T03:04:05Z",
                "Details": "250 OK",
                "Tag": "order",
                "ServerID": 1,
                "Metadata": {},
            },
        ),
        {"Authorization": f"Basic {base64.b64encode(b'anymail:canary').decode()}"},
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The measurements of one process, in seconds: of the import, and the CPU time of each call."""

    cold_cpu_s: float
    cold_wall_s: float
    calls_cpu_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One handler: this system's with its application, or the minimal one of the same name."""

    module: str
    folder: Path
    application: str
    environment: Mapping[str, str]
    event: Path | None

    def run(self, *, calls: int = 0) -> Measured:
        """Import, build and call the handler in a new process.

        Raises:
            RuntimeError: the process or a call failed.
        """
        command = [sys.executable, "-S", "-P", str(_HERE / "measured.py"), self.module, self.application]
        if calls:
            command += [str(self.event), str(calls)]
        process = subprocess.run(
            command,
            env={**self.environment, "PYTHONPATH": f"{self.folder}{os.pathsep}{self.environment['PYTHONPATH']}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if process.returncode:
            raise RuntimeError(f"{self.folder / self.module}: {process.stderr}")
        cold_cpu_s, cold_wall_s, statuses, calls_cpu_s = json.loads(process.stderr.splitlines()[-1])
        if any(status >= 300 for status in statuses):
            raise RuntimeError(f"{self.folder / self.module} answered {statuses}")
        return Measured(cold_cpu_s=cold_cpu_s, cold_wall_s=cold_wall_s, calls_cpu_s=tuple(calls_cpu_s))


@dataclass(frozen=True, slots=True)
class Contenders:
    """All contenders: those of this system and the minimal ones by handler name, and those over other libraries."""

    bare: Contender
    ours: Mapping[str, Contender]
    minimal: Mapping[str, Contender]
    libraries: Mapping[str, Contender]


@contextmanager
def build_contenders(stack: Stack) -> Iterator[Contenders]:
    """Yield the contenders, with the packages that Lambda gives a handler, until the block ends."""
    with TemporaryDirectory(prefix="benchmarks-") as folder:
        packages, byte_code = Path(folder) / "packages", Path(folder) / "byte_code"
        packages.mkdir()
        link_packages(packages)
        shared = {
            "PYTHONPATH": os.pathsep.join((str(LAYER), str(packages))),
            "PYTHONPYCACHEPREFIX": str(byte_code),
            "PATH": os.defpath,
            "HOME": folder,
        }
        ours, minimal = {}, {}
        events = {
            name: _write_event(Path(folder) / f"{name}.json", event)
            for name, event in ({**_EVENTS, **_LIBRARY_EVENTS}).items()
        }
        for name in _EVENTS:
            path = events[name]
            environment = {**shared, **stack.environments[name]}
            ours[name] = Contender(
                module="app", folder=_FUNCTIONS / name, application="application", environment=environment, event=path
            )
            minimal[name] = Contender(
                module=name, folder=_HERE / "minimal", application="", environment=environment, event=path
            )
        bare = Contender(
            module="bare",
            folder=_HERE / "minimal",
            application="",
            environment={**shared, **stack.environments["send_sms"]},
            event=None,
        )
        environment = {**shared, **stack.environments["mediasms_delivery_webhook"]}
        # The compared packages come last: boto3 and all that it shares with them are the same for every contender.
        environment["PYTHONPATH"] += f"{os.pathsep}{LIBRARIES}"
        libraries = {
            name: Contender(
                module=name,
                folder=_HERE / "with_libraries",
                application="",
                environment=environment,
                event=events[name],
            )
            for name in _LIBRARY_EVENTS
        }
        yield Contenders(bare=bare, ours=ours, minimal=minimal, libraries=libraries)


def _write_event(path: Path, event: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(event, ensure_ascii=False), encoding="utf-8")
    return path
