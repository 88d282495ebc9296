"""Holds faults, which replace or spoil the normal treatment of one request or one job."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sandbox.simulators.faults import read_members
from sandbox.simulators.json_readers import optional_reader, read_seconds, read_text, read_whole_number

INTERNAL_FAILURE: Final = "Internal Failure. Please try your request again."


class FaultKind(StrEnum):
    """The kind of a fault. The first five meet a Start, the others the job that it starts."""

    LIMIT = "limit"
    """Answer LimitExceededException; start no job."""
    THROTTLE = "throttle"
    """Answer ThrottlingException; start no job."""
    INTERNAL = "internal"
    """Answer InternalFailureException; start no job."""
    ACCEPT_THEN_DROP = "accept_then_drop"
    """Start the job, then close the connection without the answer."""
    DENIED = "denied"
    """Answer AccessDeniedException; start no job."""
    FAILED = "failed"
    """End the job as FAILED with the reason `words`."""
    EVENT_LOST = "event_lost"
    EVENT_TWICE = "event_twice"
    EVENT_LATE = "event_late"
    """Emit the event `seconds` after the end of the job."""
    EMPTY = "empty"
    """Give a result without a word."""
    UNREADABLE = "unreadable"
    """Give a result that is no JSON."""
    SLOW = "slow"
    """Run the job for `seconds`."""
    FORGOTTEN = "forgotten"
    """Forget the job after it was started."""


FAULTS_WITHOUT_JOB: Final = frozenset({FaultKind.LIMIT, FaultKind.THROTTLE, FaultKind.INTERNAL, FaultKind.DENIED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault for the next `times` Starts of a job whose name contains `match_job`."""

    kind: FaultKind
    times: int = 1
    match_job: str = ""
    words: str = INTERNAL_FAILURE
    seconds: float | None = None


def read_fault(value: object) -> Fault:
    """Return the fault in decoded JSON, whose members are named like those of Fault.

    Raises:
        ValueError: when `value` is no such fault. Its text says what is wrong.
    """
    members = read_members(value, Fault)
    return Fault(
        kind=FaultKind(read_text(members.get("kind"))),
        times=read_whole_number(members.get("times", 1)),
        match_job=read_text(members.get("match_job", "")),
        words=read_text(members.get("words", INTERNAL_FAILURE)),
        seconds=optional_reader(read_seconds)(members.get("seconds")),
    )
