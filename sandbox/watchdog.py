"""Runs a module in a process group that ends with whoever holds the other end of its standard input.

Started as `python -P watchdog.py MODULE` at the head of its own session. Closing the pipe ends the group, and the
kernel closes it however the parent ends; one that waits to be told would outlive a parent that was killed.
"""

import os
import runpy
import signal
import sys
import threading


def end_group_with_parent() -> None:
    """Wait for the end of standard input, then kill this process and everything it started."""
    while os.read(0, 1024):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=end_group_with_parent, daemon=True).start()
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
