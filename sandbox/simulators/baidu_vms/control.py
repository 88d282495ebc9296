"""The control endpoint: JSON requests from this machine that script the simulator and read what it received."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sandbox.simulators.baidu_vms.faults import fault_from_json
from sandbox.simulators.controlling import Json, Routes, object_of
from sandbox.simulators.readers import text
from sandbox.simulators.routes import adding_faults, change_config, config, faults, reset

if TYPE_CHECKING:
    from sandbox.simulators.baidu_vms.simulator import BaiduVmsSimulator


def _calls(simulator: "BaiduVmsSimulator", query: Mapping[str, str], _: Any) -> Json:
    wanted = [
        call
        for call in simulator.calls
        if query.get("number", call.number) == call.number
        and query.get("token", call.client_token) == call.client_token
        and query.get("call_id", call.call_id) == call.call_id
    ]
    with simulator.waiting.changed:
        return {
            "count": len(wanted),
            "by_number": dict(Counter(call.number for call in wanted)),
            "by_token": dict(Counter(call.client_token for call in wanted if call.client_token is not None)),
            "items": [asdict(call) for call in wanted],
        }


def _requests(simulator: "BaiduVmsSimulator", query: Mapping[str, str], _: Any) -> Json:
    wanted = [
        request
        for request in simulator.requests
        if query.get("number", request.number) == request.number
        and query.get("token", request.client_token) == request.client_token
    ]
    return {
        "count": len(wanted),
        "placed": sum(request.placed for request in wanted),
        "codes": dict(Counter(request.code or str(request.http_status) for request in wanted)),
        "items": [asdict(request) for request in wanted],
    }


def _set_credentials(simulator: "BaiduVmsSimulator", _: Mapping[str, str], body: Any) -> Json:
    asked = object_of(body)
    simulator.provider.set_credentials(
        access_key=text(asked.get("access_key")), secret_key=text(asked.get("secret_key"))
    )
    return {}


def _push_callback(simulator: "BaiduVmsSimulator", _: Mapping[str, str], body: Any) -> Json:
    return asdict(simulator.provider.push_callback(text(object_of(body).get("call_id"))))


ROUTES: Final[Routes["BaiduVmsSimulator"]] = {
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
