"""Runs a simulator from the command line until a signal ends it."""

import argparse
import signal
import threading
from typing import Any

from sandbox.simulators.simulator import Simulator

_CONTROL = "control"


def create_parser(package: str, *, description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every simulator has."""
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=description)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: 0, any free port)")
    return parser


def print_line(line: str) -> None:
    """Print a line without buffering it."""
    print(line, flush=True)


def serve(simulator: Simulator[Any, Any], options: argparse.Namespace, *, api: str) -> None:
    """Print the addresses of the simulator's `api` and control requests, and serve until SIGINT or SIGTERM."""
    stop_requested = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop_requested.set())
    simulator.start(options.host, options.port)
    width = max(len(api), len(_CONTROL))
    print_line(f"{api:{width}}  {simulator.url}\n{_CONTROL:{width}}  {simulator.control_url}")
    stop_requested.wait()
    simulator.stop()
