"""Writes a transcript as JSON, WebVTT or plain text (contract, "Recordings (BIZTEL)")."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from switchboard.domain.recording.figures import Figures, Span
from switchboard.domain.recording.plain_text import to_plain_text
from switchboard.domain.recording.turns import Turn
from switchboard.domain.recording.webvtt import to_webvtt
from switchboard.edge.http import InboundRequest, Reply, negotiate
from switchboard.usecases.recording.query import TranscriptView

JSON: Final = "application/json"
WEBVTT: Final = "text/vtt"
PLAIN_TEXT: Final = "text/plain"


def parse_form(request: InboundRequest) -> str:
    """Return the media type in which the caller wants the transcript.

    Raises:
        NotAcceptableError: the `Accept` header names none of ours.
    """
    return negotiate(request, JSON, WEBVTT, PLAIN_TEXT)


def to_reply(view: TranscriptView, form: str, request: InboundRequest) -> Reply:
    """Write the transcript in this form, or nothing if the caller has it as it is.

    The tag is that of the written form: corrected roles change it.
    """
    language = view.document.language
    if form == WEBVTT:
        text = to_webvtt(view.turns, language=language)
    elif form == PLAIN_TEXT:
        text = to_plain_text(view.turns, language=language)
    else:
        text = json.dumps(to_json(view), ensure_ascii=False)
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Vary": "Accept"}
    if _is_known(request.headers.get("if-none-match", ""), tag):
        return Reply(HTTPStatus.NOT_MODIFIED, "", headers)
    content_type = form if form == JSON else f"{form}; charset=utf-8"
    return Reply(HTTPStatus.OK, text, {"Content-Type": content_type, **headers})


def to_json(view: TranscriptView) -> dict[str, Any]:
    """Write the transcript in the contract's form. Times are seconds from the start of the recording."""
    return {
        "recording_id": view.recording_id,
        "language": view.document.language,
        "state": view.status.state.value,
        "turns": [_turn_to_json(turn) for turn in view.turns],
        "figures": _figures_to_json(view.figures),
        "redacted": _counts_to_json(view.document.removed),
    }


def _turn_to_json(turn: Turn) -> dict[str, Any]:
    members: dict[str, Any] = {
        "role": turn.role.value,
        "start": turn.start_ms / 1000,
        "end": turn.end_ms / 1000,
        "text": turn.text,
        "confidence": turn.confidence,
    }
    if turn.speaker:
        members["speaker"] = turn.speaker
    flags = {"overlap": turn.overlap, "backchannel": turn.backchannel}
    return members | {name: True for name, is_set in flags.items() if is_set}


def _figures_to_json(figures: Figures) -> dict[str, Any]:
    activity, monologue = figures.activity, figures.longest_monologue
    return {
        "talk": {
            role.value: {"seconds": talk.duration_ms / 1000, "share": talk.share}
            for role, talk in activity.talk.items()
        },
        "silence": {
            "seconds": activity.silence_ms / 1000,
            "share": activity.silence_share,
            "longest": _span_to_json(activity.longest_silence) if activity.longest_silence else None,
        },
        "holds": [_span_to_json(hold) for hold in activity.holds],
        "overlap_seconds": activity.overlap_ms / 1000,
        "interruptions": {role.value: count for role, count in figures.interruptions.items()},
        "longest_monologue": (
            {"role": monologue.role.value, **_span_to_json(monologue.span)} if monologue is not None else None
        ),
        f"{figures.unit}_per_minute": {role.value: number for role, number in figures.per_minute.items()},
        "echo_share": figures.echo_share,
    }


def _span_to_json(span: Span) -> dict[str, float]:
    return {"start": span.start_ms / 1000, "end": span.end_ms / 1000}


def _counts_to_json(removed: Mapping[str, int]) -> dict[str, int]:
    return {kind: count for kind, count in sorted(removed.items()) if count}


def _is_known(if_none_match: str, tag: str) -> bool:
    """Tell if the caller has the form with this tag (RFC 9110, section 13.1.2)."""
    tags = {entry.strip().removeprefix("W/") for entry in if_none_match.split(",")}
    return "*" in tags or tag in tags
