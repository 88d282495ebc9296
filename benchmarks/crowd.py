"""A crowd of containers before the limiter's one item, and its permits at their bound, on virtual time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from statistics import quantiles
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row, print_table, verdict
from tests.harness.crowd import BULK_IN_FLIGHT, IN_FLIGHT, Crowd
from tests.harness.pacing import RATE

_WARM: Final = (0.005, 0.010)
# `make bench-full` prints more rows: 2,000 containers take a minute.
_CONTAINERS: Final = tuple(map(int, os.environ.get("CROWD_CONTAINERS", "7,16,50,100,200").split(",")))
_CALLERS: Final = 16
_SENDS: Final = 500
_TIMES_LITTLES_LAW: Final = 1.5
LATENCIES_MS: Final = (20, 100, 200, 500)
_SECONDS: Final = 20
# The room for late requests is learned within this time.
_LEARNED_S: Final = 41
_WRITES_A_SECOND: Final = 300
_SHARE: Final = 0.9
# The slots of MediaSMS' rate with the least room.
_SLOTS_A_SECOND: Final = RATE / 1.02


@dataclass(frozen=True, slots=True)
class _Load:
    """The containers of one row: those of `SendSms`, and if those of the two queues work, too."""

    name: str
    singles: int
    outbox: bool = False
    bulk: bool = False


@dataclass(frozen=True, slots=True)
class _Result:
    """The figures of one simulation after its start."""

    sent_a_second: float
    writes_a_send: float
    most_writes_a_second: int
    reads_a_second: float
    queued_a_second: float
    throttled: int
    most_in_flight: int
    refused: int


def print_crowd() -> None:
    """Print one table of the crowd, and one of the bound at each latency."""
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        crowd = Table(
            "containers", "writes a send", "goal", "most writes/s", "looks/s", "queued/s", "throttled", "sent/s",
            "of the limit", "503s", "",
            title=f"The limiter under a crowd: {_SECONDS} virtual seconds at full load, 40 s after the start;"
            " 5-10 ms to MediaSMS",
            title_justify="left",
        )  # fmt: skip
        loads = [_Load(f"{number}", singles=number) for number in _CONTAINERS]
        for load, result in zip(loads, pool.map(_play, loads, [_WARM] * len(loads)), strict=True):
            goal = 1.2 if load.singles <= IN_FLIGHT else 2.0
            met = (
                result.writes_a_send <= goal
                and result.most_writes_a_second <= _WRITES_A_SECOND
                and result.sent_a_second >= 0.97 * RATE
                and not result.refused
            )
            crowd.add_row(
                load.name, f"{result.writes_a_send:.2f}", f"<= {goal:g}", str(result.most_writes_a_second),
                f"{result.reads_a_second:.0f}", f"{result.queued_a_second:.0f}", str(result.throttled),
                f"{result.sent_a_second:.1f}", f"{result.sent_a_second / RATE:.1%}", str(result.refused),
                verdict(met=met),
            )  # fmt: skip
        bound = Table(
            "provider's answer", "load", "sent/s", "bound", "of the bound", "goal", "writes a send", "in flight", "",
            title="Permits at their bound: min(slots, permits / latency); the two queues have three containers each",
            title_justify="left",
        )  # fmt: skip
        rows = list(_bound_rows())
        latencies = [(latency_ms / 2_000, latency_ms / 2_000) for latency_ms, _, _ in rows]
        results = pool.map(_play, [load for _, load, _ in rows], latencies)
        for (latency_ms, load, permits), result in zip(rows, results, strict=True):
            most = bound_a_second(latency_ms, permits)
            share = result.sent_a_second / most
            bound.add_row(
                f"{latency_ms} ms", load.name, f"{result.sent_a_second:.1f}", f"{most:.1f}", f"{share:.1%}",
                f">= {_SHARE:.0%}", f"{result.writes_a_send:.2f}", str(result.most_in_flight),
                verdict(met=share >= _SHARE and not result.refused),
            )  # fmt: skip
    console = Console(width=150)
    console.print(crowd)
    console.print(bound)
    print_table([_end_to_end_row()])


def bound_a_second(latency_ms: int, permits: int) -> float:
    """Return the requests a second that the slots allow, or the permits if MediaSMS takes long to answer."""
    return min(_SLOTS_A_SECOND, 1_000 * permits / latency_ms)


def _end_to_end_row() -> Row:
    """Compare the slowest of a hundred sends with Little's law: the time of each if the callers shared the slots."""
    crowd = Crowd(_CALLERS, one_way_s=_WARM)
    crowd.run(seconds=_LEARNED_S)
    del crowd.results.sends_s[:]
    last_s = _LEARNED_S
    while len(crowd.results.sends_s) < _SENDS:
        last_s += 1
        crowd.run(seconds=last_s)
    rate = len(crowd.results.sends_s) / (last_s - _LEARNED_S)
    p99_s, fair_s = quantiles(crowd.results.sends_s, n=100)[-1], _CALLERS / _SLOTS_A_SECOND
    return Row(
        what=f"{_SENDS} sends, {_CALLERS} callers, p99 (virtual time)",
        ours=f"{rate:.1f}/s, p99 {p99_s * 1000:.0f} ms",
        baseline=f"Little's law {fair_s * 1000:.0f} ms",
        measured=f"{p99_s / fair_s:.2f}",
        goal=f"<= {_TIMES_LITTLES_LAW:g}",
        met=p99_s <= _TIMES_LITTLES_LAW * fair_s,
    )


def _bound_rows() -> Iterator[tuple[int, _Load, int]]:
    for latency_ms in LATENCIES_MS:
        yield latency_ms, _Load("7 containers of single sends", singles=IN_FLIGHT), IN_FLIGHT
        yield latency_ms, _Load("bulk queue", singles=0, bulk=True), BULK_IN_FLIGHT
        yield latency_ms, _Load("16 containers, outbox and bulk queue", singles=16, outbox=True, bulk=True), IN_FLIGHT


def _play(load: _Load, one_way_s: tuple[float, float]) -> _Result:
    crowd = Crowd(load.singles, one_way_s=one_way_s, outbox=load.outbox, bulk=load.bulk)
    # Lambda starts a hundred containers a second.
    first_s = max(load.singles // 100 + 1, _LEARNED_S)
    last_s = first_s + _SECONDS
    crowd.run(seconds=first_s)
    queued, reads = crowd.results.queued, sum(crowd.store.reads_by_second.values())
    crowd.run(seconds=last_s)
    return _Result(
        sent_a_second=crowd.rate(first_s=first_s, last_s=last_s),
        writes_a_send=crowd.writes_a_send(first_s=first_s, last_s=last_s),
        most_writes_a_second=max(crowd.store.writes_by_second.values()),
        reads_a_second=(sum(crowd.store.reads_by_second.values()) - reads) / _SECONDS,
        queued_a_second=(crowd.results.queued - queued) / _SECONDS,
        throttled=crowd.store.throttled,
        most_in_flight=crowd.results.most_in_flight,
        refused=crowd.provider.refused,
    )


if __name__ == "__main__":
    print_crowd()
