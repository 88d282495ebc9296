"""Runs the simulator of a recogniser by itself: `python -m sandbox.simulators.recognizer_http --port 8090`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.simulators import biztel, command_line
from sandbox.simulators.recognizer_http.config import SimulatorConfig
from sandbox.simulators.recognizer_http.simulator import RecognizerSimulator
from sandbox.simulators.transcribe.results import read_known_words


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM, with the token in RECOGNIZER_TOKEN."""
    parser = command_line.create_parser(
        "sandbox.simulators.recognizer_http",
        description="Simulates a recogniser behind HTTP until Ctrl-C. RECOGNIZER_TOKEN sets the bearer token.",
    )
    options = parser.parse_args(arguments)
    simulator = RecognizerSimulator(
        SimulatorConfig(token=os.environ.get("RECOGNIZER_TOKEN", "sandbox")),
        known=read_known_words(Path(biztel.__file__).parent / "dialogue" / "words.json"),
        log=command_line.print_line,
    )
    command_line.serve(simulator, options, api="jobs")


if __name__ == "__main__":
    main(sys.argv[1:])
