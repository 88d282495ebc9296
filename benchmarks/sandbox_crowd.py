"""A crowd before the deployed template on the emulator: `python -m benchmarks.sandbox_crowd [milliseconds ...]`.

At each latency of MediaSMS a hundred callers at once send 500 messages, singles and batches mixed. Each message must
reach MediaSMS once and be delivered, without a 401 or 503. It uses the running sandbox, or one of its own.

The emulator starts a process for each container, and starting a hundred at once takes longer than a call may take. So
Lambda's limits of concurrency refuse what more containers would take, and callers repeat it.

The emulator answers all calls to AWS in one thread, about twenty for each message. That thread, and not the limiter,
bounds the rate here: `make bench` shows the limiter's share.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import urllib3
from rich.console import Console
from rich.table import Table

from benchmarks.crowd import LATENCIES_MS, bound_a_second
from benchmarks.rows import verdict
from sandbox.aws_clients import create_client
from sandbox.endpoints import Endpoints
from sandbox.instance import is_running
from sandbox.paths import SandboxPaths
from sandbox.stack import running_endpoints
from tests.harness.crowd import IN_FLIGHT

_SINGLES: Final = [1, 1, 1, 1]
_BATCH: Final = [9]
_CALLERS: Final = [*[_SINGLES] * 80, *[_BATCH] * 20]
"""The sizes of each caller's requests, which follow each other: a hundred callers and 500 messages."""
_CONTAINERS: Final = {"SendSms": 12, "SendSmsBatch": 2}
_EDGE: Final = 0.1
"""The share of the messages at both ends that does not count for the rate: the crowd comes and goes."""
_SHARE: Final = 0.9
_TIMEOUT_S: Final = 1800.0
_POLL_INTERVAL_S: Final = 2.0
_REPEATED: Final = {409, 429, 500, 502, 503, 504}
"""The statuses after which callers repeat a request: 409 says that the first one is still in progress."""
_HTTP: Final = urllib3.PoolManager(maxsize=len(_CALLERS), retries=False, timeout=_TIMEOUT_S)
_CPU_TIMES: Final = Path("/proc/stat")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """The figures of one crowd."""

    sent_a_second: float
    answers: Counter[int]
    busy_processors: str


def print_sandbox_crowd(latencies_ms: tuple[int, ...] = LATENCIES_MS) -> None:
    """Print one row a latency, and one for the crowd before them, which starts the functions' processes.

    Raises:
        AssertionError: a message is lost, sent twice or not delivered, or MediaSMS refused a request.
    """
    table = Table(
        "MediaSMS' answer", "sent/s", "bound", "of the bound", "goal", "answers", "processors busy", "",
        title=f"{sum(map(sum, _CALLERS))} messages of {len(_CALLERS)} callers on the sandbox: each sent once and"
        " delivered, no 401, no 503",
        title_justify="left",
    )  # fmt: skip
    with _sandbox() as endpoints:
        _limit_containers(endpoints)
        for name, latency_ms in [("start", latencies_ms[0]), *((f"{value} ms", value) for value in latencies_ms)]:
            result, bound = _play(endpoints, latency_ms), bound_a_second(latency_ms, IN_FLIGHT)
            share = result.sent_a_second / bound
            answers = ", ".join(f"{count} * {status}" for status, count in sorted(result.answers.items()))
            table.add_row(
                name, f"{result.sent_a_second:.1f}", f"{bound:.1f}", f"{share:.1%}", f">= {_SHARE:.0%}", answers,
                result.busy_processors, verdict(met=share >= _SHARE) if name != "start" else "",
            )  # fmt: skip
    Console(width=150).print(table)


@contextmanager
def _sandbox() -> Iterator[Endpoints]:
    """Yield the addresses of this directory's sandbox, which ends with the block if it was not running."""
    paths = SandboxPaths.from_environment()
    if is_running(paths.process_id):
        yield running_endpoints(paths)
        return
    paths.endpoints.unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "sandbox", "up"], env={**os.environ, "DEMO": "0"})
    try:
        while not paths.endpoints.exists():
            assert process.poll() is None, "the sandbox did not start"
            time.sleep(_POLL_INTERVAL_S)
        yield Endpoints.read(paths.endpoints)
    finally:
        process.terminate()
        process.wait()


def _limit_containers(endpoints: Endpoints) -> None:
    functions = create_client("lambda", endpoints.aws_endpoint_url)
    for page in functions.get_paginator("list_functions").paginate():
        for name in (function["FunctionName"] for function in page["Functions"]):
            if limit := _CONTAINERS.get(name.split("-")[1]):
                functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=limit)


def _play(endpoints: Endpoints, latency_ms: int) -> _Result:
    control = endpoints.mediasms_url.removesuffix("/sms/api/") + "/control"
    _request("POST", f"{control}/config", {"answer_after_s": latency_ms / 1000})
    before = _request("GET", f"{control}/requests")["count"]
    start = Barrier(len(_CALLERS))
    began, began_busy_s = time.monotonic(), _read_busy_s()
    with ThreadPoolExecutor(len(_CALLERS)) as pool:
        callers = [pool.submit(_send, endpoints, start, number) for number in range(len(_CALLERS))]
        while (made := _request("GET", f"{control}/requests")["count"] - before) < sum(map(sum, _CALLERS)):
            print(f"{time.monotonic() - began:6.1f} s  {made} messages reached MediaSMS", flush=True)
            if failures := [caller.exception() for caller in callers if caller.done() and caller.exception()]:
                raise AssertionError(f"{len(failures)} callers failed") from failures[0]
            assert time.monotonic() - began < _TIMEOUT_S
            time.sleep(_POLL_INTERVAL_S)
        smsids, statuses = zip(*(caller.result() for caller in callers), strict=True)
    expected = Counter(smsid for ids in smsids for smsid in ids)
    assert len(expected) == expected.total() == sum(map(sum, _CALLERS))
    busy = (_read_busy_s() - began_busy_s) / (time.monotonic() - began)
    while expected.keys() - (states := _list_states(endpoints, expected)).keys() or {*states.values()} != {"delivered"}:
        assert time.monotonic() - began < _TIMEOUT_S, Counter(states.values())
        time.sleep(_POLL_INTERVAL_S)
    # Read again: a second submission of a message would come late.
    requests = _request("GET", f"{control}/requests")["items"][before:]
    assert {request["code"] for request in requests} == {200}, Counter(request["code"] for request in requests)
    assert Counter(request["smsid"] for request in requests) == expected
    edge = round(_EDGE * len(requests))
    times = sorted(request["at_s"] for request in requests)[edge:-edge]
    return _Result(
        sent_a_second=(len(times) - 1) / (times[-1] - times[0]),
        answers=Counter(status for caller in statuses for status in caller),
        busy_processors=f"{busy:.1f} of {os.cpu_count()}" if _CPU_TIMES.exists() else "-",
    )


def _send(endpoints: Endpoints, start: Barrier, number: int) -> tuple[list[str], list[int]]:
    """Send the requests of one caller, and return the ids of its messages and the statuses of all answers.

    A request that is not taken whole is repeated with its idempotency key, as callers should.
    """
    smsids: list[str] = []
    statuses: list[int] = []
    start.wait()
    for size in _CALLERS[number]:
        to = [f"090-0001-{number:02}{index:02}" for index in range(len(smsids), len(smsids) + size)]
        messages = [{"to": recipient, "text": "Your table is ready."} for recipient in to]
        path, body = ("sms", messages[0]) if size == 1 else ("sms/batch", {"messages": messages})
        headers = {"x-api-key": endpoints.api_key, "idempotency-key": uuid4().hex, "content-type": "application/json"}
        while True:
            url = f"{endpoints.api_url}/v1/{path}"
            response = _HTTP.request("POST", url, body=json.dumps(body), headers=headers)
            statuses.append(response.status)
            items = response.json().get("items", [response.json()]) if response.status < 300 else []
            # The store may have taken only a part of a batch.
            if items and all("smsid" in item for item in items):
                break
            assert items or response.status in _REPEATED, (response.status, response.data)
            time.sleep(float(response.headers.get("retry-after", "2")))
        smsids += [item["smsid"] for item in items]
    return smsids, statuses


def _list_states(endpoints: Endpoints, smsids: Counter[str]) -> dict[str, str]:
    """Return the states of these messages, which are the newest ones."""
    states: dict[str, str] = {}
    cursor = ""
    while True:
        page = _request("GET", f"{endpoints.api_url}/v1/sms?limit=100{cursor}", api_key=endpoints.api_key)
        states |= {item["smsid"]: item["state"] for item in page["items"] if item["smsid"] in smsids}
        if len(states) == len(smsids) or not page["next"]:
            return states
        cursor = f"&cursor={quote(page['next'])}"


def _request(method: str, url: str, body: object | None = None, *, api_key: str = "") -> Any:
    headers = {"x-api-key": api_key} if api_key else None
    response = _HTTP.request(method, url, body=None if body is None else json.dumps(body), headers=headers)
    assert response.status == 200, response.data
    return response.json()


def _read_busy_s() -> float:
    """Return the seconds that all processors of this machine have worked; 0 where the system does not tell."""
    if not _CPU_TIMES.exists():
        return 0.0
    user, nice, system, _idle, _wait, interrupts, soft = map(int, _CPU_TIMES.read_text().split()[1:8])
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    print_sandbox_crowd(tuple(map(int, sys.argv[1:])) or LATENCIES_MS)
