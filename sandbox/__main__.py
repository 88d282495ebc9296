"""The command line: `python -m sandbox up [--no-demo]`, `down`, `logs [FUNCTION]`."""

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

_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Lines are for reading and copying: never broken to the terminal's width.
console = Console(soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="sandbox", description="The whole system on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring everything up and stay until interrupted")
    up.add_argument("--no-demo", action="store_true", help="don't play the story (also: DEMO=0)")
    commands.add_parser("down", help="end the running sandbox")
    logs = commands.add_parser("logs", help="print what the functions logged")
    logs.add_argument("function", nargs="?", default="", help="a part of the function's name")
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
    for number in _ENDINGS:
        signal.signal(number, _end)
    paths = SandboxPaths.from_environment()
    try:
        with running_sandbox(paths=paths, progress=Progress(console)) as sandbox:
            if demo:
                story.play(sandbox.endpoints)
            _announce(sandbox.endpoints, written_to=paths.endpoints)
            sandbox.emulator.wait_for_end()
    except KeyboardInterrupt:
        console.print("The sandbox is down.")


def _end(_number: int, _frame: FrameType | None) -> None:
    # Whatever asks this process to end, the way out is the same: through every `finally`, undisturbed.
    for number in _ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _announce(endpoints: Endpoints, *, written_to: Path) -> None:
    console.print(
        f"""
The sandbox is up. Ctrl-C or `make stop` ends it.

  API      {endpoints.api_url}/v1
  API key  {endpoints.api_key}
  All addresses are in {written_to}

  curl -s {endpoints.api_url}/v1/sms -H 'x-api-key: {endpoints.api_key}'
  curl -s {endpoints.api_url}/v1/sms -H 'x-api-key: {endpoints.api_key}' -H 'content-type: application/json' \\
       -d '{{"to": "090-0000-0001", "text": "Hello from the sandbox", "dry_run": true}}'
""",
        highlight=False,
        markup=False,
    )


if __name__ == "__main__":
    sys.exit(main())
