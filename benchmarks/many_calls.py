"""A thousand calls that end at once, against the sandbox that is up: `python -m benchmarks.many_calls [how many]`.

All are to be stored, with a request a channel, and never more requests in a second than BIZTEL takes.
"""

import json
import sys
import time
from typing import Any

import urllib3

from sandbox.places import Places
from sandbox.stack import running_endpoints

_LIMIT = 10
_HTTP = urllib3.PoolManager(retries=False, timeout=600.0)
_LOOK_EVERY_S = 5.0
_CHANNELS = 2


def main(count: int) -> None:
    """Raises AssertionError where something is lost, made twice or too fast."""
    biztel = f"{running_endpoints(Places.from_environment()).biztel_url}/control"
    before = _asked(f"{biztel}/requests")["count"]
    # The emulator shares this machine with every function: it may take longer than BIZTEL waits.
    _asked(f"{biztel}/config", {"action_timeout_s": 120})
    began = time.monotonic()
    calls = _asked(f"{biztel}/calls/many", {"n": count})
    while True:
        seen = _asked(f"{biztel}/requests")
        made = seen["count"] - before
        print(f"{time.monotonic() - began:6.1f} s  {made} of {_CHANNELS * count} requests", flush=True)
        if made >= _CHANNELS * count:
            break
        time.sleep(_LOOK_EVERY_S)
    items = seen["items"][before:]
    times = sorted(each["at_s"] for each in items)
    most = max(sum(at <= other < at + 1 for other in times[index:]) for index, at in enumerate(times))
    each_once = {(each["call_id"], each["channel"]) for each in items if each["status"] == 200}
    print(f"{made / (times[-1] - times[0]):.2f} requests a second, {most} at most in any, {seen['statuses']}")
    assert len(calls["ids"]) == count
    assert len(each_once) == len(items) == _CHANNELS * count
    assert most <= _LIMIT


def _asked(url: str, body: object | None = None) -> Any:
    return _HTTP.request("GET" if body is None else "POST", url, body=None if body is None else json.dumps(body)).json()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
