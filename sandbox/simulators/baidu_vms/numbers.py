"""Holds the scripted telephone numbers, which always end in the same way: one for every error, and others."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sandbox.simulators.baidu_vms.errors import COMMON_ERRORS, QUALIFY_NOT_PASS, VMS_ERRORS, Error
from sandbox.simulators.baidu_vms.faults import Fault, FaultKind

ANSWERED: Final = "answered"
UNANSWERED: Final = "unanswered"


@dataclass(frozen=True, slots=True)
class NumberScript:
    """The script of every call to one number."""

    meaning: str
    fault: Fault | None = None
    result: str = ANSWERED
    """The end of the call, which the callback reports."""
    callbacks: int = 1


def _script_error(error: Error) -> NumberScript:
    fault = Fault(kind=FaultKind.ANSWER, code=error.code, message=error.message)
    return NumberScript(f"{error.http_status} {error.code}: {error.message}", fault)


EVERY_OTHER_NUMBER: Final = NumberScript("called and answered")

_GATEWAY_PAGE: Final = "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"

NUMBERS: Final[Mapping[str, NumberScript]] = MappingProxyType(
    {
        "13800000001": EVERY_OTHER_NUMBER,
        "13800000002": NumberScript("called, not answered", result=UNANSWERED),
        "13800000003": NumberScript("slow: called, answer after two seconds", Fault(kind=FaultKind.DELAY)),
        "13800000004": NumberScript("time-out: called, never an answer", Fault(kind=FaultKind.ACCEPT_THEN_HOLD)),
        "13800000005": NumberScript(
            "called, connection closed before the answer", Fault(kind=FaultKind.ACCEPT_THEN_DROP)
        ),
        "13800000006": NumberScript(
            "called, connection closed in the middle of the answer", Fault(kind=FaultKind.CUT_ANSWER)
        ),
        "13800000007": NumberScript("not called, connection reset", Fault(kind=FaultKind.RESET_BEFORE)),
        "13800000008": NumberScript(
            "called, but the answer is 500 InternalError",
            Fault(kind=FaultKind.ACCEPT_THEN_ANSWER, code="InternalError"),
        ),
        "13800000009": NumberScript(
            "not called, 503 with a page instead of JSON",
            Fault(kind=FaultKind.PAGE, http_status=503, body=_GATEWAY_PAGE),
        ),
        "13800000010": NumberScript("called, 200 with a page instead of JSON", Fault(kind=FaultKind.ACCEPT_THEN_PAGE)),
        "13800000011": NumberScript("called and answered, the callback comes twice", callbacks=2),
        "13800000012": NumberScript("not called, 200 without a time of creation", Fault(kind=FaultKind.EMPTY_DATE)),
        "13800000100": _script_error(QUALIFY_NOT_PASS),
        **{f"138000001{row:02}": _script_error(error) for row, error in enumerate(COMMON_ERRORS, 1)},
        **{f"138000002{row:02}": _script_error(error) for row, error in enumerate(VMS_ERRORS, 1)},
    }
)
