"""Holds the control requests: JSON from this machine that scripts the simulator and reads what it received."""

from collections import Counter
from dataclasses import asdict
from typing import Final

from sandbox.simulators.baidu_vms.faults import read_fault
from sandbox.simulators.baidu_vms.provider import Provider
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
from sandbox.simulators.json_readers import read_text


def _get_calls(provider: Provider, request: ControlRequest) -> Json:
    query = request.query
    calls = [
        call
        for call in provider.calls
        if query.get("number", call.number) == call.number
        and query.get("token", call.client_token) == call.client_token
        and query.get("call_id", call.call_id) == call.call_id
    ]
    with provider.lock:
        return {
            "count": len(calls),
            "by_number": dict(Counter(call.number for call in calls)),
            "by_token": dict(Counter(call.client_token for call in calls if call.client_token is not None)),
            "items": [asdict(call) for call in calls],
        }


def _get_requests(provider: Provider, request: ControlRequest) -> Json:
    query = request.query
    records = [
        record
        for record in provider.requests
        if query.get("number", record.number) == record.number
        and query.get("token", record.client_token) == record.client_token
    ]
    return {
        "count": len(records),
        "placed": sum(record.placed for record in records),
        "codes": dict(Counter(record.code or str(record.http_status) for record in records)),
        "items": [asdict(record) for record in records],
    }


def _set_credentials(provider: Provider, request: ControlRequest) -> Json:
    body = read_object(request.body)
    provider.set_credentials(access_key=read_text(body.get("access_key")), secret_key=read_text(body.get("secret_key")))
    return {}


def _push_callback(provider: Provider, request: ControlRequest) -> Json:
    return asdict(provider.push_callback(read_text(read_object(request.body).get("call_id"))))


ROUTES: Final[Routes[Provider]] = {
    ("GET", "calls"): _get_calls,
    ("GET", "requests"): _get_requests,
    ("GET", "faults"): get_faults,
    ("POST", "faults"): create_fault_route(read_fault),
    ("POST", "credentials"): _set_credentials,
    ("GET", "config"): get_config,
    ("POST", "config"): change_config,
    ("POST", "callback"): _push_callback,
    ("POST", "reset"): reset,
}
