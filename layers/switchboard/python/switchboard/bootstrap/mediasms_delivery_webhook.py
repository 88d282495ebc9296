"""Builds the application of `functions/mediasms_delivery_webhook`."""

from __future__ import annotations

import secrets
from functools import cache, partial
from http import HTTPStatus

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import MediaSmsDeliveryWebhookSettings
from switchboard.domain.verification.callbacks import ParsedDeliveryReport
from switchboard.domain.verification.one_time_codes import SALT_BYTES
from switchboard.edge.http import Reply
from switchboard.edge.metrics import DELIVERY_REPORT_OUTCOMES
from switchboard.edge.webhook_endpoint import Quarantine, WebhookAuthentication, WebhookEndpoint
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.providers.mediasms.webhooks import parse_delivery_callback
from switchboard.storage import aws
from switchboard.storage.callbacks import S3CallbackArchive
from switchboard.storage.sms.reports import DynamoDbCodeStore, DynamoDbReportStore
from switchboard.usecases.sms.record_report import RecordDeliveryReport, ReportOutcome


@cache
def application() -> WebhookEndpoint[ParsedDeliveryReport]:
    """Build the webhook once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = MediaSmsDeliveryWebhookSettings.load()
    retention = settings.retention
    archive = S3CallbackArchive(client=aws.s3, bucket=settings.quarantine_bucket)
    dynamodb = aws.dynamodb(timeout_s=settings.store_timeout_s)
    reports = DynamoDbReportStore(
        client=dynamodb, table=settings.state_table, statuses=DELIVERY_STATUSES, retention=retention
    )
    return WebhookEndpoint(
        subject="delivery report",
        authentication=WebhookAuthentication(
            secret=aws.webhook_tokens(settings.webhook_tokens_secret_name),
            source_ranges=settings.webhook_source_ranges,
        ),
        parse=parse_delivery_callback,
        record=RecordDeliveryReport(
            reports=reports,
            codes=DynamoDbCodeStore(client=dynamodb, table=settings.state_table),
            archive=archive,
            clock=CLOCK,
            new_salt=partial(secrets.token_bytes, SALT_BYTES),
        ),
        log_fields=_log_fields,
        own_outcomes=frozenset({ReportOutcome.RECORDED, ReportOutcome.RECORDED_WITHOUT_CODE}),
        outcome_metrics=DELIVERY_REPORT_OUTCOMES,
        quarantine=Quarantine(
            archive=archive,
            clock=CLOCK,
            route="mediasms_delivery",
            outcomes=frozenset({ReportOutcome.OVERFLOWED}),
        ),
        reply=Reply(HTTPStatus.OK, "OK"),
    )


def _log_fields(callback: ParsedDeliveryReport) -> dict[str, object]:
    report = callback.report
    return {"smsid": report.smsid, "meaning": DELIVERY_STATUSES[report.status].meaning}
