"""Runs the simulator of Amazon Transcribe by itself: `python -m sandbox.simulators.transcribe --aws-url http://…`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.simulators import biztel, command_line
from sandbox.simulators.transcribe.account_storage import EmulatedAccount
from sandbox.simulators.transcribe.config import SimulatorConfig
from sandbox.simulators.transcribe.results import read_known_words
from sandbox.simulators.transcribe.simulator import TranscribeSimulator


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM, over the audio and the events of an emulated account."""
    parser = command_line.create_parser(
        "sandbox.simulators.transcribe",
        description="Simulates Amazon Transcribe until Ctrl-C. Point AWS_ENDPOINT_URL_TRANSCRIBE at it.",
    )
    parser.add_argument("--aws-url", required=True, help="the address of the AWS emulator with the audio")
    options = parser.parse_args(arguments)
    account = EmulatedAccount(options.aws_url)
    account.prepare()
    simulator = TranscribeSimulator(
        SimulatorConfig(),
        aws=account,
        known=read_known_words(Path(biztel.__file__).parent / "dialogue" / "words.json"),
        log=command_line.print_line,
    )
    command_line.serve(simulator, options, api="jobs")


if __name__ == "__main__":
    main(sys.argv[1:])
