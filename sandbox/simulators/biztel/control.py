"""Holds the control requests: JSON from this machine that ends calls, scripts faults and reads the counts."""

from collections import Counter
from dataclasses import asdict
from typing import Final
from urllib.parse import urlencode

from sandbox.simulators.biztel.audio import Content
from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.biztel.faults import read_fault
from sandbox.simulators.biztel.provider import Provider
from sandbox.simulators.biztel.recorded_calls import RecordedCall, file_name, read_spec
from sandbox.simulators.biztel.wall_clock import japan_time, read_moment
from sandbox.simulators.control import (
    ControlRequest,
    Json,
    Routes,
    change_config,
    create_fault_route,
    get_config,
    get_faults,
    read_object,
    reset,
)
from sandbox.simulators.json_readers import (
    WrongJsonError,
    read_seconds,
    read_switch,
    read_text,
    read_whole_number,
)

_MAX_CALLS_AT_ONCE: Final = 10_000


def _get_calls(provider: Provider, request: ControlRequest) -> Json:
    calls = [call for call in provider.calls if request.query.get("id", call.call_id) == call.call_id]
    with provider.lock:
        return {"count": len(calls), "items": [_call_to_json(call) for call in calls]}


def _call_to_json(call: RecordedCall) -> Json:
    return {
        "id": call.call_id,
        "tel": call.tel,
        "date": call.processed,
        "requests": {channel.value: call.requests[channel] for channel in Channel},
        "actions": [asdict(attempt) for attempt in call.actions],
    }


def _end_call(provider: Provider, request: ControlRequest) -> Json:
    body = read_object(request.body)
    wait = read_switch(body.pop("wait", True))
    [call] = provider.end_calls(1, read_spec(body), wait=wait)
    with provider.lock:
        return _call_to_json(call)


def _end_calls(provider: Provider, request: ControlRequest) -> Json:
    body = read_object(request.body)
    wait, count = read_switch(body.pop("wait", False)), read_whole_number(body.pop("n", None))
    if not 0 < count <= _MAX_CALLS_AT_ONCE:
        raise WrongJsonError(f"n: must be from 1 to {_MAX_CALLS_AT_ONCE}")
    if body.get("call_id") is not None:
        raise WrongJsonError("call_id: many calls cannot share one")
    calls = provider.end_calls(count, read_spec(body), wait=wait)
    with provider.lock:
        answers = Counter(str(attempt.answer or attempt.problem) for call in calls for attempt in call.actions)
    return {"count": len(calls), "ids": [call.call_id for call in calls], "answers": dict(answers)}


def _repeat_call_action(provider: Provider, request: ControlRequest) -> Json:
    call = _find_call(provider, read_text(read_object(request.body).get("id")))
    provider.repeat_call_action(call)
    with provider.lock:
        return _call_to_json(call)


def _get_bulk_files(provider: Provider, request: ControlRequest) -> Json:
    call = _find_call(provider, request.query.get("id", ""))
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


def _get_file(provider: Provider, request: ControlRequest) -> Content:
    call = _find_call(provider, request.query.get("id", ""))
    return provider.file(call, Channel(request.query.get("channel", "")))


def _get_requests(provider: Provider, request: ControlRequest) -> Json:
    records = [record for record in provider.requests if request.query.get("id", record.call_id) == record.call_id]
    statuses = Counter(str(record.status) for record in records)
    channels = Counter(record.channel for record in records)
    items = [asdict(record) for record in records]
    return {"count": len(records), "statuses": dict(statuses), "channels": dict(channels), "items": items}


def _get_usage(provider: Provider, _: ControlRequest) -> Json:
    return provider.usage()


def _set_usage(provider: Provider, request: ControlRequest) -> Json:
    provider.set_month_used(read_whole_number(read_object(request.body).get("used")))
    return provider.usage()


def _set_token(provider: Provider, request: ControlRequest) -> Json:
    provider.set_token(read_text(read_object(request.body).get("token")))
    return {}


def _get_clock(provider: Provider, _: ControlRequest) -> Json:
    return {"now": japan_time(provider.wall_clock()).isoformat(timespec="seconds")}


def _set_clock(provider: Provider, request: ControlRequest) -> Json:
    body = read_object(request.body)
    if body.keys() == {"now"}:
        provider.wall_clock.set(read_moment(body["now"]))
    elif body.keys() == {"advance_s"}:
        provider.wall_clock.advance(read_seconds(body["advance_s"]))
    else:
        raise WrongJsonError("either now or advance_s is needed")
    return _get_clock(provider, request)


def _find_call(provider: Provider, call_id: str) -> RecordedCall:
    call = provider.find(call_id)
    if call is None:
        raise WrongJsonError("id: there is no such call")
    return call


ROUTES: Final[Routes[Provider]] = {
    ("GET", "calls"): _get_calls,
    ("POST", "calls"): _end_call,
    ("POST", "calls/many"): _end_calls,
    ("POST", "calls/repeat"): _repeat_call_action,
    ("GET", "bulk"): _get_bulk_files,
    ("GET", "file"): _get_file,
    ("GET", "requests"): _get_requests,
    ("GET", "usage"): _get_usage,
    ("POST", "usage"): _set_usage,
    ("GET", "faults"): get_faults,
    ("POST", "faults"): create_fault_route(read_fault),
    ("POST", "token"): _set_token,
    ("GET", "config"): get_config,
    ("POST", "config"): change_config,
    ("GET", "clock"): _get_clock,
    ("POST", "clock"): _set_clock,
    ("POST", "reset"): reset,
}
