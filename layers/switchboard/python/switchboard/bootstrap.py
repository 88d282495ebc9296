"""The composition root: each function's application, built once a container from its settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING
from uuid import uuid4

from switchboard import config
from switchboard.clock import SystemClock
from switchboard.domain.errors import ConfigurationError, WebhookUnreadableError
from switchboard.domain.messages import Deadlines
from switchboard.edge.webhooks import as_it_came, authenticate, read_params
from switchboard.guard.gate import GateLimits, PacedGate
from switchboard.providers.mediasms.codes import DELIVERY_STATUSES
from switchboard.providers.mediasms.webhooks import parse_delivery_report
from switchboard.storage import aws
from switchboard.storage.lanes import DynamoDbLaneStore
from switchboard.storage.messages import DynamoDbMessageStore
from switchboard.storage.outbox import SqsOutbox
from switchboard.storage.secrets import CachedSecret
from switchboard.storage.vault import S3CallbackVault
from switchboard.usecases.query_sms import QuerySms
from switchboard.usecases.record_delivery_report import QuarantineCallback, RecordDeliveryReport
from switchboard.usecases.send_queued_sms import SendQueuedSms
from switchboard.usecases.send_sms import SendSms
from switchboard.usecases.submission import Submission
from switchboard.usecases.sweep_overdue import SweepOverdue

if TYPE_CHECKING:
    from switchboard.domain.delivery import StatusTable
    from switchboard.domain.sms_requests import SmsRules
    from switchboard.edge.http import InboundRequest

# The holder of a claim writes nothing to the provider after this; see Deadlines.submission_after_claim, which is
# when others may conclude that nothing more will come of it.
_CLAIM_LIFETIME = timedelta(seconds=20)
_CONNECT_TIMEOUT_S = 2.0
_CLOCK = SystemClock()


def _new_id() -> str:
    return uuid4().hex


def _deadlines(settings: config.StateSettings) -> Deadlines:
    return Deadlines(
        delivery_after_claim=timedelta(hours=settings.delivery_window_hours),
        submission_after_request=timedelta(hours=settings.queue_validity_hours),
        requeue_after_queued=timedelta(minutes=settings.requeue_minutes),
    )


def _messages(settings: config.StateSettings) -> DynamoDbMessageStore:
    return DynamoDbMessageStore(
        client=aws.dynamodb(),
        table=settings.state_table,
        deadlines=_deadlines(settings),
        retention=settings.retention,
    )


def _secret(name: str) -> CachedSecret:
    return CachedSecret(client=aws.secretsmanager, name=name, monotonic=time.monotonic)


def _submission(settings: config.SenderSettings, messages: DynamoDbMessageStore, *, long_text: bool) -> Submission:
    from switchboard.providers.mediasms.client import Credentials, MediaSmsClient  # noqa: PLC0415 - senders only
    from switchboard.providers.transport import Connection, split_endpoint  # noqa: PLC0415 - senders only

    secret = _secret(settings.mediasms_secret_name)

    def credentials() -> Credentials:
        user, password = (secret().values.get(name) for name in ("user", "password"))
        if not isinstance(user, str) or not isinstance(password, str):
            raise ConfigurationError(f"the secret {settings.mediasms_secret_name} needs the texts user and password")
        return Credentials(user=user, password=password)

    gate = PacedGate(
        lanes=DynamoDbLaneStore(client=aws.dynamodb(), table=settings.limits_table),
        lane=f"mediasms#{settings.egress_address}",
        limits=GateLimits(requests_per_s=settings.mediasms_requests_per_s),
        clock=_CLOCK,
        version=lambda: secret().version,
        forget_credentials=secret.forget,
    )
    origin, _ = split_endpoint(settings.mediasms_base_url, allow_plain_http=settings.allow_plain_http)
    provider = MediaSmsClient(
        base_url=settings.mediasms_base_url,
        credentials=credentials,
        connection=Connection(
            origin=origin,
            provider="mediasms",
            allow_plain_http=settings.allow_plain_http,
            connect_timeout_s=_CONNECT_TIMEOUT_S,
            read_timeout_s=settings.provider_timeout_s,
            deadline_s=settings.provider_timeout_s,
        ),
        allow_plain_http=settings.allow_plain_http,
        method=settings.mediasms_method,
        wire_variant=settings.mediasms_wire_variant,
        long_text=long_text,
        strict=settings.mediasms_strict_answers,
    )
    return Submission(
        messages=messages,
        provider=provider,
        gate=gate,
        clock=_CLOCK,
        wait_budget=timedelta(seconds=settings.slot_wait_budget_s),
        claim_lifetime=_CLAIM_LIFETIME,
    )


def _query(settings: config.StateSettings, messages: DynamoDbMessageStore) -> QuerySms:
    return QuerySms(messages=messages, clock=_CLOCK, statuses=DELIVERY_STATUSES, deadlines=_deadlines(settings))


@dataclass(frozen=True, slots=True)
class SendSmsApp:
    """`functions/send_sms`."""

    rules: SmsRules
    send: SendSms
    query: QuerySms
    statuses: StatusTable


@cache
def send_sms() -> SendSmsApp:
    from switchboard.domain.sms_requests import SmsRules  # noqa: PLC0415 - this function only

    settings = config.SendSmsSettings.load()
    messages = _messages(settings)
    return SendSmsApp(
        rules=SmsRules(long_sms=settings.long_sms, overseas_allowed=settings.overseas_sms),
        send=SendSms(
            messages=messages,
            submission=_submission(settings, messages, long_text=settings.long_sms),
            outbox=SqsOutbox(client=aws.sqs, queue_url=settings.outbox_queue_url),
            clock=_CLOCK,
            new_id=_new_id,
            statuses=DELIVERY_STATUSES,
            deadlines=_deadlines(settings),
        ),
        query=_query(settings, messages),
        statuses=DELIVERY_STATUSES,
    )


@cache
def send_queued_sms() -> SendQueuedSms:
    settings = config.SendQueuedSmsSettings.load()
    messages = _messages(settings)
    return SendQueuedSms(
        messages=messages,
        submission=_submission(settings, messages, long_text=settings.long_sms),
        outbox=SqsOutbox(client=aws.sqs, queue_url=settings.outbox_queue_url),
        clock=_CLOCK,
        new_id=_new_id,
        put_back_delay_s=settings.put_back_delay_s,
    )


@dataclass(frozen=True, slots=True)
class QueryApp:
    """`functions/query`."""

    query: QuerySms
    statuses: StatusTable


@cache
def query() -> QueryApp:
    settings = config.QuerySettings.load()
    return QueryApp(query=_query(settings, _messages(settings)), statuses=DELIVERY_STATUSES)


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """One callback's fate, for the log line and the metric."""

    outcome: str
    smsid: str | None = None
    meaning: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryWebhookApp:
    """`functions/mediasms_delivery_webhook`."""

    live_tokens: Callable[[], object]
    record: RecordDeliveryReport
    quarantine: QuarantineCallback

    def authenticate(self, request: InboundRequest) -> None:
        """Raises WebhookForbiddenError."""
        authenticate(request, live_tokens=self.live_tokens)

    def receive(self, request: InboundRequest) -> ReceivedReport:
        """What came, and where it went. Raises StoreUnavailableError if it could not be kept anywhere."""
        try:
            report = parse_delivery_report(read_params(request))
        except WebhookUnreadableError as error:
            self.quarantine(as_it_came(request, route="mediasms_delivery"), reason=str(error))
            return ReceivedReport(outcome="quarantined")
        outcome = self.record(report)
        return ReceivedReport(
            outcome=outcome.value, smsid=report.smsid, meaning=DELIVERY_STATUSES[report.status].meaning
        )


@cache
def mediasms_delivery_webhook() -> DeliveryWebhookApp:
    settings = config.MediaSmsDeliveryWebhookSettings.load()
    tokens = _secret(settings.webhook_tokens_secret_name)
    vault = S3CallbackVault(client=aws.s3, bucket=settings.quarantine_bucket)
    return DeliveryWebhookApp(
        live_tokens=lambda: tokens().values.get("tokens"),
        record=RecordDeliveryReport(messages=_messages(settings), vault=vault, clock=_CLOCK),
        quarantine=QuarantineCallback(vault=vault, clock=_CLOCK),
    )


@cache
def sweep_overdue() -> SweepOverdue:
    settings = config.SweepOverdueSettings.load()
    return SweepOverdue(
        messages=_messages(settings),
        vault=S3CallbackVault(client=aws.s3, bucket=settings.quarantine_bucket),
        outbox=SqsOutbox(client=aws.sqs, queue_url=settings.outbox_queue_url),
        clock=_CLOCK,
        statuses=DELIVERY_STATUSES,
        deadlines=_deadlines(settings),
    )
