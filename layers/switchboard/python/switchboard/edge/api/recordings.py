"""The recordings routes' JSON: what callers may ask, and what they read back (contract, "Recordings (BIZTEL)")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.recording.facts import SPLIT, Channel, Role
from switchboard.domain.recording.status import ChannelStatus, RecordingState
from switchboard.domain.timestamps import parse_timestamp, to_rfc3339
from switchboard.edge.api.pagination import cursor_of, limit_in, position_in, single_values
from switchboard.edge.http import ClientUnknownError, InboundRequest
from switchboard.usecases.recording.query import RecordingFilter, RecordingList, RecordingView

BODY_LIMIT_BYTES: Final = 1024
_LONGEST_TEL: Final = 128
_SPACES: Final = str.maketrans("\u00a0\u3000", "  ")
_CORRECTABLE: Final = {Role.CUSTOMER.value: Role.CUSTOMER, Role.OPERATOR.value: Role.OPERATOR}


def check_client(request: InboundRequest) -> None:
    """Raises ClientUnknownError where API Gateway let nobody's key through."""
    if not request.api_key_id:
        raise ClientUnknownError("no API key")


def parse_filter(request: InboundRequest) -> tuple[RecordingFilter, int, str | None]:
    """`?tel=&state=&from=&to=&limit=&cursor=` as filter, limit and position. Raises InvalidRequestError."""
    given = single_values(request.query, known=("tel", "state", "from", "to", "limit", "cursor"))
    state, tel = given.get("state"), given.get("tel")
    if state is not None and state not in frozenset(RecordingState):
        raise InvalidRequestError(FieldProblem("state", "is not one of the states"))
    # The spaces that a number may be written with are not all printable to Python.
    if tel is not None and not (0 < len(tel) <= _LONGEST_TEL and tel.translate(_SPACES).isprintable()):
        raise InvalidRequestError(FieldProblem("tel", "must be 1 to 128 printable characters"))
    wanted = RecordingFilter(
        recipient=tel,
        state=RecordingState(state) if state is not None else None,
        since=parse_timestamp(given["from"], field="from") if "from" in given else None,
        until=parse_timestamp(given["to"], field="to") if "to" in given else None,
    )
    return wanted, limit_in(given.get("limit")), position_in(given.get("cursor"))


def parse_roles(request: InboundRequest) -> tuple[Role, Role]:
    """`{left, right}`: one of them the customer, the other the operator. Raises MalformedRequestError,
    PayloadTooLargeError, InvalidRequestError with a problem a field."""
    body = request.json_object(limit_bytes=BODY_LIMIT_BYTES)
    problems = [
        FieldProblem(name[:50], "is not a field of this request", "unknown_field")
        for name in body
        if name not in ("left", "right")
    ]
    for name in ("left", "right"):
        value = body.get(name)
        if not (isinstance(value, str) and value in _CORRECTABLE):
            problems.append(FieldProblem(name, "must be customer or operator"))
    if not problems and body["left"] == body["right"]:
        problems.append(FieldProblem("right", "cannot be the same as left"))
    if problems:
        raise InvalidRequestError(*problems)
    return _CORRECTABLE[body["left"]], _CORRECTABLE[body["right"]]


def recording_json(view: RecordingView, *, shown_tel: Callable[[str], str]) -> dict[str, Any]:
    """One recording as the contract shows it."""
    recording, status = view.recording, view.status
    return {
        "recording_id": recording.recording_id,
        "state": status.state.value,
        "tel": shown_tel(recording.tel),
        "called_at": to_rfc3339(recording.called_at) if recording.called_at else None,
        "fetch_deadline": to_rfc3339(status.fetch_deadline) if status.fetch_deadline else None,
        "channels": {channel.value: _channel_json(view, each) for channel, each in status.channels.items()},
        "transcript": {"state": "none"},
    }


def _channel_json(view: RecordingView, status: ChannelStatus) -> dict[str, Any]:
    file, channel = status.file, status.channel
    side = view.sides.get(channel)
    shown: dict[str, Any] = {
        "role": status.role.value,
        "role_from": _provenance(view, channel),
        "side": side.value if side else None,
        "state": status.state.value,
        "bytes": file.bytes if file else None,
        "sha256": file.sha256 if file else None,
        "seconds": file.seconds if file else None,
        "content_type": file.content_type if file else None,
        "file_name": file.file_name if file else None,
        "url": view.urls.get(channel),
        "url_expires_at": to_rfc3339(view.urls_expire_at) if file else None,
    }
    return shown if status.problem is None else {**shown, "problem": status.problem}


def _provenance(view: RecordingView, channel: Channel) -> str:
    """Who says so: the provider's rule, which transfers may turn round, or somebody who corrected it."""
    return "correction" if channel in SPLIT and view.recording.corrections else "channel"


def list_json(page: RecordingList, *, shown_tel: Callable[[str], str]) -> dict[str, Any]:
    """A page as the contract shows it."""
    return {
        "items": [recording_json(view, shown_tel=shown_tel) for view in page.items],
        "next": cursor_of(page.next_position),
    }
