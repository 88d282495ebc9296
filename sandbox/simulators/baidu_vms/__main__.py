"""Run the simulator by itself: `python -m sandbox.simulators.baidu_vms --port 9001 --callback-url http://…`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence

from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.simulator import BaiduVmsSimulator
from sandbox.simulators.readers import web_address


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM. Keys come from BAIDU_VMS_AK and BAIDU_VMS_SK."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.simulators.baidu_vms", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--callback-url", type=web_address, help="where callbacks go")
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
        log=lambda line: print(line, flush=True),
    )
    over = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: over.set())
    simulator.start(options.host, options.port)
    print(f"API      {simulator.url}\ncontrol  {simulator.control_url}", flush=True)
    over.wait()
    simulator.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
