"""The handlers that are compared, and how each is run in a fresh process."""

from __future__ import annotations

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

from benchmarks.lambda_path import LAYER, link_packages
from benchmarks.stack import Stack
from tests.events import load_event

_HERE: Final = Path(__file__).parent
_FUNCTIONS: Final = _HERE.parent / "functions"
_EVENTS: Final[Mapping[str, dict[str, Any]]] = {
    "send_sms": load_event(
        "send_sms", "japanese_text", body={"to": "090-0000-0001", "text": "ご予約を承りました。11月22日 12時"}
    ),
    # As most reports are: one with a telephone verification's code costs a slow hash and a write more, by intention.
    "mediasms_delivery_webhook": load_event(
        "mediasms_delivery_webhook", "post_form_utf8", body=b"mobilenumber=09000000001&status=1&smsid=order1001"
    ),
}
HANDLERS: Final = tuple(_EVENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one process reported; times are of the CPU, in seconds."""

    cold: float
    cold_wall: float
    calls: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One handler: ours with its application, or the minimal one of the same name."""

    module: str
    folder: Path
    application: str
    environment: Mapping[str, str]
    event: Path | None

    def run(self, *, calls: int = 0) -> Measured:
        """In a fresh process: import, build, and call. Raises RuntimeError where a call fails."""
        command = [sys.executable, "-S", "-P", str(_HERE / "measured.py"), self.module, self.application]
        if calls:
            command += [str(self.event), str(calls)]
        done = subprocess.run(
            command,
            env={**self.environment, "PYTHONPATH": f"{self.folder}{os.pathsep}{self.environment['PYTHONPATH']}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.folder / self.module}: {done.stderr}")
        cold, cold_wall, statuses, spent = json.loads(done.stderr.splitlines()[-1])
        if any(status >= 300 for status in statuses):
            raise RuntimeError(f"{self.folder / self.module} answered {statuses}")
        return Measured(cold=cold, cold_wall=cold_wall, calls=tuple(spent))


@dataclass(frozen=True, slots=True)
class Field:
    """All contenders."""

    bare: Contender
    ours: Mapping[str, Contender]
    minimal: Mapping[str, Contender]


@contextmanager
def prepared(stack: Stack) -> Iterator[Field]:
    """The contenders on what Lambda gives a handler, until the block ends."""
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
        for name, event in _EVENTS.items():
            path = Path(folder) / f"{name}.json"
            path.write_text(json.dumps(event, ensure_ascii=False), encoding="utf-8")
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
        yield Field(bare=bare, ours=ours, minimal=minimal)
