"""Builds the application of `functions/mediasms_delivery_webhook`."""

from __future__ import annotations

from functools import cache, partial
from http import HTTPStatus

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import MediaSmsDeliveryWebhookSettings
from switchboard.domain.verification.callbacks import ParsedDeliveryReport
from switchboard.edge.http import Reply
from switchboard.edge.metrics import DELIVERY_REPORT_OUTCOMES
from switchboard.edge.webhook_endpoint import Quarantine, WebhookAuthentication, WebhookEndpoint
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.providers.mediasms.webhooks import parse_delivery_callback
from switchboard.storage import aws
from switchboard.storage.callbacks import S3CallbackArchive
from switchboard.storage.sms.reports import DynamoDbReportStore
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
            codes=reports,
            archive=archive,
            clock=CLOCK,
            code_keys=aws.SecretCodeKeys(name=settings.code_secret_name),
            put_fallback=partial(_put_fallback, settings.outbox_queue_url),
        ),
        log_fields=_log_fields,
        own_outcomes=frozenset(
            {ReportOutcome.RECORDED, ReportOutcome.RECORDED_WITHOUT_CODE, ReportOutcome.NOT_ARRIVING}
        ),
        outcome_metrics=DELIVERY_REPORT_OUTCOMES,
        quarantine=Quarantine(
            archive=archive,
            clock=CLOCK,
            route="mediasms_delivery",
            outcomes=frozenset({ReportOutcome.OVERFLOWED}),
        ),
        reply=Reply(HTTPStatus.OK, "OK"),
    )


def _put_fallback(queue_url: str, order_id: str) -> None:
    # Few reports are about a code that does not arrive.
    from switchboard.storage.queues import SqsFallbackQueue  # noqa: PLC0415

    SqsFallbackQueue(client=aws.sqs, queue_url=queue_url).put_fallback(order_id)


def _log_fields(callback: ParsedDeliveryReport) -> dict[str, object]:
    report = callback.report
    return {"smsid": report.smsid, "meaning": DELIVERY_STATUSES[report.status].meaning}
