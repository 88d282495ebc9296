"""The components of the applications that read or write whole verifications."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import deadlines
from switchboard.config import OutboxSettings, StateSettings
from switchboard.domain.orders import Status
from switchboard.domain.verification.verifications import (
    ChannelView,
    Verification,
    VerificationState,
    channel_views,
    status_of,
)
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage import aws
from switchboard.storage.queues import SqsFallbackQueue
from switchboard.storage.retrying import retrying
from switchboard.storage.verification.store import DynamoDbChannelStore, DynamoDbVerificationStore
from switchboard.usecases.verification.channels import QueryVerifications, ViewVerification


def verification_store(settings: StateSettings) -> DynamoDbVerificationStore:
    """Build the store of the state table's verifications."""
    return DynamoDbVerificationStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        deadlines=deadlines(settings),
        grace=timedelta(minutes=settings.lease_grace_minutes),
        retention=settings.retention,
    )


def channel_store(settings: StateSettings) -> DynamoDbChannelStore:
    """Build the store of their further channels."""
    return DynamoDbChannelStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        deadlines=deadlines(settings),
        retention=settings.retention,
    )


def fallback_queue(settings: OutboxSettings) -> SqsFallbackQueue:
    """Build the queue of verifications whose number may have to be called."""
    return SqsFallbackQueue(client=aws.sqs, queue_url=settings.outbox_queue_url)


def verification_status(settings: StateSettings) -> Callable[[Verification, datetime], Status[VerificationState]]:
    """Return the function that derives a verification's status."""
    times = deadlines(settings)
    return lambda verification, now: status_of(verification, deadlines=times, now=now)


def view_verification(settings: StateSettings) -> ViewVerification:
    """Build the derivation of a verification's view."""
    times = deadlines(settings)

    def channels_of(
        verification: Verification, further: Sequence[Verification], now: datetime
    ) -> Sequence[ChannelView]:
        return channel_views(verification, further, statuses=DELIVERY_STATUSES, deadlines=times, now=now)

    return ViewVerification(status_of=verification_status(settings), channels_of=channels_of)


def query_verifications(settings: StateSettings) -> QueryVerifications:
    """Build the query of verifications."""
    return QueryVerifications(
        orders=retrying(verification_store(settings), "get"),
        channels=retrying(channel_store(settings), "with_channels"),
        clock=CLOCK,
        view=view_verification(settings),
    )
