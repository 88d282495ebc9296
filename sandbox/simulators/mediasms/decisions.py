"""A request as it came off the wire, what was decided about it, and how a scripted fault spoils that."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from sandbox.simulators.mediasms.records import Message
from sandbox.simulators.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsRequest:
    """A request to the send API as it came off the wire."""

    method: str
    url_bytes: int
    """Length of the whole address, scheme and host included."""
    source: str
    authorization: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about a request, and what to do with its connection."""

    code: int | None
    """The answer, also when it never reaches the client; None when nothing was decided."""
    outcome: Outcome = Outcome.ANSWERED
    cause: str = ""
    message: Message | None = None
    wait_s: float = 0.0
    """Seconds before the answer, or before the connection is closed without one."""
    until_told: Literal["report", "callback"] | None = None
    """What ends the waiting sooner: the first delivery report, or the IVR callback."""
    garbage: Fault | None = None
    """What to answer instead of the code."""


def spoilt(decision: Decision, fault: Fault, *, hold_open_s: float) -> Decision:
    """Return the normal decision with its answer lost, late or unreadable."""
    if decision.outcome is Outcome.RESET:
        return decision
    match fault.kind:
        case FaultKind.ACCEPT_THEN_DROP:
            return replace(decision, outcome=Outcome.DROPPED, wait_s=0.0, until_told=None)
        case FaultKind.ACCEPT_THEN_HOLD:
            wait_s = hold_open_s if fault.seconds is None else fault.seconds
            return replace(decision, outcome=Outcome.HELD, wait_s=wait_s, until_told=None)
        case FaultKind.DELAY:
            return replace(decision, wait_s=fault.seconds or 0.0, until_told=None)
        case FaultKind.CUT_ANSWER:
            return replace(decision, outcome=Outcome.CUT)
        case _:
            return replace(decision, outcome=Outcome.GARBAGE, garbage=fault)
