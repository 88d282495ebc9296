"""The application of `functions/mediasms_ivr_webhook`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from switchboard.bootstrap.components.shared import CLOCK, secret
from switchboard.config import MediaSmsIvrWebhookSettings
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.edge.http import InboundRequest
from switchboard.edge.webhooks import as_it_came, authenticate, read_params
from switchboard.providers.mediasms.webhooks import parse_ivr_notice
from switchboard.storage import aws
from switchboard.storage.callbacks import S3CallbackVault
from switchboard.storage.verification.ivr_calls import DynamoDbCallStore
from switchboard.usecases.sms.record_report import QuarantineCallback
from switchboard.usecases.verification.record_ivr_call import UNMATCHED, RecordIvrNotice

_ROUTE = "mediasms_ivr"


@dataclass(frozen=True, slots=True)
class ReceivedNotice:
    """One callback's fate, for the log line and the metric."""

    outcome: str
    smsid: str | None = None


@dataclass(frozen=True, slots=True)
class IvrWebhookApplication:
    """What the handler calls."""

    live_tokens: Callable[[], object]
    record: RecordIvrNotice
    quarantine: QuarantineCallback

    def authenticate(self, request: InboundRequest) -> None:
        """Raises WebhookForbiddenError."""
        authenticate(request, live_tokens=self.live_tokens)

    def receive(self, request: InboundRequest) -> ReceivedNotice:
        """What came, and where it went. Raises StoreUnavailableError if it could not be kept anywhere."""
        try:
            notice = parse_ivr_notice(read_params(request))
        except WebhookUnreadableError as error:
            self.quarantine(as_it_came(request, route=_ROUTE), reason=str(error))
            return ReceivedNotice(outcome="quarantined")
        outcome = self.record(notice)
        if outcome in UNMATCHED:
            self.quarantine(as_it_came(request, route=_ROUTE), reason=outcome.value)
        return ReceivedNotice(outcome=outcome.value, smsid=notice.smsid)


@cache
def application() -> IvrWebhookApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = MediaSmsIvrWebhookSettings.load()
    tokens = secret(settings.webhook_tokens_secret_name)
    vault = S3CallbackVault(client=aws.s3, bucket=settings.quarantine_bucket)
    dynamodb = aws.dynamodb(timeout_s=settings.store_timeout_s)
    return IvrWebhookApplication(
        live_tokens=lambda: tokens().values.get("tokens"),
        record=RecordIvrNotice(
            calls=DynamoDbCallStore(client=dynamodb, table=settings.state_table),
            vault=vault,
            clock=CLOCK,
            grace=timedelta(minutes=settings.lease_grace_minutes),
        ),
        quarantine=QuarantineCallback(vault=vault, clock=CLOCK),
    )
