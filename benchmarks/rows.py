"""One line of the report, and the report as a table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured against what. `measured` is judged by `met`; `aim` says what would be."""

    what: str
    ours: str
    baseline: str
    measured: str
    aim: str
    met: bool


def ratio_row(what: str, *, ours: Sequence[float], baseline: Sequence[float], aim: float) -> Row:
    """Compares two series of CPU seconds: their minima, which noise can only raise, and their medians beside them.

    The ratio of the minima is what is judged.
    """
    lowest = min(ours) / min(baseline)
    middle = statistics.median(ours) / statistics.median(baseline)
    return Row(
        what=what,
        ours=_milliseconds(ours),
        baseline=_milliseconds(baseline),
        measured=f"{lowest:.2f} ({middle:.2f})",
        aim=f"<= {aim:g}",
        met=lowest <= aim,
    )


def print_table(rows: Iterable[Row]) -> None:
    table = Table("", "ours", "baseline", "measured", "aim", "", title="Minimum (median) of each", title_justify="left")
    for row in rows:
        table.add_row(row.what, row.ours, row.baseline, row.measured, row.aim, "met" if row.met else "MISSED")
    Console(width=140).print(table)


def _milliseconds(series: Sequence[float]) -> str:
    return f"{min(series) * 1000:.1f} ms ({statistics.median(series) * 1000:.1f})"
