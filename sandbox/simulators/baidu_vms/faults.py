"""Faults: what requests meet instead of, or after, the normal treatment, by a telephone number or because scripted."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sandbox.simulators.baidu_vms.errors import ALL_ERRORS, Error
from sandbox.simulators.faults import SOME_PAGE, members_of
from sandbox.simulators.json_readers import WrongJsonError, optional_reader, read_seconds, read_text, read_whole_number


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
    body: str = SOME_PAGE
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
    asked = members_of(value, Fault)
    fault = Fault(
        kind=FaultKind(read_text(asked.get("kind"))),
        times=read_whole_number(asked.get("times", 1)),
        match_number=optional_reader(read_text)(asked.get("match_number")),
        code=optional_reader(read_text)(asked.get("code")),
        message=optional_reader(read_text)(asked.get("message")),
        seconds=optional_reader(read_seconds)(asked.get("seconds")),
        body=read_text(asked.get("body", SOME_PAGE)),
        http_status=_http_status(asked.get("http_status", 200)),
    )
    if fault.kind in {FaultKind.ANSWER, FaultKind.ACCEPT_THEN_ANSWER}:
        _ = fault.error
    return fault


def _http_status(value: object) -> int:
    status = read_whole_number(value)
    if not 200 <= status <= 599:
        raise WrongJsonError("must be an HTTP status from 200 to 599")
    return status
