"""An answer to a download before it goes out, and how a scripted fault spoils it."""

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
    """A slow transfer: so many bytes at a time, so many seconds apart."""

    bytes: int
    every_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadAnswer:
    """What goes out. `announced` is the Content-Length; None leaves it out and the connection's end is the body's."""

    status: int
    content: Content
    content_type: str = JSON
    announced: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    cause: str = ""
    outcome: Outcome = Outcome.ANSWERED
    sent: int | None = None
    """How many bytes go out before the connection closes; None sends all."""
    drip: Drip | None = None
    hold_s: float = 0.0

    @property
    def ends_connection(self) -> bool:
        """Return whether the bytes that go out are not the ones announced."""
        return self.announced != self.content.length or self.sent is not None


def plain(status: int, body: bytes, *, content_type: str = JSON, cause: str = "") -> DownloadAnswer:
    """Return an answer with a body at hand."""
    return DownloadAnswer(
        status=status, content=Content(body), content_type=content_type, announced=len(body), cause=cause
    )


def disposition(name: str, form: str) -> Mapping[str, str]:
    """Return the Content-Disposition header with a file's name, in one of the forms RFC 6266 allows."""
    ascii_name = name.encode("ascii", "replace").decode().replace("\\", "_").replace('"', "_")
    written = {
        "unquoted": f"attachment; filename={ascii_name}",
        "quoted": f'attachment; filename="{ascii_name}"',
        "extended": f"attachment; filename=\"recording.mp3\"; filename*=UTF-8''{quote(name, safe='')}",
    }.get(form)
    return {} if written is None else {"Content-Disposition": written}


def spoilt(answer: DownloadAnswer, fault: Fault, *, hold_open_s: float) -> DownloadAnswer:
    """Return what a scripted fault makes of the file that would have been sent.

    Faults that are a refusal (500, 403, 404, 429) are not for here: they need no file.
    """
    length = answer.content.length
    off_by = 1 if fault.bytes is None else fault.bytes
    spoilt_answer = replace(answer, outcome=Outcome.SPOILT, cause=f"scripted: {fault.kind}")
    match fault.kind:
        case FaultKind.CUT:
            return replace(spoilt_answer, sent=min(length, length // 2 if fault.bytes is None else fault.bytes))
        case FaultKind.DRIP:
            every_s = 1.0 if fault.seconds is None else fault.seconds
            return replace(spoilt_answer, drip=Drip(bytes=fault.bytes or _DRIP_BYTES, every_s=every_s))
        case FaultKind.SHORT_LENGTH:
            return replace(spoilt_answer, announced=max(0, length - off_by))
        case FaultKind.LONG_LENGTH:
            return replace(spoilt_answer, announced=length + off_by)
        case FaultKind.NO_LENGTH:
            return replace(spoilt_answer, announced=None)
        case FaultKind.NOT_MP3:
            return replace(spoilt_answer, content=Content(b"", b"not a recording\n", length))
        case FaultKind.JSON:
            return _instead(spoilt_answer, WRONG_TOKEN.body(field=None, exception_id=None), JSON)
        case FaultKind.HTML:
            return _instead(spoilt_answer, SOME_PAGE.encode(), HTML)
        case FaultKind.EMPTY:
            return _instead(spoilt_answer, b"", answer.content_type)
        case FaultKind.HOLD:
            hold_s = hold_open_s if fault.seconds is None else fault.seconds
            return replace(spoilt_answer, outcome=Outcome.HELD, hold_s=hold_s)
        case _:
            return replace(spoilt_answer, outcome=Outcome.RESET)


def _instead(answer: DownloadAnswer, body: bytes, content_type: str) -> DownloadAnswer:
    return replace(answer, content=Content(body), announced=len(body), content_type=content_type)
