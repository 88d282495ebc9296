"""Run the simulator by itself: `python -m sandbox.simulators.mediasms --port 9000 --report-url http://…`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence

from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.simulator import MediaSmsSimulator
from sandbox.simulators.readers import web_address


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM. Credentials come from MEDIASMS_USER and MEDIASMS_PASSWORD."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.simulators.mediasms", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--report-url", type=web_address, help="where delivery reports go")
    parser.add_argument("--report-method", choices=["POST", "GET"], default="POST")
    parser.add_argument("--ivr-url", type=web_address, help="where IVR callbacks go")
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
        log=lambda line: print(line, flush=True),
    )
    over = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: over.set())
    simulator.start(options.host, options.port)
    print(f"send API  {simulator.url}\ncontrol   {simulator.control_url}", flush=True)
    over.wait()
    simulator.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
