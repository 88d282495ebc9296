"""Where the objects of a recording lie: one job an id, and one file a channel under the day of the call."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from switchboard.domain.recording.facts import Channel, is_recording_id

JOBS: Final = "jobs/"
RECORDINGS: Final = "recordings/"

_CHANNELS: Final = {channel.value: channel for channel in Channel}
_JOB: Final = re.compile(r"jobs/([^/]+)\.json")
_RECORDING: Final = re.compile(r"recordings/[0-9]{4}/[0-9]{2}/[0-9]{2}/([^/]+)/([a-z]+)\.mp3")


def job_key(recording_id: str) -> str:
    """`jobs/<id>.json`: the same id is the same job. Raises ValueError for what is no recording's id."""
    return f"{JOBS}{_checked(recording_id)}.json"


def recording_id_of_job(key: str) -> str | None:
    """The id that `job_key` made the key of, or None where it made no such key."""
    found = _JOB.fullmatch(key)
    return found[1] if found and is_recording_id(found[1]) else None


def recording_key(recording_id: str, channel: Channel, *, at: datetime) -> str:
    """`recordings/yyyy/mm/dd/<id>/<channel>.mp3`. `at`, aware, is the time of the call, or of the ready_fact where
    that is unknown; its day is the one in UTC. Raises ValueError for what is no recording's id."""
    return f"{RECORDINGS}{at.astimezone(UTC):%Y/%m/%d}/{_checked(recording_id)}/{channel.value}.mp3"


def channel_of_recording(key: str) -> tuple[str, Channel] | None:
    """The id and the channel that `recording_key` made the key of, or None where it made no such key."""
    found = _RECORDING.fullmatch(key)
    channel = _CHANNELS.get(found[2]) if found else None
    if not found or channel is None or not is_recording_id(found[1]):
        return None
    return found[1], channel


def _checked(recording_id: str) -> str:
    if not is_recording_id(recording_id):
        raise ValueError("this cannot be a recording's id")
    return recording_id
