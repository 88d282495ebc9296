"""The control endpoint: JSON requests from this machine that script the simulator and read what it received."""

from collections import Counter
from dataclasses import asdict
from typing import Final

from sandbox.simulators.baidu_vms.faults import fault_from_json
from sandbox.simulators.baidu_vms.provider import Provider
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
from sandbox.simulators.json_readers import read_text


def _calls(provider: Provider, request: ControlRequest) -> Json:
    wanted = [
        call
        for call in provider.calls
        if request.query.get("number", call.number) == call.number
        and request.query.get("token", call.client_token) == call.client_token
        and request.query.get("call_id", call.call_id) == call.call_id
    ]
    with provider.lock.changed:
        return {
            "count": len(wanted),
            "by_number": dict(Counter(call.number for call in wanted)),
            "by_token": dict(Counter(call.client_token for call in wanted if call.client_token is not None)),
            "items": [asdict(call) for call in wanted],
        }


def _requests(provider: Provider, request: ControlRequest) -> Json:
    wanted = [
        seen
        for seen in provider.requests
        if request.query.get("number", seen.number) == seen.number
        and request.query.get("token", seen.client_token) == seen.client_token
    ]
    return {
        "count": len(wanted),
        "placed": sum(seen.placed for seen in wanted),
        "codes": dict(Counter(seen.code or str(seen.http_status) for seen in wanted)),
        "items": [asdict(seen) for seen in wanted],
    }


def _set_credentials(provider: Provider, request: ControlRequest) -> Json:
    asked = object_of(request.body)
    provider.set_credentials(
        access_key=read_text(asked.get("access_key")), secret_key=read_text(asked.get("secret_key"))
    )
    return {}


def _push_callback(provider: Provider, request: ControlRequest) -> Json:
    return asdict(provider.push_callback(read_text(object_of(request.body).get("call_id"))))


ROUTES: Final[Routes[Provider]] = {
    ("GET", "calls"): _calls,
    ("GET", "requests"): _requests,
    ("GET", "faults"): faults,
    ("POST", "faults"): adding_faults(fault_from_json),
    ("POST", "credentials"): _set_credentials,
    ("GET", "config"): config,
    ("POST", "config"): change_config,
    ("POST", "callback"): _push_callback,
    ("POST", "reset"): reset,
}
