"""Builds the application of `functions/send_queued_sms`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial
from typing import Final, TypeAlias

from switchboard.bootstrap.components.ivr_calls import record_ivr_call
from switchboard.bootstrap.components.mediasms import (
    Sender,
    build_senders,
    mediasms_connection,
    mediasms_credentials,
)
from switchboard.bootstrap.components.shared import CLOCK, build_magic_numbers, new_id
from switchboard.bootstrap.components.sms import deadlines, message_store, outbox
from switchboard.bootstrap.components.verifications import channel_store, fallback_queue, verification_store
from switchboard.bootstrap.components.voice_calls import voice_call_store
from switchboard.config import SendQueuedSmsSettings
from switchboard.domain.verification.verifications import submission_of
from switchboard.edge.queue_workers import SPARE_WORKERS, QueueWorkers, share_permits
from switchboard.ports.orders import InquiryQueue, RetryDelay
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.providers.mediasms.results import MediaSmsResults
from switchboard.providers.mediasms.verifications import MediaSmsVerifications, parse_methods
from switchboard.storage import aws
from switchboard.storage.aws import CachedSecret, SecretCodeKeys
from switchboard.storage.callbacks import S3CallbackArchive
from switchboard.storage.queues import SqsRetryDelay
from switchboard.storage.retrying import CHANNELS, INQUIRIES, SUBMISSION, retrying
from switchboard.storage.sms.reports import DynamoDbReportStore
from switchboard.storage.voice_call.store import DynamoDbCallResultStore
from switchboard.usecases.sms.inquire import InquireResult, InquiryOutcome
from switchboard.usecases.sms.record_report import RecordDeliveryReport
from switchboard.usecases.sms.send_queued import QueuedOutcome, QueueEntry, SendQueuedSms
from switchboard.usecases.submission.attempt import Submission
from switchboard.usecases.submission.play_script import PlayScript, ScriptOutcome
from switchboard.usecases.verification.fall_back import FallBack, FallbackOutcome
from switchboard.usecases.voice_call.record_result import RecordCallResult

# The template's MaximumConcurrency of the queues' event sources.
CONTAINERS_A_QUEUE: Final = 3

QueueOutcome: TypeAlias = QueuedOutcome | InquiryOutcome | FallbackOutcome | ScriptOutcome


@cache
def application() -> QueueWorkers[QueueEntry, QueueOutcome]:
    """Build the workers once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = SendQueuedSmsSettings.load()
    messages = retrying(message_store(settings), *SUBMISSION)
    queue = outbox(settings)

    account = CachedSecret(name=settings.mediasms_secret_name)

    script_player = cache(partial(_build_script_player, settings))

    def build_worker(sender: Sender) -> Callable[[QueueEntry], QueueOutcome]:
        send = SendQueuedSms(
            messages=messages,
            submission=sender.submission,
            bulk_submission=sender.bulk,
            outbox=queue,
            clock=CLOCK,
            new_id=new_id,
            requeue_delay_s=settings.requeue_delay_s,
        )
        inquire = _build_inquiry(settings, account, sender, queue) if settings.mediasms_results_url else None

        fall_back = _build_fallback(settings, sender)

        def handle(entry: QueueEntry) -> QueueOutcome:
            if entry.scripted is not None:
                return script_player()(entry.smsid, entry.scripted)
            if entry.fallback:
                return fall_back(entry.smsid)
            if not entry.inquiry:
                return send(entry.smsid)
            return inquire(entry.smsid) if inquire is not None else InquiryOutcome.NOTHING_TO_DO

        return handle

    permits = _share_permits(settings, permits=settings.in_flight_limit - 1)
    senders = build_senders(
        settings,
        messages,
        account,
        workers=permits + SPARE_WORKERS,
        bulk_in_flight_limit=settings.bulk_in_flight_limit,
    )
    return QueueWorkers(
        slots=senders.guards,
        workers=[build_worker(sender) for sender in senders.workers],
        permits=permits,
        bulk_queue=settings.bulk_queue_url.rpartition("/")[2],
        bulk_permits=_share_permits(settings, permits=min(permits, settings.bulk_in_flight_limit)),
    )


def retry_delay() -> RetryDelay:
    """Build the retry delay of both queues.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = SendQueuedSmsSettings.load()
    return SqsRetryDelay(client=aws.sqs, queue_urls=(settings.outbox_queue_url, settings.bulk_queue_url))


def _build_fallback(settings: SendQueuedSmsSettings, sender: Sender) -> FallBack:
    channels = retrying(channel_store(settings), *CHANNELS)
    return FallBack(
        verifications=retrying(verification_store(settings), "get"),
        channels=channels,
        submission=Submission(
            orders=channels,
            provider=MediaSmsVerifications(
                client=sender.client,
                long_text=settings.long_sms,
                methods=parse_methods(
                    settings.verification_methods, allow_undocumented=settings.allow_undocumented_methods
                ),
                allow_undocumented_methods=settings.allow_undocumented_methods,
            ),
            submission_of=submission_of,
            guard=sender.guard,
            clock=CLOCK,
            wait_budget=timedelta(seconds=settings.slot_wait_budget_s),
            claim_lifetime=timedelta(seconds=settings.claim_lifetime_s),
            magic_numbers=partial(build_magic_numbers, settings.outbox_queue_url),
            queues=False,
        ),
        fallbacks=fallback_queue(settings),
        clock=CLOCK,
        new_id=new_id,
        deadlines=deadlines(settings),
        statuses=DELIVERY_STATUSES,
    )


def _build_script_player(settings: SendQueuedSmsSettings) -> PlayScript:
    """Build the player of the test orders' events: the use cases of the three webhooks."""
    stores = (
        message_store(settings),
        verification_store(settings),
        channel_store(settings),
        voice_call_store(settings),
    )
    archive = S3CallbackArchive(client=aws.s3, bucket=settings.quarantine_bucket)
    dynamodb = aws.dynamodb(timeout_s=settings.store_timeout_s)
    reports = DynamoDbReportStore(
        client=dynamodb, table=settings.state_table, statuses=DELIVERY_STATUSES, retention=settings.retention
    )
    results = DynamoDbCallResultStore(client=dynamodb, table=settings.state_table, retention=settings.retention)
    return PlayScript(
        find=lambda order_id: next((order for store in stores if (order := store.get(order_id))), None),
        magic_numbers=build_magic_numbers(settings.outbox_queue_url),
        record_report=RecordDeliveryReport(
            reports=reports,
            codes=reports,
            archive=archive,
            clock=CLOCK,
            code_keys=SecretCodeKeys(name=settings.code_secret_name),
            put_fallback=fallback_queue(settings).put_fallback,
        ),
        record_ivr_call=record_ivr_call(settings, archive),
        record_result=RecordCallResult(calls=results, archive=archive, clock=CLOCK),
    )


def _build_inquiry(
    settings: SendQueuedSmsSettings, account: CachedSecret, sender: Sender, queue: InquiryQueue
) -> InquireResult:
    return InquireResult(
        messages=retrying(message_store(settings), *INQUIRIES),
        source=MediaSmsResults(
            url=settings.mediasms_results_url,
            credentials=mediasms_credentials(settings, account),
            connection=mediasms_connection(settings, settings.mediasms_results_url),
            no_such_id_codes=settings.mediasms_no_such_id_codes,
            allow_plain_http=settings.allow_plain_http,
        ),
        guard=sender.bulk_guard,
        queue=queue,
        clock=CLOCK,
        deadlines=deadlines(settings),
        statuses=DELIVERY_STATUSES,
        wait_budget=timedelta(seconds=settings.slot_wait_budget_s),
        postpone_s=settings.requeue_delay_s,
    )


def _share_permits(settings: SendQueuedSmsSettings, *, permits: int) -> int:
    if settings.mediasms_lockout_policy == "full_rate":
        return settings.queue_threads
    return share_permits(settings.queue_threads, permits=permits, containers=CONTAINERS_A_QUEUE)
