"""Builds the application of `functions/start_transcription`."""

from __future__ import annotations

from functools import cache

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.transcripts import (
    RECOGNIZER,
    audio_files,
    recognizer,
    recognizer_guard,
    transcription_policy,
    transcription_queues,
    transcription_store,
)
from switchboard.config import StartTranscriptionSettings
from switchboard.guard.usage.monthly_quota import CounterMonthlyQuota
from switchboard.ports.orders import RetryDelay
from switchboard.storage import aws
from switchboard.storage.limits import DynamoDbCounterStore
from switchboard.storage.queues import SqsRetryDelay
from switchboard.usecases.recording.start_transcription import StartTranscription


@cache
def application() -> StartTranscription:
    """Build the use case once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = StartTranscriptionSettings.load()
    return StartTranscription(
        recordings=transcription_store(settings),
        audio=audio_files(settings),
        recognizer=recognizer(settings),
        guard=recognizer_guard(settings),
        quota=CounterMonthlyQuota(
            counters=DynamoDbCounterStore(
                client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.limits_table
            ),
            provider=RECOGNIZER,
            limit=60 * settings.transcription_minutes_per_month,
        ),
        queues=transcription_queues(settings),
        policy=transcription_policy(settings),
        clock=CLOCK,
    )


def retry_delay() -> RetryDelay:
    """Build the retry delay of the transcription queue.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = StartTranscriptionSettings.load()
    return SqsRetryDelay(client=aws.sqs, queue_urls=(settings.transcription_queue_url,))
