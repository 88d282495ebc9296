"""The forms of a transcript, the choice between them, and its tag."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from http import HTTPStatus
from typing import Final

import pytest
import webvtt

from switchboard.domain.recording.facts import ROLES, Channel, Role
from switchboard.domain.recording.figures import measure_figures
from switchboard.domain.recording.transcript_document import TranscriptDocument
from switchboard.domain.recording.transcripts import TranscriptState, TranscriptStatus
from switchboard.domain.recording.turns import build_turns
from switchboard.domain.recording.words import Word
from switchboard.edge.api.transcripts import JSON, PLAIN_TEXT, WEBVTT, parse_form, to_reply
from switchboard.edge.http import InboundRequest, NotAcceptableError, Reply
from switchboard.usecases.recording.query import TranscriptView

DOCUMENT: Final = TranscriptDocument(
    language="ja-JP",
    words={
        Channel.LEFT: (Word(start_ms=0, end_ms=500, text="もしもし。", confidence=0.9),),
        Channel.RIGHT: (Word(start_ms=900, end_ms=1400, text="はい。", confidence=0.8),),
    },
    duration_ms=2000,
    removed={"telephone": 1},
    rules="1",
)


def view(left: Role = Role.CUSTOMER, right: Role = Role.OPERATOR) -> TranscriptView:
    roles = {**ROLES, Channel.LEFT: left, Channel.RIGHT: right}
    return TranscriptView(
        recording_id="1",
        status=TranscriptStatus(state=TranscriptState.READY),
        document=DOCUMENT,
        turns=build_turns(DOCUMENT.words, roles=roles),
        figures=measure_figures(DOCUMENT, roles=roles),
    )


def request(**headers: str) -> InboundRequest:
    return InboundRequest(method="GET", route="", path_params={}, query={}, headers=headers, body=b"")


def reply(form: str, transcript: TranscriptView | None = None, *, if_none_match: str = "") -> Reply:
    return to_reply(transcript or view(), form, request(**{"if-none-match": if_none_match}))


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/vtt", WEBVTT),
        ("text/plain; charset=utf-8", PLAIN_TEXT),
        ("text/*", WEBVTT),
        ("application/json;q=0.5, text/plain", PLAIN_TEXT),
        ("TEXT/VTT", WEBVTT),
        ("text/vtt;q=0, */*;q=0.1", JSON),
        ("image/png, */*;q=0.2", JSON),
        ("text/vtt;q=x", WEBVTT),
    ],
)
def test_the_accept_header_decides_the_form(accept: str, form: str) -> None:
    assert parse_form(request(accept=accept)) == form


@pytest.mark.parametrize("accept", ["image/png", "application/xml, image/*", "*/*;q=0"])
def test_no_form_is_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptableError):
        parse_form(request(accept=accept))


def test_the_json_has_turns_figures_and_what_was_removed() -> None:
    body = json.loads(str(reply(JSON).body))

    assert body["turns"][0] == {"role": "customer", "start": 0.0, "end": 0.5, "text": "もしもし。", "confidence": 0.9}
    assert body["redacted"] == {"telephone": 1}
    assert body["figures"]["talk"]["customer"] == {"seconds": 0.5, "share": 0.5}
    assert "characters_per_minute" in body["figures"]


def test_the_webvtt_is_read_by_a_parser() -> None:
    answer = reply(WEBVTT)

    captions = webvtt.from_buffer(io.StringIO(str(answer.body))).captions
    assert [(caption.voice, caption.text) for caption in captions] == [
        ("顧客", "もしもし。"),
        ("オペレーター", "はい。"),
    ]
    assert answer.headers["Content-Type"] == "text/vtt; charset=utf-8"


@pytest.mark.parametrize("form", [JSON, WEBVTT, PLAIN_TEXT])
def test_a_known_form_is_not_sent_again_until_the_roles_change(form: str) -> None:
    tag = reply(form).headers["ETag"]
    corrected = view(left=Role.OPERATOR, right=Role.CUSTOMER)

    assert reply(form, if_none_match=f'"other", W/{tag}').status is HTTPStatus.NOT_MODIFIED
    assert reply(form, corrected, if_none_match=tag).status is HTTPStatus.OK
    assert reply(form, corrected).headers["ETag"] != tag


def test_each_form_has_a_tag_of_its_own() -> None:
    assert len({reply(form).headers["ETag"] for form in (JSON, WEBVTT, PLAIN_TEXT)}) == 3


def test_an_empty_transcript_has_no_turns() -> None:
    empty = replace(view(), turns=(), document=replace(DOCUMENT, words={}))

    assert json.loads(str(reply(JSON, empty).body))["turns"] == []
