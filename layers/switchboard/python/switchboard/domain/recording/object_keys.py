"""Build and parse the keys of a recording's objects.

A recording has one job per id, an object more for each different report of the same id, and one file per channel under
the day of the call.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from switchboard.domain.recording.facts import Channel, is_recording_id

JOBS_PREFIX: Final = "jobs/"
BACKLOG_PREFIX: Final = "backlog/"
_JOB: Final = re.compile(r"(?:jobs|backlog)/([^/]+?)(?:/[0-9a-f]{16})?\.json")


def job_key(recording_id: str, *, backlog: bool = False, notice: str = "") -> str:
    """Return `jobs/<id>.json`: the same id is the same job.

    The job of a recording that others go before is under `backlog/`. A later report that differs is in the object
    `jobs/<id>/<notice>.json`, with `notice` as 16 hexadecimal digits.

    Raises:
        ValueError: if `recording_id` is not a recording's id.
    """
    prefix = BACKLOG_PREFIX if backlog else JOBS_PREFIX
    name = _require_recording_id(recording_id)
    return f"{prefix}{name}/{notice}.json" if notice else f"{prefix}{name}.json"


def recording_id_of_job(key: str) -> str | None:
    """Return the id from which `job_key` builds this key, or None if it builds no such key."""
    match = _JOB.fullmatch(key)
    return match[1] if match and is_recording_id(match[1]) else None


def recording_key(recording_id: str, channel: Channel, *, at: datetime) -> str:
    """Return `recordings/yyyy/mm/dd/<id>/<channel>`, the key without the extension, which the file's format decides.

    `at`, aware, is the time of the call, or of the ready fact if that is unknown. The day is the one in UTC.

    Raises:
        ValueError: if `recording_id` is not a recording's id.
    """
    return f"recordings/{at.astimezone(UTC):%Y/%m/%d}/{_require_recording_id(recording_id)}/{channel.value}"


def transcript_key(recording_id: str, job: str, *, at: datetime) -> str:
    """Return `transcripts/yyyy/mm/dd/<id>/<source>.<digest>.<generation>.json`, with the day of `recording_key`.

    Raises:
        ValueError: if `recording_id` is not a recording's id.
    """
    name = ".".join(job.rsplit(".", 3)[1:])
    return f"transcripts/{at.astimezone(UTC):%Y/%m/%d}/{_require_recording_id(recording_id)}/{name}.json"


def unrecognised_key(recording_id: str, channel: Channel, attempt_id: str, *, at: datetime) -> str:
    """Return `quarantine/recordings/yyyy/mm/dd/<id>/<channel>/<attempt>`, with the day of the attempt, `at`, in UTC.

    Raises:
        ValueError: if `recording_id` is not a recording's id.
    """
    day = f"{at.astimezone(UTC):%Y/%m/%d}"
    return f"quarantine/recordings/{day}/{_require_recording_id(recording_id)}/{channel.value}/{attempt_id}"


def _require_recording_id(recording_id: str) -> str:
    if not is_recording_id(recording_id):
        raise ValueError("this cannot be a recording's id")
    return recording_id
