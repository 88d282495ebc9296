"""Runs the simulator of MediaSMS by itself: `python -m sandbox.simulators.mediasms --port 9000 --report-url http://…`."""

import os
import sys
from collections.abc import Sequence

from sandbox.simulators import command_line
from sandbox.simulators.json_readers import read_web_address
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.simulator import MediaSmsSimulator


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM, with the credentials in MEDIASMS_USER and MEDIASMS_PASSWORD."""
    parser = command_line.create_parser(
        "sandbox.simulators.mediasms",
        description="Simulates MediaSMS until Ctrl-C. MEDIASMS_USER and MEDIASMS_PASSWORD set the credentials.",
    )
    parser.add_argument("--report-url", type=read_web_address, help="the address for delivery reports (default: none)")
    parser.add_argument("--report-method", choices=["POST", "GET"], default="POST", help="default: POST")
    parser.add_argument("--ivr-url", type=read_web_address, help="the address for IVR callbacks (default: none)")
    parser.add_argument("--ivr-method", choices=["POST", "GET"], default="POST", help="default: POST")
    parser.add_argument("--long-sms", action="store_true", help="give the account the long-text option")
    options = parser.parse_args(arguments)
    simulator = MediaSmsSimulator(
        SimulatorConfig(
            user=os.environ.get("MEDIASMS_USER", "sandbox"),
            password=os.environ.get("MEDIASMS_PASSWORD", "sandbox"),
            report_url=options.report_url,
            report_method=options.report_method,
            ivr_url=options.ivr_url,
            ivr_method=options.ivr_method,
            long_sms=options.long_sms,
        ),
        log=command_line.print_line,
    )
    command_line.serve(simulator, options, api="send API")


if __name__ == "__main__":
    main(sys.argv[1:])
