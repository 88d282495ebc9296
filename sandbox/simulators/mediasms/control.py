"""Holds the control requests: JSON from this machine that scripts the simulator and reads what it received."""

from collections import Counter
from dataclasses import asdict
from typing import Final

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
    optional_reader,
    read_seconds,
    read_switch,
    read_text,
    read_whole_number,
)
from sandbox.simulators.mediasms.faults import read_fault
from sandbox.simulators.mediasms.numbers import read_script, script_to_json
from sandbox.simulators.mediasms.provider import Provider
from sandbox.simulators.mediasms.records import Message


def _get_messages(provider: Provider, request: ControlRequest) -> Json:
    query = request.query
    messages = [
        message
        for message in provider.messages
        if query.get("smsid", message.smsid) == message.smsid and query.get("number", message.number) == message.number
    ]
    with provider.lock:
        return {"count": len(messages), "items": [_message_to_json(message) for message in messages]}


def _message_to_json(message: Message) -> Json:
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


def _get_requests(provider: Provider, _: ControlRequest) -> Json:
    records = provider.requests
    codes = Counter(str(record.code) for record in records)
    return {"count": len(records), "codes": dict(codes), "items": [asdict(record) for record in records]}


def _set_credentials(provider: Provider, request: ControlRequest) -> Json:
    body = read_object(request.body)
    provider.set_credentials(user=read_text(body.get("user")), password=read_text(body.get("password")))
    return {}


def _get_numbers(provider: Provider, _: ControlRequest) -> Json:
    return {number: script_to_json(script) for number, script in provider.numbers.items()}


def _script_number(provider: Provider, request: ControlRequest) -> Json:
    body = read_object(request.body)
    script = read_script(body)
    provider.script_number(read_text(body.get("number")), script)
    return script_to_json(script)


def _push_report(provider: Provider, request: ControlRequest) -> Json:
    body = read_object(request.body)
    parameters = _read_parameters(body)
    report = provider.push_report(read_text(body.get("smsid")), read_whole_number(body.get("status")), parameters)
    return asdict(report)


def _read_parameters(body: Json) -> dict[str, str]:
    return {read_text(key): read_text(value) for key, value in read_object(body.get("parameters", {})).items()}


def _dial(provider: Provider, request: ControlRequest) -> Json:
    body = read_object(request.body)
    hangs_up = read_switch(body.get("hang_up", False))
    number, line = read_text(body.get("number")), read_text(body.get("line"))
    return asdict(provider.exchange.dial(number, line, hangs_up=hangs_up))


def _get_ivr_requests(provider: Provider, request: ControlRequest) -> Json:
    query = request.query
    with provider.lock:
        items = [
            ivr_request.to_json(provider.now_s)
            for ivr_request in provider.exchange.requests
            if query.get("smsid", ivr_request.message.smsid) == ivr_request.message.smsid
            and query.get("number", ivr_request.number) == ivr_request.number
        ]
    return {"count": len(items), "items": items}


def _get_inquiries(provider: Provider, request: ControlRequest) -> Json:
    items = [item for item in provider.inquiries if request.query.get("smsid", item["smsid"]) == item["smsid"]]
    return {"count": len(items), "items": items}


def _push_ivr_callback(provider: Provider, request: ControlRequest) -> Json:
    body = read_object(request.body)
    parameters = _read_parameters(body)
    return asdict(provider.exchange.push_callback(read_text(body.get("smsid", "")), parameters))


def _get_clock(provider: Provider, _: ControlRequest) -> Json:
    return {"now_s": provider.now_s}


def _advance_clock(provider: Provider, request: ControlRequest) -> Json:
    provider.advance(read_seconds(read_object(request.body).get("advance_s")))
    return _get_clock(provider, request)


def _get_blocked(provider: Provider, _: ControlRequest) -> Json:
    return {"blocked": provider.blocked_addresses()}


def _unblock(provider: Provider, request: ControlRequest) -> Json:
    provider.unblock(optional_reader(read_text)(read_object(request.body).get("address")))
    return _get_blocked(provider, request)


ROUTES: Final[Routes[Provider]] = {
    ("GET", "messages"): _get_messages,
    ("GET", "requests"): _get_requests,
    ("GET", "faults"): get_faults,
    ("POST", "faults"): create_fault_route(read_fault),
    ("POST", "credentials"): _set_credentials,
    ("GET", "config"): get_config,
    ("POST", "config"): change_config,
    ("GET", "numbers"): _get_numbers,
    ("POST", "numbers"): _script_number,
    ("POST", "report"): _push_report,
    ("POST", "dial"): _dial,
    ("GET", "inquiries"): _get_inquiries,
    ("GET", "ivr"): _get_ivr_requests,
    ("POST", "ivr"): _push_ivr_callback,
    ("GET", "clock"): _get_clock,
    ("POST", "clock"): _advance_clock,
    ("GET", "blocked"): _get_blocked,
    ("POST", "unblock"): _unblock,
    ("POST", "reset"): reset,
}
