"""Faults a test scripts: what the next tries of a download meet instead of the file."""

from dataclasses import dataclass
from enum import StrEnum

from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.faults import members_of
from sandbox.simulators.json_readers import optional_reader, read_seconds, read_text, read_whole_number


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

    def matches(self, call_id: str, channel: Channel) -> bool:
        """Return whether a try is one that it spoils."""
        return self.call_id in {None, call_id} and self.channel in {None, channel}


def fault_from_json(value: object) -> Fault:
    """Read a fault from decoded JSON; field names are those of Fault. Raises ValueError saying what is wrong."""
    asked = members_of(value, Fault)
    channel = optional_reader(read_text)(asked.get("channel"))
    return Fault(
        kind=FaultKind(read_text(asked.get("kind"))),
        times=optional_reader(read_whole_number)(asked.get("times", 1)),
        call_id=optional_reader(read_text)(asked.get("call_id")),
        channel=None if channel is None else Channel(channel),
        bytes=optional_reader(read_whole_number)(asked.get("bytes")),
        seconds=optional_reader(read_seconds)(asked.get("seconds")),
    )
