"""Builds the application of `functions/start_verification`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial

from switchboard.bootstrap.components.guards import api_keys, usage_limits
from switchboard.bootstrap.components.mediasms import mediasms_client, mediasms_guards
from switchboard.bootstrap.components.shared import CLOCK, build_magic_numbers, new_id
from switchboard.bootstrap.components.sms import deadlines
from switchboard.bootstrap.components.verifications import (
    channel_store,
    fallback_queue,
    query_verifications,
    verification_status,
    verification_store,
)
from switchboard.config import StartVerificationSettings
from switchboard.domain.errors import ConfigurationError, InvalidRequestError
from switchboard.domain.verification.requests import VerificationRules, check_code_text, parse_line
from switchboard.domain.verification.verifications import Verification, submission_status_of
from switchboard.ports.orders import OrderStore
from switchboard.providers.mediasms.client import PreparedRequest
from switchboard.providers.mediasms.verifications import MediaSmsVerifications, parse_methods
from switchboard.storage.aws import CachedSecret, SecretCodeKeys
from switchboard.storage.retrying import CHANNELS, GUARD, SUBMISSION, retrying
from switchboard.usecases.submission.attempt import Submission
from switchboard.usecases.submission.submit_once import SubmitOnce
from switchboard.usecases.verification.channels import ChannelSubmission, ComposeChannel, QueryVerifications
from switchboard.usecases.verification.resend import ResendCode
from switchboard.usecases.verification.start import StartVerification

__all__ = ["api_keys", "application"]


@dataclass(frozen=True, slots=True)
class StartVerificationApplication:
    """The use cases and rules that the handler needs."""

    rules: VerificationRules
    start: StartVerification
    resend: ResendCode
    query: QueryVerifications


@cache
def application() -> StartVerificationApplication:
    """Build the application once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = StartVerificationSettings.load()
    account, times = CachedSecret(name=settings.mediasms_secret_name), deadlines(settings)
    verifications = retrying(verification_store(settings), *SUBMISSION)
    channels = retrying(channel_store(settings), *CHANNELS)
    keys, fallbacks, limits = (
        SecretCodeKeys(name=settings.code_secret_name),
        fallback_queue(settings),
        usage_limits(settings),
    )
    provider = MediaSmsVerifications(
        client=mediasms_client(settings, account),
        long_text=settings.long_sms,
        methods=parse_methods(settings.verification_methods, allow_undocumented=settings.allow_undocumented_methods),
        allow_undocumented_methods=settings.allow_undocumented_methods,
    )
    guard = retrying(mediasms_guards(settings, account, answered_at=verifications.answered_at).single, *GUARD)

    def build_submission(
        orders: OrderStore[Verification],
    ) -> Submission[Verification, ChannelSubmission, PreparedRequest]:
        return Submission(
            orders=orders,
            provider=provider,
            submission_of=ComposeChannel(keys),
            guard=guard,
            clock=CLOCK,
            wait_budget=timedelta(seconds=settings.slot_wait_budget_s),
            claim_lifetime=timedelta(seconds=settings.claim_lifetime_s),
            magic_numbers=partial(build_magic_numbers, settings.outbox_queue_url),
            queues=False,
        )

    submit_once = SubmitOnce(
        orders=verifications,
        submission=build_submission(verifications),
        limits=limits,
        clock=CLOCK,
        new_id=new_id,
        status_of=verification_status(settings),
        submission_status_of=lambda verification, now: submission_status_of(verification, deadlines=times, now=now),
    )
    return StartVerificationApplication(
        rules=_build_rules(settings),
        start=StartVerification(
            submit_once=submit_once, code_keys=keys, fallbacks=fallbacks, clock=CLOCK, new_id=new_id
        ),
        resend=ResendCode(
            verifications=verifications,
            channels=channels,
            submission=build_submission(channels),
            limits=limits,
            fallbacks=fallbacks,
            clock=CLOCK,
            new_id=new_id,
            deadlines=times,
        ),
        query=query_verifications(settings),
    )


def _build_rules(settings: StartVerificationSettings) -> VerificationRules:
    """Build the rules for requests.

    Raises:
        ConfigurationError: a line is no 050 number, a text has no place for a code, or the default holding time is
            longer than the longest one.
    """
    if settings.verification_minutes > settings.max_holding_minutes:
        raise ConfigurationError("VERIFICATION_MINUTES: must not be greater than MAX_HOLDING_MINUTES")
    return VerificationRules(
        pool=_parse_lines(settings),
        holding_minutes=settings.verification_minutes,
        max_holding_minutes=settings.max_holding_minutes,
        max_repeat_calls=settings.max_repeat_calls,
        code_texts=_read_code_texts(settings),
        long_sms=settings.long_sms,
    )


def _read_code_texts(settings: StartVerificationSettings) -> dict[str, str]:
    """Read the texts of codes by language.

    Raises:
        ConfigurationError: a text has no `{code}` in it, or does not arrive whole.
    """
    texts = {"ja": settings.code_text_ja, "zh": settings.code_text_zh, "en": settings.code_text_en}
    for language, text in texts.items():
        if not check_code_text(text, long_sms=settings.long_sms):
            raise ConfigurationError(f"CODE_TEXT_{language.upper()}: must have {{code}} in it once, and fit one SMS")
    return texts


def _parse_lines(settings: StartVerificationSettings) -> tuple[str, ...]:
    """Read the 050 lines in national form.

    Raises:
        ConfigurationError: one of them is no 050 number.
    """
    try:
        return tuple(parse_line(line) for line in settings.verification_lines)
    except InvalidRequestError:
        raise ConfigurationError("VERIFICATION_LINES: not all of them are 050 numbers") from None
