"""Runs the commands that need a whole sandbox: `up` and `logs`."""

import signal
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from sandbox import story
from sandbox.endpoints import Endpoints
from sandbox.logs import read_logs
from sandbox.paths import SandboxPaths
from sandbox.progress import Progress
from sandbox.stack import running_endpoints, running_sandbox

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Lines are to be read and copied, so they are never broken at the terminal's width.
console = Console(soft_wrap=True)


def up(*, demo: bool) -> None:
    """Bring a sandbox up, play the story if `demo` is set, and keep the sandbox running until a signal.

    Raises:
        SandboxError: a part of the sandbox does not start, or ends by itself.
    """
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)
    paths = SandboxPaths.from_environment()
    try:
        with running_sandbox(paths=paths, progress=Progress(console)) as sandbox:
            if demo:
                story.play(sandbox.endpoints)
            _print_addresses(sandbox.endpoints, endpoints_file=paths.endpoints)
            sandbox.emulator.wait_for_end()
    except KeyboardInterrupt:
        console.print("The sandbox is down.")


def _stop(_number: int, _frame: FrameType | None) -> None:
    # Every signal leads through all `finally` blocks. A second signal must not interrupt them.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _print_addresses(endpoints: Endpoints, *, endpoints_file: Path) -> None:
    console.print(
        f"""
The sandbox is up. Stop it with Ctrl-C or `make stop`.

  API      {endpoints.api_url}/v1
  API key  {endpoints.api_key}
  All addresses are in {endpoints_file}

  curl -s {endpoints.api_url}/v1/sms -H 'x-api-key: {endpoints.api_key}'
  curl -s {endpoints.api_url}/v1/sms -H 'x-api-key: {endpoints.api_key}' -H 'content-type: application/json' \\
       -d '{{"to": "090-0000-0001", "text": "Hello from the sandbox", "dry_run": true}}'
""",
        highlight=False,
        markup=False,
    )


def print_logs(function: str) -> None:
    """Print what the functions whose name contains `function` logged.

    Raises:
        SandboxError: no sandbox is running, or no function has such a name.
    """
    print(read_logs(running_endpoints(SandboxPaths.from_environment()), function))
