"""Holds what the simulator remembers: the requests it received, the messages it accepted, the callbacks it sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sandbox.simulators.outcomes import Outcome

_SMSID: Final = re.compile(r"[A-Za-z0-9]{1,50}")
_DIGITS: Final = re.compile(r"[0-9]{5,}")


@dataclass(slots=True, kw_only=True)
class Report:
    """One delivery report that was sent, and the HTTP status of the answer (None: no answer)."""

    smsid: str
    status: int
    value: str
    method: str
    attempt: int
    at_s: float
    answer: int | None = None
    problem: str | None = None

    @property
    def is_acknowledged(self) -> bool:
        """True if the receiver answered 2xx."""
        return self.answer is not None and 200 <= self.answer < 300


@dataclass(slots=True, kw_only=True)
class Callback:
    """One IVR callback that was sent, and the HTTP status of the answer (None: no answer)."""

    number: str
    """The number in the callback's form."""
    line: str
    smsid: str | None
    """None if the callback carried none."""
    method: str
    at_s: float
    answer: int | None = None
    problem: str | None = None


@dataclass(slots=True, kw_only=True)
class Message:
    """One accepted request; `at_s` is by the simulator's clock, `at` by the wall clock."""

    sequence: int
    at_s: float
    source: str
    parameters: Mapping[str, str]
    received_by_phone: str | None
    """The text that the phone shows once it is delivered; None if the method sends no SMS."""
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    status: int | None = None
    transitions: list[tuple[int, float]] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    callbacks: list[Callback] = field(default_factory=list)

    @property
    def smsid(self) -> str:
        """The caller's id, empty if the request has none."""
        return self.parameters.get("smsid", "")

    @property
    def number(self) -> str:
        """The whole number to which the message went."""
        return self.parameters["mobilenumber"]

    @property
    def wants_reports(self) -> bool:
        """True if the request asks for delivery reports."""
        return self.parameters.get("status") == "1"


@dataclass(slots=True, kw_only=True, frozen=True)
class RequestRecord:
    """One request to the send API and its outcome; `code` is None if nothing was decided."""

    at_s: float
    source: str
    method: str
    code: int | None
    outcome: Outcome
    cause: str
    number: str
    smsid: str


def mask_number(number: str) -> str:
    """Return the last four digits of a number behind stars, or a dash for any other text."""
    return f"{'*' * (len(number) - 4)}{number[-4:]}" if _DIGITS.fullmatch(number) else "-"


def printable_smsid(smsid: str) -> str:
    """Return `smsid` if it has the form of an id, or a dash for any other text."""
    return smsid if _SMSID.fullmatch(smsid) else "-"
