"""CPU time of one call in a warm container, against a minimal handler that makes the same requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.contenders import HANDLERS, Contender, Field
from benchmarks.rows import Row, ratio_row

_ROUNDS: Final = 3
_CALLS: Final = 100
_WARMING_UP: Final = 10
_AIM: Final = 3.0


def warm_call_rows(field: Field) -> Iterator[Row]:
    """One row a handler. A process' first calls are left out: they read secrets and open connections."""
    for name in HANDLERS:
        ours: list[float] = []
        minimal: list[float] = []
        for _ in range(_ROUNDS):
            ours += _warm(field.ours[name])
            minimal += _warm(field.minimal[name])
        yield ratio_row(f"warm call, {name}", ours=ours, baseline=minimal, aim=_AIM)


def _warm(contender: Contender) -> tuple[float, ...]:
    return contender.run(calls=_CALLS).calls[_WARMING_UP:]
