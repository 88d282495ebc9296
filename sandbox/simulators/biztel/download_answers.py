"""Holds the answer to a download before it is sent, and applies a scripted fault to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

from sandbox.simulators.biztel.audio import Content
from sandbox.simulators.biztel.error_bodies import WRONG_TOKEN
from sandbox.simulators.biztel.faults import Fault, FaultKind
from sandbox.simulators.faults import SOME_PAGE
from sandbox.simulators.outcomes import Outcome

JSON: Final = "application/json"
HTML: Final = "text/html; charset=UTF-8"
_DRIP_BYTES: Final = 1024


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
    """The Content-Length. With None there is none, and the body ends with the connection."""
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
        case FaultKind.NOT_MP3:
            return replace(spoilt, content=Content(b"", b"not a recording\n", length))
        case FaultKind.JSON:
            return _replace_body(spoilt, WRONG_TOKEN.body(field=None, exception_id=None), JSON)
        case FaultKind.HTML:
            return _replace_body(spoilt, SOME_PAGE.encode(), HTML)
        case FaultKind.EMPTY:
            return _replace_body(spoilt, b"", answer.content_type)
        case FaultKind.HOLD:
            hold_s = hold_open_s if fault.seconds is None else fault.seconds
            return replace(spoilt, outcome=Outcome.KEPT_OPEN, hold_s=hold_s)
        case _:
            return replace(spoilt, outcome=Outcome.RESET)


def _replace_body(answer: DownloadAnswer, body: bytes, content_type: str) -> DownloadAnswer:
    return replace(answer, content=Content(body), announced=len(body), content_type=content_type)
