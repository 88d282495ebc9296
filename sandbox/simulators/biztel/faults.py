"""Faults a test scripts: what the next tries of a download meet instead of the file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from sandbox.simulators.biztel.wording import Channel
from sandbox.simulators.readers import WrongJsonError, optional, seconds, text, whole


class FaultKind(StrEnum):
    """What goes wrong."""

    SERVER_ERROR = "server_error"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    BURST = "burst"
    """429, although there was room."""
    CUT = "cut"
    """Close after `bytes` of the file (default: half), under its true length."""
    DRIP = "drip"
    """Send `bytes` (default 1024) at a time, `seconds` (default 1) apart."""
    SHORT_LENGTH = "short_length"
    """Announce `bytes` (default 1) fewer than are sent."""
    LONG_LENGTH = "long_length"
    """Announce `bytes` (default 1) more than are sent, then close."""
    NO_LENGTH = "no_length"
    """Announce no length; the end of the connection is the end of the file."""
    NOT_MP3 = "not_mp3"
    """The right length and type, but not a recording."""
    JSON = "json"
    """200 with an error's body."""
    HTML = "html"
    """200 with some page."""
    EMPTY = "empty"
    """200 with nothing."""
    HOLD = "hold"
    """No answer: close after `seconds` (default: the setting `hold_open_s`)."""
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One scripted fault for the first `times` tries (None: all) of the call and channel it names (None: any)."""

    kind: FaultKind
    times: int | None = 1
    call_id: str | None = None
    channel: Channel | None = None
    bytes: int | None = None
    seconds: float | None = None


def fault_from_json(value: object) -> Fault:
    """Read a fault from decoded JSON; field names are those of Fault. Raises ValueError saying what is wrong."""
    if not isinstance(value, Mapping):
        raise WrongJsonError("a fault must be an object")
    unknown = value.keys() - Fault.__dataclass_fields__.keys()
    if unknown:
        raise WrongJsonError(f"no such field: {', '.join(sorted(map(str, unknown)))}")
    channel = optional(text)(value.get("channel"))
    return Fault(
        kind=FaultKind(text(value.get("kind"))),
        times=optional(whole)(value.get("times", 1)),
        call_id=optional(text)(value.get("call_id")),
        channel=None if channel is None else Channel(channel),
        bytes=optional(whole)(value.get("bytes")),
        seconds=optional(seconds)(value.get("seconds")),
    )


class FaultScript:
    """The faults still to come, in the order they were scripted."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Append a fault."""
        if fault.times != 0:
            self._faults.append(fault)

    def take(self, call_id: str, channel: Channel) -> Fault | None:
        """Return the first fault that matches a try, and use up one of its times."""
        for index, fault in enumerate(self._faults):
            if fault.call_id in {None, call_id} and fault.channel in {None, channel}:
                if fault.times == 1:
                    del self._faults[index]
                elif fault.times is not None:
                    self._faults[index] = replace(fault, times=fault.times - 1)
                return fault
        return None

    def pending(self) -> list[dict[str, object]]:
        """Return what is left, as `fault_from_json` reads it."""
        return [asdict(fault) for fault in self._faults]
