"""Faults: what requests meet instead of, or after, the normal treatment, by a telephone number or because scripted."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Final

from sandbox.simulators.baidu_vms.errors import ALL_ERRORS, Error
from sandbox.simulators.readers import WrongJsonError, optional, seconds, text, whole

_SOME_PAGE: Final = "<html><body><h1>It works!</h1></body></html>"


class FaultKind(StrEnum):
    """What goes wrong."""

    ANSWER = "answer"
    """Answer the error of `code` (and `message`, where several rows share it); nobody is called."""
    ACCEPT_THEN_ANSWER = "accept_then_answer"
    """Treat the request normally, then answer that error all the same."""
    RESET_BEFORE = "reset_before"
    """Read the request and reset the connection; nobody is called."""
    ACCEPT_THEN_DROP = "accept_then_drop"
    """Treat the request normally, then close the connection without the answer."""
    ACCEPT_THEN_HOLD = "accept_then_hold"
    """The same, after keeping the connection open for `seconds` (default: the setting `hold_open_s`)."""
    CUT_ANSWER = "cut_answer"
    """Treat the request normally, then close in the middle of the answer's body."""
    DELAY = "delay"
    """Treat the request normally and answer after `seconds` (default: the setting `slow_answer_s`)."""
    PAGE = "page"
    """Answer `body` under `http_status` as a gateway in front of the provider would; nobody is called."""
    ACCEPT_THEN_PAGE = "accept_then_page"
    """Treat the request normally, then answer such a page."""


BEFORE: Final = frozenset({FaultKind.ANSWER, FaultKind.RESET_BEFORE, FaultKind.PAGE})
"""Faults after which nobody is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, good for `times` requests to `match_number` (any number when None)."""

    kind: FaultKind
    times: int = 1
    match_number: str | None = None
    code: str | None = None
    message: str | None = None
    seconds: float | None = None
    body: str = _SOME_PAGE
    http_status: int = 200

    @property
    def error(self) -> Error:
        """Return the row of the tables that `code` and `message` name. Raises ValueError when there is none."""
        for error in ALL_ERRORS:
            if error.code == self.code and self.message in {None, error.message}:
                return error
        raise WrongJsonError("code and message must be a row of the document's tables")


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
        code=optional(text)(value.get("code")),
        message=optional(text)(value.get("message")),
        seconds=optional(seconds)(value.get("seconds")),
        body=text(value.get("body", _SOME_PAGE)),
        http_status=_http_status(value.get("http_status", 200)),
    )
    if fault.kind in {FaultKind.ANSWER, FaultKind.ACCEPT_THEN_ANSWER}:
        _ = fault.error
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


def _http_status(value: object) -> int:
    status = whole(value)
    if not 200 <= status <= 599:
        raise WrongJsonError("must be an HTTP status from 200 to 599")
    return status
