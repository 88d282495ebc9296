"""The control endpoint: JSON requests from this machine that end calls, script faults and read what was counted."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from sandbox.simulators.biztel.audio import Content
from sandbox.simulators.biztel.calls import Call, file_name, spec_from_json
from sandbox.simulators.biztel.clocks import in_japan, moment
from sandbox.simulators.biztel.faults import fault_from_json
from sandbox.simulators.biztel.wording import Channel
from sandbox.simulators.readers import WrongJsonError, seconds, switch, text, whole

if TYPE_CHECKING:
    from sandbox.simulators.biztel.simulator import BiztelSimulator

PREFIX: Final = "/control/"
_MOST_CALLS_AT_ONCE: Final = 10_000

Json = dict[str, Any]
Route = Callable[["BiztelSimulator", Mapping[str, str], Any], "Json | Content"]
"""Takes the simulator, the query and the decoded body; raises ValueError for what it cannot use."""


def handle(
    simulator: "BiztelSimulator", method: str, path: str, query: Mapping[str, str], body: bytes
) -> tuple[int, Json | Content]:
    """Return the HTTP status and the answer to one control request; `path` is without the prefix."""
    route = ROUTES.get((method, path.rstrip("/")))
    if route is None:
        return 404, {"error": "no such control request", "routes": [f"{m} {PREFIX}{p}" for m, p in ROUTES]}
    try:
        return 200, route(simulator, query, json.loads(body) if body else {})
    except ValueError as problem:
        return 400, {"error": str(problem)}


def _calls(simulator: "BiztelSimulator", query: Mapping[str, str], _: Any) -> Json:
    wanted = [call for call in simulator.calls if query.get("id", call.call_id) == call.call_id]
    with simulator.waiting.changed:
        return {"count": len(wanted), "items": [_call(call) for call in wanted]}


def _call(call: Call) -> Json:
    return {
        "id": call.call_id,
        "tel": call.tel,
        "date": call.processed,
        "requests": {channel.value: call.requests[channel] for channel in Channel},
        "actions": [asdict(action) for action in call.actions],
    }


def _finish(simulator: "BiztelSimulator", _: Mapping[str, str], body: Any) -> Json:
    asked = _object(body)
    wait = switch(asked.pop("wait", True))
    call = simulator.finish(spec_from_json(asked), wait=wait)
    with simulator.waiting.changed:
        return _call(call)


def _finish_many(simulator: "BiztelSimulator", _: Mapping[str, str], body: Any) -> Json:
    asked = _object(body)
    wait, count = switch(asked.pop("wait", False)), whole(asked.pop("n", None))
    if not 0 < count <= _MOST_CALLS_AT_ONCE:
        raise WrongJsonError(f"n: must be from 1 to {_MOST_CALLS_AT_ONCE}")
    if asked.get("call_id") is not None:
        raise WrongJsonError("call_id: many calls cannot share one")
    calls = simulator.finish_many(count, spec_from_json(asked), wait=wait)
    with simulator.waiting.changed:
        answers = Counter(str(action.answer or action.problem) for call in calls for action in call.actions)
    return {"count": len(calls), "ids": [call.call_id for call in calls], "answers": dict(answers)}


def _repeat(simulator: "BiztelSimulator", _: Mapping[str, str], body: Any) -> Json:
    call = _existing(simulator, text(_object(body).get("id")))
    simulator.tell_again(call)
    with simulator.waiting.changed:
        return _call(call)


def _bulk(simulator: "BiztelSimulator", query: Mapping[str, str], _: Any) -> Json:
    call = _existing(simulator, query.get("id", ""))
    return {
        "files": [
            {
                "channel": channel.value,
                "name": file_name(call, channel),
                "bytes": simulator.provider.file(call, channel).length,
                "url": f"{simulator.control_url}file?{urlencode({'id': call.call_id, 'channel': channel})}",
            }
            for channel in call.spec.channels
        ]
    }


def _file(simulator: "BiztelSimulator", query: Mapping[str, str], _: Any) -> Content:
    call = _existing(simulator, query.get("id", ""))
    return simulator.provider.file(call, Channel(query.get("channel", "")))


def _requests(simulator: "BiztelSimulator", query: Mapping[str, str], _: Any) -> Json:
    seen = [request for request in simulator.requests if query.get("id", request.call_id) == request.call_id]
    statuses = Counter(str(request.status) for request in seen)
    channels = Counter(request.channel for request in seen)
    items = [asdict(request) for request in seen]
    return {"count": len(seen), "statuses": dict(statuses), "channels": dict(channels), "items": items}


def _usage(simulator: "BiztelSimulator", _query: Mapping[str, str], _: Any) -> Json:
    return simulator.provider.usage()


def _set_usage(simulator: "BiztelSimulator", _: Mapping[str, str], body: Any) -> Json:
    simulator.provider.set_month_used(whole(_object(body).get("used")))
    return simulator.provider.usage()


def _faults(simulator: "BiztelSimulator", _query: Mapping[str, str], _: Any) -> Json:
    return {"faults": simulator.provider.pending_faults()}


def _add_faults(simulator: "BiztelSimulator", _: Mapping[str, str], body: Any) -> Json:
    for fault in [fault_from_json(item) for item in (body if isinstance(body, list) else [body])]:
        simulator.provider.add_fault(fault)
    return _faults(simulator, {}, None)


def _set_token(simulator: "BiztelSimulator", _: Mapping[str, str], body: Any) -> Json:
    simulator.provider.set_token(text(_object(body).get("token")))
    return {}


def _config(simulator: "BiztelSimulator", _query: Mapping[str, str], _: Any) -> Json:
    return simulator.provider.config.shown()


def _change_config(simulator: "BiztelSimulator", _: Mapping[str, str], body: Any) -> Json:
    simulator.provider.configure(_object(body))
    return simulator.provider.config.shown()


def _clock(simulator: "BiztelSimulator", _query: Mapping[str, str], _: Any) -> Json:
    return {"now": in_japan(simulator.provider.wall_clock()).isoformat(timespec="seconds")}


def _set_clock(simulator: "BiztelSimulator", _: Mapping[str, str], body: Any) -> Json:
    asked = _object(body)
    if asked.keys() == {"now"}:
        simulator.provider.wall_clock.set(moment(asked["now"]))
    elif asked.keys() == {"advance_s"}:
        simulator.provider.wall_clock.advance(seconds(asked["advance_s"]))
    else:
        raise WrongJsonError("either now or advance_s is needed")
    return _clock(simulator, {}, None)


def _reset(simulator: "BiztelSimulator", _query: Mapping[str, str], _: Any) -> Json:
    simulator.provider.reset()
    return {}


def _existing(simulator: "BiztelSimulator", call_id: str) -> Call:
    call = simulator.provider.find(call_id)
    if call is None:
        raise WrongJsonError("id: there is no such call")
    return call


def _object(body: Any) -> Json:
    if not isinstance(body, dict):
        raise WrongJsonError("the body must be an object")
    return body


ROUTES: Final[dict[tuple[str, str], Route]] = {
    ("GET", "calls"): _calls,
    ("POST", "calls"): _finish,
    ("POST", "calls/many"): _finish_many,
    ("POST", "calls/repeat"): _repeat,
    ("GET", "bulk"): _bulk,
    ("GET", "file"): _file,
    ("GET", "requests"): _requests,
    ("GET", "usage"): _usage,
    ("POST", "usage"): _set_usage,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_faults,
    ("POST", "token"): _set_token,
    ("GET", "config"): _config,
    ("POST", "config"): _change_config,
    ("GET", "clock"): _clock,
    ("POST", "clock"): _set_clock,
    ("POST", "reset"): _reset,
}
