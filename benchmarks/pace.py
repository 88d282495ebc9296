"""The used share of the provider's rate on virtual time, and the requests that exceed it."""

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

from benchmarks.rows import verdict
from switchboard.bootstrap.components.guards import biztel_guard_settings, mediasms_guard_settings
from switchboard.guard.provider.rate_limiter import GuardSettings
from tests.harness.pacing import RATE, PaceSimulation, Profile

# All seeds of a row take ten virtual minutes. With PACE_SECONDS=600 each seed does, and the benchmark half an hour.
_SECONDS: Final = float(os.environ.get("PACE_SECONDS", "30"))
_SEEDS: Final = range(1, 1 + int(os.environ.get("PACE_SEEDS", "20")))
_WARM: Final = (0.005, 0.010)
_WIDE: Final = (0.005, 0.080)
_WORKERS: Final = 200
_PERMITS: Final = 7
_GOALS: Final = {_WARM: 0.98, _WIDE: 0.92}
_LEARNED_GOAL: Final = 0.97
# The clocks of Lambda agree within a millisecond.
_CLOCK_SKEW_S: Final = 0.001
# The room for lateness is learned within this time.
_LEARNED_AFTER_S: Final = 40.0


@dataclass(frozen=True, slots=True)
class _Result:
    """The requests of one simulation, and the refused ones by each way of counting."""

    requests: int
    sliding: int
    fixed: int
    counting: int


@dataclass(frozen=True, slots=True)
class _Case:
    """One row: a profile, the provider's limit a second, the goal, and the first second that counts."""

    profile: Profile
    goal: float
    limit: int = RATE
    from_s: float = 0.0


def print_pace() -> None:
    """Print one row a profile, with its conditions and its 503s by three ways of counting."""
    table = Table(
        "policy", "workers", "one way", "clocks", "jitter", "of the limit", "goal", "sliding", "fixed", "counting",
        title=f"Pace: {len(_SEEDS)} times {_SECONDS:g} virtual seconds at full load, limit {RATE} a second (BIZTEL 10);"
        " 503s by an exact sliding window, a fixed second, and a sliding window that counts refused requests",
        title_justify="left",
    )  # fmt: skip
    with ProcessPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for case in _cases():
            profile, goal = case.profile, case.goal
            results = list(pool.map(_play, repeat(case), _SEEDS))
            used = sum(result.requests for result in results) / (len(results) * _SECONDS * case.limit)
            refused = [sum(getattr(result, way) for result in results) for way in ("sliding", "fixed", "counting")]
            table.add_row(
                profile.name,
                str(profile.workers),
                "-".join(f"{latency_s * 1000:g}" for latency_s in profile.latency_s) + " ms",
                f"\u00b1{profile.skew_s * 1000:g} ms",
                f"{profile.settings.jitter / timedelta(milliseconds=1):g} ms",
                f"{used:.1%}",
                f">= {goal:.0%}, no 503: {verdict(met=used >= goal and not any(refused))}",
                *map(str, refused),
            )
    Console(width=170).print(table)


def _play(case: _Case, seed: int) -> _Result:
    provider = PaceSimulation(case.profile, seed=seed, limit=case.limit).run(seconds=case.from_s + _SECONDS)
    return _Result(
        requests=sum(at >= case.from_s for at in provider.received_at),
        sliding=provider.refused_by_sliding,
        fixed=provider.refused_by_fixed,
        counting=provider.refused_by_counting,
    )


def _cases() -> Iterator[_Case]:
    """Yield all rows: those of one fixed jitter, and those of the deployed settings, whose room is learned.

    Clocks that differ by 20 ms and latencies that differ by 5 ms bring two requests 25 ms nearer than their slots. A
    jitter below 25 ms therefore exceeds the limit, and a jitter of 25 ms leaves at most 97.5 % of it. The clocks of
    Lambda agree within a millisecond.
    """
    for latency_s, skew_s, jitter_ms in (
        (_WARM, 0.01, 18),
        (_WARM, 0.01, 26),
        (_WARM, 0.001, 12),
        (_WARM, 0.001, 19),
        (_WIDE, 0.01, 80),
    ):
        for name, in_flight, workers in (("full_rate", None, _WORKERS), ("lockout_safe", _PERMITS, _PERMITS)):
            jitter = timedelta(milliseconds=jitter_ms)
            settings = GuardSettings(requests_per_s=RATE, in_flight=in_flight, jitter=jitter)
            profile = Profile(name=name, latency_s=latency_s, workers=workers, settings=settings, skew_s=skew_s)
            yield _Case(profile, goal=_GOALS[latency_s])
    mediasms = mediasms_guard_settings(
        requests_per_s=RATE, jitter=timedelta(milliseconds=75), in_flight=_PERMITS, policy="lockout_safe"
    )
    biztel = biztel_guard_settings(requests_per_s=10)
    for name, settings, limit in (("MediaSMS", mediasms, RATE), ("BIZTEL", biztel, 10)):
        for pauses, pause_rate in (("", 0.0), (", pauses", 0.01)):
            profile = Profile(
                name=f"{name}, learned{pauses}",
                latency_s=_WARM,
                workers=settings.in_flight or 1,
                settings=settings,
                pause_rate=pause_rate,
                skew_s=_CLOCK_SKEW_S,
            )
            yield _Case(profile, goal=_LEARNED_GOAL, limit=limit, from_s=_LEARNED_AFTER_S)
