"""Builds the application of `functions/sweep_overdue`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from typing import Final

from switchboard.bootstrap.components.ivr_calls import record_ivr_call
from switchboard.bootstrap.components.recordings import announcement_limits, recording_deadlines, recording_queue
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import deadlines, message_store, outbox, sms_status
from switchboard.bootstrap.components.transcripts import transcription_queues, transcription_store
from switchboard.bootstrap.components.verifications import (
    channel_store,
    fallback_queue,
    verification_status,
    verification_store,
)
from switchboard.bootstrap.components.voice_calls import reconcile_voice_calls, voice_call_store
from switchboard.config import SweepOverdueSettings
from switchboard.domain.sms.messages import next_due
from switchboard.domain.verification import verifications
from switchboard.domain.verification.verifications import Verification, VerificationState
from switchboard.storage import aws
from switchboard.storage.callbacks import S3CallbackArchive
from switchboard.storage.recording.store import DynamoDbRecordingStore
from switchboard.storage.retrying import (
    CALL_RESULTS,
    INQUIRIES,
    RECONCILIATION,
    REPLAYED_CODES,
    REPLAYED_REPORTS,
    retrying,
)
from switchboard.storage.sms.reports import DynamoDbCodeStore
from switchboard.usecases.operations.reconcile_overdue import ReconcileOverdue
from switchboard.usecases.operations.sweep import SweepOverdue
from switchboard.usecases.recording.release_parked import ReleaseParkedRecordings
from switchboard.usecases.recording.requeue_overdue import RequeueOverdueRecordings
from switchboard.usecases.recording.requeue_transcriptions import RequeueTranscriptions
from switchboard.usecases.sms.inquire import PlanInquiries
from switchboard.usecases.verification.fall_back import PlanFallback

_BATCH: Final = 400
"""The overdue items of one kind in one round of the sweep."""


@cache
def application() -> SweepOverdue:
    """Build the use case once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = SweepOverdueSettings.load()
    messages, times = message_store(settings), deadlines(settings)
    pool = ThreadPoolExecutor(aws.CALLS_AT_ONCE)
    archive = S3CallbackArchive(client=aws.s3, bucket=settings.quarantine_bucket)
    dynamodb = aws.dynamodb(timeout_s=settings.store_timeout_s)
    recordings = retrying(
        DynamoDbRecordingStore(client=dynamodb, table=settings.state_table, retention=settings.recording_retention),
        "schedule",
    )
    codes = DynamoDbCodeStore(client=dynamodb, table=settings.state_table)
    return SweepOverdue(
        reports=retrying(messages, *REPLAYED_REPORTS),
        archive=archive,
        batch=_BATCH,
        reconcile=[
            ReconcileOverdue(
                orders=retrying(messages, *RECONCILIATION),
                clock=CLOCK,
                status_of=sms_status(settings),
                next_due=lambda message: next_due(message, deadlines=times),
                look_again_after=times.requeue_after_queued,
                pool=pool,
                outbox=outbox(settings),
                plan_inquiry=PlanInquiries(
                    messages=retrying(messages, *INQUIRIES), queue=outbox(settings), deadlines=times
                ),
            ),
            ReconcileOverdue(
                orders=retrying(verification_store(settings), *RECONCILIATION),
                clock=CLOCK,
                status_of=verification_status(settings),
                next_due=lambda verification: verifications.next_due(verification, deadlines=times),
                look_again_after=times.requeue_after_queued,
                pool=pool,
                expired_mode_of=_find_expired_mode(settings),
                plan_inquiry=PlanFallback(
                    verifications=retrying(verification_store(settings), *RECONCILIATION),
                    fallbacks=fallback_queue(settings),
                ),
            ),
            ReconcileOverdue(
                orders=retrying(channel_store(settings), *RECONCILIATION),
                clock=CLOCK,
                status_of=verification_status(settings),
                next_due=lambda channel: verifications.next_due(channel, deadlines=times),
                look_again_after=times.requeue_after_queued,
                pool=pool,
            ),
            reconcile_voice_calls(settings, pool=pool),
            RequeueOverdueRecordings(
                recordings=recordings,
                queue=recording_queue(settings),
                clock=CLOCK,
                look_again_after=times.requeue_after_queued,
            ),
            RequeueTranscriptions(
                recordings=transcription_store(settings),
                queues=transcription_queues(settings),
                clock=CLOCK,
                look_again_after=times.requeue_after_queued,
            ),
            ReleaseParkedRecordings(
                recordings=recordings,
                queue=recording_queue(settings),
                limits=announcement_limits(settings),
                deadlines=recording_deadlines(settings),
                clock=CLOCK,
                look_again_after=times.requeue_after_queued,
            ),
        ],
        codes=retrying(codes, *REPLAYED_CODES),
        ivr_calls=record_ivr_call(settings, archive),
        fallbacks=fallback_queue(settings),
        results=retrying(voice_call_store(settings), *CALL_RESULTS),
    )


def _find_expired_mode(settings: SweepOverdueSettings) -> Callable[[Verification, datetime], str | None]:
    status_of = verification_status(settings)

    def find(verification: Verification, now: datetime) -> str | None:
        return verification.mode if status_of(verification, now).state is VerificationState.EXPIRED else None

    return find
