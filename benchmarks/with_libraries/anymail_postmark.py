"""django-anymail's Postmark webhook: its view checks the credentials and parses, and a receiver writes one update.

It writes one log line and one metric, as the delivery webhook does.
"""

from __future__ import annotations

import base64
import os
from io import BytesIO
from typing import Any

import boto3
import django
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from django.conf import settings

CREDENTIALS = "anymail:canary"
settings.configure(ANYMAIL={"WEBHOOK_SECRET": CREDENTIALS}, ALLOWED_HOSTS=["*"], USE_TZ=True)
django.setup()

from anymail.signals import tracking  # noqa: E402 - Django's settings come first
from anymail.webhooks.postmark import PostmarkTrackingWebhookView  # noqa: E402
from django.core.handlers.wsgi import WSGIRequest  # noqa: E402

_logger = Logger(service="anymail")
_metrics = Metrics(namespace="benchmark", service="anymail")
_dynamodb = boto3.client("dynamodb")
_view = PostmarkTrackingWebhookView.as_view()


@_logger.inject_lambda_context(clear_state=True)
@_metrics.log_metrics(default_dimensions={"provider": "postmark"})
def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    body = base64.b64decode(event["body"])
    environ = {
        "REQUEST_METHOD": event["httpMethod"],
        "PATH_INFO": event["path"],
        "SERVER_NAME": "api",
        "SERVER_PORT": "443",
        "wsgi.url_scheme": "https",
        "wsgi.input": BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "HTTP_AUTHORIZATION": event["headers"]["Authorization"],
    }
    response = _view(WSGIRequest(environ))
    return {"statusCode": response.status_code, "body": response.content.decode()}


def _record(event: Any, **_: object) -> None:
    _logger.info("delivery report", message_id=event.message_id, event_type=event.event_type)
    _metrics.add_metric("DeliveryReportsRecorded", MetricUnit.Count, 1)
    _dynamodb.update_item(
        TableName=os.environ["STATE_TABLE"],
        Key={"pk": {"S": f"ANYMAIL#{event.message_id}"}},
        UpdateExpression="SET #report = if_not_exists(#report, :seen), expires_at = if_not_exists(expires_at, :expiry)",
        ExpressionAttributeNames={"#report": f"report|{event.event_type}"},
        ExpressionAttributeValues={":seen": {"S": event.timestamp.isoformat()}, ":expiry": {"N": "1795316645"}},
        ReturnValues="ALL_OLD",
    )


tracking.connect(_record)
