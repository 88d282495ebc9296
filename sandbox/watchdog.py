"""Runs a module in a process group that ends when its standard input is closed.

Started as `python -P watchdog.py MODULE` at the head of its own session. The parent holds the other end of the pipe.
The kernel closes it when the parent ends. A parent that is killed could not end its children itself.
"""

import os
import runpy
import signal
import sys
import threading


def end_group_with_parent() -> None:
    """Wait for the end of standard input, then kill this process and every process that it started."""
    while os.read(0, 1024):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=end_group_with_parent, daemon=True).start()
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
