"""Reads the entries of the recordings' queue: S3's notifications about the jobs bucket, and requeued ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from switchboard.domain.recording.facts import is_recording_id
from switchboard.domain.recording.object_keys import recording_id_of_job
from switchboard.edge.http import MalformedRequestError

BULK_PREFIX: Final = "bulk/"


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    """A recording to look at, or the key of a file that came in bulk."""

    recording_id: str | None = None
    bulk_key: str | None = None


def parse_entry(entry: Mapping[str, Any]) -> Iterator[RecordingEntry]:
    """Yield everything that one entry asks for. Keys in S3's notifications are URL-encoded.

    S3's test of the notification, and a notification of anything but a new object, ask for nothing.

    Raises:
        MalformedRequestError: the entry is neither S3's nor ours.
    """
    if entry.get("Event") == "s3:TestEvent":
        return
    if "Records" not in entry:
        recording_id = entry.get("recording_id")
        if not isinstance(recording_id, str) or not is_recording_id(recording_id):
            raise MalformedRequestError("The entry names no recording")
        yield RecordingEntry(recording_id=recording_id)
        return
    for record in entry["Records"]:
        if str(record["eventName"]).removeprefix("s3:").startswith("ObjectCreated:"):
            yield from _parse_key(unquote_plus(record["s3"]["object"]["key"]))


def _parse_key(key: str) -> Iterator[RecordingEntry]:
    if key.startswith(BULK_PREFIX):
        # S3's console makes an empty object for a folder.
        if not key.endswith("/"):
            yield RecordingEntry(bulk_key=key)
        return
    recording_id = recording_id_of_job(key)
    if recording_id is None:
        raise MalformedRequestError("The object is no job")
    yield RecordingEntry(recording_id=recording_id)
