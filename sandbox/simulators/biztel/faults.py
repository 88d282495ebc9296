"""Holds the faults that a test scripts: they replace or spoil the file in the next downloads."""

from dataclasses import dataclass
from enum import StrEnum

from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.faults import read_members
from sandbox.simulators.json_readers import optional_reader, read_seconds, read_text, read_whole_number


class FaultKind(StrEnum):
    """The kind of a scripted fault."""

    SERVER_ERROR = "server_error"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    BURST = "burst"
    """Answer 429, although the rate limit allows the request."""
    CUT = "cut"
    """Close the connection after `bytes` of the file (default: half) and announce the true length."""
    DRIP = "drip"
    """Send `bytes` (default: 1024) at a time, `seconds` (default: 1) apart."""
    SHORT_LENGTH = "short_length"
    """Announce `bytes` (default: 1) fewer than are sent."""
    LONG_LENGTH = "long_length"
    """Announce `bytes` (default: 1) more than are sent, then close the connection."""
    NO_LENGTH = "no_length"
    """Announce no length: the file ends with the connection."""
    NOT_MP3 = "not_mp3"
    """Send the right length and type, but no recording."""
    MISLABELLED = "mislabelled"
    """Send the recording as `text/html`."""
    ZEROS_FIRST = "zeros_first"
    """Send `bytes` (default: 136) zeros before the recording."""
    LARGE_TAGS = "large_tags"
    """Send two ID3v2 tags of `bytes` (default: 80,000) each before the recording."""
    WAV = "wav"
    """Send a second of silence as WAV (PCM, 8 kHz, 16 bits) in place of the recording."""
    LAYER_II = "layer_ii"
    """Send a second of MPEG audio of layer II in place of the recording."""
    ENDLESS = "endless"
    """Send the recording over and over, in chunks, until the client closes the connection or `bytes` are sent."""
    JSON = "json"
    """Answer 200 with the body of an error."""
    HTML = "html"
    """Answer 200 with a page."""
    EMPTY = "empty"
    """Answer 200 with an empty body."""
    HOLD = "hold"
    """Send no answer: close the connection after `seconds` (default: the setting `hold_open_s`)."""
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One scripted fault for the next `times` downloads (None: all) of `call_id` and `channel` (None: any)."""

    kind: FaultKind
    times: int | None = 1
    call_id: str | None = None
    channel: Channel | None = None
    bytes: int | None = None
    seconds: float | None = None

    def matches(self, call_id: str, channel: Channel) -> bool:
        """Return whether the fault applies to a download."""
        return self.call_id in {None, call_id} and self.channel in {None, channel}


def read_fault(value: object) -> Fault:
    """Return the fault in decoded JSON, whose members are named like those of Fault.

    Raises:
        ValueError: when `value` is no such fault. Its text says what is wrong.
    """
    members = read_members(value, Fault)
    channel = optional_reader(read_text)(members.get("channel"))
    return Fault(
        kind=FaultKind(read_text(members.get("kind"))),
        times=optional_reader(read_whole_number)(members.get("times", 1)),
        call_id=optional_reader(read_text)(members.get("call_id")),
        channel=None if channel is None else Channel(channel),
        bytes=optional_reader(read_whole_number)(members.get("bytes")),
        seconds=optional_reader(read_seconds)(members.get("seconds")),
    )
