"""Holds a request as it arrived and the decision about it, and applies a scripted fault to that decision."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sandbox.simulators.mediasms.faults import Fault, FaultKind
from sandbox.simulators.mediasms.records import Message
from sandbox.simulators.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsRequest:
    """A request to the send API as it arrived."""

    method: str
    url_bytes: int
    """The length of the whole address, scheme and host included."""
    source: str
    authorization: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to a request and the treatment of its connection."""

    code: int | None
    """The answer, even if it never reaches the client; None if nothing was decided."""
    outcome: Outcome = Outcome.ANSWERED
    cause: str = ""
    message: Message | None = None
    wait_s: float = 0.0
    """Seconds before the answer, or before the connection is closed without one."""
    wait_ends_with: Literal["report", "callback"] | None = None
    """The event that ends the wait sooner: the first delivery report or the IVR callback."""
    garbage: Fault | None = None
    """The answer in place of the code."""
    wrapping: Fault | None = None
    """The text around the code."""
    provisional_answers: int = 0
    """The number of 103s before the answer."""


def apply_fault(decision: Decision, fault: Fault, *, hold_open_s: float) -> Decision:
    """Return the normal `decision` with its answer lost, late or unreadable."""
    if decision.outcome is Outcome.RESET:
        return decision
    match fault.kind:
        case FaultKind.ACCEPT_THEN_DROP:
            return replace(decision, outcome=Outcome.DROPPED, wait_s=0.0, wait_ends_with=None)
        case FaultKind.ACCEPT_THEN_HOLD:
            wait_s = hold_open_s if fault.seconds is None else fault.seconds
            return replace(decision, outcome=Outcome.KEPT_OPEN, wait_s=wait_s, wait_ends_with=None)
        case FaultKind.DELAY:
            return replace(decision, wait_s=fault.seconds or 0.0, wait_ends_with=None)
        case FaultKind.CUT_ANSWER:
            return replace(decision, outcome=Outcome.CUT)
        case FaultKind.WRAP:
            return replace(decision, wrapping=fault)
        case FaultKind.PROVISIONAL:
            return replace(decision, provisional_answers=fault.count)
        case _:
            return replace(decision, outcome=Outcome.GARBAGE, garbage=fault)
