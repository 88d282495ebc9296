"""A simulator run by itself, from the command line until a signal ends it."""

import argparse
import signal
import threading
from typing import Any

from sandbox.simulators.simulator import Simulator

_CONTROL = "control"


def parser_for(package: str, *, description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every simulator has."""
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    return parser


def log_line(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def serve(simulator: Simulator[Any, Any], options: argparse.Namespace, *, api: str) -> None:
    """Say where the simulator listens, its `api` and its control requests, and serve until SIGINT or SIGTERM."""
    over = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: over.set())
    simulator.start(options.host, options.port)
    width = max(len(api), len(_CONTROL))
    log_line(f"{api:{width}}  {simulator.url}\n{_CONTROL:{width}}  {simulator.control_url}")
    over.wait()
    simulator.stop()
