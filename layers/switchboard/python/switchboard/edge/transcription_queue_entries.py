"""Reads the entries of the transcripts' queues: our own, and the recogniser's events about its jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from switchboard.domain.recording.facts import is_recording_id
from switchboard.edge.http import MalformedRequestError

_EVENT: Final = "Transcribe Job State Change"


def parse_entry(entry: Mapping[str, Any], *, recording_id_of: Callable[[str], str | None]) -> str | None:
    """Return the recording that one entry names, or None for an event about a job that is not ours.

    `recording_id_of` reads the recording's id from a job's name. An event's state is not read: it is a hint only.

    Raises:
        MalformedRequestError: the entry is neither an event nor ours.
    """
    if entry.get("detail-type") == _EVENT:
        job = (entry.get("detail") or {}).get("TranscriptionJobName")
        recording_id = recording_id_of(job) if isinstance(job, str) else None
        return recording_id if recording_id is not None and is_recording_id(recording_id) else None
    return parse_recording_id(entry)


def parse_recording_id(entry: Mapping[str, Any]) -> str:
    """Return the recording that an entry of ours names.

    Raises:
        MalformedRequestError: the entry is not ours.
    """
    recording_id = entry.get("recording_id")
    if not isinstance(recording_id, str) or not is_recording_id(recording_id):
        raise MalformedRequestError("The entry names no recording")
    return recording_id
