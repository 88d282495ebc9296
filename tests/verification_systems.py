"""Build the use cases of verifications over the ports of a test: fakes, adapters, or ports that fail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from switchboard.domain.orders import Status, SubmissionState
from switchboard.domain.verification.verifications import (
    Verification,
    VerificationState,
    channel_views,
    next_due,
    status_of,
    submission_status_of,
)
from switchboard.guard.usage.wrong_codes import CounterWrongCodeLimit
from switchboard.ports.callbacks import CallbackArchive, CodeKeys, CodeStore, ReportStore
from switchboard.ports.clock import Clock
from switchboard.ports.orders import OrderStore
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.providers import Submitter
from switchboard.ports.usage_limits import CounterStore, UsageLimits
from switchboard.ports.verifications import ChannelStore, FallbackQueue, IvrCallStore, VerificationStore
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage.retrying import (
    CANCELLATION,
    CHANNELS,
    CODE_CHECK,
    GUARD,
    IVR_CALLS,
    RECONCILIATION,
    REPLAYED_CODES,
    REPLAYED_REPORTS,
    SUBMISSION,
    USAGE,
    WRONG_CODES,
    retrying,
)
from switchboard.usecases.operations.reconcile_overdue import ReconcileOverdue
from switchboard.usecases.operations.sweep import SweepOverdue
from switchboard.usecases.sms.record_report import RecordDeliveryReport
from switchboard.usecases.submission.attempt import Submission
from switchboard.usecases.submission.submit_once import SubmitOnce
from switchboard.usecases.verification.cancel import CancelVerification
from switchboard.usecases.verification.channels import (
    ChannelSubmission,
    ComposeChannel,
    QueryVerifications,
    ViewVerification,
)
from switchboard.usecases.verification.check import CheckVerification
from switchboard.usecases.verification.fall_back import FallBack, PlanFallback
from switchboard.usecases.verification.record_ivr_call import RecordIvrCall
from switchboard.usecases.verification.resend import ResendCode
from switchboard.usecases.verification.start import StartVerification
from tests.builders import DEADLINES, GRACE
from tests.fakes import (
    CountingIds,
    FixedClock,
    FixedCodeKeys,
    InMemoryCallbackArchive,
    InMemoryCounterStore,
    InMemoryFallbackQueue,
    InMemoryMessageStore,
    InMemoryVerificationStore,
    NoLimits,
    OpenGuard,
    ScriptedProvider,
    ScriptedSubmitter,
)
from tests.systems import CLAIM_LIFETIME, WAIT_BUDGET

WRONG_CODES_PER_HOUR = 10


@dataclass(frozen=True, slots=True)
class VerificationSystem:
    """Every use case of verifications."""

    start: StartVerification
    resend: ResendCode
    fall_back: FallBack
    check: CheckVerification
    cancel: CancelVerification
    call: RecordIvrCall
    report: RecordDeliveryReport
    sweep: SweepOverdue
    query: QueryVerifications


def verification_status(verification: Verification, now: datetime) -> Status[VerificationState]:
    """Derive a verification's status by the default deadlines."""
    return status_of(verification, deadlines=DEADLINES, now=now)


def submission_status(verification: Verification, now: datetime) -> Status[SubmissionState]:
    """Derive the status of its submission by the default deadlines."""
    return submission_status_of(verification, deadlines=DEADLINES, now=now)


def assembled_for_verification(
    *,
    store: VerificationStore | None = None,
    calls: IvrCallStore | None = None,
    channels: ChannelStore | None = None,
    codes: CodeStore | None = None,
    code_keys: CodeKeys | None = None,
    fallbacks: FallbackQueue | None = None,
    reports: ReportStore | None = None,
    archive: CallbackArchive | None = None,
    provider: ScriptedSubmitter | None = None,
    guard: ProviderGuard | None = None,
    limits: UsageLimits | None = None,
    counters: CounterStore | None = None,
    clock: Clock | None = None,
    grace: timedelta = GRACE,
) -> VerificationSystem:
    """Build a system over these ports, and over fakes for the missing ones. One fake stands for all three stores."""
    fake = store if isinstance(store, InMemoryVerificationStore) else InMemoryVerificationStore(grace=grace)
    store, calls, codes, channels = store or fake, calls or fake, codes or fake, channels or fake.channels
    keys, fallbacks = code_keys or FixedCodeKeys(), fallbacks or InMemoryFallbackQueue()
    clock, archive, ids = clock or FixedClock(), archive or InMemoryCallbackArchive(), CountingIds()
    reports = reports or InMemoryMessageStore()
    wrong_codes = CounterWrongCodeLimit(counters=counters or InMemoryCounterStore(), per_hour=WRONG_CODES_PER_HOUR)
    # The scripted provider reads no submission, so that it takes any.
    submitter = cast("Submitter[ChannelSubmission, object]", provider or ScriptedProvider())
    submitted = retrying(store, *SUBMISSION)
    submitting = retrying(guard or OpenGuard(clock), *GUARD)
    usage = retrying(limits or NoLimits(), *USAGE)

    def build_submission(orders: OrderStore[Verification]) -> Submission[Verification, ChannelSubmission, object]:
        return Submission(
            orders=orders,
            provider=submitter,
            submission_of=ComposeChannel(keys),
            guard=submitting,
            clock=clock,
            wait_budget=WAIT_BUDGET,
            claim_lifetime=CLAIM_LIFETIME,
            queues=False,
        )

    submission, submitted_channels = build_submission(submitted), retrying(channels, *CHANNELS)
    channel_submission = build_submission(submitted_channels)
    ivr_calls = RecordIvrCall(
        calls=retrying(calls, *IVR_CALLS), leases=calls, archive=archive, clock=clock, grace=grace
    )
    return VerificationSystem(
        start=StartVerification(
            submit_once=SubmitOnce(
                orders=submitted,
                submission=submission,
                limits=usage,
                clock=clock,
                new_id=ids,
                status_of=verification_status,
                submission_status_of=submission_status,
            ),
            code_keys=keys,
            fallbacks=fallbacks,
            clock=clock,
            new_id=ids,
        ),
        resend=ResendCode(
            verifications=submitted,
            channels=submitted_channels,
            submission=channel_submission,
            limits=usage,
            fallbacks=fallbacks,
            clock=clock,
            new_id=ids,
            deadlines=DEADLINES,
        ),
        fall_back=FallBack(
            verifications=submitted,
            channels=submitted_channels,
            submission=channel_submission,
            fallbacks=fallbacks,
            clock=clock,
            new_id=ids,
            deadlines=DEADLINES,
            statuses=DELIVERY_STATUSES,
        ),
        check=CheckVerification(
            verifications=retrying(store, *CODE_CHECK),
            channels=retrying(channels, "get"),
            code_keys=keys,
            wrong_codes=retrying(wrong_codes, *WRONG_CODES),
            clock=clock,
            new_id=ids,
            deadlines=DEADLINES,
        ),
        cancel=CancelVerification(verifications=retrying(store, *CANCELLATION), clock=clock, deadlines=DEADLINES),
        call=ivr_calls,
        report=RecordDeliveryReport(
            reports=reports,
            codes=codes,
            archive=archive,
            clock=clock,
            code_keys=keys,
            put_fallback=fallbacks.put_fallback,
        ),
        sweep=SweepOverdue(
            reports=retrying(reports, *REPLAYED_REPORTS),
            archive=archive,
            reconcile=[
                ReconcileOverdue(
                    orders=retrying(store, *RECONCILIATION),
                    clock=clock,
                    status_of=verification_status,
                    next_due=lambda verification: next_due(verification, deadlines=DEADLINES),
                    look_again_after=DEADLINES.requeue_after_queued,
                    plan_inquiry=PlanFallback(verifications=retrying(store, *RECONCILIATION), fallbacks=fallbacks),
                ),
                ReconcileOverdue(
                    orders=retrying(channels, *RECONCILIATION),
                    clock=clock,
                    status_of=verification_status,
                    next_due=lambda channel: next_due(channel, deadlines=DEADLINES),
                    look_again_after=DEADLINES.requeue_after_queued,
                ),
            ],
            fallbacks=fallbacks,
            codes=retrying(codes, *REPLAYED_CODES),
            ivr_calls=ivr_calls,
        ),
        query=QueryVerifications(
            orders=store,
            channels=channels,
            clock=clock,
            view=ViewVerification(
                status_of=verification_status,
                channels_of=lambda verification, further, now: channel_views(
                    verification, further, statuses=DELIVERY_STATUSES, deadlines=DEADLINES, now=now
                ),
            ),
        ),
    )
