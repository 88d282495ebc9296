"""The components of the applications that submit to MediaSMS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from switchboard.bootstrap.components.guards import mediasms_guard_settings, provider_guards
from switchboard.bootstrap.components.shared import CLOCK, build_magic_numbers
from switchboard.config import MediaSmsSettings, SenderSettings
from switchboard.domain.errors import ConfigurationError
from switchboard.domain.sms.messages import Message, SmsSubmission, submission_of
from switchboard.guard.provider.rate_limiter import ProviderGuards
from switchboard.ports.orders import MessageStore
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.providers.mediasms.client import Credentials, MediaSmsClient, PreparedRequest
from switchboard.providers.transport import Connection, parse_endpoint
from switchboard.storage.aws import CachedSecret
from switchboard.storage.retrying import GUARD, retrying
from switchboard.usecases.submission.attempt import Submission

_CONNECT_TIMEOUT_S: Final = 2.0

SmsSubmitter = Submission[Message, SmsSubmission, PreparedRequest]


@dataclass(frozen=True, slots=True)
class Sender:
    """One thread's submissions to MediaSMS, over one connection. `bulk` leaves some permits free for single sends."""

    client: MediaSmsClient
    guard: ProviderGuard
    submission: SmsSubmitter
    bulk: SmsSubmitter
    bulk_guard: ProviderGuard


@dataclass(frozen=True, slots=True)
class Senders:
    """A container's senders, one for each worker thread, and the guards that they share."""

    guards: ProviderGuards
    workers: Sequence[Sender]


def build_submission(settings: SenderSettings, messages: MessageStore) -> SmsSubmitter:
    """Build the submission of one message at a time to MediaSMS."""
    account = CachedSecret(name=settings.mediasms_secret_name)
    [guard] = mediasms_guards(settings, account, answered_at=messages.answered_at).workers
    return _build_submission(settings, messages, mediasms_client(settings, account), guard)


def build_senders(
    settings: SenderSettings,
    messages: MessageStore,
    account: CachedSecret,
    *,
    workers: int,
    bulk_in_flight_limit: int,
) -> Senders:
    """Build one sender for each worker thread."""
    guards = mediasms_guards(settings, account, answered_at=messages.answered_at, workers=workers)
    senders = []
    bulk_guards = guards.with_concurrency_limit(bulk_in_flight_limit)
    for guard, bulk_guard in zip(guards.workers, bulk_guards, strict=True):
        client = mediasms_client(settings, account)
        submission = _build_submission(settings, messages, client, guard)
        bulk = _build_submission(settings, messages, client, bulk_guard)
        senders.append(
            Sender(
                client=client,
                guard=retrying(guard, *GUARD),
                submission=submission,
                bulk=bulk,
                bulk_guard=retrying(bulk_guard, *GUARD),
            )
        )
    return Senders(guards, workers=senders)


def _build_submission(
    settings: SenderSettings, messages: MessageStore, client: MediaSmsClient, guard: ProviderGuard
) -> SmsSubmitter:
    return Submission(
        orders=messages,
        provider=client,
        submission_of=submission_of,
        guard=retrying(guard, *GUARD),
        clock=CLOCK,
        wait_budget=timedelta(seconds=settings.slot_wait_budget_s),
        claim_lifetime=timedelta(seconds=settings.claim_lifetime_s),
        magic_numbers=partial(build_magic_numbers, settings.outbox_queue_url),
    )


def mediasms_guards(
    settings: MediaSmsSettings,
    account: CachedSecret,
    *,
    answered_at: Callable[[str], datetime | None],
    workers: int = 1,
) -> ProviderGuards:
    """Build this container's guards for MediaSMS. All functions behind this address share their state."""
    return provider_guards(
        provider="mediasms",
        egress_address=settings.egress_address,
        limits_table=settings.limits_table,
        settings=mediasms_guard_settings(
            requests_per_s=settings.mediasms_requests_per_s,
            jitter=timedelta(milliseconds=settings.mediasms_jitter_milliseconds),
            in_flight=settings.in_flight_limit,
            bulk_in_flight=settings.bulk_in_flight_limit,
            policy=settings.mediasms_lockout_policy,
        ),
        account=account,
        store_timeout_s=settings.store_timeout_s,
        workers=workers,
        answered_at=answered_at,
    )


def mediasms_client(settings: MediaSmsSettings, account: CachedSecret) -> MediaSmsClient:
    """Build the client of MediaSMS' API with this deployment's account."""
    return MediaSmsClient(
        base_url=settings.mediasms_base_url,
        credentials=mediasms_credentials(settings, account),
        connection=mediasms_connection(settings, settings.mediasms_base_url),
        allow_plain_http=settings.allow_plain_http,
        method=settings.mediasms_method,
        wire_variant=settings.mediasms_wire_variant,
        long_text=settings.long_sms,
    )


def mediasms_credentials(settings: MediaSmsSettings, account: CachedSecret) -> Callable[[], Credentials]:
    """Return the function that reads the account's credentials from its secret."""

    def credentials() -> Credentials:
        values = account().values
        user, password = values.get("user"), values.get("password")
        if not isinstance(user, str) or not isinstance(password, str):
            raise ConfigurationError(
                f"the secret {settings.mediasms_secret_name} must hold the texts user and password"
            )
        return Credentials(user=user, password=password)

    return credentials


def mediasms_connection(settings: MediaSmsSettings, url: str) -> Connection:
    """Build a connection to the origin of one of MediaSMS' APIs."""
    return Connection(
        origin=parse_endpoint(url, allow_plain_http=settings.allow_plain_http).origin,
        provider="mediasms",
        allow_plain_http=settings.allow_plain_http,
        connect_timeout_s=_CONNECT_TIMEOUT_S,
        read_timeout_s=settings.provider_timeout_s,
        deadline_s=settings.provider_timeout_s,
    )
