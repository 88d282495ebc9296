"""The control endpoint: JSON requests from this machine that end calls, script faults and read what was counted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from sandbox.simulators.biztel.audio import Content
from sandbox.simulators.biztel.calls import Call, file_name, spec_from_json
from sandbox.simulators.biztel.clocks import in_japan, moment
from sandbox.simulators.biztel.faults import fault_from_json
from sandbox.simulators.biztel.wording import Channel
from sandbox.simulators.controlling import Json, Routes, object_of
from sandbox.simulators.readers import WrongJsonError, seconds, switch, text, whole
from sandbox.simulators.routes import adding_faults, change_config, config, faults, reset

if TYPE_CHECKING:
    from sandbox.simulators.biztel.simulator import BiztelSimulator

_MOST_CALLS_AT_ONCE: Final = 10_000


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
    asked = object_of(body)
    wait = switch(asked.pop("wait", True))
    call = simulator.finish(spec_from_json(asked), wait=wait)
    with simulator.waiting.changed:
        return _call(call)


def _finish_many(simulator: "BiztelSimulator", _: Mapping[str, str], body: Any) -> Json:
    asked = object_of(body)
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
    call = _existing(simulator, text(object_of(body).get("id")))
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
    simulator.provider.set_month_used(whole(object_of(body).get("used")))
    return simulator.provider.usage()


def _set_token(simulator: "BiztelSimulator", _: Mapping[str, str], body: Any) -> Json:
    simulator.provider.set_token(text(object_of(body).get("token")))
    return {}


def _clock(simulator: "BiztelSimulator", _query: Mapping[str, str], _: Any) -> Json:
    return {"now": in_japan(simulator.provider.wall_clock()).isoformat(timespec="seconds")}


def _set_clock(simulator: "BiztelSimulator", _: Mapping[str, str], body: Any) -> Json:
    asked = object_of(body)
    if asked.keys() == {"now"}:
        simulator.provider.wall_clock.set(moment(asked["now"]))
    elif asked.keys() == {"advance_s"}:
        simulator.provider.wall_clock.advance(seconds(asked["advance_s"]))
    else:
        raise WrongJsonError("either now or advance_s is needed")
    return _clock(simulator, {}, None)


def _existing(simulator: "BiztelSimulator", call_id: str) -> Call:
    call = simulator.provider.find(call_id)
    if call is None:
        raise WrongJsonError("id: there is no such call")
    return call


ROUTES: Final[Routes["BiztelSimulator"]] = {
    ("GET", "calls"): _calls,
    ("POST", "calls"): _finish,
    ("POST", "calls/many"): _finish_many,
    ("POST", "calls/repeat"): _repeat,
    ("GET", "bulk"): _bulk,
    ("GET", "file"): _file,
    ("GET", "requests"): _requests,
    ("GET", "usage"): _usage,
    ("POST", "usage"): _set_usage,
    ("GET", "faults"): faults,
    ("POST", "faults"): adding_faults(fault_from_json),
    ("POST", "token"): _set_token,
    ("GET", "config"): config,
    ("POST", "config"): change_config,
    ("GET", "clock"): _clock,
    ("POST", "clock"): _set_clock,
    ("POST", "reset"): reset,
}
