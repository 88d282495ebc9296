"""Builds what reads the status of the whole system."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from switchboard.bootstrap.components.guards import (
    baidu_guard_settings,
    biztel_guard_settings,
    mediasms_guard_settings,
)
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import StatusSettings
from switchboard.domain.changes import CIRCUITS
from switchboard.guard.provider.settings import compute_requests_per_s
from switchboard.guard.usage.monthly_quota import CounterMonthlyQuota
from switchboard.storage import aws
from switchboard.storage.items import CHANNEL, VERIFICATION, pending_partitions
from switchboard.storage.limits import DynamoDbCounterStore
from switchboard.storage.recording.items import PENDING, TRANSCRIPTION_PENDING
from switchboard.storage.status import DynamoDbDeadlineReader, DynamoDbProviderLimitReader, SqsQueueReader
from switchboard.usecases.operations.query_status import QueryStatus, WatchedProvider

# The kinds of orders whose deadlines the sweep reconciles (storage/sms/messages.py and its like).
_ORDERS: Final = ("sms", VERIFICATION, CHANNEL, "call")
# The slowest part, four rounds of queries, may end 12 s later. API Gateway answers by itself after 29 s.
_TIME_BUDGET: Final = timedelta(seconds=15)


def query_status(settings: StatusSettings) -> QueryStatus:
    """Build the use case over all limits, quotas, deadlines and queues."""
    dynamodb = aws.dynamodb(timeout_s=settings.store_timeout_s)
    counters = DynamoDbCounterStore(client=dynamodb, table=settings.limits_table)
    queues = {
        "outbox": settings.outbox_queue_url,
        "bulk": settings.bulk_queue_url,
        "outbox_dead_letters": settings.outbox_dead_letter_queue_url,
        "recordings": settings.recording_queue_url,
        "recordings_backlog": settings.recording_backlog_queue_url,
        "recording_dead_letters": settings.recording_dead_letter_queue_url,
        "transcriptions": settings.transcription_queue_url,
        "transcription_events": settings.transcription_events_queue_url,
        "transcription_dead_letters": settings.transcription_dead_letter_queue_url,
    }
    partitions = [
        PENDING,
        TRANSCRIPTION_PENDING,
        *(partition for kind in _ORDERS for partition in pending_partitions(kind)),
    ]
    return QueryStatus(
        providers=_build_watched_providers(settings),
        limit_reader=DynamoDbProviderLimitReader(client=dynamodb, table=settings.limits_table),
        quotas={
            "biztel": CounterMonthlyQuota(
                counters=counters,
                provider="biztel",
                limit=settings.biztel_requests_per_month,
                reserve=settings.biztel_month_reserve,
            ),
            "transcribe": CounterMonthlyQuota(
                counters=counters, provider="transcribe", limit=60 * settings.transcription_minutes_per_month
            ),
        },
        deadlines=DynamoDbDeadlineReader(client=dynamodb, table=settings.state_table, partitions=partitions),
        queues={name: SqsQueueReader(client=aws.sqs, queue_url=url) for name, url in queues.items()},
        clock=CLOCK,
        time_budget=_TIME_BUDGET,
    )


def _build_watched_providers(settings: StatusSettings) -> Sequence[WatchedProvider]:
    """Build one entry for each provider that has a guard, with the limits of that guard."""
    limits = (
        mediasms_guard_settings(
            requests_per_s=settings.mediasms_requests_per_s,
            jitter=timedelta(milliseconds=settings.mediasms_jitter_milliseconds),
            in_flight=settings.in_flight_limit,
            policy=settings.mediasms_lockout_policy,
        ),
        baidu_guard_settings(
            in_flight=settings.baidu_vms_concurrency, requests_per_s=settings.baidu_vms_requests_per_s
        ),
        biztel_guard_settings(requests_per_s=settings.biztel_requests_per_s, in_flight=settings.biztel_in_flight_limit),
    )
    return [
        WatchedProvider(
            provider=provider,
            key=f"{provider}#{settings.egress_address}",
            pace_of=partial(compute_requests_per_s, guard_settings),
            in_flight_limit=guard_settings.in_flight,
            open_after_401s=guard_settings.open_after_401s,
        )
        for provider, guard_settings in zip(CIRCUITS, limits, strict=True)
    ]
