"""The pace in real time: two processes with threads of their own, over loopback against the provider's simulator."""

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

from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.simulator import MediaSmsSimulator
from switchboard.bootstrap.components.provider_guards import biztel_guard_settings, mediasms_guard_settings
from switchboard.clock import SystemClock
from switchboard.domain.errors import ProviderError, RateLimitedError, SlotUnavailableError
from switchboard.domain.sms.messages import SmsContent, SmsSubmission
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.providers.mediasms.client import Credentials, MediaSmsClient
from switchboard.providers.transport import Connection
from tests.fakes import InMemoryProviderLimitStore

# PACE_REAL_SECONDS=10 is a quick look at the same table.
_SECONDS: Final = float(os.environ.get("PACE_REAL_SECONDS", "60"))
_PROCESSES: Final = 2
_SEATS: Final = 3
_BATCH: Final = 10
_ACCOUNT: Final = "bench"
_AIM: Final = 0.97


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    limits: GuardSettings

    @property
    def slots_per_s(self) -> float:
        """What the room for lateness leaves of the limit."""
        return timedelta(seconds=1) / timedelta(microseconds=self.limits.interval_us)


_LOOPBACK_JITTER: Final = timedelta(milliseconds=24)
"""What requests differ by on loopback between clocks that agree: one machine's threads, woken late."""


def _cases(
    name: str, requests_per_s: int, deployed: timedelta, limits: Callable[..., GuardSettings]
) -> Iterator[_Case]:
    """With the room for lateness that loopback needs, and with the template's."""
    for where, jitter in (("loopback", _LOOPBACK_JITTER), ("as deployed", deployed)):
        yield _Case(f"{name}, {requests_per_s}/s, {where}", limits(requests_per_s=requests_per_s, jitter=jitter))


# Places in flight, policy and jitter as the template has them.
_MEDIASMS: Final = functools.partial(mediasms_guard_settings, in_flight=7, policy="lockout_safe")
_BIZTEL: Final = functools.partial(biztel_guard_settings, in_flight=10)
_CASES: Final = (
    *_cases("MediaSMS", 80, timedelta(milliseconds=75), _MEDIASMS),
    *_cases("BIZTEL", 10, timedelta(milliseconds=100), _BIZTEL),
    *_cases("BIZTEL", 1, timedelta(milliseconds=100), _BIZTEL),
)


@dataclass(frozen=True, slots=True)
class _Counts:
    """What one process saw; the first and the last of the slots it used, in Unix seconds."""

    accepted: int
    refused: int
    first_s: float
    last_s: float


class _SharedLanes:
    """The limits table of all processes: one operation at a time, as DynamoDB does with one item."""

    def __init__(self) -> None:
        self._store = InMemoryProviderLimitStore()
        self._one_at_a_time = Lock()

    def call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        with self._one_at_a_time:
            return getattr(self._store, operation)(*args, **kwargs)


class _Table(BaseManager):
    """Serves the store to the other processes."""


_Table.register("store", _SharedLanes)


class _RemoteLanes:
    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._store.call(operation, *args, **kwargs)


def print_real_pace() -> None:
    """One line a rate: accepted requests, and answers that said we were too fast."""
    table = Table(
        "limit", "jitter", "accepted", "of the limit", "of the slots", "aim", "503s", "",
        title=f"Pace in real time: {_PROCESSES} processes of {_SEATS} threads for {_SECONDS:g} s",
        title_justify="left",
    )  # fmt: skip
    for case in _CASES:
        counts = _measured(case)
        accepted, refused = sum(each.accepted for each in counts), sum(each.refused for each in counts)
        # From the first to the last: of one request a second, a minute holds one more or one less by chance.
        rate = (accepted - 1) / (max(each.last_s for each in counts) - min(each.first_s for each in counts))
        of_limit, of_slots = rate / case.limits.requests_per_s, rate / case.slots_per_s
        # The aim is of the limit, whatever the jitter costs: that is a choice of the deployment, and told beside it.
        met = of_limit >= _AIM and not refused
        jitter = f"{case.limits.jitter / timedelta(milliseconds=1):g} ms"
        table.add_row(
            case.name, jitter, str(accepted), f"{of_limit:.1%}", f"{of_slots:.1%}",
            f">= {_AIM:.0%}", str(refused), "met" if met else "MISSED",
        )  # fmt: skip
    Console(width=140).print(table)


def _measured(case: _Case) -> list[_Counts]:
    config = SimulatorConfig(user=_ACCOUNT, password=_ACCOUNT, requests_per_second=case.limits.requests_per_s)
    simulator = MediaSmsSimulator(config, log=lambda _: None)
    simulator.start("127.0.0.1", 0)
    context = get_context("spawn")
    results: SimpleQueue[_Counts] = context.SimpleQueue()
    key = secrets.token_bytes(16)
    with _Table(address=("127.0.0.1", 0), authkey=key, ctx=context) as table:
        store = table.store()  # type: ignore[attr-defined]  # BaseManager makes it from what is registered
        until = SystemClock().now() + timedelta(seconds=_SECONDS + 2)
        told = {"url": simulator.url, "case": case, "until_s": until.timestamp(), "results": results}
        processes = [context.Process(target=_process, args=(store, key), kwargs=told) for _ in range(_PROCESSES)]
        for process in processes:
            process.start()
        counts = [results.get() for _ in processes]
        for process in processes:
            process.join()
    simulator.stop()
    return counts


def _process(store: Any, key: bytes, *, url: str, case: _Case, until_s: float, results: SimpleQueue[_Counts]) -> None:
    """One container: batches of ten, shared by its threads, from `until_s` less the span on."""
    from multiprocessing import current_process  # noqa: PLC0415 - its key is wanted in this process alone

    current_process().authkey = key
    clock = SystemClock()
    guards = ProviderGuards(
        store=_RemoteLanes(store),
        key="state",
        container_id=secrets.token_hex(4),
        settings=case.limits,
        clock=clock,
        version=lambda: "v1",
        workers=_SEATS,
    )
    threads = [_Thread(guard, _client(url)) for guard in guards.workers]
    now = clock.now()
    clock.sleep_until(now + timedelta(seconds=until_s - now.timestamp() - _SECONDS))
    with ThreadPoolExecutor(_SEATS) as pool:
        while clock.now().timestamp() < until_s:
            with guards.batch(_BATCH):
                shares = [_BATCH // _SEATS + (number < _BATCH % _SEATS) for number in range(_SEATS)]
                list(pool.map(lambda thread, share: thread.send(share, until_s), threads, shares))
    used_s = [at_s for thread in threads for at_s in thread.used_s]
    refused = sum(thread.refused for thread in threads)
    results.put(_Counts(accepted=len(used_s), refused=refused, first_s=min(used_s), last_s=max(used_s)))


class _Thread:
    """Sends one message after the other, as `Submission` does."""

    def __init__(self, guard: ProviderGuard, client: MediaSmsClient) -> None:
        self._guard = guard
        self._client = client
        self._clock = SystemClock()
        self._numbers = 0
        self.used_s: list[float] = []
        """The slots of what was accepted, in Unix seconds."""
        self.refused = 0

    def send(self, count: int, until_s: float) -> None:
        while count and self._clock.now().timestamp() < until_s:
            self._client.open()
            try:
                slot = self._guard.acquire(latest=self._clock.now() + timedelta(seconds=2))
            except SlotUnavailableError as full:
                self._clock.sleep_until(self._clock.now() + timedelta(seconds=min(0.1, full.retry_after_s)))
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
            self.used_s.append(slot_s)
        except RateLimitedError as raised:
            error = raised
            self.refused += 1
        self._guard.record_result(error)


def _client(url: str) -> MediaSmsClient:
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
