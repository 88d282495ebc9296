"""The control endpoint: JSON requests from this machine that script the simulator and read what it received."""

from collections import Counter
from dataclasses import asdict
from typing import Final

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
from sandbox.simulators.json_readers import optional_reader, read_seconds, read_switch, read_text, read_whole_number
from sandbox.simulators.mediasms.faults import fault_from_json
from sandbox.simulators.mediasms.numbers import script_from_json, script_to_json
from sandbox.simulators.mediasms.provider import Provider
from sandbox.simulators.mediasms.records import Message


def _messages(provider: Provider, request: ControlRequest) -> Json:
    wanted = [
        message
        for message in provider.messages
        if request.query.get("smsid", message.smsid) == message.smsid
        and request.query.get("number", message.number) == message.number
    ]
    with provider.lock.changed:
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


def _requests(provider: Provider, _: ControlRequest) -> Json:
    seen = provider.requests
    codes = Counter(str(request.code) for request in seen)
    return {"count": len(seen), "codes": dict(codes), "items": [asdict(request) for request in seen]}


def _set_credentials(provider: Provider, request: ControlRequest) -> Json:
    asked = object_of(request.body)
    provider.set_credentials(user=read_text(asked.get("user")), password=read_text(asked.get("password")))
    return {}


def _numbers(provider: Provider, _: ControlRequest) -> Json:
    return {number: script_to_json(script) for number, script in provider.numbers.items()}


def _script_number(provider: Provider, request: ControlRequest) -> Json:
    asked = object_of(request.body)
    script = script_from_json(asked)
    provider.script_number(read_text(asked.get("number")), script)
    return script_to_json(script)


def _push_report(provider: Provider, request: ControlRequest) -> Json:
    asked = object_of(request.body)
    parameters = {read_text(key): read_text(value) for key, value in object_of(asked.get("parameters", {})).items()}
    report = provider.push_report(read_text(asked.get("smsid")), read_whole_number(asked.get("status")), parameters)
    return asdict(report)


def _dial(provider: Provider, request: ControlRequest) -> Json:
    asked = object_of(request.body)
    hangs_up = read_switch(asked.get("hang_up", False))
    dialled = provider.exchange.dial(read_text(asked.get("number")), read_text(asked.get("line")), hangs_up=hangs_up)
    return asdict(dialled)


def _verifications(provider: Provider, request: ControlRequest) -> Json:
    with provider.lock.changed:
        items = [
            verification.shown(provider.now_s)
            for verification in provider.exchange.requests
            if request.query.get("smsid", verification.message.smsid) == verification.message.smsid
            and request.query.get("number", verification.number) == verification.number
        ]
    return {"count": len(items), "items": items}


def _push_callback(provider: Provider, request: ControlRequest) -> Json:
    asked = object_of(request.body)
    parameters = {read_text(key): read_text(value) for key, value in object_of(asked.get("parameters", {})).items()}
    return asdict(provider.exchange.push_now(read_text(asked.get("smsid", "")), parameters))


def _clock(provider: Provider, _: ControlRequest) -> Json:
    return {"now_s": provider.now_s}


def _put_clock_forward(provider: Provider, request: ControlRequest) -> Json:
    provider.advance(read_seconds(object_of(request.body).get("advance_s")))
    return _clock(provider, request)


def _unblock(provider: Provider, request: ControlRequest) -> Json:
    provider.unblock(optional_reader(read_text)(object_of(request.body).get("address")))
    return _blocked(provider, request)


def _blocked(provider: Provider, _: ControlRequest) -> Json:
    return {"blocked": provider.blocked_addresses()}


ROUTES: Final[Routes[Provider]] = {
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
