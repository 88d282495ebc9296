"""What the applications that read or write whole messages are made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import OutboxSettings, StateSettings
from switchboard.domain.orders import Deadlines
from switchboard.domain.sms.messages import Message, SmsStatus, status_of
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage import aws
from switchboard.storage.queues import SqsOutbox
from switchboard.storage.sms.messages import DynamoDbMessageStore
from switchboard.usecases.query import QueryOrders


def deadlines(settings: StateSettings) -> Deadlines:
    """By when something must have been heard, as this deployment has it."""
    return Deadlines(
        delivery_after_claim=timedelta(hours=settings.delivery_window_hours),
        submission_after_request=timedelta(hours=settings.queue_validity_hours),
        requeue_after_queued=timedelta(minutes=settings.requeue_minutes),
    )


def message_store(settings: StateSettings) -> DynamoDbMessageStore:
    """The state table's messages."""
    return DynamoDbMessageStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        deadlines=deadlines(settings),
        retention=settings.retention,
    )


def sms_status(settings: StateSettings) -> Callable[[Message, datetime], SmsStatus]:
    """Where a message stands, by MediaSMS' status table."""
    times = deadlines(settings)
    return lambda message, now: status_of(message, statuses=DELIVERY_STATUSES, deadlines=times, now=now)


def query(settings: StateSettings, messages: DynamoDbMessageStore) -> QueryOrders[Message, SmsStatus]:
    """Where messages stand."""
    return QueryOrders(orders=messages, clock=CLOCK, status_of=sms_status(settings))


def outbox(settings: OutboxSettings) -> SqsOutbox:
    """The queues of messages waiting for room."""
    return SqsOutbox(client=aws.sqs, queue_url=settings.outbox_queue_url, bulk_queue_url=settings.bulk_queue_url)
