"""Runs the simulator of BIZTEL by itself: `python -m sandbox.simulators.biztel --port 8000 --action-url http://…`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.simulators import command_line
from sandbox.simulators.biztel.config import SimulatorConfig
from sandbox.simulators.biztel.simulator import BiztelSimulator


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM, with the token in BIZTEL_TOKEN."""
    parser = command_line.create_parser(
        "sandbox.simulators.biztel", description="Simulates BIZTEL until Ctrl-C. BIZTEL_TOKEN sets the API token."
    )
    parser.add_argument("--certificate", type=Path, help="a PEM file; with it the simulator speaks HTTPS")
    parser.add_argument("--key", type=Path, help="the PEM file of the certificate's key, if it is another file")
    parser.add_argument(
        "--action-url", help="the address for the call action, with {ID}, {TEL} and {DATE} if needed (default: none)"
    )
    parser.add_argument("--action-method", choices=["GET", "POST"], default="GET", help="default: GET")
    parser.add_argument(
        "--requests-per-second", type=int, default=10, help="the rate limit (default: 10; 1 before version 3.6.0)"
    )
    options = parser.parse_args(arguments)
    config = SimulatorConfig(token=os.environ.get("BIZTEL_TOKEN", "sandbox"))
    try:
        config = config.with_changes(
            {
                "action_url": options.action_url,
                "action_method": options.action_method,
                "requests_per_second": options.requests_per_second,
            }
        )
    except ValueError as problem:
        parser.error(str(problem))
    simulator = BiztelSimulator(config, certificate=options.certificate, key=options.key, log=command_line.print_line)
    command_line.serve(simulator, options, api="recordings")


if __name__ == "__main__":
    main(sys.argv[1:])
