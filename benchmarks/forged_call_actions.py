"""Forged call actions beside a true one, on the running sandbox: `python -m benchmarks.forged_call_actions 2000 other`.

`day` is `other` (the default) for ids of a day in the past, or `today`. One call ends after half of the forged call
actions. The seconds until its recording is stored are counted from the end of the call, and from the end of the flood.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import urllib3

from sandbox.endpoints import Endpoints
from sandbox.paths import SandboxPaths
from sandbox.stack import running_endpoints

_LIMIT: Final = 10
_THREADS: Final = 8
_POLL_INTERVAL_S: Final = 1.0
_MAX_WAIT_S: Final = 1800.0
_HTTP: Final = urllib3.PoolManager(retries=False, timeout=120.0, maxsize=_THREADS)


def main(number: int, day: str) -> None:
    """Announce `number` recordings that do not exist and one that does, and wait until it is stored.

    Raises:
        AssertionError: a call action was refused, the recording is not stored, or BIZTEL's rate was exceeded.
    """
    endpoints = running_endpoints(SandboxPaths.from_environment())
    control = f"{endpoints.biztel_url}/control"
    _request("POST", f"{control}/config", {"action_timeout_s": 120})
    before = _request("GET", f"{control}/requests")["count"]
    violations = _request("GET", f"{control}/usage")["violations"]
    now = datetime.now(UTC) + timedelta(hours=9)
    date = now if day == "today" else now - timedelta(days=40)
    ids = [f"{date:%y%m%d}{int(time.time()) % 10**6:06d}{index:06d}99" for index in range(number)]
    began = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as pool:
        first = list(pool.map(lambda id_: _announce(endpoints, id_), ids[: number // 2]))
        call_id = _request("POST", f"{control}/calls", {"tel": "09000000001"})["id"]
        ended = time.monotonic()
        announced = _request("GET", f"{endpoints.api_url}/v1/recordings/{call_id}", key=endpoints.api_key)
        assert announced["state"] in {"announced", "fetching", "stored"}, announced
        rest = pool.map(lambda id_: _announce(endpoints, id_), ids[number // 2 :])
        stored_at = _wait_until_stored(endpoints, call_id)
        statuses = set(first) | set(rest)
    flood_ended = time.monotonic()
    log = _request("GET", f"{control}/requests")
    print(f"{number} forged call actions of {day} in {flood_ended - began:.1f} s at most")
    print(f"the true recording is stored {stored_at - ended:.1f} s after its call, {stored_at - began:.1f} s in all")
    print(f"{log['count'] - before} requests until then: {log['statuses']}")
    times = sorted(item["at_s"] for item in log["items"][before:])
    most = max(sum(at <= other < at + 1 for other in times[index : index + 100]) for index, at in enumerate(times))
    print(f"the webhook answered {sorted(statuses)}; at most {most} requests in one second")
    assert statuses == {200}
    assert most <= _LIMIT
    assert _request("GET", f"{control}/usage")["violations"] == violations


def _announce(endpoints: Endpoints, recording_id: str) -> int:
    token = endpoints.webhook_tokens["biztel"]
    url = f"{endpoints.api_url}/v1/webhooks/biztel/{token}/monitor_file_event?ID={recording_id}&TEL=09000000002"
    date = datetime.now(UTC) + timedelta(hours=9)
    return _HTTP.request("GET", f"{url}&DATE={quote(f'{date:%Y-%m-%d %H:%M:%S}')}").status


def _wait_until_stored(endpoints: Endpoints, recording_id: str) -> float:
    deadline = time.monotonic() + _MAX_WAIT_S
    while time.monotonic() < deadline:
        recording = _request("GET", f"{endpoints.api_url}/v1/recordings/{recording_id}", key=endpoints.api_key)
        if recording["state"] == "stored":
            return time.monotonic()
        time.sleep(_POLL_INTERVAL_S)
    raise AssertionError("the recording is not stored")


def _request(method: str, url: str, body: object | None = None, *, key: str = "") -> Any:
    response = _HTTP.request(method, url, json=body, headers={"x-api-key": key} if key else None)
    assert response.status == 200, response.data
    return response.json()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(int(arguments[0]) if arguments else 2000, arguments[1] if len(arguments) > 1 else "other")
