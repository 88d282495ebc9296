"""Holds faults, which replace or spoil the normal treatment of a request: by its number or because scripted."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sandbox.simulators.baidu_vms.errors import ALL_ERRORS, Error
from sandbox.simulators.faults import SOME_PAGE, read_members
from sandbox.simulators.json_readers import WrongJsonError, optional_reader, read_seconds, read_text, read_whole_number


class FaultKind(StrEnum):
    """The kind of a fault."""

    ANSWER = "answer"
    """Answer the error of `code` (and `message`, if several rows share the code); place no call."""
    ACCEPT_THEN_ANSWER = "accept_then_answer"
    """Treat the request normally, then answer the error of `code` and `message`."""
    RESET_BEFORE = "reset_before"
    """Read the request and reset the connection; place no call."""
    ACCEPT_THEN_DROP = "accept_then_drop"
    """Treat the request normally, then close the connection without the answer."""
    ACCEPT_THEN_HOLD = "accept_then_hold"
    """Treat the request normally, then close the connection without the answer after `seconds`.

    The default is the setting `hold_open_s`.
    """
    CUT_ANSWER = "cut_answer"
    """Treat the request normally, then close the connection in the middle of the answer's body."""
    DELAY = "delay"
    """Treat the request normally and answer after `seconds` (default: the setting `slow_answer_s`)."""
    EMPTY_DATE = "empty_date"
    """Answer 200 with an empty `dateCreate`, which means by the document that there is no call; place no call."""
    PAGE = "page"
    """Answer `body` under `http_status` as a gateway in front of the provider would; place no call."""
    ACCEPT_THEN_PAGE = "accept_then_page"
    """Treat the request normally, then answer `body` under `http_status`."""


FAULTS_WITHOUT_CALL: Final = frozenset({FaultKind.ANSWER, FaultKind.RESET_BEFORE, FaultKind.EMPTY_DATE, FaultKind.PAGE})
"""The faults that place no call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault for the next `times` requests to `match_number` (None: to any number)."""

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
        """The row of the tables that `code` and `message` name.

        Raises:
            ValueError: when there is none.
        """
        for error in ALL_ERRORS:
            if error.code == self.code and self.message in {None, error.message}:
                return error
        raise WrongJsonError("code and message must be a row of the document's tables")


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
        code=optional_reader(read_text)(members.get("code")),
        message=optional_reader(read_text)(members.get("message")),
        seconds=optional_reader(read_seconds)(members.get("seconds")),
        body=read_text(members.get("body", SOME_PAGE)),
        http_status=_read_http_status(members.get("http_status", 200)),
    )
    if fault.kind in {FaultKind.ANSWER, FaultKind.ACCEPT_THEN_ANSWER}:
        _ = fault.error
    return fault


def _read_http_status(value: object) -> int:
    status = read_whole_number(value)
    if not 200 <= status <= 599:
        raise WrongJsonError("must be an HTTP status from 200 to 599")
    return status
