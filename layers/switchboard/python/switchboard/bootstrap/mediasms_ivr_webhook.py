"""Builds the application of `functions/mediasms_ivr_webhook`."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus

from switchboard.bootstrap.components.ivr_calls import record_ivr_call
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import MediaSmsIvrWebhookSettings
from switchboard.domain.verification.callbacks import IvrCallEvent
from switchboard.edge.http import Reply
from switchboard.edge.metrics import IVR_CALL_OUTCOMES
from switchboard.edge.webhook_endpoint import Quarantine, WebhookAuthentication, WebhookEndpoint
from switchboard.ports.verifications import IvrCallMatch
from switchboard.providers.mediasms.webhooks import parse_ivr_call
from switchboard.storage import aws
from switchboard.storage.callbacks import S3CallbackArchive
from switchboard.usecases.verification.record_ivr_call import UNMATCHED


@cache
def application() -> WebhookEndpoint[IvrCallEvent]:
    """Build the webhook once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = MediaSmsIvrWebhookSettings.load()
    archive = S3CallbackArchive(client=aws.s3, bucket=settings.quarantine_bucket)
    return WebhookEndpoint(
        subject="IVR call",
        authentication=WebhookAuthentication(
            secret=aws.webhook_tokens(settings.webhook_tokens_secret_name),
            source_ranges=settings.webhook_source_ranges,
        ),
        parse=parse_ivr_call,
        record=record_ivr_call(settings, archive),
        log_fields=lambda event: {"smsid": event.smsid},
        own_outcomes=frozenset({IvrCallMatch.MATCHED, IvrCallMatch.DUPLICATE, IvrCallMatch.LATE}),
        outcome_metrics=IVR_CALL_OUTCOMES,
        quarantine=Quarantine(archive=archive, clock=CLOCK, route="mediasms_ivr", outcomes=UNMATCHED),
        reply=Reply(HTTPStatus.OK, "OK"),
    )
