"""The verbs of verification put together over whatever ports a test has: fakes, adapters, or ports that break."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from switchboard.domain.orders import Standing
from switchboard.domain.sms.messages import is_smsid
from switchboard.domain.verification.verifications import (
    Verification,
    VerificationState,
    VerificationSubmission,
    next_due,
    standing_of,
    starting_of,
    submission_of,
)
from switchboard.ports.callbacks import CallbackVault, ReportStore
from switchboard.ports.clock import Clock
from switchboard.ports.provider_limits import SendGate
from switchboard.ports.providers import SmsProvider, Submitter
from switchboard.ports.usage_limits import AbuseLimits
from switchboard.ports.verifications import CallStore, CodeStore, VerificationStore
from switchboard.usecases.operations.reconcile_overdue import SettleOverdue
from switchboard.usecases.operations.sweep import SweepOverdue
from switchboard.usecases.query import QueryOrders
from switchboard.usecases.sms.record_report import RecordDeliveryNotification, RecordDeliveryReport
from switchboard.usecases.submission.attempt import Submission
from switchboard.usecases.submission.submit_once import SubmitOnce
from switchboard.usecases.verification.check import CheckVerification
from switchboard.usecases.verification.record_ivr_call import RecordIvrNotice
from switchboard.usecases.verification.start import StartVerification
from tests.builders import DEADLINES, GRACE
from tests.fakes import (
    CountingIds,
    FixedClock,
    InMemoryCallbackVault,
    InMemoryMessageStore,
    InMemoryVerificationStore,
    NoLimits,
    OpenGate,
    ScriptedProvider,
)
from tests.systems import CLAIM_LIFETIME, WAIT_BUDGET

SALT = b"0123456789abcdef"


@dataclass(frozen=True, slots=True)
class VerificationSystem:
    """Every verb there is for verifications."""

    start: StartVerification
    check: CheckVerification
    call: RecordIvrNotice
    notify: RecordDeliveryNotification
    sweep: SweepOverdue
    query: QueryOrders[Verification, Standing[VerificationState]]


def verification_standing(verification: Verification, now: datetime) -> Standing[VerificationState]:
    """Where a verification stands, by the usual deadlines."""
    return standing_of(verification, deadlines=DEADLINES, now=now)


def assembled_for_verification(
    *,
    store: VerificationStore | None = None,
    calls: CallStore | None = None,
    codes: CodeStore | None = None,
    reports: ReportStore | None = None,
    vault: CallbackVault | None = None,
    provider: SmsProvider | None = None,
    gate: SendGate | None = None,
    limits: AbuseLimits | None = None,
    clock: Clock | None = None,
    grace: timedelta = GRACE,
) -> VerificationSystem:
    """A system over these ports, and over fakes for those not given; one fake stands for all three stores."""
    fake = store if isinstance(store, InMemoryVerificationStore) else InMemoryVerificationStore(grace=grace)
    store, calls, codes = store or fake, calls or fake, codes or fake
    clock, vault, ids = clock or FixedClock(), vault or InMemoryCallbackVault(), CountingIds()
    reports = reports or InMemoryMessageStore()
    # It looks at no submission, so that it takes any.
    submitter = cast("Submitter[VerificationSubmission]", provider or ScriptedProvider())
    submission = Submission(
        orders=store,
        provider=submitter,
        submission_of=submission_of,
        gate=gate or OpenGate(clock),
        clock=clock,
        wait_budget=WAIT_BUDGET,
        claim_lifetime=CLAIM_LIFETIME,
        queues=False,
    )
    notices = RecordIvrNotice(calls=calls, vault=vault, clock=clock, grace=grace)
    return VerificationSystem(
        start=StartVerification(
            submit_once=SubmitOnce(
                orders=store,
                submission=submission,
                limits=limits or NoLimits(),
                clock=clock,
                new_id=ids,
                standing_of=lambda verification, now: starting_of(verification, deadlines=DEADLINES, now=now),
            ),
            clock=clock,
            new_id=ids,
        ),
        check=CheckVerification(verifications=store, clock=clock, deadlines=DEADLINES),
        call=notices,
        notify=RecordDeliveryNotification(
            record=RecordDeliveryReport(messages=reports, vault=vault, clock=clock),
            codes=codes,
            vault=vault,
            clock=clock,
            new_salt=lambda: SALT,
        ),
        sweep=SweepOverdue(
            reports=reports,
            vault=vault,
            settle=[
                SettleOverdue(
                    orders=store,
                    clock=clock,
                    standing_of=verification_standing,
                    next_due=lambda verification: next_due(verification, deadlines=DEADLINES),
                    look_again_after=DEADLINES.requeue_after_queued,
                )
            ],
            codes=codes,
            notices=notices,
        ),
        query=QueryOrders(orders=store, clock=clock, standing_of=verification_standing, is_id=is_smsid),
    )
