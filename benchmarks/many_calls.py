"""A thousand calls that end at once, against the sandbox that is up: `python -m benchmarks.many_calls [how many]`.

All are to be stored, with one request a channel, each counted in the month, and never more in a second than BIZTEL
takes.
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
_LOOK_EVERY_S: Final = 5.0
_HTTP: Final = urllib3.PoolManager(retries=False, timeout=600.0)


def main(count: int) -> None:
    """Raises AssertionError where something is lost, made twice, too fast or not counted."""
    endpoints = running_endpoints(Places.from_environment())
    biztel = f"{endpoints.biztel_url}/control"
    before, refused = _asked(f"{biztel}/requests")["count"], _asked(f"{biztel}/usage")["violations"]
    counted = _counted(endpoints)
    # The emulator shares this machine with every function: it may take longer than BIZTEL waits.
    _asked(f"{biztel}/config", {"action_timeout_s": 120})
    began = time.monotonic()
    calls = set(_asked(f"{biztel}/calls/many", {"n": count})["ids"])
    assert len(calls) == count
    while True:
        seen = _asked(f"{biztel}/requests")
        made = seen["count"] - before
        print(f"{time.monotonic() - began:6.1f} s  {made} of {_CHANNELS * count} requests", flush=True)
        # Pages of the API are asked for late: the emulator has enough to do.
        if made >= _CHANNELS * count and calls <= set(_stored(endpoints)):
            break
        time.sleep(_LOOK_EVERY_S)
    # What was announced before, and there is no recording of, is still being asked for: it takes its part of the pace.
    everything = seen["items"][before:]
    items = [each for each in everything if each["call_id"] in calls]
    times = sorted(each["at_s"] for each in everything)
    most = max(sum(at <= other < at + 1 for other in times[index : index + 100]) for index, at in enumerate(times))
    each_once = {(each["call_id"], each["channel"]) for each in items if each["status"] == 200}
    print(f"{made / (times[-1] - times[0]):.2f} requests a second, {most} at most in any, {seen['statuses']}")
    assert len(each_once) == len(items) == _CHANNELS * count
    assert most <= _LIMIT
    assert _asked(f"{biztel}/usage")["violations"] == refused
    assert _counted(endpoints) - counted == len(everything)


def _counted(endpoints: Endpoints) -> int:
    """What this system has counted of the month."""
    status = _asked(f"{endpoints.api_url}/v1/status", api_key=endpoints.api_key)
    used: int = status["month_quotas"]["biztel"]["used"]
    return used


def _stored(endpoints: Endpoints) -> Iterator[str]:
    """The ids of all recordings that are stored whole."""
    first = f"{endpoints.api_url}/v1/recordings?state=stored&limit={_PAGE}"
    page = _asked(first, api_key=endpoints.api_key)
    while True:
        yield from (each["recording_id"] for each in page["items"])
        if not page["next"]:
            return
        page = _asked(f"{first}&next_slot={quote(page['next'])}", api_key=endpoints.api_key)


def _asked(url: str, body: object | None = None, *, api_key: str = "") -> Any:
    method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
    answer = _HTTP.request(method, url, body=data, headers={"x-api-key": api_key} if api_key else None)
    assert answer.status == 200, answer.data
    return answer.json()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
