"""Holds the answer to a download before it is sent, and applies a scripted fault to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

from sandbox.simulators.biztel.audio import Content, layer_ii_of_a_second, tagged, wav_of_a_second
from sandbox.simulators.biztel.error_bodies import WRONG_TOKEN
from sandbox.simulators.biztel.faults import Fault, FaultKind
from sandbox.simulators.faults import SOME_PAGE
from sandbox.simulators.outcomes import Outcome

JSON: Final = "application/json"
HTML: Final = "text/html; charset=UTF-8"
_DRIP_BYTES: Final = 1024
_ZEROS: Final = 136
_TAG_BYTES: Final = 80_000
_ENDLESS: Final = 2**50


@dataclass(frozen=True, slots=True, kw_only=True)
class Drip:
    """A slow transfer: `bytes` at a time, with `every_s` seconds after each piece."""

    bytes: int
    every_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadAnswer:
    """An answer to a download."""

    status: int
    content: Content
    content_type: str = JSON
    announced: int | None
    """The Content-Length. With None there is none, and the body ends with the connection, unless it is `chunked`."""
    chunked: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    cause: str = ""
    outcome: Outcome = Outcome.ANSWERED
    sent: int | None = None
    """The number of bytes sent before the connection is closed; None sends all."""
    drip: Drip | None = None
    hold_s: float = 0.0

    @property
    def ends_connection(self) -> bool:
        """True if the bytes sent are not the bytes announced."""
        return self.announced != self.content.length or self.sent is not None


def create_answer(status: int, body: bytes, *, content_type: str = JSON, cause: str = "") -> DownloadAnswer:
    """Return an answer with a short body."""
    return DownloadAnswer(
        status=status, content=Content(body), content_type=content_type, announced=len(body), cause=cause
    )


def content_disposition(name: str, form: str) -> Mapping[str, str]:
    """Return the Content-Disposition header with a file's name, in one of the forms that RFC 6266 allows."""
    ascii_name = name.encode("ascii", "replace").decode().replace("\\", "_").replace('"', "_")
    value = {
        "unquoted": f"attachment; filename={ascii_name}",
        "quoted": f'attachment; filename="{ascii_name}"',
        "extended": f"attachment; filename=\"recording.mp3\"; filename*=UTF-8''{quote(name, safe='')}",
    }.get(form)
    return {} if value is None else {"Content-Disposition": value}


def apply_fault(answer: DownloadAnswer, fault: Fault, *, hold_open_s: float) -> DownloadAnswer:
    """Return `answer`, which would have sent a file, spoilt by a scripted fault.

    The faults that refuse a download (500, 403, 404, 429) need no file and are not handled here.
    """
    length = answer.content.length
    difference = 1 if fault.bytes is None else fault.bytes
    spoilt = replace(answer, outcome=Outcome.SPOILT, cause=f"scripted: {fault.kind}")
    match fault.kind:
        case FaultKind.CUT:
            return replace(spoilt, sent=min(length, length // 2 if fault.bytes is None else fault.bytes))
        case FaultKind.DRIP:
            every_s = 1.0 if fault.seconds is None else fault.seconds
            return replace(spoilt, drip=Drip(bytes=fault.bytes or _DRIP_BYTES, every_s=every_s))
        case FaultKind.SHORT_LENGTH:
            return replace(spoilt, announced=max(0, length - difference))
        case FaultKind.LONG_LENGTH:
            return replace(spoilt, announced=length + difference)
        case FaultKind.NO_LENGTH:
            return replace(spoilt, announced=None)
        case FaultKind.HOLD:
            hold_s = hold_open_s if fault.seconds is None else fault.seconds
            return replace(spoilt, outcome=Outcome.KEPT_OPEN, hold_s=hold_s)
        case FaultKind.RESET:
            return replace(spoilt, outcome=Outcome.RESET)
        case _:
            return _replace_file(spoilt, fault)


def _replace_file(answer: DownloadAnswer, fault: Fault) -> DownloadAnswer:
    """Return `answer` with other bytes, or another type, than those of the recording."""
    match fault.kind:
        case FaultKind.NOT_MP3:
            return replace(answer, content=Content(b"", b"not a recording\x00\x01", answer.content.length))
        case FaultKind.MISLABELLED:
            return replace(answer, content_type=HTML)
        case FaultKind.ZEROS_FIRST:
            zeros = bytes(_ZEROS if fault.bytes is None else fault.bytes)
            return _replace_content(answer, replace(answer.content, head=zeros + answer.content.head))
        case FaultKind.LARGE_TAGS:
            return _replace_content(answer, tagged(answer.content, _TAG_BYTES if fault.bytes is None else fault.bytes))
        case FaultKind.WAV:
            return _replace_content(answer, wav_of_a_second())
        case FaultKind.LAYER_II:
            return _replace_content(answer, layer_ii_of_a_second())
        case FaultKind.ENDLESS:
            endless = replace(answer.content, looped=_ENDLESS if fault.bytes is None else fault.bytes)
            return replace(answer, content=endless, announced=None, chunked=True)
        case FaultKind.JSON:
            return _replace_body(answer, WRONG_TOKEN.body(field=None, exception_id=None), JSON)
        case FaultKind.HTML:
            return _replace_body(answer, SOME_PAGE.encode(), HTML)
        case FaultKind.EMPTY:
            return _replace_body(answer, b"", answer.content_type)
        case _:
            raise ValueError(fault.kind)


def _replace_content(answer: DownloadAnswer, content: Content) -> DownloadAnswer:
    return replace(answer, content=content, announced=content.length)


def _replace_body(answer: DownloadAnswer, body: bytes, content_type: str) -> DownloadAnswer:
    return replace(_replace_content(answer, Content(body)), content_type=content_type)
