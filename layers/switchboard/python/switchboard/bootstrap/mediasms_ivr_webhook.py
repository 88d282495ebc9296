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
from switchboard.edge.webhooks import authenticate, raw_callback, read_params
from switchboard.ports.callbacks import CallbackArchive
from switchboard.providers.mediasms.webhooks import parse_ivr_call
from switchboard.storage import aws
from switchboard.storage.callbacks import S3CallbackArchive
from switchboard.storage.retrying import IVR_CALLS, retrying
from switchboard.storage.verification.ivr_calls import DynamoDbIvrCallStore
from switchboard.usecases.verification.record_ivr_call import UNMATCHED, RecordIvrCall

_ROUTE = "mediasms_ivr"


@dataclass(frozen=True, slots=True)
class ReceivedIvrCall:
    """One callback's fate, for the log line and the metric."""

    outcome: str
    smsid: str | None = None


@dataclass(frozen=True, slots=True)
class IvrWebhookApplication:
    """What the handler calls."""

    live_tokens: Callable[[], object]
    record: RecordIvrCall
    archive: CallbackArchive

    def authenticate(self, request: InboundRequest) -> None:
        """Raises WebhookForbiddenError."""
        authenticate(request, live_tokens=self.live_tokens)

    def receive(self, request: InboundRequest) -> ReceivedIvrCall:
        """What came, and where it went. Raises StoreUnavailableError if it could not be kept anywhere."""
        try:
            notice = parse_ivr_call(read_params(request))
        except WebhookUnreadableError as error:
            self.archive.quarantine(raw_callback(request, route=_ROUTE), reason=str(error), at=CLOCK.now())
            return ReceivedIvrCall(outcome="quarantined")
        outcome = self.record(notice)
        if outcome in UNMATCHED:
            self.archive.quarantine(raw_callback(request, route=_ROUTE), reason=outcome.value, at=CLOCK.now())
        return ReceivedIvrCall(outcome=outcome.value, smsid=notice.smsid)


@cache
def application() -> IvrWebhookApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = MediaSmsIvrWebhookSettings.load()
    tokens = secret(settings.webhook_tokens_secret_name)
    archive = S3CallbackArchive(client=aws.s3, bucket=settings.quarantine_bucket)
    calls = DynamoDbIvrCallStore(client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.state_table)
    return IvrWebhookApplication(
        live_tokens=lambda: tokens().values.get("tokens"),
        record=RecordIvrCall(
            calls=retrying(calls, *IVR_CALLS),
            leases=calls,
            archive=archive,
            clock=CLOCK,
            grace=timedelta(minutes=settings.lease_grace_minutes),
        ),
        archive=archive,
    )
