"""The duration of `make test`."""

from __future__ import annotations

import subprocess
import time
from typing import Final

from benchmarks.rows import Row

_GOAL_S: Final = 300


def suite_row() -> Row:
    """Run all tests once."""
    began = time.perf_counter()
    result = subprocess.run(["make", "--no-print-directory", "test"], capture_output=True, text=True, check=False)  # noqa: S607
    duration_s = time.perf_counter() - began
    return Row(
        what="make test",
        ours=f"{duration_s:.0f} s",
        baseline="".join(result.stdout.splitlines()[-1:]),
        measured=f"exit status {result.returncode}",
        goal=f"<= {_GOAL_S} s",
        met=result.returncode == 0 and duration_s <= _GOAL_S,
    )
