"""Runs the command line: `python -m sandbox up [--no-demo]`, `down`, `logs [FUNCTION]`."""

import argparse
import os
import sys

from rich.console import Console

from sandbox.errors import SandboxError
from sandbox.instance import stop_instance
from sandbox.paths import SandboxPaths


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
        if arguments.command == "down":
            stopped = stop_instance(SandboxPaths.from_environment().process_id)
            Console().print("The sandbox is down." if stopped else "No sandbox is running.")
        else:
            from sandbox import commands as others  # noqa: PLC0415 - `down` starts at once, without an AWS client

            if arguments.command == "up":
                others.up(demo=not arguments.no_demo and os.environ.get("DEMO", "1") != "0")
            else:
                others.print_logs(arguments.function)
    except SandboxError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
