"""The application of `functions/sweep_overdue`."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import deadlines, message_store, outbox, sms_standing
from switchboard.bootstrap.components.verifications import verification_standing, verification_store
from switchboard.bootstrap.components.voice_calls import call_store, settle_calls
from switchboard.config import SweepOverdueSettings
from switchboard.domain.sms.messages import next_due
from switchboard.domain.verification import verifications
from switchboard.storage import aws
from switchboard.storage.callbacks import S3CallbackVault
from switchboard.storage.queues import SqsRecordingQueue
from switchboard.storage.recording.store import DynamoDbRecordingStore
from switchboard.storage.verification.ivr_calls import DynamoDbCallStore, DynamoDbCodeStore
from switchboard.usecases.operations.reconcile_overdue import SettleOverdue
from switchboard.usecases.operations.sweep import SweepOverdue
from switchboard.usecases.recording.requeue_overdue import SettleRecordings
from switchboard.usecases.verification.record_ivr_call import RecordIvrNotice


@cache
def application() -> SweepOverdue:
    """Built once a container. Raises ConfigurationError."""
    settings = SweepOverdueSettings.load()
    messages, times = message_store(settings), deadlines(settings)
    vault = S3CallbackVault(client=aws.s3, bucket=settings.quarantine_bucket)
    dynamodb = aws.dynamodb(timeout_s=settings.store_timeout_s)
    return SweepOverdue(
        reports=messages,
        vault=vault,
        settle=[
            SettleOverdue(
                orders=messages,
                clock=CLOCK,
                standing_of=sms_standing(settings),
                next_due=lambda message: next_due(message, deadlines=times),
                look_again_after=times.requeue_after_queued,
                outbox=outbox(settings),
            ),
            SettleOverdue(
                orders=verification_store(settings),
                clock=CLOCK,
                standing_of=verification_standing(settings),
                next_due=lambda verification: verifications.next_due(verification, deadlines=times),
                look_again_after=times.requeue_after_queued,
            ),
            settle_calls(settings),
            SettleRecordings(
                recordings=DynamoDbRecordingStore(
                    client=aws.dynamodb(timeout_s=settings.store_timeout_s),
                    table=settings.state_table,
                    retention=timedelta(days=settings.recording_retention_days),
                ),
                queue=SqsRecordingQueue(client=aws.sqs, queue_url=settings.recording_queue_url),
                clock=CLOCK,
                look_again_after=times.requeue_after_queued,
            ),
        ],
        codes=DynamoDbCodeStore(client=dynamodb, table=settings.state_table, retention=settings.retention),
        notices=RecordIvrNotice(
            calls=DynamoDbCallStore(client=dynamodb, table=settings.state_table),
            vault=vault,
            clock=CLOCK,
            grace=timedelta(minutes=settings.lease_grace_minutes),
        ),
        results=call_store(settings),
    )
