"""The request table of the send API: what is refused, with which code, and why."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.document_tables import Code

Parameters = Mapping[str, str]
"""Parameters by name, decoded; one that was sent empty is left out, as if it had not been sent."""

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
    """One reason to refuse: the answer, the cause in words for whoever watches, and the test for it."""

    code: Code
    cause: str
    applies: Callable[[Parameters, SimulatorConfig], bool]


def sends_sms(parameters: Parameters) -> bool:
    """Return whether the request's method sends a text at all (4 and 5 only speak)."""
    return parameters.get("method", "1") not in _METHODS_WITHOUT_SMS


def may_be_called_in(parameters: Parameters) -> bool:
    """Return whether the request's number can verify itself by dialling the request's line (2 and 4)."""
    return parameters.get("method") in _CALL_IN_METHODS


def is_called_out(parameters: Parameters) -> bool:
    """Return whether the request has its number called (5)."""
    return parameters.get("method") == _CALL_OUT


def refusal_of(parameters: Parameters, config: SimulatorConfig) -> Refusal | None:
    """Return the first reason in REFUSALS to refuse the request, or None when it is acceptable."""
    return next((refusal for refusal in REFUSALS if refusal.applies(parameters, config)), None)


def _malformed(name: str, pattern: re.Pattern[str]) -> Callable[[Parameters, SimulatorConfig], bool]:
    return lambda p, _: name in p and pattern.fullmatch(p[name]) is None


def _number_is_bad(p: Parameters, _: SimulatorConfig) -> bool:
    pattern = _MOBILE_NUMBER
    if p.get("mobilecareer") == _OVERSEAS:
        pattern = _OVERSEAS_NUMBER
    elif p.get("mobilecareer") in _LAND_LINES_TOO and p.get("method") in _IVR_METHODS:
        pattern = _ANY_LINE
    return pattern.fullmatch(p["mobilenumber"]) is None


def _text_is_missing(p: Parameters, config: SimulatorConfig) -> bool:
    needed = config.text_required_without_sms or sends_sms(p)
    return needed and "smstext" not in p and "smstextid" not in p


def _titled_while_disabled(p: Parameters, config: SimulatorConfig) -> bool:
    return not config.titles_enabled and not {"smstitle", "autitle", "softbanktitle"}.isdisjoint(p)


REFUSALS: Final = (
    Refusal(Code.FAILURE, "mobilenumber is missing", lambda p, _: "mobilenumber" not in p),
    Refusal(Code.MOBILECAREER_INVALID, "mobilecareer is none of 1 2 3 4 a b c", _malformed("mobilecareer", _CARRIER)),
    Refusal(Code.METHOD_INVALID, "method is none of 1 2 4 5 6 7", _malformed("method", _METHOD)),
    Refusal(
        Code.MOBILECAREER_INVALID,
        "method 5 cannot call overseas",
        lambda p, _: p.get("method") == _CALL_OUT and p.get("mobilecareer") == _OVERSEAS,
    ),
    Refusal(Code.FAILURE, "mobilenumber has a wrong form", _number_is_bad),
    Refusal(Code.FAILURE, "both smstext and smstextid", lambda p, _: {"smstext", "smstextid"} <= p.keys()),
    Refusal(Code.FAILURE, "both smstext2 and smstextid", lambda p, _: {"smstext2", "smstextid"} <= p.keys()),
    Refusal(Code.FAILURE, "neither smstext nor smstextid", _text_is_missing),
    Refusal(
        Code.FAILURE,
        "smstextid is not registered",
        lambda p, config: "smstextid" in p and p["smstextid"] not in config.templates,
    ),
    Refusal(Code.TITLE_DISABLED, "a title while titles are disabled", _titled_while_disabled),
    # autitle and softbanktitle appear in the table of answers alone; their form is taken to be smstitle's.
    Refusal(Code.AU_TITLE_INVALID, "autitle has a wrong form", _malformed("autitle", _TITLE)),
    Refusal(Code.SOFTBANK_TITLE_INVALID, "softbanktitle has a wrong form", _malformed("softbanktitle", _TITLE)),
    Refusal(Code.FAILURE, "smstitle has a wrong form", _malformed("smstitle", _TITLE)),
    Refusal(Code.FAILURE, "status is neither 0 nor 1", _malformed("status", _STATUS_FLAG)),
    Refusal(Code.FAILURE, "status=1 without smsid", lambda p, _: p.get("status") == "1" and "smsid" not in p),
    Refusal(Code.FAILURE, "smsid has a wrong form", _malformed("smsid", _SMSID)),
    Refusal(Code.FAILURE, "ipphone has a wrong form", _malformed("ipphone", _IP_PHONE)),
    Refusal(
        Code.FAILURE,
        "IVR without ipphone",
        lambda p, _: p.get("method") in _IVR_METHODS and "ipphone" not in p,
    ),
    Refusal(Code.HOLDINGTIME_INVALID, "holdingtime is not 0 to 999", _malformed("holdingtime", _MINUTES)),
    Refusal(Code.REPEATCALL_INVALID, "repeatcall is not 0 to 99", _malformed("repeatcall", _RINGS)),
    Refusal(
        Code.FAILURE,
        "method 5 without holdingtime or repeatcall",
        lambda p, _: p.get("method") == _CALL_OUT and not {"holdingtime", "repeatcall"} <= p.keys(),
    ),
)
"""Every refusal the parameters alone can cause, in the order they are tried (the document gives no order)."""
