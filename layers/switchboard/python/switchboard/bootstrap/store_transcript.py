"""Builds the application of `functions/store_transcript`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.transcripts import (
    audio_files,
    recognizer,
    recognizer_guard,
    transcription_policy,
    transcription_queues,
    transcription_store,
)
from switchboard.config import StoreTranscriptSettings
from switchboard.ports.orders import RetryDelay
from switchboard.storage import aws
from switchboard.storage.queues import SqsRetryDelay
from switchboard.storage.recording.transcriptions import S3TranscriptFiles
from switchboard.usecases.recording.prepare_transcript import PrepareTranscript
from switchboard.usecases.recording.store_transcript import StoreTranscript


@dataclass(frozen=True, slots=True)
class StoreApplication:
    """The use case, and the reader of the names of this deployment's jobs."""

    store: StoreTranscript
    recording_id_of: Callable[[str], str | None]


@cache
def application() -> StoreApplication:
    """Build the application once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = StoreTranscriptSettings.load()
    return StoreApplication(
        store=StoreTranscript(
            recordings=transcription_store(settings),
            recognizer=recognizer(settings, quarantine_bucket=settings.quarantine_bucket),
            guard=recognizer_guard(settings),
            transcripts=S3TranscriptFiles(client=aws.s3, bucket=settings.recordings_bucket),
            queues=transcription_queues(settings),
            prepare=PrepareTranscript(audio=audio_files(settings), redacts=settings.transcription_redaction),
            clock=CLOCK,
        ),
        recording_id_of=transcription_policy(settings).recording_id_of,
    )


def retry_delay() -> RetryDelay:
    """Build the retry delay of the events' queue.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = StoreTranscriptSettings.load()
    return SqsRetryDelay(client=aws.sqs, queue_urls=(settings.transcription_events_queue_url,))
