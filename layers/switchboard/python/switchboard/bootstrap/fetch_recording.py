"""Builds the application of `functions/fetch_recording`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from switchboard.bootstrap.components.guards import biztel_guard_settings, provider_guards
from switchboard.bootstrap.components.recordings import (
    announcement_limits,
    policy,
    recording_files,
    recording_queue,
    recording_store,
)
from switchboard.bootstrap.components.shared import CLOCK, new_id
from switchboard.bootstrap.components.transcripts import transcription_queues
from switchboard.config import FetchRecordingSettings
from switchboard.domain.errors import ConfigurationError
from switchboard.guard.usage.monthly_quota import CounterMonthlyQuota
from switchboard.ports.orders import RetryDelay
from switchboard.providers.biztel.client import ApiToken, BiztelClient
from switchboard.providers.biztel.file_names import parse_file_name
from switchboard.storage import aws
from switchboard.storage.limits import DynamoDbCounterStore
from switchboard.storage.queues import SqsRetryDelay
from switchboard.storage.recording.bulk_files import S3BulkFiles
from switchboard.storage.recording.jobs import S3JobStore
from switchboard.storage.retrying import retrying
from switchboard.usecases.recording.close import CloseRecording
from switchboard.usecases.recording.fetch import FetchPace, FetchRecording
from switchboard.usecases.recording.keep_bulk_file import KeepBulkFile


@dataclass(frozen=True, slots=True)
class FetchApplication:
    """The use cases that the handler needs."""

    fetch: FetchRecording
    keep_bulk_file: KeepBulkFile


@cache
def application() -> FetchApplication:
    """Build the application once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = FetchRecordingSettings.load()
    close = CloseRecording(
        recordings=recording_store(settings),
        queues=transcription_queues(settings) if settings.transcription_minutes_per_month else None,
    )
    return FetchApplication(
        fetch=_build_fetch(settings, close),
        keep_bulk_file=KeepBulkFile(
            bulk=S3BulkFiles(
                client=aws.s3_files, bucket=settings.jobs_bucket, quarantine_bucket=settings.quarantine_bucket
            ),
            recordings=recording_store(settings),
            files=recording_files(settings, quarantine_bucket=settings.quarantine_bucket),
            close=close,
            parse_name=parse_file_name,
            clock=CLOCK,
            new_id=new_id,
        ),
    )


def retry_delay() -> RetryDelay:
    """Build the retry delay of the recordings' queue.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = FetchRecordingSettings.load()
    return SqsRetryDelay(
        client=aws.sqs, queue_urls=(settings.recording_queue_url, settings.recording_backlog_queue_url)
    )


def _build_fetch(settings: FetchRecordingSettings, close: CloseRecording) -> FetchRecording:
    account = aws.CachedSecret(name=settings.biztel_secret_name)
    dynamodb = aws.dynamodb(timeout_s=settings.store_timeout_s)

    def token() -> ApiToken:
        value = account().values.get("token")
        if not isinstance(value, str):
            raise ConfigurationError(f"the secret {settings.biztel_secret_name} needs the text token")
        return ApiToken(value=value)

    backlog_in_flight = max(1, settings.biztel_in_flight_limit // 2)
    guards = provider_guards(
        provider="biztel",
        egress_address=settings.egress_address,
        limits_table=settings.limits_table,
        settings=biztel_guard_settings(
            requests_per_s=settings.biztel_requests_per_s,
            jitter=timedelta(milliseconds=settings.biztel_jitter_milliseconds),
            in_flight=settings.biztel_in_flight_limit,
            backlog_in_flight=backlog_in_flight,
        ),
        account=account,
        store_timeout_s=settings.store_timeout_s,
    )
    return FetchRecording(
        jobs=S3JobStore(client=aws.s3, bucket=settings.jobs_bucket, quarantine_bucket=settings.quarantine_bucket),
        recordings=recording_store(settings),
        files=recording_files(settings, quarantine_bucket=settings.quarantine_bucket),
        queue=recording_queue(settings),
        close=close,
        source=BiztelClient(
            base_url=settings.biztel_base_url,
            token=token,
            deadline_s=settings.biztel_download_s,
            silence_s=settings.biztel_read_timeout_s,
            require_length=settings.biztel_require_length,
            max_bytes=settings.biztel_max_bytes,
            allow_plain_http=settings.allow_plain_http,
        ),
        guard=retrying(guards.single, "record_result"),
        backlog_guard=retrying(guards.with_concurrency_limit(backlog_in_flight)[0], "record_result"),
        limits=announcement_limits(settings),
        quota=CounterMonthlyQuota(
            counters=DynamoDbCounterStore(client=dynamodb, table=settings.limits_table),
            provider="biztel",
            limit=settings.biztel_requests_per_month,
            reserve=settings.biztel_month_reserve,
        ),
        policy=policy(settings),
        clock=CLOCK,
        new_id=new_id,
        pace=FetchPace(max_download_s=settings.biztel_download_s),
    )
