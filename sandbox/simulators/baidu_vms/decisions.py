"""Holds the decision about a request, and applies a fault to it."""

import uuid
from dataclasses import dataclass, replace

from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.errors import Error
from sandbox.simulators.baidu_vms.faults import Fault, FaultKind
from sandbox.simulators.baidu_vms.records import VoiceCall
from sandbox.simulators.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """The members of a 200's body."""

    call_id: str
    tag: str
    date_create: str
    show_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer that is not the provider's own."""

    http_status: int
    body: str


Answer = Success | Error | Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to a request and the treatment of its connection."""

    answer: Answer | None
    """The answer, even if it never reaches the client; None if nothing was decided."""
    outcome: Outcome = Outcome.ANSWERED
    cause: str = ""
    call: VoiceCall | None = None
    """The call that was placed."""
    fault: Fault | None = None
    """The fault that the called number's script applies to the answer."""
    wait_s: float = 0.0
    """Seconds before the answer, or before the connection is closed without one."""

    @property
    def http_status(self) -> int | None:
        """The HTTP status of the answer; None without an answer."""
        match self.answer:
            case Success():
                return 200
            case None:
                return None
            case _:
                return self.answer.http_status


def decide_by_fault(fault: Fault, cause: str) -> Decision:
    """Return the decision of a fault that prevents the normal treatment."""
    match fault.kind:
        case FaultKind.ANSWER:
            return Decision(answer=fault.error, cause=cause)
        case FaultKind.EMPTY_DATE:
            no_call = Success(call_id=uuid.uuid4().hex, tag="", date_create="", show_number="")
            return Decision(answer=no_call, cause=cause)
        case FaultKind.PAGE:
            page = Page(http_status=fault.http_status, body=fault.body)
            return Decision(answer=page, outcome=Outcome.GARBAGE, cause=cause)
        case _:
            return Decision(answer=None, outcome=Outcome.RESET, cause=cause)


def apply_fault(decision: Decision, fault: Fault, config: SimulatorConfig) -> Decision:
    """Return the normal `decision` with its answer lost, late, unreadable or replaced."""
    if decision.outcome is Outcome.RESET:
        return decision
    match fault.kind:
        case FaultKind.ACCEPT_THEN_DROP:
            return replace(decision, outcome=Outcome.DROPPED)
        case FaultKind.ACCEPT_THEN_HOLD:
            wait_s = config.hold_open_s if fault.seconds is None else fault.seconds
            return replace(decision, outcome=Outcome.KEPT_OPEN, wait_s=wait_s)
        case FaultKind.DELAY:
            return replace(decision, wait_s=config.slow_answer_s if fault.seconds is None else fault.seconds)
        case FaultKind.CUT_ANSWER:
            return replace(decision, outcome=Outcome.CUT)
        case FaultKind.ACCEPT_THEN_PAGE:
            page = Page(http_status=fault.http_status, body=fault.body)
            return replace(decision, answer=page, outcome=Outcome.GARBAGE)
        case _:
            return replace(decision, answer=fault.error)
