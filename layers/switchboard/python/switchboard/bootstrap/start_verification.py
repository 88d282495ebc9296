"""The application of `functions/start_verification`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from switchboard.bootstrap.components.mediasms import CLAIM_LIFETIME, mediasms_client, mediasms_guards, new_id
from switchboard.bootstrap.components.shared import CLOCK, secret
from switchboard.bootstrap.components.sms import deadlines
from switchboard.bootstrap.components.usage_limits import usage_limits
from switchboard.bootstrap.components.verifications import query_verifications, verification_store
from switchboard.config import StartVerificationSettings
from switchboard.domain.errors import ConfigurationError, InvalidRequestError
from switchboard.domain.orders import Status
from switchboard.domain.verification.requests import VerificationRules, parse_line
from switchboard.domain.verification.verifications import (
    Verification,
    VerificationMode,
    VerificationState,
    submission_of,
    submission_status_of,
)
from switchboard.providers.mediasms.parameters import UNDOCUMENTED_METHODS
from switchboard.providers.mediasms.verifications import METHODS, MediaSmsVerifications
from switchboard.usecases.query import QueryOrders
from switchboard.usecases.submission.attempt import Submission
from switchboard.usecases.submission.submit_once import SubmitOnce
from switchboard.usecases.verification.start import StartVerification


@dataclass(frozen=True, slots=True)
class StartVerificationApplication:
    """What the handler calls."""

    rules: VerificationRules
    start: StartVerification
    query: QueryOrders[Verification, Status[VerificationState]]


@cache
def application() -> StartVerificationApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = StartVerificationSettings.load()
    account, times = secret(settings.mediasms_secret_name), deadlines(settings)
    verifications = verification_store(settings)
    provider = MediaSmsVerifications(
        client=mediasms_client(settings, account),
        long_text=settings.long_sms,
        methods=methods(settings),
        allow_undocumented_methods=settings.allow_undocumented_methods,
    )
    submit_once = SubmitOnce(
        orders=verifications,
        submission=Submission(
            orders=verifications,
            provider=provider,
            submission_of=submission_of,
            guard=mediasms_guards(settings, account).single,
            clock=CLOCK,
            wait_budget=timedelta(seconds=settings.slot_wait_budget_s),
            claim_lifetime=CLAIM_LIFETIME,
            queues=False,
        ),
        limits=usage_limits(settings),
        clock=CLOCK,
        new_id=new_id,
        status_of=lambda verification, now: submission_status_of(verification, deadlines=times, now=now),
    )
    return StartVerificationApplication(
        rules=VerificationRules(pool=lines(settings), holding_minutes=settings.verification_minutes),
        start=StartVerification(submit_once=submit_once, clock=CLOCK, new_id=new_id),
        query=query_verifications(settings),
    )


def lines(settings: StartVerificationSettings) -> tuple[str, ...]:
    """The 050 lines in national form. Raises ConfigurationError."""
    try:
        return tuple(parse_line(each) for each in settings.verification_lines)
    except InvalidRequestError:
        raise ConfigurationError("VERIFICATION_LINES: not all of them are 050 numbers") from None


def methods(settings: StartVerificationSettings) -> dict[VerificationMode, int]:
    """MediaSMS' `method` for each mode. Raises ConfigurationError, also for one without a documented meaning where
    that is not allowed."""
    found: dict[VerificationMode, int] = dict(METHODS)
    for each in settings.verification_methods:
        mode, _, method = each.partition("=")
        try:
            found[VerificationMode(mode)] = int(method)
        except ValueError:
            raise ConfigurationError("VERIFICATION_METHODS: each is a mode, = and a method's number") from None
    allowed = {*METHODS.values(), *(UNDOCUMENTED_METHODS if settings.allow_undocumented_methods else ())}
    if not set(found.values()) <= allowed:
        raise ConfigurationError("VERIFICATION_METHODS: names a method that is none or is not allowed")
    return found
