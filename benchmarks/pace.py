"""How much of the provider's rate is used on virtual time, and whether it is ever exceeded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import repeat
from typing import Final

from rich.console import Console
from rich.table import Table

from switchboard.guard.provider.rate_limiter import GuardSettings
from tests.harness.pacing import RATE, Pace, Profile

# Ten virtual minutes a line in all. PACE_SECONDS=600 makes it ten minutes a seed, and half an hour.
_SECONDS: Final = float(os.environ.get("PACE_SECONDS", "30"))
_SEEDS: Final = range(1, 1 + int(os.environ.get("PACE_SEEDS", "20")))
_WARM: Final = (0.005, 0.010)
_WIDE: Final = (0.005, 0.080)
_WORKERS: Final = 200
_PERMITS: Final = 7
_AIMS: Final = {_WARM: 0.98, _WIDE: 0.92}


@dataclass(frozen=True, slots=True)
class _Result:
    requests: int
    sliding: int
    fixed: int
    counting: int


def print_pace() -> None:
    """One line a profile: workers, latency one way, the margin for lateness, and total_401s by three ways to count."""
    table = Table(
        "policy", "workers", "one way", "clocks", "jitter", "of the limit", "aim", "sliding", "fixed", "counting",
        title=f"Pace: {len(_SEEDS)} times {_SECONDS:g} virtual seconds of as much as there is, limit {RATE} a second;"
        " 503s by an exact sliding window, a fixed second, and a window in which total_401s count",
        title_justify="left",
    )  # fmt: skip
    with ProcessPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for profile in _profiles():
            results = list(pool.map(_play, repeat(profile), _SEEDS))
            used = sum(each.requests for each in results) / (len(results) * _SECONDS * RATE)
            refused = [sum(getattr(each, by) for each in results) for by in ("sliding", "fixed", "counting")]
            aim = _AIMS[profile.latency_s]
            table.add_row(
                profile.name,
                str(profile.workers),
                "-".join(f"{each * 1000:g}" for each in profile.latency_s) + " ms",
                f"\u00b1{profile.skew_s * 1000:g} ms",
                f"{profile.limits.jitter / timedelta(milliseconds=1):g} ms",
                f"{used:.1%}",
                f">= {aim:.0%}, no 503: {'met' if used >= aim and not any(refused) else 'MISSED'}",
                *map(str, refused),
            )
    Console(width=170).print(table)


def _play(profile: Profile, seed: int) -> _Result:
    provider = Pace(profile, seed=seed).run(seconds=_SECONDS)
    return _Result(provider.requests, provider.refused_sliding, provider.refused_fixed, provider.refused_counting)


def _profiles() -> Iterator[Profile]:
    """Two clocks that differ by 20 ms, and latencies by 5, put two requests 25 ms nearer to each other than their
    slots are: with less jitter than that no pace is safe, and with that no more than 97.5 % is left. Lambda's clocks
    agree within a millisecond."""
    for latency_s, skew_s, jitter_ms in (
        (_WARM, 0.01, 18),
        (_WARM, 0.01, 26),
        (_WARM, 0.001, 12),
        (_WARM, 0.001, 19),
        (_WIDE, 0.01, 80),
    ):
        for name, in_flight, workers in (("full_rate", None, _WORKERS), ("lockout_safe", _PERMITS, _PERMITS)):
            limits = GuardSettings(requests_per_s=RATE, in_flight=in_flight, jitter=timedelta(milliseconds=jitter_ms))
            yield Profile(name=name, latency_s=latency_s, workers=workers, limits=limits, skew_s=skew_s)
