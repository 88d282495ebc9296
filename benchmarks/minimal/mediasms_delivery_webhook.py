"""A minimal delivery webhook: one secret, one update, and no guarantee."""

from __future__ import annotations

import base64
import json
import os
from typing import Any
from urllib.parse import parse_qs

import boto3

_dynamodb = boto3.client("dynamodb")
_tokens: list[str] = []


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    if not _tokens:
        secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["WEBHOOK_TOKENS_SECRET_NAME"])
        _tokens.extend(json.loads(secret["SecretString"])["tokens"])
    if event["pathParameters"]["token"] not in _tokens:
        return {"statusCode": 403, "body": "forbidden"}
    params = parse_qs(base64.b64decode(event["body"]).decode())
    _dynamodb.update_item(
        TableName=os.environ["STATE_TABLE"],
        Key={"pk": {"S": f"MINIMAL#{params['smsid'][0]}"}},
        UpdateExpression="SET #report = if_not_exists(#report, :seen), expires_at = if_not_exists(expires_at, :expiry)",
        ExpressionAttributeNames={"#report": f"report|{params['status'][0]}"},
        ExpressionAttributeValues={":seen": {"S": "2026-11-22T03:04:05.000Z"}, ":expiry": {"N": "1795316645"}},
        ReturnValues="ALL_OLD",
    )
    return {"statusCode": 200, "body": "OK"}
