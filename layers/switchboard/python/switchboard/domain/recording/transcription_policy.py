"""Decide which transcription jobs to ask for, under which names, and when to look at them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from switchboard.domain.recording.transcript_facts import FailureReason, TranscriptionAttempt, TranscriptionEnd
from switchboard.domain.recording.transcripts import SourceStatus

LOST_AFTER: Final = timedelta(hours=24)
"""The time after which a job that has not ended counts as lost."""
LONGEST_PAUSE: Final = timedelta(hours=1)
"""The longest pause between two requests to a recogniser that refuses us, or does not answer."""
_MIN_LOOK_AFTER: Final = timedelta(minutes=15)
_ASKED: Final = frozenset({"http"})
"""The recognisers that do not tell when a job has ended."""
_ASK_AFTER: Final = timedelta(minutes=1)
_LATER_LOOKS: Final = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12), LOST_AFTER)

_MIN_SECONDS: Final = 0.5
"""The service refuses less."""
_MAX_SECONDS: Final = 4 * 3600
_MAX_BYTES: Final = 2 * 1024**3
_MIN_BILLED_SECONDS: Final = 15
"""The least that the service bills for a job."""
_MIN_BYTES_PER_S: Final = 1000
"""The length of a file that does not tell it is taken for the longest that its size allows."""
_MAX_JOB_NAME: Final = 200

MEDIA_FORMATS: Final[Mapping[str, str]] = MappingProxyType({"mp3": "mp3", "wav": "wav", "ogg": "ogg"})
"""The service's names of the formats that it reads, by the extension of the file's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionPolicy:
    """This deployment's choices for transcripts.

    `stack` begins the names of its jobs. `language` is the service's code. `vocabulary` is the name of a custom
    vocabulary, or empty. Without `enabled` no job is asked for.
    """

    stack: str
    language: str
    vocabulary: str
    recognizer: str
    enabled: bool

    def plan_attempt(self, recording_id: str, source: SourceStatus, *, at: datetime) -> TranscriptionAttempt:
        """Return the attempt that the source needs next. The name follows from facts, never from the clock."""
        digest = source.digest or self._digest(source)
        suffix = f".{source.source}.{digest}.{source.generation}"
        name = f"{self.stack}.{recording_id}{suffix}"
        if len(name) > _MAX_JOB_NAME:
            # An event about such a job finds no recording. The sweep looks at it by its deadline.
            name = f"{self.stack}.{hashlib.sha256(recording_id.encode()).hexdigest()[:32]}{suffix}"
        return TranscriptionAttempt(
            job=name,
            source=source.source,
            inputs=source.inputs,
            language=source.language or self.language,
            recognizer=self.recognizer,
            generation=source.generation,
            billed_seconds=_billed_seconds(source),
            at=at,
        )

    def recording_id_of(self, job: str) -> str | None:
        """Return the recording that a job's name names, or None if the name is not one of this deployment's."""
        name, *suffix = job.rsplit(".", 3)
        prefix = f"{self.stack}."
        return name.removeprefix(prefix) if len(suffix) == 3 and name.startswith(prefix) else None

    def _digest(self, source: SourceStatus) -> str:
        """Hash the audio and the settings."""
        content = json.dumps([source.inputs, self.language, self.vocabulary, self.recognizer, source.source])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def decide_unasked(source: SourceStatus) -> tuple[TranscriptionEnd, FailureReason] | None:
    """Return the end of a source for which the service need not be asked, or None if it has to be asked."""
    extensions = {file.key.rpartition(".")[2] for file in source.files}
    if not extensions <= MEDIA_FORMATS.keys():
        return TranscriptionEnd.FAILED, FailureReason.UNSUPPORTED_FORMAT
    if source.seconds is not None and source.seconds < _MIN_SECONDS:
        return TranscriptionEnd.EMPTY, FailureReason.TOO_SHORT
    if (source.seconds or 0) > _MAX_SECONDS or sum(file.bytes for file in source.files) > _MAX_BYTES:
        return TranscriptionEnd.FAILED, FailureReason.TOO_LONG
    return None


def next_look(attempt: TranscriptionAttempt, *, now: datetime) -> datetime:
    """Return when to ask the service for the job if no event comes.

    The first look is 15 minutes after the start, or after twice the length of longer audio. Others follow after 1, 4,
    12 and 24 hours. A recogniser that does not tell is asked after 1, 2, 4, 8 … minutes and after 24 hours.
    """
    if attempt.recognizer in _ASKED:
        doubled = _ASK_AFTER
        while attempt.at + doubled <= now:
            doubled *= 2
        is_lost_before = now < attempt.at + LOST_AFTER < attempt.at + doubled
        return attempt.at + (LOST_AFTER if is_lost_before else doubled)
    first = max(_MIN_LOOK_AFTER, timedelta(seconds=2 * attempt.billed_seconds))
    looks = [first, *(look for look in _LATER_LOOKS if look > first)]
    return next((attempt.at + look for look in looks if attempt.at + look > now), now + _MIN_LOOK_AFTER)


def _billed_seconds(source: SourceStatus) -> int:
    seconds = source.seconds
    if seconds is None:
        seconds = max(file.bytes for file in source.files) / _MIN_BYTES_PER_S
    return max(_MIN_BILLED_SECONDS, math.ceil(seconds))
