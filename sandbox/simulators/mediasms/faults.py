"""Holds the faults that a test scripts: they replace or spoil the normal treatment of the next requests."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sandbox.simulators.faults import SOME_PAGE, read_members
from sandbox.simulators.json_readers import (
    WrongJsonError,
    optional_reader,
    read_seconds,
    read_switch,
    read_text,
    read_whole_number,
)

CODE_IN_BODY: Final = "{code}"


class FaultKind(StrEnum):
    """The kind of a scripted fault."""

    ANSWER = "answer"
    """Answer `code` at once, whatever the request is; accept nothing."""
    RESET_BEFORE = "reset_before"
    """Read the request and reset the connection; accept nothing."""
    ACCEPT_THEN_DROP = "accept_then_drop"
    """Treat the request normally, then close the connection without the answer."""
    ACCEPT_THEN_HOLD = "accept_then_hold"
    """Treat the request normally, then close the connection without the answer after `seconds`.

    The default is the setting `hold_open_s`.
    """
    CUT_ANSWER = "cut_answer"
    """Treat the request normally, then close the connection in the middle of the answer's body."""
    DELAY = "delay"
    """Treat the request normally and answer after `seconds`."""
    WRAP = "wrap"
    """Answer `body` under `http_status`. In `body`, `{code}` stands for the code.

    It is the code of the normal treatment. With `code` it is that code, and nothing is accepted.
    """
    PROVISIONAL = "provisional"
    """Treat the request normally, and answer `count` times 103 before the answer."""
    GARBAGE = "garbage"
    """Treat the request normally (unless `accept` is false), then answer `body` under `http_status`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One scripted fault for the next `times` requests to `match_number` (None: to any number)."""

    kind: FaultKind
    times: int = 1
    match_number: str | None = None
    code: int | None = None
    seconds: float | None = None
    count: int = 1
    body: str = SOME_PAGE
    http_status: int = 200
    accept: bool = True


def read_fault(value: object) -> Fault:
    """Return the fault in decoded JSON, whose members are named like those of Fault.

    Raises:
        ValueError: when `value` is no such fault. Its text says what is wrong.
    """
    members = read_members(value, Fault)
    fault = Fault(
        kind=FaultKind(read_text(members.get("kind"))),
        times=read_whole_number(members.get("times", 1)),
        match_number=optional_reader(read_text)(members.get("match_number")),
        code=optional_reader(_read_http_code)(members.get("code")),
        seconds=optional_reader(read_seconds)(members.get("seconds")),
        count=read_whole_number(members.get("count", 1)),
        body=read_text(members.get("body", SOME_PAGE)),
        http_status=_read_http_code(members.get("http_status", 200)),
        accept=read_switch(members.get("accept", True)),
    )
    if fault.kind is FaultKind.ANSWER and fault.code is None:
        raise WrongJsonError("an answer needs its code")
    if fault.kind is FaultKind.DELAY and fault.seconds is None:
        raise WrongJsonError("a delay needs its seconds")
    if fault.kind is FaultKind.WRAP and CODE_IN_BODY not in fault.body:
        raise WrongJsonError("a wrapping needs a body with {code}")
    return fault


def _read_http_code(value: object) -> int:
    code = read_whole_number(value)
    if not 200 <= code <= 999:
        raise WrongJsonError("must be a code of three digits, from 200")
    return code
