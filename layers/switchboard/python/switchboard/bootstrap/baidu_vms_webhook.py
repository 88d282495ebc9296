"""The application of `functions/baidu_vms_webhook`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.components.shared import CLOCK, secret
from switchboard.config import BaiduVmsWebhookSettings
from switchboard.domain.errors import WebhookUnreadableError
from switchboard.edge.http import InboundRequest
from switchboard.edge.webhooks import authenticate, raw_callback, read_params
from switchboard.providers.baidu_vms.webhooks import parse_call_result
from switchboard.storage import aws
from switchboard.storage.callbacks import S3CallbackArchive
from switchboard.storage.retrying import CALL_RESULTS, RAW_CALLBACKS, retrying
from switchboard.storage.voice_call.store import DynamoDbCallResultStore
from switchboard.usecases.voice_call.record_result import RecordCallResult


@dataclass(frozen=True, slots=True)
class ReceivedResult:
    """One callback's fate, for the log line and the metric."""

    outcome: str
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class CallWebhookApplication:
    """What the handler calls. The names are of those parameters that carry the call's id and its result."""

    live_tokens: Callable[[], object]
    record: RecordCallResult
    call_id_names: tuple[str, ...]
    result_names: tuple[str, ...]
    answer: str

    def authenticate(self, request: InboundRequest) -> None:
        """Raises WebhookForbiddenError."""
        authenticate(request, live_tokens=self.live_tokens)

    def receive(self, request: InboundRequest) -> ReceivedResult:
        """What came, and where it went. Raises StoreUnavailableError if it could not be kept anywhere, or not as it
        came: then its result is stored all the same, if the table takes it."""
        raw = raw_callback(request, route="baidu_vms")
        try:
            result = parse_call_result(
                read_params(request), call_id_name=self.call_id_names, result_name=self.result_names
            )
        except WebhookUnreadableError as error:
            self.record.keep(raw, reason=str(error))
            return ReceivedResult(outcome="quarantined")
        try:
            self.record.keep(raw, reason="kept as it came")
        finally:
            outcome = self.record(result)
        return ReceivedResult(outcome=outcome.value, call_id=result.call_id)


@cache
def application() -> CallWebhookApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = BaiduVmsWebhookSettings.load()
    tokens = secret(settings.webhook_tokens_secret_name)
    reports = DynamoDbCallResultStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        retention=settings.retention,
    )
    archive = S3CallbackArchive(client=aws.s3, bucket=settings.quarantine_bucket)
    return CallWebhookApplication(
        live_tokens=lambda: tokens().values.get("tokens"),
        record=RecordCallResult(
            calls=retrying(reports, *CALL_RESULTS), archive=retrying(archive, *RAW_CALLBACKS), clock=CLOCK
        ),
        call_id_names=settings.baidu_vms_call_id_names,
        result_names=settings.baidu_vms_result_names,
        answer=settings.baidu_vms_callback_answer,
    )
