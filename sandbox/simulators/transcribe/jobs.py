"""Holds the jobs of the simulated account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Job:
    """One job: the request that started it, and how it went so far."""

    name: str
    request: Mapping[str, Any] = field(repr=False)
    created_s: float
    ends_s: float
    status: str = "IN_PROGRESS"
    completed_s: float | None = None
    failure: str | None = None

    @property
    def media(self) -> tuple[str, str]:
        """The bucket and the key of the audio."""
        bucket, _, key = str(self.request["Media"]["MediaFileUri"]).removeprefix("s3://").partition("/")
        return bucket, key

    def to_json(self) -> dict[str, Any]:
        """Return the job in the service's form."""
        members = {
            "TranscriptionJobName": self.name,
            "TranscriptionJobStatus": self.status,
            "LanguageCode": self.request.get("LanguageCode"),
            "MediaFormat": self.request.get("MediaFormat"),
            "Media": self.request.get("Media"),
            "Settings": self.request.get("Settings"),
            "CreationTime": self.created_s,
            "StartTime": self.created_s,
            "CompletionTime": self.completed_s,
            "FailureReason": self.failure,
        }
        return {name: value for name, value in members.items() if value is not None}
