"""How much of the provider's rate is used on virtual time, and whether it is ever exceeded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from rich.console import Console
from rich.table import Table

from switchboard.guard.gate import GateLimits
from tests.harness.pacing import RATE, Pace, Profile

_SECONDS: Final = 60.0
_WARM: Final = (0.005, 0.025)
_WIDE: Final = (0.005, 0.080)
_MANY: Final = 100


def print_pace() -> None:
    """One line a profile: latency one way, workers that may be in flight, and the margin for lateness.

    `503s` are those of three ways to count a second, together.
    """
    table = Table(
        "latency", "in flight", "jitter", "requests/s", "of the limit", "503s",
        title=f"Pace: {_SECONDS:g} virtual seconds of as much as there is, limit {RATE} a second",
        title_justify="left",
    )  # fmt: skip
    for profile in _profiles():
        provider = Pace(profile, seed=1).run(seconds=_SECONDS)
        rate = provider.requests / _SECONDS
        table.add_row(
            profile.name,
            str(profile.limits.in_flight),
            f"{profile.limits.jitter / timedelta(milliseconds=1):g} ms",
            f"{rate:.1f}",
            f"{rate / RATE:.0%}",
            str(provider.refused),
        )
    Console(width=140).print(table)


def _profiles() -> Iterator[Profile]:
    for name, latency_s in (("5-25 ms", _WARM), ("5-80 ms", _WIDE)):
        for in_flight, jitter_ms in ((7, 50), (7, 75), (_MANY, 75), (_MANY, 100)):
            limits = GateLimits(requests_per_s=RATE, in_flight=in_flight, jitter=timedelta(milliseconds=jitter_ms))
            yield Profile(name=name, latency_s=latency_s, workers=max(20, in_flight), limits=limits)
