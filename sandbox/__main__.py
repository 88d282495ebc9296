"""Runs the command line: `python -m sandbox up [--no-demo]`, `down`, `logs [FUNCTION]`."""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from sandbox import story
from sandbox.endpoints import Endpoints
from sandbox.errors import SandboxError
from sandbox.instance import stop_instance
from sandbox.logs import read_logs
from sandbox.paths import SandboxPaths
from sandbox.progress import Progress
from sandbox.stack import running_endpoints, running_sandbox

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Lines are to be read and copied, so they are never broken at the terminal's width.
console = Console(soft_wrap=True)


def main() -> int:
    """Run one command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Runs the whole system on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the sandbox and keep it running until Ctrl-C")
    up.add_argument("--no-demo", action="store_true", help="skip the story (or set DEMO=0)")
    commands.add_parser("down", help="stop the running sandbox")
    logs = commands.add_parser("logs", help="print what the functions logged")
    logs.add_argument("function", nargs="?", default="", help="a part of the function's name (default: all functions)")
    arguments = parser.parse_args()
    try:
        if arguments.command == "up":
            _up(demo=not arguments.no_demo and os.environ.get("DEMO", "1") != "0")
        elif arguments.command == "down":
            stopped = stop_instance(SandboxPaths.from_environment().process_id)
            console.print("The sandbox is down." if stopped else "No sandbox is running.")
        else:
            print(read_logs(running_endpoints(SandboxPaths.from_environment()), arguments.function))
    except SandboxError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _up(*, demo: bool) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
