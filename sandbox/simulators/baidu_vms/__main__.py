"""Run the simulator by itself: `python -m sandbox.simulators.baidu_vms --port 9001 --callback-url http://…`."""

import os
import sys
from collections.abc import Sequence

from sandbox.simulators import command_line
from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.simulator import BaiduVmsSimulator
from sandbox.simulators.json_readers import read_web_address


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM. Keys come from BAIDU_VMS_AK and BAIDU_VMS_SK."""
    parser = command_line.parser_for("sandbox.simulators.baidu_vms", description=__doc__)
    parser.add_argument("--callback-url", type=read_web_address, help="where callbacks go")
    parser.add_argument("--callback-method", choices=["POST", "GET"], default="POST")
    parser.add_argument("--concurrency-limit", type=int, help="calls under way before QueueFull")
    parser.add_argument("--ignore-tokens", action="store_true", help="take no notice of clientToken")
    options = parser.parse_args(arguments)
    simulator = BaiduVmsSimulator(
        SimulatorConfig(
            access_key=os.environ.get("BAIDU_VMS_AK", "sandbox"),
            secret_key=os.environ.get("BAIDU_VMS_SK", "sandbox"),
            callback_url=options.callback_url,
            callback_method=options.callback_method,
            concurrency_limit=options.concurrency_limit,
            tokens="ignored" if options.ignore_tokens else "honoured",
        ),
        log=command_line.log_line,
    )
    command_line.serve(simulator, options, api="API")


if __name__ == "__main__":
    main(sys.argv[1:])
