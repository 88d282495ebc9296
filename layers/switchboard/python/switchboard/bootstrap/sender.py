"""What the applications that submit to MediaSMS are made of."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import uuid4

from switchboard.bootstrap.parts import CLOCK, secret
from switchboard.config import MediaSmsSettings, SenderSettings
from switchboard.domain.errors import ConfigurationError
from switchboard.domain.messages import Message, SmsSubmission, submission_of
from switchboard.guard.gate import GateLimits, PacedGate
from switchboard.ports.messages import MessageStore
from switchboard.providers.mediasms.client import Credentials, MediaSmsClient
from switchboard.providers.transport import Connection, split_endpoint
from switchboard.storage import aws
from switchboard.storage.lanes import DynamoDbLaneStore
from switchboard.storage.secrets import CachedSecret
from switchboard.usecases.submission import Submission

# The holder of a claim writes nothing to the provider after this; see Deadlines.submission_after_claim, which is
# when others may conclude that nothing more will come of it.
CLAIM_LIFETIME: Final = timedelta(seconds=20)
_CONNECT_TIMEOUT_S: Final = 2.0


def new_id() -> str:
    """32 hexadecimal digits that nobody else mints."""
    return uuid4().hex


def submission(
    settings: SenderSettings, messages: MessageStore, *, in_flight_limit: int | None = None
) -> Submission[Message, SmsSubmission]:
    """One submission of a message to MediaSMS, through the gate that all senders behind this address share. With an
    `in_flight_limit` of its own it leaves the rest of the places to others."""
    account = secret(settings.mediasms_secret_name)
    return Submission(
        orders=messages,
        provider=mediasms_client(settings, account),
        submission_of=submission_of,
        gate=gate(settings, account, in_flight_limit=in_flight_limit),
        clock=CLOCK,
        wait_budget=timedelta(seconds=settings.slot_wait_budget_s),
        claim_lifetime=CLAIM_LIFETIME,
    )


def gate(settings: MediaSmsSettings, account: CachedSecret, *, in_flight_limit: int | None = None) -> PacedGate:
    """The gate that all who submit to MediaSMS from this address share."""
    return PacedGate(
        lanes=DynamoDbLaneStore(client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.limits_table),
        lane=f"mediasms#{settings.egress_address}",
        worker=new_id(),
        limits=GateLimits(
            requests_per_s=settings.mediasms_requests_per_s,
            jitter=timedelta(milliseconds=settings.mediasms_jitter_milliseconds),
            in_flight=min(in_flight_limit or settings.in_flight_limit, settings.in_flight_limit),
        ),
        clock=CLOCK,
        version=lambda: account().version,
        forget_credentials=account.forget,
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
