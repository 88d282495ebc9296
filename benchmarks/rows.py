"""One line of the report, and the report as a table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the report. `measured` compares `ours` with `baseline`; `met` says if it meets the `goal`."""

    what: str
    ours: str
    baseline: str
    measured: str
    goal: str
    met: bool


def ratio_row(what: str, *, ours: Sequence[float], baseline: Sequence[float], goal: float) -> Row:
    """Compare two series of CPU seconds by their minima, which noise can only raise, with the medians beside them.

    The goal is for the ratio of the minima.
    """
    minimum_ratio = min(ours) / min(baseline)
    median_ratio = statistics.median(ours) / statistics.median(baseline)
    return Row(
        what=what,
        ours=_format_milliseconds(ours),
        baseline=_format_milliseconds(baseline),
        measured=f"{minimum_ratio:.2f} ({median_ratio:.2f})",
        goal=f"<= {goal:g}",
        met=minimum_ratio <= goal,
    )


def print_table(rows: Iterable[Row]) -> None:
    """Print the rows as a table."""
    title = "Costs; times are minimum (median)"
    table = Table("", "ours", "baseline", "measured", "goal", "", title=title, title_justify="left")
    for row in rows:
        table.add_row(row.what, row.ours, row.baseline, row.measured, row.goal, verdict(met=row.met))
    Console(width=140).print(table)


def verdict(*, met: bool) -> str:
    """Return the word for a goal that is met or not. A table with MISSED fails nothing."""
    return "ok" if met else "MISSED"


def _format_milliseconds(series: Sequence[float]) -> str:
    return f"{min(series) * 1000:.1f} ms ({statistics.median(series) * 1000:.1f})"
