"""Build the use cases of SMS over the ports of a test: fakes, adapters, or ports that fail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from switchboard.domain.sms.messages import Message, SmsStatus, SmsSubmission, next_due, status_of, submission_of
from switchboard.domain.sms.schedule import QuietHours
from switchboard.ports.callbacks import CallbackArchive
from switchboard.ports.clock import ClaimIds, Clock
from switchboard.ports.orders import MessageStore, Outbox
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.usage_limits import UsageLimits
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage.retrying import (
    ACCEPTANCE,
    GUARD,
    RECONCILIATION,
    REPLAYED_REPORTS,
    SMS_CANCELLATION,
    SUBMISSION,
    USAGE,
    retrying,
)
from switchboard.usecases.operations.reconcile_overdue import ReconcileOverdue
from switchboard.usecases.operations.sweep import SweepOverdue
from switchboard.usecases.query import QueryOrders
from switchboard.usecases.sms.accept import AcceptForQueue
from switchboard.usecases.sms.cancel import CancelSms
from switchboard.usecases.sms.record_report import RecordDeliveryReport
from switchboard.usecases.sms.send import SendSms
from switchboard.usecases.sms.send_batch import SendSmsBatch
from switchboard.usecases.sms.send_queued import SendQueuedSms
from switchboard.usecases.submission.attempt import Submission
from switchboard.usecases.submission.submit_once import SubmitOnce
from tests.builders import DEADLINES
from tests.fakes import (
    CountingIds,
    FixedClock,
    FixedCodeKeys,
    InMemoryCallbackArchive,
    InMemoryFallbackQueue,
    InMemoryMessageStore,
    InMemoryOutbox,
    InMemoryVerificationStore,
    NoLimits,
    OpenGuard,
    ScriptedProvider,
    ScriptedSubmitter,
    down,
)
from tests.fakes.magic_numbers import no_magic_numbers

WAIT_BUDGET = timedelta(seconds=2)
CLAIM_LIFETIME = timedelta(seconds=60)
REQUEUE_DELAY_S = 30
TIME_BUDGET = timedelta(seconds=12)
QUIET_HOURS = QuietHours.parse("21:00-08:00")


@dataclass(frozen=True, slots=True)
class Parts:
    """The classes of a system, of which a mutant replaces one."""

    store: type[InMemoryMessageStore] = InMemoryMessageStore
    reconcile: type[ReconcileOverdue[Message]] = ReconcileOverdue
    record: type[RecordDeliveryReport] = RecordDeliveryReport
    submission: type[Submission[Message, SmsSubmission, SmsSubmission]] = Submission
    send_queued: type[SendQueuedSms] = SendQueuedSms
    query: type[QueryOrders[Message, SmsStatus]] = QueryOrders


@dataclass(frozen=True, slots=True)
class System:
    """Every use case of SMS."""

    send: SendSms
    send_queued: SendQueuedSms
    send_batch: SendSmsBatch
    cancel: CancelSms
    sweep: SweepOverdue
    record: RecordDeliveryReport
    query: QueryOrders[Message, SmsStatus]


def sms_status(message: Message, now: datetime) -> SmsStatus:
    """Derive a message's status by MediaSMS' table and the default deadlines."""
    return status_of(message, statuses=DELIVERY_STATUSES, deadlines=DEADLINES, now=now)


def assembled(
    *,
    messages: MessageStore | None = None,
    outbox: Outbox[Message] | None = None,
    archive: CallbackArchive | None = None,
    provider: ScriptedSubmitter | None = None,
    clock: Clock | None = None,
    guard: ProviderGuard | None = None,
    limits: UsageLimits | None = None,
    ids: ClaimIds | None = None,
    parts: Parts | None = None,
) -> System:
    """Build a system over these ports, and over fakes for the missing ones."""
    outbox, archive = outbox or InMemoryOutbox(), archive or InMemoryCallbackArchive()
    clock, ids, parts = clock or FixedClock(), ids or CountingIds(), parts or Parts()
    messages = messages or parts.store(deadlines=DEADLINES)
    submitted = retrying(messages, *SUBMISSION)
    limits = retrying(limits or NoLimits(), *USAGE)
    submission = parts.submission(
        orders=submitted,
        provider=provider or ScriptedProvider(),
        submission_of=submission_of,
        guard=retrying(guard or OpenGuard(clock), *GUARD),
        clock=clock,
        wait_budget=WAIT_BUDGET,
        claim_lifetime=CLAIM_LIFETIME,
        magic_numbers=no_magic_numbers,
    )
    accept = AcceptForQueue(
        messages=retrying(messages, *ACCEPTANCE), limits=limits, outbox=outbox, clock=clock, quiet_hours=QUIET_HOURS
    )
    return System(
        send=SendSms(
            submit_once=SubmitOnce(
                orders=submitted,
                submission=submission,
                limits=limits,
                clock=clock,
                new_id=ids,
                status_of=sms_status,
                outbox=outbox,
            ),
            accept=lambda: accept,
            clock=clock,
            new_id=ids,
            deadlines=DEADLINES,
        ),
        cancel=CancelSms(messages=retrying(messages, *SMS_CANCELLATION), clock=clock),
        send_queued=parts.send_queued(
            messages=submitted,
            submission=submission,
            bulk_submission=submission,
            outbox=outbox,
            clock=clock,
            new_id=ids,
            requeue_delay_s=REQUEUE_DELAY_S,
        ),
        sweep=SweepOverdue(
            reports=retrying(messages, *REPLAYED_REPORTS),
            archive=archive,
            reconcile=[
                parts.reconcile(
                    orders=retrying(messages, *RECONCILIATION),
                    clock=clock,
                    status_of=sms_status,
                    next_due=lambda message: next_due(message, deadlines=DEADLINES),
                    look_again_after=DEADLINES.requeue_after_queued,
                    outbox=outbox,
                )
            ],
        ),
        record=parts.record(
            reports=messages,
            codes=down(InMemoryVerificationStore),
            archive=archive,
            clock=clock,
            code_keys=FixedCodeKeys(),
            put_fallback=InMemoryFallbackQueue().put_fallback,
        ),
        send_batch=SendSmsBatch(
            messages=retrying(messages, *ACCEPTANCE),
            check=submission.prepare,
            accept=accept,
            clock=clock,
            new_id=ids,
            deadlines=DEADLINES,
            status_of=sms_status,
            time_budget=TIME_BUDGET,
        ),
        query=parts.query(orders=messages, clock=clock, status_of=sms_status),
    )
