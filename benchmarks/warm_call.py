"""CPU time of one call in a warm container, against a minimal handler that makes the same requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.contenders import HANDLERS, Contender, Contenders
from benchmarks.rows import Row, ratio_row

_ROUNDS: Final = 3
_CALLS: Final = 100
_WARM_UP_CALLS: Final = 10
_GOAL: Final = 3.0


def warm_call_rows(contenders: Contenders) -> Iterator[Row]:
    """Measure one row a handler, without the first calls of a process: they read secrets and open connections."""
    for name in HANDLERS:
        ours: list[float] = []
        minimal: list[float] = []
        for _ in range(_ROUNDS):
            ours += _measure_warm_calls(contenders.ours[name])
            minimal += _measure_warm_calls(contenders.minimal[name])
        yield ratio_row(f"warm call, {name}", ours=ours, baseline=minimal, goal=_GOAL)


def _measure_warm_calls(contender: Contender) -> tuple[float, ...]:
    return contender.run(calls=_CALLS).calls_cpu_s[_WARM_UP_CALLS:]
