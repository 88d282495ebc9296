"""Reads the requests to the recordings routes and writes their JSON (contract, "Recordings (BIZTEL)")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import canonical_tel
from switchboard.domain.recording.facts import SPLIT, Channel, ReadyFact, Role
from switchboard.domain.recording.status import ChannelStatus, RecordingState
from switchboard.domain.timestamps import parse_timestamp, to_rfc3339
from switchboard.edge.api.pagination import parse_cursor, parse_limit, parse_single_values, to_cursor
from switchboard.edge.http import InboundRequest
from switchboard.usecases.recording.query import RecordingFilter, RecordingList, RecordingView

BODY_LIMIT_BYTES: Final = 1024
_MAX_TEL_LENGTH: Final = 128
_CORRECTABLE: Final = {Role.CUSTOMER.value: Role.CUSTOMER, Role.OPERATOR.value: Role.OPERATOR}


def parse_filter(request: InboundRequest) -> tuple[RecordingFilter, int, str | None]:
    """Read `?tel=&state=&from=&to=&limit=&cursor=` as filter, limit and position.

    Raises:
        InvalidRequestError: with a problem for each parameter that is wrong.
    """
    values = parse_single_values(request.query, allowed=("tel", "state", "from", "to", "limit", "cursor"))
    state, tel = values.get("state"), values.get("tel")
    if state is not None and state not in frozenset(RecordingState):
        raise InvalidRequestError(FieldProblem("state", "is not one of the states"))
    # Numbers are pasted with marks that are not printable.
    if tel is not None and not (0 < len(tel) <= _MAX_TEL_LENGTH and canonical_tel(tel).isprintable()):
        raise InvalidRequestError(FieldProblem("tel", "must be 1 to 128 printable characters"))
    recording_filter = RecordingFilter(
        recipient=tel,
        state=RecordingState(state) if state is not None else None,
        since=parse_timestamp(values["from"], field="from") if "from" in values else None,
        until=parse_timestamp(values["to"], field="to") if "to" in values else None,
    )
    return recording_filter, parse_limit(values.get("limit")), parse_cursor(values.get("cursor"))


def parse_body(request: InboundRequest) -> tuple[Role, Role]:
    """Read `{left, right}`: one of them the customer, the other the operator.

    Raises:
        MalformedRequestError: the body is no JSON object.
        PayloadTooLargeError: the body is larger than BODY_LIMIT_BYTES.
        InvalidRequestError: with a problem for each field that is wrong.
    """
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


def to_json(view: RecordingView, *, format_tel: Callable[[str], str]) -> dict[str, Any]:
    """Write one recording in the contract's form."""
    recording, status = view.recording, view.status
    return {
        "recording_id": recording.recording_id,
        "state": status.state.value,
        "sequence": recording.sequence,
        "tel": format_tel(view.tel),
        "called_at": to_rfc3339(view.called_at) if view.called_at else None,
        "announcements": [_notice_to_json(notice, format_tel) for notice in recording.notices],
        "fetch_deadline": to_rfc3339(status.fetch_deadline) if status.fetch_deadline else None,
        "channels": {
            channel.value: _channel_to_json(view, channel_status) for channel, channel_status in status.channels.items()
        },
        "transcript": _status_to_json(view),
    }


def _status_to_json(view: RecordingView) -> dict[str, Any]:
    status = view.transcript
    members = {"state": status.state.value, "reason": status.reason, "language": status.language}
    if status.state.readable:
        members["url"] = f"/v1/recordings/{view.recording.recording_id}/transcript"
    return {name: value for name, value in members.items() if value is not None}


def page_to_json(page: RecordingList, *, format_tel: Callable[[str], str]) -> dict[str, Any]:
    """Write one page of recordings in the contract's form."""
    return {
        "items": [to_json(view, format_tel=format_tel) for view in page.items],
        "next": to_cursor(page.next_position),
    }


def _notice_to_json(notice: ReadyFact, format_tel: Callable[[str], str]) -> dict[str, Any]:
    return {
        "tel": format_tel(notice.tel),
        "called_at": to_rfc3339(notice.called_at) if notice.called_at else None,
        "at": to_rfc3339(notice.at),
    }


def _channel_to_json(view: RecordingView, status: ChannelStatus) -> dict[str, Any]:
    file, channel = status.file, status.channel
    side = view.sides.get(channel)
    members: dict[str, Any] = {
        "role": status.role.value,
        "role_from": _find_role_source(view, channel),
        "side": side.value if side else None,
        "state": status.state.value,
        "bytes": file.bytes if file else None,
        "sha256": file.sha256 if file else None,
        "seconds": file.seconds if file else None,
        "content_type": file.content_type if file else None,
        "file_name": file.file_name if file else None,
    }
    if view.urls_expire_at is not None:
        members["url"] = view.urls.get(channel)
        members["url_expires_at"] = to_rfc3339(view.urls_expire_at) if file else None
    return members if status.problem is None else {**members, "problem": status.problem}


def _find_role_source(view: RecordingView, channel: Channel) -> str:
    """Name the source of a role: the provider's rule, which a transfer may turn round, or a caller's correction."""
    return "correction" if channel in SPLIT and view.recording.corrections else "channel"
