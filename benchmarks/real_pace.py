"""The pace in real time: two processes with three threads each, over loopback, against the provider's simulator."""

from __future__ import annotations

import functools
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from multiprocessing.queues import SimpleQueue
from threading import Lock
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.rows import verdict
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.simulator import MediaSmsSimulator
from switchboard.bootstrap.components.guards import biztel_guard_settings, mediasms_guard_settings
from switchboard.clock import SystemClock
from switchboard.domain.errors import ProviderError, RateLimitedError, SlotUnavailableError
from switchboard.domain.sms.messages import SmsContent, SmsSubmission
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.providers.mediasms.client import Credentials, MediaSmsClient
from switchboard.providers.transport import Connection
from tests.fakes import InMemoryProviderLimitStore

# `make bench-full` takes a minute for each row.
_SECONDS: Final = float(os.environ.get("PACE_REAL_SECONDS", "15"))
_PROCESSES: Final = 2
_WORKERS: Final = 3
_BATCH: Final = 10
_ACCOUNT: Final = "bench"
_GOAL: Final = 0.97


@dataclass(frozen=True, slots=True)
class _Case:
    """One row of the table: the settings of a provider's guard."""

    name: str
    settings: GuardSettings

    @property
    def slots_per_s(self) -> float:
        """The part of the limit that the jitter leaves."""
        return timedelta(seconds=1) / timedelta(microseconds=self.settings.interval_us)


_LOOPBACK_JITTER: Final = timedelta(milliseconds=24)
"""The delay between requests on loopback with equal clocks: threads of one machine wake up late."""


def _build_cases(
    name: str, requests_per_s: int, deployed: timedelta, build_settings: Callable[..., GuardSettings]
) -> Iterator[_Case]:
    """Yield one case with the jitter that loopback needs, and one with the template's."""
    for place, jitter in (("loopback", _LOOPBACK_JITTER), ("as deployed", deployed)):
        settings = build_settings(requests_per_s=requests_per_s, jitter=jitter)
        yield _Case(f"{name}, {requests_per_s}/s, {place}", settings)


# Requests in flight, policy and jitter are those of the template.
_MEDIASMS: Final = functools.partial(mediasms_guard_settings, in_flight=7, policy="lockout_safe")
_BIZTEL: Final = functools.partial(biztel_guard_settings, in_flight=10)
_CASES: Final = (
    *_build_cases("MediaSMS", 80, timedelta(milliseconds=75), _MEDIASMS),
    *_build_cases("BIZTEL", 10, timedelta(milliseconds=100), _BIZTEL),
    *_build_cases("BIZTEL", 1, timedelta(milliseconds=100), _BIZTEL),
)


@dataclass(frozen=True, slots=True)
class _Counts:
    """The requests of one process; the first and the last of their slots, in Unix seconds."""

    accepted: int
    refused: int
    first_s: float
    last_s: float


class _SharedLimitStore:
    """The limits table of all processes: one operation at a time, as DynamoDB runs those of one item."""

    def __init__(self) -> None:
        self._store = InMemoryProviderLimitStore()
        self._lock = Lock()

    def call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return getattr(self._store, operation)(*args, **kwargs)


class _Table(BaseManager):
    """A server of the store for the other processes."""


_Table.register("store", _SharedLimitStore)


class _RemoteLimitStore:
    """The store as another process calls it."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._store.call(operation, *args, **kwargs)


def print_real_pace() -> None:
    """Print one row a case: accepted requests, and 503s for requests that came too fast."""
    table = Table(
        "limit", "jitter", "accepted", "of the limit", "of the slots", "goal", "503s", "",
        title=f"Pace in real time: {_PROCESSES} processes of {_WORKERS} threads for {_SECONDS:g} s",
        title_justify="left",
    )  # fmt: skip
    for case in _CASES:
        processes = _measure(case)
        accepted, refused = sum(counts.accepted for counts in processes), sum(counts.refused for counts in processes)
        # From the first slot to the last: at one request a second, a minute has one more or one less by chance.
        duration_s = max(counts.last_s for counts in processes) - min(counts.first_s for counts in processes)
        rate = (accepted - 1) / duration_s
        of_limit, of_slots = rate / case.settings.requests_per_s, rate / case.slots_per_s
        # The goal is a share of the limit. The deployment chooses the jitter, and the table shows its cost beside it.
        met = of_limit >= _GOAL and not refused
        jitter = f"{case.settings.jitter / timedelta(milliseconds=1):g} ms"
        table.add_row(
            case.name, jitter, str(accepted), f"{of_limit:.1%}", f"{of_slots:.1%}",
            f">= {_GOAL:.0%}", str(refused), verdict(met=met),
        )  # fmt: skip
    Console(width=140).print(table)


def _measure(case: _Case) -> list[_Counts]:
    config = SimulatorConfig(user=_ACCOUNT, password=_ACCOUNT, requests_per_second=case.settings.requests_per_s)
    simulator = MediaSmsSimulator(config, log=lambda _: None)
    simulator.start("127.0.0.1", 0)
    context = get_context("spawn")
    results: SimpleQueue[_Counts] = context.SimpleQueue()
    key = secrets.token_bytes(16)
    with _Table(address=("127.0.0.1", 0), authkey=key, ctx=context) as table:
        store = table.store()  # type: ignore[attr-defined]  # `register` adds it
        until = SystemClock().now() + timedelta(seconds=_SECONDS + 2)
        arguments = {"url": simulator.url, "case": case, "until_s": until.timestamp(), "results": results}
        processes = [
            context.Process(target=_run_process, args=(store, key), kwargs=arguments) for _ in range(_PROCESSES)
        ]
        for process in processes:
            process.start()
        counts = [results.get() for _ in processes]
        for process in processes:
            process.join()
    simulator.stop()
    return counts


def _run_process(
    store: Any, key: bytes, *, url: str, case: _Case, until_s: float, results: SimpleQueue[_Counts]
) -> None:
    """Run one container: batches of ten that its threads share, for the benchmark's duration up to `until_s`."""
    from multiprocessing import current_process  # noqa: PLC0415 - only this process needs its key

    current_process().authkey = key
    clock = SystemClock()
    guards = ProviderGuards(
        store=_RemoteLimitStore(store),
        key="mediasms#shared",
        new_container_id=lambda: secrets.token_hex(4),
        settings=case.settings,
        clock=clock,
        version=lambda: "v1",
        workers=_WORKERS,
    )
    threads = [_Thread(guard, _build_client(url)) for guard in guards.workers]
    now = clock.now()
    clock.sleep_until(now + timedelta(seconds=until_s - now.timestamp() - _SECONDS))
    with ThreadPoolExecutor(_WORKERS) as pool:
        while clock.now().timestamp() < until_s:
            with guards.batch(_BATCH):
                counts = [_BATCH // _WORKERS + (number < _BATCH % _WORKERS) for number in range(_WORKERS)]
                list(pool.map(lambda thread, count: thread.send(count, until_s), threads, counts))
    slots_s = [slot_s for thread in threads for slot_s in thread.accepted_slots_s]
    refused = sum(thread.refused for thread in threads)
    results.put(_Counts(accepted=len(slots_s), refused=refused, first_s=min(slots_s), last_s=max(slots_s)))


class _Thread:
    """A thread that sends one message after the other, as `Submission` does."""

    def __init__(self, guard: ProviderGuard, client: MediaSmsClient) -> None:
        self._guard = guard
        self._client = client
        self._clock = SystemClock()
        self._numbers = 0
        self.accepted_slots_s: list[float] = []
        """The slots of accepted requests, in Unix seconds."""
        self.refused = 0

    def send(self, count: int, until_s: float) -> None:
        while count and self._clock.now().timestamp() < until_s:
            self._client.open()
            try:
                slot = self._guard.acquire(latest=self._clock.now() + timedelta(seconds=2))
            except SlotUnavailableError as unavailable:
                self._clock.sleep_until(self._clock.now() + timedelta(seconds=min(0.1, unavailable.retry_after_s)))
                continue
            self._clock.sleep_until(slot)
            if self._guard.is_stale(slot) or slot.timestamp() >= until_s:
                continue
            count -= 1
            self._submit(slot.timestamp())

    def _submit(self, slot_s: float) -> None:
        self._numbers += 1
        smsid = f"{id(self):x}{self._numbers:x}"[-20:]
        message = SmsSubmission(smsid=smsid, recipient="+819000000001", content=SmsContent(text="bench"))
        error: ProviderError | None = None
        try:
            self._client.submit(self._client.prepare(message))
            self.accepted_slots_s.append(slot_s)
        except RateLimitedError as rate_limited:
            error = rate_limited
            self.refused += 1
        self._guard.record_result(error)


def _build_client(url: str) -> MediaSmsClient:
    origin = url.split("/sms/", maxsplit=1)[0]
    connection = Connection(
        origin=origin, provider="mediasms", allow_plain_http=True, connect_timeout_s=5.0, deadline_s=20.0
    )
    return MediaSmsClient(
        base_url=url,
        credentials=lambda: Credentials(user=_ACCOUNT, password=_ACCOUNT),
        connection=connection,
        allow_plain_http=True,
    )


if __name__ == "__main__":
    print_real_pace()
