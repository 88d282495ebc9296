"""Holds faults, which replace or spoil the normal treatment of one request or one job."""

from dataclasses import dataclass
from enum import StrEnum

from sandbox.simulators.faults import read_members
from sandbox.simulators.json_readers import read_seconds, read_text, read_whole_number


class FaultKind(StrEnum):
    """The kind of a fault. The first two meet a request, the others a new job."""

    STATUS = "status"
    """Answer `status` and do nothing."""
    DROP = "drop"
    """Do what is asked for, then close the connection without the answer."""
    FAILED = "failed"
    """End the job as failed for `reason`."""
    SLOW = "slow"
    """Run the job for `seconds`."""
    FORGOTTEN = "forgotten"
    """Forget the job after it was taken."""
    EMPTY = "empty"
    """Give a result without a word."""
    UNREADABLE = "unreadable"
    """Give a result that is no JSON."""


FAULTS_OF_REQUESTS = frozenset({FaultKind.STATUS, FaultKind.DROP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault for the next `times` requests, or new jobs, with `match_job` in the job's name.

    `match_operation` is `start`, `look` or `result`, or empty for every one.
    """

    kind: FaultKind
    times: int = 1
    match_job: str = ""
    match_operation: str = ""
    status: int = 503
    reason: str = "internal"
    seconds: float = 0.0


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
        match_operation=read_text(members.get("match_operation", "")),
        status=read_whole_number(members.get("status", 503)),
        reason=read_text(members.get("reason", "internal")),
        seconds=read_seconds(members.get("seconds", 0.0)),
    )
