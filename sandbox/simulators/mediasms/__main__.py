"""Run the simulator by itself: `python -m sandbox.simulators.mediasms --port 9000 --report-url http://…`."""

import os
import sys
from collections.abc import Sequence

from sandbox.simulators import command_line
from sandbox.simulators.json_readers import read_web_address
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.simulator import MediaSmsSimulator


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM. Credentials come from MEDIASMS_USER and MEDIASMS_PASSWORD."""
    parser = command_line.parser_for("sandbox.simulators.mediasms", description=__doc__)
    parser.add_argument("--report-url", type=read_web_address, help="where delivery reports go")
    parser.add_argument("--report-method", choices=["POST", "GET"], default="POST")
    parser.add_argument("--ivr-url", type=read_web_address, help="where IVR callbacks go")
    parser.add_argument("--ivr-method", choices=["POST", "GET"], default="POST")
    parser.add_argument("--long-sms", action="store_true", help="the account has the long-text option")
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
        log=command_line.log_line,
    )
    command_line.serve(simulator, options, api="send API")


if __name__ == "__main__":
    main(sys.argv[1:])
