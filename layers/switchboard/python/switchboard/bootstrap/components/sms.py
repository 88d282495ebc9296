"""The components of the applications that read or write whole messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import OutboxSettings, StateSettings
from switchboard.domain.orders import Deadlines, InquiryRule
from switchboard.domain.sms.messages import Message, SmsStatus, status_of
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage import aws
from switchboard.storage.sms.messages import DynamoDbMessageStore, SqsOutbox
from switchboard.usecases.query import QueryOrders


def deadlines(settings: StateSettings) -> Deadlines:
    """Return this deployment's deadlines."""
    return Deadlines(
        delivery_after_claim=timedelta(hours=settings.delivery_window_hours),
        submission_after_request=timedelta(hours=settings.queue_validity_hours),
        requeue_after_queued=timedelta(minutes=settings.requeue_minutes),
        inquiries=InquiryRule(
            enabled=bool(settings.mediasms_results_url), not_found_decides=settings.mediasms_not_found_decides
        ),
    )


def message_store(settings: StateSettings) -> DynamoDbMessageStore:
    """Build the store of the state table's messages."""
    return DynamoDbMessageStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        deadlines=deadlines(settings),
        statuses=DELIVERY_STATUSES,
        retention=settings.retention,
    )


def sms_status(settings: StateSettings) -> Callable[[Message, datetime], SmsStatus]:
    """Return the function that derives a message's status by MediaSMS' status table."""
    times = deadlines(settings)
    return lambda message, now: status_of(message, statuses=DELIVERY_STATUSES, deadlines=times, now=now)


def query(settings: StateSettings, messages: DynamoDbMessageStore) -> QueryOrders[Message, SmsStatus]:
    """Build the query of messages."""
    return QueryOrders(orders=messages, clock=CLOCK, status_of=sms_status(settings))


def outbox(settings: OutboxSettings) -> SqsOutbox:
    """Build the queues of messages that wait for a slot."""
    return SqsOutbox(client=aws.sqs, queue_url=settings.outbox_queue_url, bulk_queue_url=settings.bulk_queue_url)
