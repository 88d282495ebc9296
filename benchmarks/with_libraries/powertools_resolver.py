"""The delivery webhook over Powertools' resolver, which checks the form with pydantic: one secret and one update.

It writes one log line and one metric, as the webhook does.
"""

import json
import os
from functools import cache
from typing import Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Form
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="resolver")
metrics = Metrics(namespace="benchmark", service="resolver")
app = APIGatewayRestResolver(enable_validation=True)
_dynamodb = boto3.client("dynamodb")


@cache
def _tokens() -> list[str]:
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["WEBHOOK_TOKENS_SECRET_NAME"])
    tokens: list[str] = json.loads(secret["SecretString"])["tokens"]
    return tokens


@app.post("/webhooks/mediasms/<token>/delivery")
def record(
    token: str,
    mobilenumber: Annotated[str, Form(pattern=r"^0\d{9,10}$")],
    status: Annotated[int, Form(ge=0)],
    smsid: Annotated[str, Form(max_length=20)],
) -> Response[str]:
    del mobilenumber
    logger.info("delivery report", smsid=smsid, status=status)
    metrics.add_metric("DeliveryReportsRecorded", MetricUnit.Count, 1)
    if token not in _tokens():
        return Response(status_code=403, content_type="text/plain", body="forbidden")
    _dynamodb.update_item(
        TableName=os.environ["STATE_TABLE"],
        Key={"pk": {"S": f"RESOLVER#{smsid}"}},
        UpdateExpression="SET #report = if_not_exists(#report, :seen), expires_at = if_not_exists(expires_at, :expiry)",
        ExpressionAttributeNames={"#report": f"report|{status}"},
        ExpressionAttributeValues={":seen": {"S": "2026-11-22T03:04:05.000Z"}, ":expiry": {"N": "1795316645"}},
        ReturnValues="ALL_OLD",
    )
    return Response(status_code=200, content_type="text/plain", body="OK")


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(default_dimensions={"provider": "mediasms"})
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
