"""Faults a test scripts: what the next requests meet instead of, or after, the normal treatment."""

from dataclasses import dataclass
from enum import StrEnum

from sandbox.simulators.faults import SOME_PAGE, members_of
from sandbox.simulators.json_readers import (
    WrongJsonError,
    optional_reader,
    read_seconds,
    read_switch,
    read_text,
    read_whole_number,
)


class FaultKind(StrEnum):
    """What goes wrong."""

    ANSWER = "answer"
    """Answer `code` at once, whatever the request was; nothing is accepted."""
    RESET_BEFORE = "reset_before"
    """Read the request and reset the connection; nothing is accepted."""
    ACCEPT_THEN_DROP = "accept_then_drop"
    """Treat the request normally, then close the connection without the answer."""
    ACCEPT_THEN_HOLD = "accept_then_hold"
    """The same, after keeping the connection open for `seconds` (default: the setting `hold_open_s`)."""
    CUT_ANSWER = "cut_answer"
    """Treat the request normally, then close in the middle of the answer's body."""
    DELAY = "delay"
    """Treat the request normally and answer after `seconds`."""
    GARBAGE = "garbage"
    """Treat the request normally (unless `accept` is false), then answer `body` under `http_status`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One scripted fault, good for `times` requests to `match_number` (any number when None)."""

    kind: FaultKind
    times: int = 1
    match_number: str | None = None
    code: int | None = None
    seconds: float | None = None
    body: str = SOME_PAGE
    http_status: int = 200
    accept: bool = True


def fault_from_json(value: object) -> Fault:
    """Read a fault from decoded JSON; field names are those of Fault. Raises ValueError saying what is wrong."""
    asked = members_of(value, Fault)
    fault = Fault(
        kind=FaultKind(read_text(asked.get("kind"))),
        times=read_whole_number(asked.get("times", 1)),
        match_number=optional_reader(read_text)(asked.get("match_number")),
        code=optional_reader(_http_code)(asked.get("code")),
        seconds=optional_reader(read_seconds)(asked.get("seconds")),
        body=read_text(asked.get("body", SOME_PAGE)),
        http_status=_http_code(asked.get("http_status", 200)),
        accept=read_switch(asked.get("accept", True)),
    )
    if fault.kind is FaultKind.ANSWER and fault.code is None:
        raise WrongJsonError("an answer needs its code")
    if fault.kind is FaultKind.DELAY and fault.seconds is None:
        raise WrongJsonError("a delay needs its seconds")
    return fault


def _http_code(value: object) -> int:
    code = read_whole_number(value)
    if not 200 <= code <= 999:
        raise WrongJsonError("must be a code of three digits, from 200")
    return code
