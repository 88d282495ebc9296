"""Build the use cases of verifications over the ports of a test: fakes, adapters, or ports that fail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from switchboard.domain.orders import Status, SubmissionState
from switchboard.domain.verification.verifications import (
    Verification,
    VerificationState,
    VerificationSubmission,
    next_due,
    status_of,
    submission_of,
    submission_status_of,
)
from switchboard.guard.usage.wrong_codes import CounterWrongCodeLimit
from switchboard.ports.callbacks import CallbackArchive, CodeStore, ReportStore
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.providers import Submitter
from switchboard.ports.usage_limits import CounterStore, UsageLimits
from switchboard.ports.verifications import IvrCallStore, VerificationStore
from switchboard.storage.retrying import (
    CANCELLATION,
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
from switchboard.usecases.query import QueryOrders
from switchboard.usecases.sms.record_report import RecordDeliveryReport
from switchboard.usecases.submission.attempt import Submission
from switchboard.usecases.submission.submit_once import SubmitOnce
from switchboard.usecases.verification.cancel import CancelVerification
from switchboard.usecases.verification.check import CheckVerification
from switchboard.usecases.verification.record_ivr_call import RecordIvrCall
from switchboard.usecases.verification.start import StartVerification
from tests.builders import DEADLINES, GRACE
from tests.fakes import (
    CountingIds,
    FixedClock,
    InMemoryCallbackArchive,
    InMemoryCounterStore,
    InMemoryMessageStore,
    InMemoryVerificationStore,
    NoLimits,
    OpenGuard,
    ScriptedProvider,
    ScriptedSubmitter,
)
from tests.systems import CLAIM_LIFETIME, SALT, WAIT_BUDGET

WRONG_CODES_PER_HOUR = 10


@dataclass(frozen=True, slots=True)
class VerificationSystem:
    """Every use case of verifications."""

    start: StartVerification
    check: CheckVerification
    cancel: CancelVerification
    call: RecordIvrCall
    report: RecordDeliveryReport
    sweep: SweepOverdue
    query: QueryOrders[Verification, Status[VerificationState]]


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
    codes: CodeStore | None = None,
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
    store, calls, codes = store or fake, calls or fake, codes or fake
    clock, archive, ids = clock or FixedClock(), archive or InMemoryCallbackArchive(), CountingIds()
    reports = reports or InMemoryMessageStore()
    wrong_codes = CounterWrongCodeLimit(counters=counters or InMemoryCounterStore(), per_hour=WRONG_CODES_PER_HOUR)
    # The scripted provider reads no submission, so that it takes any.
    submitter = cast("Submitter[VerificationSubmission, object]", provider or ScriptedProvider())
    submitted = retrying(store, *SUBMISSION)
    submission = Submission(
        orders=submitted,
        provider=submitter,
        submission_of=submission_of,
        guard=retrying(guard or OpenGuard(clock), *GUARD),
        clock=clock,
        wait_budget=WAIT_BUDGET,
        claim_lifetime=CLAIM_LIFETIME,
        queues=False,
    )
    ivr_calls = RecordIvrCall(
        calls=retrying(calls, *IVR_CALLS), leases=calls, archive=archive, clock=clock, grace=grace
    )
    return VerificationSystem(
        start=StartVerification(
            submit_once=SubmitOnce(
                orders=submitted,
                submission=submission,
                limits=retrying(limits or NoLimits(), *USAGE),
                clock=clock,
                new_id=ids,
                status_of=verification_status,
                submission_status_of=submission_status,
            ),
            clock=clock,
            new_id=ids,
        ),
        check=CheckVerification(
            verifications=retrying(store, *CODE_CHECK),
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
            new_salt=lambda: SALT,
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
                )
            ],
            codes=retrying(codes, *REPLAYED_CODES),
            ivr_calls=ivr_calls,
        ),
        query=QueryOrders(orders=store, clock=clock, status_of=verification_status),
    )
