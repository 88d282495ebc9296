"""Faults a test scripts: what the next requests meet instead of, or after, the normal treatment."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Final

from sandbox.simulators.readers import WrongJsonError, optional, seconds, switch, text, whole

_SOME_PAGE: Final = "<html><body><h1>It works!</h1></body></html>"


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
    body: str = _SOME_PAGE
    http_status: int = 200
    accept: bool = True


def fault_from_json(value: object) -> Fault:
    """Read a fault from decoded JSON; field names are those of Fault. Raises ValueError saying what is wrong."""
    if not isinstance(value, Mapping):
        raise WrongJsonError("a fault must be an object")
    unknown = value.keys() - Fault.__dataclass_fields__.keys()
    if unknown:
        raise WrongJsonError(f"no such field: {', '.join(sorted(map(str, unknown)))}")
    fault = Fault(
        kind=FaultKind(text(value.get("kind"))),
        times=whole(value.get("times", 1)),
        match_number=optional(text)(value.get("match_number")),
        code=optional(_http_code)(value.get("code")),
        seconds=optional(seconds)(value.get("seconds")),
        body=text(value.get("body", _SOME_PAGE)),
        http_status=_http_code(value.get("http_status", 200)),
        accept=switch(value.get("accept", True)),
    )
    if fault.kind is FaultKind.ANSWER and fault.code is None:
        raise WrongJsonError("an answer needs its code")
    if fault.kind is FaultKind.DELAY and fault.seconds is None:
        raise WrongJsonError("a delay needs its seconds")
    return fault


class FaultScript:
    """The faults still to come, in the order they were scripted."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Append a fault."""
        if fault.times:
            self._faults.append(fault)

    def take(self, number: str) -> Fault | None:
        """Return the first fault that matches a request to `number`, and use up one of its times."""
        for index, fault in enumerate(self._faults):
            if fault.match_number in {None, number}:
                if fault.times > 1:
                    self._faults[index] = replace(fault, times=fault.times - 1)
                else:
                    del self._faults[index]
                return fault
        return None

    def pending(self) -> list[dict[str, object]]:
        """Return what is left, as `fault_from_json` reads it."""
        return [asdict(fault) for fault in self._faults]


def _http_code(value: object) -> int:
    code = whole(value)
    if not 200 <= code <= 999:
        raise WrongJsonError("must be a code of three digits, from 200")
    return code
