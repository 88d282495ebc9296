"""The application of `functions/mediasms_delivery_webhook`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.components.shared import CLOCK, secret
from switchboard.config import MediaSmsDeliveryWebhookSettings
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.domain.verification.one_time_codes import SALT_BYTES
from switchboard.edge.http import InboundRequest
from switchboard.edge.webhooks import authenticate, raw_callback, read_params
from switchboard.ports.callbacks import CallbackArchive
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.providers.mediasms.webhooks import parse_delivery_callback
from switchboard.storage import aws
from switchboard.storage.callbacks import S3CallbackArchive
from switchboard.storage.sms.reports import DynamoDbReportStore
from switchboard.storage.verification.ivr_calls import DynamoDbCodeStore
from switchboard.usecases.sms.record_report import RecordDeliveryReport


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """One callback's fate, for the log line and the metric."""

    outcome: str
    smsid: str | None = None
    meaning: str | None = None
    authcode_unreadable: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryWebhookApplication:
    """What the handler calls."""

    live_tokens: Callable[[], object]
    record: RecordDeliveryReport
    archive: CallbackArchive

    def authenticate(self, request: InboundRequest) -> None:
        """Raises WebhookForbiddenError."""
        authenticate(request, live_tokens=self.live_tokens)

    def receive(self, request: InboundRequest) -> ReceivedReport:
        """What came, and where it went. Raises StoreUnavailableError if it could not be kept anywhere."""
        try:
            notification = parse_delivery_callback(read_params(request))
        except WebhookUnreadableError as error:
            callback = raw_callback(request, route="mediasms_delivery")
            self.archive.quarantine(callback, reason=str(error), at=CLOCK.now())
            return ReceivedReport(outcome="quarantined")
        outcome = self.record(notification)
        report = notification.report
        return ReceivedReport(
            outcome=outcome.value,
            smsid=report.smsid,
            meaning=DELIVERY_STATUSES[report.status].meaning,
            authcode_unreadable=notification.authcode_unreadable,
        )


@cache
def application() -> DeliveryWebhookApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = MediaSmsDeliveryWebhookSettings.load()
    tokens = secret(settings.webhook_tokens_secret_name)
    archive = S3CallbackArchive(client=aws.s3, bucket=settings.quarantine_bucket)
    dynamodb = aws.dynamodb(timeout_s=settings.store_timeout_s)
    reports = DynamoDbReportStore(client=dynamodb, table=settings.state_table, retention=settings.retention)
    codes = DynamoDbCodeStore(client=dynamodb, table=settings.state_table, retention=settings.retention)
    return DeliveryWebhookApplication(
        live_tokens=lambda: tokens().values.get("tokens"),
        record=RecordDeliveryReport(
            reports=reports,
            codes=codes,
            archive=archive,
            clock=CLOCK,
            new_salt=lambda: secrets.token_bytes(SALT_BYTES),
        ),
        archive=archive,
    )
