"""Verification by telephone: what a number may do to verify itself, and what is told when it has."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.document_tables import LISTED_FOR_IVR
from sandbox.simulators.mediasms.numbers import CallEnding, NumberScript
from sandbox.simulators.mediasms.parameters import Parameters, is_called_out
from sandbox.simulators.mediasms.records import Message


class Announcement(StrEnum):
    """What the caller hears."""

    SUCCESS = "success"
    FAILURE = "failure"
    NOTHING = "nothing"
    """The caller hung up first."""


class DialReason(StrEnum):
    """Why the caller hears that. The line itself would not tell."""

    OPEN = "open"
    HUNG_UP = "hung_up"
    NOT_ASKED_FOR = "not_asked_for"
    """No request names this number, or none that waits for a call."""
    WRONG_LINE = "wrong_line"
    TOO_LATE = "too_late"
    ALREADY_VERIFIED = "already_verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class DialResult:
    """What came of one call to a line."""

    heard: Announcement
    why: DialReason
    smsid: str | None = None
    """Of the request that the call verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneCall:
    """One call to a phone that has ended."""

    started_s: float
    rings: int
    ending: CallEnding


@dataclass(slots=True, kw_only=True)
class IvrRequest:
    """An accepted request of method 2, 4 or 5; times are those of the simulator's clock."""

    message: Message
    script: NumberScript
    opened_s: float
    closes_s: float | None
    """The first moment that is too late; None if there is none."""
    verified_s: float | None = None
    number_to_read: str | None = field(default=None, repr=False)
    """Generated for method 5."""
    read_out: str | None = field(default=None, repr=False)
    calls: list[PhoneCall] = field(default_factory=list)

    @property
    def number(self) -> str:
        """Return the number to be verified, as the request wrote it."""
        return self.message.number

    @property
    def line(self) -> str:
        """Return the 050 number that is dialled, or that dials."""
        return self.message.parameters["ipphone"]

    def is_open(self, now: float) -> bool:
        """Return whether a call would still do."""
        return self.verified_s is None and (self.closes_s is None or now < self.closes_s)

    def shown(self, now: float) -> dict[str, object]:
        """Return it as JSON can carry it."""
        return {
            "smsid": self.message.smsid,
            "number": self.number,
            "line": self.line,
            "method": self.message.parameters["method"],
            "opened_s": self.opened_s,
            "closes_s": self.closes_s,
            "open": self.is_open(now),
            "verified_s": self.verified_s,
            "calls": [asdict(call) for call in self.calls],
            "read_out": self.read_out,
            "callbacks": [asdict(callback) for callback in self.message.callbacks],
        }


def closing_time(parameters: Parameters, config: SimulatorConfig, opened_s: float) -> float | None:
    """Return when the holding time ends (`holdingtime`, in minutes); None if never."""
    minutes = int(parameters.get("holdingtime", config.default_holding_minutes))
    if minutes == 0 and config.holding_zero == "no_end":
        return None
    return opened_s + 60 * minutes


def request_for_call(
    requests: Sequence[IvrRequest], number: str, line: str, now: float
) -> tuple[IvrRequest | None, DialReason]:
    """Return the request that a call from `number` to `line` verifies, or None and why it verifies none.

    Of several that are open for the same number and line it is the newest: the document does not say.
    """
    own = [each for each in reversed(requests) if each.number == number and not is_called_out(each.message.parameters)]
    here = [each for each in own if each.line == line]
    for each in here:
        if each.is_open(now):
            return each, DialReason.OPEN
    if here:
        return None, DialReason.TOO_LATE if here[0].verified_s is None else DialReason.ALREADY_VERIFIED
    elsewhere = any(each.is_open(now) for each in own)
    return None, DialReason.WRONG_LINE if elsewhere else DialReason.NOT_ASKED_FOR


def callback_fields(parameters: Parameters, config: SimulatorConfig) -> dict[str, str]:
    """Return what a callback says: the document's list, each as the request gave it, and `smsid` only if configured.

    What the request left out is empty.
    """
    fields = {name: parameters.get(name, "") for name in LISTED_FOR_IVR}
    fields["mobilenumber"] = _written(fields["mobilenumber"], config)
    if config.ivr_with_smsid:
        fields["smsid"] = parameters.get("smsid", "")
    return fields


def _written(number: str, config: SimulatorConfig) -> str:
    if config.ivr_number_style == "as_asked" or not number.startswith("0"):
        return number
    if config.ivr_number_style == "plus_81":
        return f"+81{number[1:]}"
    return f"{number[:-8]}-{number[-8:-4]}-{number[-4:]}"
