"""CPU time of a warm call, against a minimal handler that makes the same requests, and of the first call against it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.contenders import HANDLERS, Contender, Contenders
from benchmarks.rows import Row, ratio_row

_ROUNDS: Final = 3
_CALLS: Final = 100
_WARM_UP_CALLS: Final = 10
_GOAL: Final = 3.0
_FIRST_CALL_GOAL: Final = 2.0


def warm_call_rows(contenders: Contenders) -> Iterator[Row]:
    """Measure two rows a handler: of warm calls, and of a container's first call, which reads secrets and connects."""
    for name in HANDLERS:
        first: list[float] = []
        ours: list[float] = []
        minimal: list[float] = []
        for _ in range(_ROUNDS):
            first_call_s, warm_calls_s = _measure_calls(contenders.ours[name])
            first.append(first_call_s)
            ours += warm_calls_s
            minimal += _measure_calls(contenders.minimal[name])[1]
        yield ratio_row(f"warm call, {name}", ours=ours, baseline=minimal, goal=_GOAL)
        yield ratio_row(f"first call over a warm one, {name}", ours=first, baseline=ours, goal=_FIRST_CALL_GOAL)


def _measure_calls(contender: Contender) -> tuple[float, tuple[float, ...]]:
    """Return the CPU time of the first call, and of those after the first ten."""
    first_call_s, *calls_s = contender.run(calls=_CALLS).calls_cpu_s
    return first_call_s, tuple(calls_s[_WARM_UP_CALLS - 1 :])
