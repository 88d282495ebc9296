"""The application of `functions/mediasms_delivery_webhook`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.parts import CLOCK, secret
from switchboard.config import MediaSmsDeliveryWebhookSettings
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.edge.http import InboundRequest
from switchboard.edge.webhooks import as_it_came, authenticate, read_params
from switchboard.providers.mediasms.codes import DELIVERY_STATUSES
from switchboard.providers.mediasms.webhooks import parse_delivery_report
from switchboard.storage import aws
from switchboard.storage.reports import DynamoDbReportStore
from switchboard.storage.vault import S3CallbackVault
from switchboard.usecases.record_delivery_report import QuarantineCallback, RecordDeliveryReport


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """One callback's fate, for the log line and the metric."""

    outcome: str
    smsid: str | None = None
    meaning: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryWebhookApplication:
    """What the handler calls."""

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
        meaning = DELIVERY_STATUSES[report.status].meaning
        return ReceivedReport(outcome=outcome.value, smsid=report.smsid, meaning=meaning)


@cache
def application() -> DeliveryWebhookApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = MediaSmsDeliveryWebhookSettings.load()
    tokens = secret(settings.webhook_tokens_secret_name)
    vault = S3CallbackVault(client=aws.s3, bucket=settings.quarantine_bucket)
    reports = DynamoDbReportStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        retention=settings.retention,
    )
    return DeliveryWebhookApplication(
        live_tokens=lambda: tokens().values.get("tokens"),
        record=RecordDeliveryReport(messages=reports, vault=vault, clock=CLOCK),
        quarantine=QuarantineCallback(vault=vault, clock=CLOCK),
    )
