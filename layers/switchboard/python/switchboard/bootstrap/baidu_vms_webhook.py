"""Builds the application of `functions/baidu_vms_webhook`."""

from __future__ import annotations

from functools import cache, partial
from http import HTTPStatus

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import BaiduVmsWebhookSettings
from switchboard.domain.call_results import CallResult
from switchboard.edge.http import Reply
from switchboard.edge.metrics import CALL_RESULT_OUTCOMES
from switchboard.edge.webhook_endpoint import Quarantine, WebhookAuthentication, WebhookEndpoint
from switchboard.providers.baidu_vms.webhooks import parse_call_result
from switchboard.storage import aws
from switchboard.storage.callbacks import S3CallbackArchive
from switchboard.storage.retrying import CALL_RESULTS, RAW_CALLBACKS, retrying
from switchboard.storage.voice_call.store import DynamoDbCallResultStore
from switchboard.usecases.voice_call.record_result import RecordCallResult, ResultOutcome


@cache
def application() -> WebhookEndpoint[CallResult]:
    """Build the webhook once a container. The form of these callbacks is not published: each is also kept raw.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = BaiduVmsWebhookSettings.load()
    calls = DynamoDbCallResultStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        retention=settings.retention,
    )
    archive = S3CallbackArchive(client=aws.s3, bucket=settings.quarantine_bucket)
    return WebhookEndpoint(
        subject="call result",
        authentication=WebhookAuthentication(
            secret=aws.webhook_tokens(settings.webhook_tokens_secret_name),
            source_ranges=settings.webhook_source_ranges,
        ),
        parse=partial(
            parse_call_result,
            call_id_name=settings.baidu_vms_call_id_names,
            result_name=settings.baidu_vms_result_names,
        ),
        record=RecordCallResult(calls=retrying(calls, *CALL_RESULTS), archive=archive, clock=CLOCK),
        log_fields=lambda result: {"call_id": result.call_id},
        own_outcomes=frozenset({ResultOutcome.RECORDED}),
        outcome_metrics=CALL_RESULT_OUTCOMES,
        quarantine=Quarantine(
            archive=retrying(archive, *RAW_CALLBACKS), clock=CLOCK, route="baidu_vms", every_callback=True
        ),
        reply=Reply(HTTPStatus.OK, settings.baidu_vms_callback_answer),
    )
