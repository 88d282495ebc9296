"""The components of the applications that submit to MediaSMS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from switchboard.bootstrap.components.provider_guards import mediasms_guard_settings, provider_guards
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import MediaSmsSettings, SenderSettings
from switchboard.domain.errors import ConfigurationError
from switchboard.domain.sms.messages import Message, SmsSubmission, submission_of
from switchboard.guard.provider.rate_limiter import ProviderGuards
from switchboard.ports.orders import MessageStore
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.providers.mediasms.client import Credentials, MediaSmsClient
from switchboard.providers.transport import Connection, split_endpoint
from switchboard.storage.retrying import GUARD, retrying
from switchboard.storage.secrets import CachedSecret
from switchboard.usecases.submission.attempt import Submission

# The holder of a claim writes nothing to the provider after this; see Deadlines.submission_after_claim, which is
# when others may conclude that nothing more will come of it.
CLAIM_LIFETIME: Final = timedelta(seconds=20)
_CONNECT_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Sender:
    """One thread's way to MediaSMS, over one connection. `bulk` leaves some of the places in flight to others."""

    submission: Submission[Message, SmsSubmission]
    bulk: Submission[Message, SmsSubmission]


@dataclass(frozen=True, slots=True)
class Senders:
    """A container's senders, and the guards that they share."""

    guards: ProviderGuards
    each: Sequence[Sender]


def submission(settings: SenderSettings, messages: MessageStore) -> Submission[Message, SmsSubmission]:
    """One submission of a message to MediaSMS at a time."""
    return senders(settings, messages).each[0].submission


def senders(
    settings: SenderSettings, messages: MessageStore, *, workers: int = 1, bulk_in_flight_limit: int | None = None
) -> Senders:
    """As many senders as threads are to use them."""
    account = CachedSecret(name=settings.mediasms_secret_name)
    guards = mediasms_guards(settings, account, workers=workers)

    def over(client: MediaSmsClient, guard: ProviderGuard) -> Submission[Message, SmsSubmission]:
        return Submission(
            orders=messages,
            provider=client,
            submission_of=submission_of,
            guard=retrying(guard, *GUARD),
            clock=CLOCK,
            wait_budget=timedelta(seconds=settings.slot_wait_budget_s),
            claim_lifetime=CLAIM_LIFETIME,
        )

    clients = [mediasms_client(settings, account) for _ in range(workers)]
    limited = guards.with_concurrency_limit(bulk_in_flight_limit) if bulk_in_flight_limit else guards.workers
    return Senders(
        guards=guards,
        each=[
            Sender(submission=over(client, guard), bulk=over(client, bulk))
            for client, guard, bulk in zip(clients, guards.workers, limited, strict=True)
        ],
    )


def mediasms_guards(settings: MediaSmsSettings, account: CachedSecret, *, workers: int = 1) -> ProviderGuards:
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
    )


def mediasms_client(settings: MediaSmsSettings, account: CachedSecret) -> MediaSmsClient:
    """MediaSMS' API with this deployment's account."""

    def credentials() -> Credentials:
        user, password = (account().values.get(name) for name in ("user", "password"))
        if not isinstance(user, str) or not isinstance(password, str):
            raise ConfigurationError(f"the secret {settings.mediasms_secret_name} needs the texts user and password")
        return Credentials(user=user, password=password)

    origin, _ = split_endpoint(settings.mediasms_base_url, allow_plain_http=settings.allow_plain_http)
    connection = Connection(
        origin=origin,
        provider="mediasms",
        allow_plain_http=settings.allow_plain_http,
        connect_timeout_s=_CONNECT_TIMEOUT_S,
        read_timeout_s=settings.provider_timeout_s,
        deadline_s=settings.provider_timeout_s,
    )
    return MediaSmsClient(
        base_url=settings.mediasms_base_url,
        credentials=credentials,
        connection=connection,
        allow_plain_http=settings.allow_plain_http,
        method=settings.mediasms_method,
        wire_variant=settings.mediasms_wire_variant,
        long_text=settings.long_sms,
        strict=settings.mediasms_strict_answers,
    )
