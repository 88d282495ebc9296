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
_PARTIAL_SUFFIXES: Final = (".tmp", ".part", ".partial", ".crdownload", ".filepart")
_FOLDER_FILES: Final = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    """A recording to look at, with the key of the report that came, or the key of a file that came in bulk."""

    recording_id: str | None = None
    job_key: str | None = None
    bulk_key: str | None = None


def parse_entry(entry: Mapping[str, Any]) -> Iterator[RecordingEntry]:
    """Yield everything that one entry asks for. Keys in S3's notifications are URL-encoded.

    S3's test of the notification, a notification of anything but a new object, and the placeholders that consoles and
    desktops make for folders ask for nothing.

    Raises:
        MalformedRequestError: the entry is neither S3's nor ours.
    """
    if entry.get("Event") == "s3:TestEvent":
        return
    if "Records" not in entry:
        recording_id, job_key = entry.get("recording_id"), entry.get("job_key")
        if not isinstance(recording_id, str) or not is_recording_id(recording_id):
            raise MalformedRequestError("The entry names no recording")
        if job_key is not None and (not isinstance(job_key, str) or recording_id_of_job(job_key) != recording_id):
            raise MalformedRequestError("The entry's job is another recording's")
        yield RecordingEntry(recording_id=recording_id, job_key=job_key)
        return
    for record in entry["Records"]:
        if str(record["eventName"]).removeprefix("s3:").startswith("ObjectCreated:"):
            new_object = record["s3"]["object"]
            # Keys end in "/" and objects are empty if they stand for a folder.
            if new_object.get("size") != 0:
                yield from _parse_key(unquote_plus(new_object["key"]))


def _parse_key(key: str) -> Iterator[RecordingEntry]:
    if key.startswith(BULK_PREFIX):
        if not _is_placeholder(key):
            yield RecordingEntry(bulk_key=key)
        return
    recording_id = recording_id_of_job(key)
    if recording_id is not None:
        yield RecordingEntry(recording_id=recording_id, job_key=key)


def _is_placeholder(key: str) -> bool:
    """Return whether the object stands for a folder, or was left there by a desktop or by a copy that goes on."""
    *folders, name = key.lower().split("/")
    hidden = name.startswith(".") or any(folder.startswith((".", "__macosx")) for folder in folders)
    return not name or hidden or name in _FOLDER_FILES or name.endswith(_PARTIAL_SUFFIXES)
