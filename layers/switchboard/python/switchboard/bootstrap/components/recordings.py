"""What the applications that read or write recordings are made of."""

from __future__ import annotations

from datetime import timedelta

from switchboard.config import RecordingSettings
from switchboard.domain.errors import ConfigurationError
from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.status import RecordingDeadlines
from switchboard.storage import aws
from switchboard.storage.recording.files import S3RecordingFiles
from switchboard.storage.recording.store import DynamoDbRecordingStore


def policy(settings: RecordingSettings) -> RecordingPolicy:
    """What this deployment wants of a recording. Raises ConfigurationError for a channel that is none."""
    try:
        channels = frozenset(Channel(each) for each in settings.biztel_channels)
    except ValueError:
        raise ConfigurationError("BIZTEL_CHANNELS: left, right and monaural are the channels") from None
    if not channels:
        raise ConfigurationError("BIZTEL_CHANNELS: at least one channel is wanted")
    return RecordingPolicy(
        channels=channels,
        monaural_instead=settings.biztel_monaural_instead,
        deadlines=RecordingDeadlines(
            split_kept=timedelta(days=settings.biztel_split_days),
            margin=timedelta(hours=settings.biztel_margin_hours),
            not_found_for=timedelta(minutes=settings.biztel_not_found_minutes),
        ),
    )


def recording_store(settings: RecordingSettings) -> DynamoDbRecordingStore:
    """The state table's recordings."""
    return DynamoDbRecordingStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        retention=settings.recording_retention,
    )


def recording_files(settings: RecordingSettings) -> S3RecordingFiles:
    """The recordings' bucket."""
    return S3RecordingFiles(client=aws.s3_files, bucket=settings.recordings_bucket)
