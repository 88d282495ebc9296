"""Holds requests for verification by telephone, matches a call to a request, and builds the fields of its callback."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.document_tables import IVR_CALLBACK_PARAMETERS
from sandbox.simulators.mediasms.numbers import CallEnding, NumberScript
from sandbox.simulators.mediasms.parameters import Parameters, is_called_out
from sandbox.simulators.mediasms.records import Message


class Announcement(StrEnum):
    """The announcement that the caller hears on a line."""

    SUCCESS = "success"
    FAILURE = "failure"
    NOTHING = "nothing"
    """The caller hung up first."""


class DialReason(StrEnum):
    """The reason for an announcement, which the line itself does not give."""

    OPEN = "open"
    HUNG_UP = "hung_up"
    NOT_ASKED_FOR = "not_asked_for"
    """No request names this number, or none that waits for a call."""
    WRONG_LINE = "wrong_line"
    TOO_LATE = "too_late"
    ALREADY_VERIFIED = "already_verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class DialResult:
    """The result of one call to a line."""

    heard: Announcement
    why: DialReason
    smsid: str | None = None
    """The smsid of the request that the call verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneCall:
    """One call to a phone that has ended."""

    started_s: float
    rings: int
    ending: CallEnding


@dataclass(slots=True, kw_only=True)
class IvrRequest:
    """An accepted request of method 2, 4 or 5. Its times are by the simulator's clock."""

    message: Message
    script: NumberScript
    opened_s: float
    closes_s: float | None
    """The first moment that is too late; None if there is none."""
    verified_s: float | None = None
    number_to_read: str | None = field(default=None, repr=False)
    """The number generated for method 5."""
    read_out: str | None = field(default=None, repr=False)
    calls: list[PhoneCall] = field(default_factory=list)

    @property
    def number(self) -> str:
        """The number to be verified, as in the request."""
        return self.message.number

    @property
    def line(self) -> str:
        """The 050 number that is dialled, or that dials."""
        return self.message.parameters["ipphone"]

    def is_open(self, now: float) -> bool:
        """Return whether a call at `now` would verify the number."""
        return self.verified_s is None and (self.closes_s is None or now < self.closes_s)

    def to_json(self, now: float) -> dict[str, object]:
        """Return the request as JSON can carry it."""
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
    """Return the end of the holding time (`holdingtime`, in minutes), or None if it has no end."""
    minutes = int(parameters.get("holdingtime", config.default_holding_minutes))
    if minutes == 0 and config.holding_zero == "no_end":
        return None
    return opened_s + 60 * minutes


def match_call(
    requests: Sequence[IvrRequest], number: str, line: str, now: float
) -> tuple[IvrRequest | None, DialReason]:
    """Return the request that a call from `number` to `line` verifies, or None, and the reason.

    Of several open requests for the same number and line the newest is verified: the document does not say.
    """
    for_number = [
        request
        for request in reversed(requests)
        if request.number == number and not is_called_out(request.message.parameters)
    ]
    for_line = [request for request in for_number if request.line == line]
    for request in for_line:
        if request.is_open(now):
            return request, DialReason.OPEN
    if for_line:
        return None, DialReason.TOO_LATE if for_line[0].verified_s is None else DialReason.ALREADY_VERIFIED
    is_open_elsewhere = any(request.is_open(now) for request in for_number)
    return None, DialReason.WRONG_LINE if is_open_elsewhere else DialReason.NOT_ASKED_FOR


def callback_fields(parameters: Parameters, config: SimulatorConfig) -> dict[str, str]:
    """Return the fields of a callback: the document's list with the request's values, empty if it has none.

    `smsid` is added if configured.
    """
    fields = {name: parameters.get(name, "") for name in IVR_CALLBACK_PARAMETERS}
    fields["mobilenumber"] = _format_number(fields["mobilenumber"], config)
    if config.ivr_with_smsid:
        fields["smsid"] = parameters.get("smsid", "")
    return fields


def _format_number(number: str, config: SimulatorConfig) -> str:
    if config.ivr_number_style == "as_asked" or not number.startswith("0"):
        return number
    if config.ivr_number_style == "plus_81":
        return f"+81{number[1:]}"
    return f"{number[:-8]}-{number[-8:-4]}-{number[-4:]}"
