"""Checks the parameters of a request by the send API's table, and finds the refusal with its code and its cause."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.document_tables import Code

Parameters = Mapping[str, str]
"""Decoded parameters by name. An empty parameter is left out: it counts as not sent."""

_OVERSEAS: Final = "c"
_LAND_LINES_TOO: Final = frozenset("ab")
_CALL_OUT: Final = "5"
_CALL_IN_METHODS: Final = frozenset({"2", "4"})
_IVR_METHODS: Final = _CALL_IN_METHODS | {_CALL_OUT}
_METHODS_WITHOUT_SMS: Final = frozenset({"4", _CALL_OUT})

_CARRIER: Final = re.compile(r"[1234abc]")
_METHOD: Final = re.compile(r"[124567]")  # 6 and 7 are listed as valid and explained nowhere
_MOBILE_NUMBER: Final = re.compile(r"(090|080|070|060|020)[0-9]{8}")
_ANY_LINE: Final = re.compile(rf"{_MOBILE_NUMBER.pattern}|0[1-9][0-9]{{8}}")
_OVERSEAS_NUMBER: Final = re.compile(r"[1-9][0-9]{10,}")
_IP_PHONE: Final = re.compile(r"050[0-9]{8}")
_SMSID: Final = re.compile(r"[A-Za-z0-9]{1,50}")
_TITLE: Final = re.compile(r"(?![0-9]+\Z)[A-Za-z0-9]{2,11}")
_STATUS_FLAG: Final = re.compile(r"[01]")
_MINUTES: Final = re.compile(r"[0-9]{1,3}")
_RINGS: Final = re.compile(r"[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason to refuse a request: the answer, the cause in words for the log, and the check."""

    code: Code
    cause: str
    applies: Callable[[Parameters, SimulatorConfig], bool]


def sends_sms(parameters: Parameters) -> bool:
    """Return whether the request's method sends a text (methods 4 and 5 only speak)."""
    return parameters.get("method", "1") not in _METHODS_WITHOUT_SMS


def may_be_called_in(parameters: Parameters) -> bool:
    """Return whether a call from the request's number to its line verifies the number (methods 2 and 4)."""
    return parameters.get("method") in _CALL_IN_METHODS


def is_called_out(parameters: Parameters) -> bool:
    """Return whether MediaSMS calls the request's number (method 5)."""
    return parameters.get("method") == _CALL_OUT


def find_refusal(parameters: Parameters, config: SimulatorConfig) -> Refusal | None:
    """Return the first reason in REFUSALS that applies, or None if the request is acceptable."""
    return next((refusal for refusal in REFUSALS if refusal.applies(parameters, config)), None)


def _has_wrong_form(name: str, pattern: re.Pattern[str]) -> Callable[[Parameters, SimulatorConfig], bool]:
    return lambda p, _: name in p and pattern.fullmatch(p[name]) is None


def _has_wrong_number(p: Parameters, _: SimulatorConfig) -> bool:
    pattern = _MOBILE_NUMBER
    if p.get("mobilecareer") == _OVERSEAS:
        pattern = _OVERSEAS_NUMBER
    elif p.get("mobilecareer") in _LAND_LINES_TOO and p.get("method") in _IVR_METHODS:
        pattern = _ANY_LINE
    return pattern.fullmatch(p["mobilenumber"]) is None


def _lacks_text(p: Parameters, config: SimulatorConfig) -> bool:
    needs_text = config.text_required_without_sms or sends_sms(p)
    return needs_text and "smstext" not in p and "smstextid" not in p


def _has_disabled_title(p: Parameters, config: SimulatorConfig) -> bool:
    return not config.titles_enabled and not {"smstitle", "autitle", "softbanktitle"}.isdisjoint(p)


REFUSALS: Final = (
    Refusal(Code.FAILURE, "mobilenumber is missing", lambda p, _: "mobilenumber" not in p),
    Refusal(
        Code.MOBILECAREER_INVALID, "mobilecareer is none of 1 2 3 4 a b c", _has_wrong_form("mobilecareer", _CARRIER)
    ),
    Refusal(Code.METHOD_INVALID, "method is none of 1 2 4 5 6 7", _has_wrong_form("method", _METHOD)),
    Refusal(
        Code.MOBILECAREER_INVALID,
        "method 5 cannot call overseas",
        lambda p, _: p.get("method") == _CALL_OUT and p.get("mobilecareer") == _OVERSEAS,
    ),
    Refusal(Code.FAILURE, "mobilenumber has a wrong form", _has_wrong_number),
    Refusal(Code.FAILURE, "both smstext and smstextid", lambda p, _: {"smstext", "smstextid"} <= p.keys()),
    Refusal(Code.FAILURE, "both smstext2 and smstextid", lambda p, _: {"smstext2", "smstextid"} <= p.keys()),
    Refusal(Code.FAILURE, "neither smstext nor smstextid", _lacks_text),
    Refusal(
        Code.FAILURE,
        "smstextid is not registered",
        lambda p, config: "smstextid" in p and p["smstextid"] not in config.templates,
    ),
    Refusal(Code.TITLE_DISABLED, "a title while titles are disabled", _has_disabled_title),
    # autitle and softbanktitle appear in the table of answers alone; their form is taken to be smstitle's.
    Refusal(Code.AU_TITLE_INVALID, "autitle has a wrong form", _has_wrong_form("autitle", _TITLE)),
    Refusal(Code.SOFTBANK_TITLE_INVALID, "softbanktitle has a wrong form", _has_wrong_form("softbanktitle", _TITLE)),
    Refusal(Code.FAILURE, "smstitle has a wrong form", _has_wrong_form("smstitle", _TITLE)),
    Refusal(Code.FAILURE, "status is neither 0 nor 1", _has_wrong_form("status", _STATUS_FLAG)),
    Refusal(Code.FAILURE, "status=1 without smsid", lambda p, _: p.get("status") == "1" and "smsid" not in p),
    Refusal(Code.FAILURE, "smsid has a wrong form", _has_wrong_form("smsid", _SMSID)),
    Refusal(Code.FAILURE, "ipphone has a wrong form", _has_wrong_form("ipphone", _IP_PHONE)),
    Refusal(
        Code.FAILURE,
        "IVR without ipphone",
        lambda p, _: p.get("method") in _IVR_METHODS and "ipphone" not in p,
    ),
    Refusal(Code.HOLDINGTIME_INVALID, "holdingtime is not 0 to 999", _has_wrong_form("holdingtime", _MINUTES)),
    Refusal(Code.REPEATCALL_INVALID, "repeatcall is not 0 to 99", _has_wrong_form("repeatcall", _RINGS)),
    Refusal(
        Code.FAILURE,
        "method 5 without holdingtime or repeatcall",
        lambda p, _: p.get("method") == _CALL_OUT and not {"holdingtime", "repeatcall"} <= p.keys(),
    ),
)
"""Every refusal that the parameters alone can cause, in the order of the checks (the document gives no order)."""
