"""Builds the application of `functions/send_queued_sms`."""

from __future__ import annotations

from functools import cache
from typing import Final

from switchboard.bootstrap.components.mediasms import Sender, build_senders
from switchboard.bootstrap.components.shared import CLOCK, new_id
from switchboard.bootstrap.components.sms import message_store, outbox
from switchboard.config import SendQueuedSmsSettings
from switchboard.edge.queue_workers import QueueWorkers, limit_workers
from switchboard.ports.orders import RetryDelay
from switchboard.storage import aws
from switchboard.storage.queues import SqsRetryDelay
from switchboard.storage.retrying import SUBMISSION, retrying
from switchboard.usecases.sms.send_queued import QueuedOutcome, SendQueuedSms

# The template's MaximumConcurrency of the queues' event sources.
CONTAINERS_A_QUEUE: Final = 2


@cache
def application() -> QueueWorkers[QueuedOutcome]:
    """Build the workers once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = SendQueuedSmsSettings.load()
    messages = retrying(message_store(settings), *SUBMISSION)
    queue = outbox(settings)

    def build_worker(sender: Sender) -> SendQueuedSms:
        return SendQueuedSms(
            messages=messages,
            submission=sender.submission,
            bulk_submission=sender.bulk,
            outbox=queue,
            clock=CLOCK,
            new_id=new_id,
            requeue_delay_s=settings.requeue_delay_s,
        )

    workers = _limit_workers(settings, permits=settings.in_flight_limit - 1)
    bulk_workers = _limit_workers(settings, permits=settings.bulk_in_flight_limit)
    senders = build_senders(settings, messages, workers=workers, bulk_in_flight_limit=settings.bulk_in_flight_limit)
    return QueueWorkers(
        slots=senders.guards,
        workers=[build_worker(sender) for sender in senders.workers],
        bulk_queue=settings.bulk_queue_url.rpartition("/")[2],
        bulk_workers=min(workers, bulk_workers),
    )


def retry_delay() -> RetryDelay:
    """Build the retry delay of both queues.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = SendQueuedSmsSettings.load()
    return SqsRetryDelay(client=aws.sqs, queue_urls=(settings.outbox_queue_url, settings.bulk_queue_url))


def _limit_workers(settings: SendQueuedSmsSettings, *, permits: int) -> int:
    if settings.mediasms_lockout_policy == "full_rate":
        return settings.queue_threads
    return limit_workers(settings.queue_threads, permits=permits, containers=CONTAINERS_A_QUEUE)
