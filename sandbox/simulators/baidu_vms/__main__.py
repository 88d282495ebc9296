"""Runs the simulator of Baidu VMS by itself: `python -m sandbox.simulators.baidu_vms --port 9001`."""

import os
import sys
from collections.abc import Sequence

from sandbox.simulators import command_line
from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.simulator import BaiduVmsSimulator
from sandbox.simulators.json_readers import read_web_address


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM, with the keys in BAIDU_VMS_AK and BAIDU_VMS_SK."""
    parser = command_line.create_parser(
        "sandbox.simulators.baidu_vms",
        description="Simulates Baidu VMS until Ctrl-C. BAIDU_VMS_AK and BAIDU_VMS_SK set the keys.",
    )
    parser.add_argument("--callback-url", type=read_web_address, help="the address for callbacks (default: none)")
    parser.add_argument("--callback-method", choices=["POST", "GET"], default="POST", help="default: POST")
    parser.add_argument(
        "--concurrency-limit", type=int, help="answer QueueFull while this many calls are under way (default: no limit)"
    )
    parser.add_argument("--ignore-tokens", action="store_true", help="ignore clientToken")
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
        log=command_line.print_line,
    )
    command_line.serve(simulator, options, api="API")


if __name__ == "__main__":
    main(sys.argv[1:])
