"""A thousand calls that end at once, against the running sandbox: `python -m benchmarks.many_calls [number]`.

All recordings must be stored, with one request a channel. Each request must be counted in the monthly quota, and no
second may have more requests than BIZTEL allows.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import urllib3

from sandbox.endpoints import Endpoints
from sandbox.paths import SandboxPaths as Places
from sandbox.stack import running_endpoints

_LIMIT: Final = 10
_CHANNELS: Final = 2
_PAGE: Final = 100
_POLL_INTERVAL_S: Final = 5.0
_HTTP: Final = urllib3.PoolManager(retries=False, timeout=600.0)


def main(count: int) -> None:
    """End `count` calls and wait for their recordings.

    Raises:
        AssertionError: a recording is lost, or a request was repeated, too fast or not counted.
    """
    endpoints = running_endpoints(Places.from_environment())
    biztel = f"{endpoints.biztel_url}/control"
    requests_before = _request(f"{biztel}/requests")["count"]
    violations_before = _request(f"{biztel}/usage")["violations"]
    used_before = _read_monthly_usage(endpoints)
    # The emulator shares this machine with every function: a callback may take longer than BIZTEL waits.
    _request(f"{biztel}/config", {"action_timeout_s": 120})
    began = time.monotonic()
    calls = set(_request(f"{biztel}/calls/many", {"n": count})["ids"])
    assert len(calls) == count
    while True:
        log = _request(f"{biztel}/requests")
        made = log["count"] - requests_before
        print(f"{time.monotonic() - began:6.1f} s  {made} of {_CHANNELS * count} requests", flush=True)
        # The listing is read last, since the emulator is busy until then.
        if made >= _CHANNELS * count and calls <= set(_list_stored(endpoints)):
            break
        time.sleep(_POLL_INTERVAL_S)
    # Requests for earlier calls without a recording go on meanwhile, and take their part of the rate.
    all_requests = log["items"][requests_before:]
    requests = [request for request in all_requests if request["call_id"] in calls]
    times = sorted(request["at_s"] for request in all_requests)
    most = max(sum(at <= other < at + 1 for other in times[index : index + 100]) for index, at in enumerate(times))
    files = {(request["call_id"], request["channel"]) for request in requests if request["status"] == 200}
    print(f"{made / (times[-1] - times[0]):.2f} requests a second, at most {most} in one second, {log['statuses']}")
    assert len(files) == len(requests) == _CHANNELS * count
    assert most <= _LIMIT
    assert _request(f"{biztel}/usage")["violations"] == violations_before
    assert _read_monthly_usage(endpoints) - used_before == len(all_requests)


def _read_monthly_usage(endpoints: Endpoints) -> int:
    """Return the number of requests that this system has counted in the month."""
    status = _request(f"{endpoints.api_url}/v1/status", api_key=endpoints.api_key)
    used: int = status["month_quotas"]["biztel"]["used"]
    return used


def _list_stored(endpoints: Endpoints) -> Iterator[str]:
    """Yield the ids of all recordings that are stored whole."""
    first = f"{endpoints.api_url}/v1/recordings?state=stored&limit={_PAGE}"
    page = _request(first, api_key=endpoints.api_key)
    while True:
        yield from (recording["recording_id"] for recording in page["items"])
        if not page["next"]:
            return
        page = _request(f"{first}&cursor={quote(page['next'])}", api_key=endpoints.api_key)


def _request(url: str, body: object | None = None, *, api_key: str = "") -> Any:
    method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
    response = _HTTP.request(method, url, body=data, headers={"x-api-key": api_key} if api_key else None)
    assert response.status == 200, response.data
    return response.json()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
