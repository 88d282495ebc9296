"""The control endpoint: JSON requests from this machine that end calls, script faults and read what was counted."""

from collections import Counter
from dataclasses import asdict
from typing import Final
from urllib.parse import urlencode

from sandbox.simulators.biztel.audio import Content
from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.biztel.faults import fault_from_json
from sandbox.simulators.biztel.provider import Provider
from sandbox.simulators.biztel.recorded_calls import RecordedCall, file_name, spec_from_json
from sandbox.simulators.biztel.wall_clock import in_japan, moment
from sandbox.simulators.control import (
    ControlRequest,
    Json,
    Routes,
    adding_faults,
    change_config,
    config,
    faults,
    object_of,
    reset,
)
from sandbox.simulators.json_readers import WrongJsonError, read_seconds, read_switch, read_text, read_whole_number

_MOST_CALLS_AT_ONCE: Final = 10_000


def _calls(provider: Provider, request: ControlRequest) -> Json:
    wanted = [call for call in provider.calls if request.query.get("id", call.call_id) == call.call_id]
    with provider.lock.changed:
        return {"count": len(wanted), "items": [_call(call) for call in wanted]}


def _call(call: RecordedCall) -> Json:
    return {
        "id": call.call_id,
        "tel": call.tel,
        "date": call.processed,
        "requests": {channel.value: call.requests[channel] for channel in Channel},
        "actions": [asdict(action) for action in call.actions],
    }


def _finish(provider: Provider, request: ControlRequest) -> Json:
    asked = object_of(request.body)
    wait = read_switch(asked.pop("wait", True))
    call = provider.finish_many(1, spec_from_json(asked), wait=wait)[0]
    with provider.lock.changed:
        return _call(call)


def _finish_many(provider: Provider, request: ControlRequest) -> Json:
    asked = object_of(request.body)
    wait, count = read_switch(asked.pop("wait", False)), read_whole_number(asked.pop("n", None))
    if not 0 < count <= _MOST_CALLS_AT_ONCE:
        raise WrongJsonError(f"n: must be from 1 to {_MOST_CALLS_AT_ONCE}")
    if asked.get("call_id") is not None:
        raise WrongJsonError("call_id: many calls cannot share one")
    calls = provider.finish_many(count, spec_from_json(asked), wait=wait)
    with provider.lock.changed:
        answers = Counter(str(action.answer or action.problem) for call in calls for action in call.actions)
    return {"count": len(calls), "ids": [call.call_id for call in calls], "answers": dict(answers)}


def _repeat(provider: Provider, request: ControlRequest) -> Json:
    call = _existing(provider, read_text(object_of(request.body).get("id")))
    provider.repeat_call_action(call)
    with provider.lock.changed:
        return _call(call)


def _bulk(provider: Provider, request: ControlRequest) -> Json:
    call = _existing(provider, request.query.get("id", ""))
    return {
        "files": [
            {
                "channel": channel.value,
                "name": file_name(call, channel),
                "bytes": provider.file(call, channel).length,
                "url": f"{request.control_url}file?{urlencode({'id': call.call_id, 'channel': channel})}",
            }
            for channel in call.spec.channels
        ]
    }


def _file(provider: Provider, request: ControlRequest) -> Content:
    call = _existing(provider, request.query.get("id", ""))
    return provider.file(call, Channel(request.query.get("channel", "")))


def _requests(provider: Provider, request: ControlRequest) -> Json:
    requests = [seen for seen in provider.requests if request.query.get("id", seen.call_id) == seen.call_id]
    statuses = Counter(str(seen.status) for seen in requests)
    channels = Counter(seen.channel for seen in requests)
    items = [asdict(seen) for seen in requests]
    return {"count": len(requests), "statuses": dict(statuses), "channels": dict(channels), "items": items}


def _usage(provider: Provider, _: ControlRequest) -> Json:
    return provider.usage()


def _set_usage(provider: Provider, request: ControlRequest) -> Json:
    provider.set_month_used(read_whole_number(object_of(request.body).get("used")))
    return provider.usage()


def _set_token(provider: Provider, request: ControlRequest) -> Json:
    provider.set_token(read_text(object_of(request.body).get("token")))
    return {}


def _clock(provider: Provider, _: ControlRequest) -> Json:
    return {"now": in_japan(provider.wall_clock()).isoformat(timespec="seconds")}


def _set_clock(provider: Provider, request: ControlRequest) -> Json:
    asked = object_of(request.body)
    if asked.keys() == {"now"}:
        provider.wall_clock.set(moment(asked["now"]))
    elif asked.keys() == {"advance_s"}:
        provider.wall_clock.advance(read_seconds(asked["advance_s"]))
    else:
        raise WrongJsonError("either now or advance_s is needed")
    return _clock(provider, request)


def _existing(provider: Provider, call_id: str) -> RecordedCall:
    call = provider.find(call_id)
    if call is None:
        raise WrongJsonError("id: there is no such call")
    return call


ROUTES: Final[Routes[Provider]] = {
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
