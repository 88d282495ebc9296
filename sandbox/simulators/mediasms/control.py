"""The control endpoint: JSON requests from this machine that script the simulator and read what it received."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sandbox.simulators.controlling import Json, Routes, object_of
from sandbox.simulators.mediasms.faults import fault_from_json
from sandbox.simulators.mediasms.numbers import script_from_json, script_to_json
from sandbox.simulators.mediasms.records import Message
from sandbox.simulators.readers import optional, seconds, switch, text, whole
from sandbox.simulators.routes import adding_faults, change_config, config, faults, reset

if TYPE_CHECKING:
    from sandbox.simulators.mediasms.simulator import MediaSmsSimulator


def _messages(simulator: "MediaSmsSimulator", query: Mapping[str, str], _: Any) -> Json:
    wanted = [
        message
        for message in simulator.messages
        if query.get("smsid", message.smsid) == message.smsid and query.get("number", message.number) == message.number
    ]
    with simulator.waiting.changed:
        return {"count": len(wanted), "items": [_message(message) for message in wanted]}


def _message(message: Message) -> Json:
    return {
        "sequence": message.sequence,
        "smsid": message.smsid,
        "number": message.number,
        "at": message.at,
        "at_s": message.at_s,
        "source": message.source,
        "parameters": dict(message.parameters),
        "received_by_phone": message.received_by_phone,
        "status": message.status,
        "transitions": [{"status": status, "at_s": at_s} for status, at_s in message.transitions],
        "reports": [asdict(report) for report in message.reports],
    }


def _requests(simulator: "MediaSmsSimulator", _query: Mapping[str, str], _: Any) -> Json:
    seen = simulator.requests
    codes = Counter(str(request.code) for request in seen)
    return {"count": len(seen), "codes": dict(codes), "items": [asdict(request) for request in seen]}


def _set_credentials(simulator: "MediaSmsSimulator", _: Mapping[str, str], body: Any) -> Json:
    asked = object_of(body)
    simulator.provider.set_credentials(user=text(asked.get("user")), password=text(asked.get("password")))
    return {}


def _numbers(simulator: "MediaSmsSimulator", _query: Mapping[str, str], _: Any) -> Json:
    return {number: script_to_json(script) for number, script in simulator.provider.numbers.items()}


def _script_number(simulator: "MediaSmsSimulator", _: Mapping[str, str], body: Any) -> Json:
    asked = object_of(body)
    script = script_from_json(asked)
    simulator.provider.script_number(text(asked.get("number")), script)
    return script_to_json(script)


def _push_report(simulator: "MediaSmsSimulator", _: Mapping[str, str], body: Any) -> Json:
    asked = object_of(body)
    parameters = {text(key): text(value) for key, value in object_of(asked.get("parameters", {})).items()}
    report = simulator.provider.push_report(text(asked.get("smsid")), whole(asked.get("status")), parameters)
    return asdict(report)


def _dial(simulator: "MediaSmsSimulator", _: Mapping[str, str], body: Any) -> Json:
    asked = object_of(body)
    hangs_up = switch(asked.get("hang_up", False))
    dialled = simulator.provider.exchange.dial(text(asked.get("number")), text(asked.get("line")), hangs_up=hangs_up)
    return asdict(dialled)


def _verifications(simulator: "MediaSmsSimulator", query: Mapping[str, str], _: Any) -> Json:
    with simulator.waiting.changed:
        items = [
            request.shown(simulator.now_s)
            for request in simulator.provider.exchange.requests
            if query.get("smsid", request.message.smsid) == request.message.smsid
            and query.get("number", request.number) == request.number
        ]
    return {"count": len(items), "items": items}


def _push_callback(simulator: "MediaSmsSimulator", _: Mapping[str, str], body: Any) -> Json:
    asked = object_of(body)
    parameters = {text(key): text(value) for key, value in object_of(asked.get("parameters", {})).items()}
    return asdict(simulator.provider.exchange.push_now(text(asked.get("smsid", "")), parameters))


def _clock(simulator: "MediaSmsSimulator", _query: Mapping[str, str], _: Any) -> Json:
    return {"now_s": simulator.now_s}


def _put_clock_forward(simulator: "MediaSmsSimulator", _: Mapping[str, str], body: Any) -> Json:
    simulator.advance(seconds(object_of(body).get("advance_s")))
    return _clock(simulator, {}, None)


def _unblock(simulator: "MediaSmsSimulator", _: Mapping[str, str], body: Any) -> Json:
    simulator.provider.unblock(optional(text)(object_of(body).get("address")))
    return _blocked(simulator, {}, None)


def _blocked(simulator: "MediaSmsSimulator", _query: Mapping[str, str], _: Any) -> Json:
    return {"blocked": simulator.provider.blocked_addresses()}


ROUTES: Final[Routes["MediaSmsSimulator"]] = {
    ("GET", "messages"): _messages,
    ("GET", "requests"): _requests,
    ("GET", "faults"): faults,
    ("POST", "faults"): adding_faults(fault_from_json),
    ("POST", "credentials"): _set_credentials,
    ("GET", "config"): config,
    ("POST", "config"): change_config,
    ("GET", "numbers"): _numbers,
    ("POST", "numbers"): _script_number,
    ("POST", "report"): _push_report,
    ("POST", "dial"): _dial,
    ("GET", "ivr"): _verifications,
    ("POST", "ivr"): _push_callback,
    ("GET", "clock"): _clock,
    ("POST", "clock"): _put_clock_forward,
    ("GET", "blocked"): _blocked,
    ("POST", "unblock"): _unblock,
    ("POST", "reset"): reset,
}
