"""Builds the components of the applications that read or write recordings."""

from __future__ import annotations

from datetime import timedelta

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import (
    QueryRecordingsSettings,
    RecordingQueueSettings,
    RecordingSettings,
    RecordingTimeSettings,
)
from switchboard.domain.errors import ConfigurationError
from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.status import RecordingDeadlines
from switchboard.guard.usage.announcement_limits import CounterAnnouncementLimits
from switchboard.providers.biztel.file_names import parse_file_name
from switchboard.storage import aws
from switchboard.storage.limits import DynamoDbCounterStore
from switchboard.storage.queues import SqsRecordingQueue
from switchboard.storage.recording.files import S3RecordingFiles
from switchboard.storage.recording.jobs import S3JobStore
from switchboard.storage.recording.store import DynamoDbRecordingStore
from switchboard.storage.recording.transcriptions import S3TranscriptFiles
from switchboard.storage.retrying import retrying
from switchboard.usecases.recording.query import QueryRecordings


def policy(settings: RecordingSettings) -> RecordingPolicy:
    """Build this deployment's policy for recordings.

    Raises:
        ConfigurationError: BIZTEL_CHANNELS names no channel, or something that is none.
    """
    try:
        channels = frozenset(Channel(name) for name in settings.biztel_channels)
    except ValueError:
        raise ConfigurationError("BIZTEL_CHANNELS: left, right and monaural are the channels") from None
    if not channels:
        raise ConfigurationError("BIZTEL_CHANNELS: name at least one channel")
    return RecordingPolicy(
        channels=channels,
        monaural_as_fallback=settings.biztel_monaural_instead,
        deadlines=recording_deadlines(settings),
    )


def recording_deadlines(settings: RecordingTimeSettings) -> RecordingDeadlines:
    """Build the periods during which a recording is fetched."""
    return RecordingDeadlines(
        split_retention=timedelta(days=settings.biztel_split_days),
        split_give_up_margin=timedelta(hours=settings.biztel_margin_hours),
        not_ready_time=timedelta(minutes=settings.biztel_not_found_minutes),
    )


def recording_queue(settings: RecordingQueueSettings) -> SqsRecordingQueue:
    """Build the queue of recordings with its backlog."""
    return SqsRecordingQueue(
        client=aws.sqs,
        queue_url=settings.recording_queue_url,
        backlog_queue_url=settings.recording_backlog_queue_url,
    )


def announcement_limits(settings: RecordingQueueSettings) -> CounterAnnouncementLimits:
    """Build the limits on recordings that may not exist."""
    return CounterAnnouncementLimits(
        counters=DynamoDbCounterStore(
            client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.limits_table
        ),
        provider="biztel",
        announcements_per_hour=settings.biztel_announcements_per_hour,
        retries_per_day=settings.biztel_not_found_retries_per_day,
    )


def recording_store(settings: RecordingSettings) -> DynamoDbRecordingStore:
    """Build the store of the state table's recordings."""
    store = DynamoDbRecordingStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        retention=settings.recording_retention,
    )
    return retrying(store, "get", "announce", "begin", "withdraw", "record_outcome", "correct", "schedule", "park")


def recording_files(settings: RecordingSettings, *, quarantine_bucket: str | None = None) -> S3RecordingFiles:
    """Build the store of the recordings' bucket. Only an application with a quarantine can store files."""
    return S3RecordingFiles(client=aws.s3_files, bucket=settings.recordings_bucket, quarantine_bucket=quarantine_bucket)


def query_recordings(settings: QueryRecordingsSettings) -> QueryRecordings:
    """Build the use case that reads recordings and corrects their roles.

    Raises:
        ConfigurationError: a channel is unknown, or there is none.
    """
    return QueryRecordings(
        recordings=recording_store(settings),
        jobs=S3JobStore(client=aws.s3, bucket=settings.jobs_bucket),
        files=recording_files(settings),
        transcripts=S3TranscriptFiles(client=aws.s3, bucket=settings.recordings_bucket),
        policy=policy(settings),
        makes_transcripts=settings.transcription_minutes_per_month > 0,
        clock=CLOCK,
        url_lifetime=timedelta(minutes=settings.recording_url_minutes),
        parse_name=parse_file_name,
    )
