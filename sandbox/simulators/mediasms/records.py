"""What the simulator remembers: every request it saw, every message it accepted, every report it sent."""

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
    """One delivery report as it was sent, and the HTTP status it was answered with (None: no answer)."""

    smsid: str
    status: int
    value: str
    method: str
    attempt: int
    at_s: float
    answer: int | None = None
    problem: str | None = None

    @property
    def was_taken(self) -> bool:
        """Return whether the receiver answered 2xx."""
        return self.answer is not None and 200 <= self.answer < 300


@dataclass(slots=True, kw_only=True)
class Callback:
    """One IVR callback as it was sent, and the HTTP status it was answered with (None: no answer)."""

    number: str
    """As the callback writes it."""
    line: str
    smsid: str | None
    """None when it carried none."""
    method: str
    at_s: float
    answer: int | None = None
    problem: str | None = None


@dataclass(slots=True, kw_only=True)
class Message:
    """One accepted request; `at_s` is the simulator's clock, `at` the wall clock."""

    sequence: int
    at_s: float
    source: str
    parameters: Mapping[str, str]
    received_by_phone: str | None
    """What the phone shows once delivered; None when the method sends no SMS."""
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    status: int | None = None
    transitions: list[tuple[int, float]] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    callbacks: list[Callback] = field(default_factory=list)

    @property
    def smsid(self) -> str:
        """Return the caller's id, empty when it gave none."""
        return self.parameters.get("smsid", "")

    @property
    def number(self) -> str:
        """Return the number the message went to, whole."""
        return self.parameters["mobilenumber"]

    @property
    def wants_reports(self) -> bool:
        """Return whether the request asked for delivery reports."""
        return self.parameters.get("status") == "1"


@dataclass(slots=True, kw_only=True, frozen=True)
class RequestRecord:
    """One request to the send API and what became of it; `code` is None when nothing was decided."""

    at_s: float
    source: str
    method: str
    code: int | None
    outcome: Outcome
    cause: str
    number: str
    smsid: str


def masked(number: str) -> str:
    """Return the last four digits of a number behind stars; a dash for what is no number."""
    return f"{'*' * (len(number) - 4)}{number[-4:]}" if _DIGITS.fullmatch(number) else "-"


def printable_smsid(smsid: str) -> str:
    """Return the id if it is one, a dash for anything else somebody may have put there."""
    return smsid if _SMSID.fullmatch(smsid) else "-"
