"""A minimal sender of one SMS: the calls of `functions/send_sms`, without checks and without error handling."""

from __future__ import annotations

import base64
import http.client
import json
import os
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import boto3

_dynamodb = boto3.client("dynamodb")
_endpoint = urlsplit(os.environ["MEDIASMS_BASE_URL"])
_connection = http.client.HTTPConnection(_endpoint.netloc)
_headers: dict[str, str] = {}


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    if not _headers:
        secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["MEDIASMS_SECRET_NAME"])
        values = json.loads(secret["SecretString"])
        basic = base64.b64encode(f"{values['user']}:{values['password']}".encode()).decode()
        _headers["Authorization"] = f"Basic {basic}"
        _headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
    body = json.loads(base64.b64decode(event["body"]))
    smsid, claim, at = uuid4().hex, uuid4().hex, "2026-11-22T03:04:05.000Z"
    key = {"pk": {"S": f"MINIMAL#{smsid}"}}
    _dynamodb.put_item(
        TableName=os.environ["STATE_TABLE"],
        Item={
            **key,
            "smsid": {"S": smsid},
            "client": {"S": event["requestContext"]["identity"]["apiKeyId"]},
            "recipient": {"S": body["to"]},
            "client_recipient": {"S": f"client#{body['to']}"},
            "list_position": {"S": f"{at}#{smsid}"},
            "fingerprint": {"S": "0" * 64},
            "created_at": {"S": at},
            "submit_before": {"S": at},
            "content": {"M": {"text": {"S": body["text"]}}},
            "measure": {"M": {"characters": {"N": "20"}, "bytes_sjis": {"N": "40"}, "parts": {"N": "1"}}},
            "claims": {"L": [{"M": {"id": {"S": claim}, "at": {"S": at}}}]},
            "attempts": {"N": "1"},
            "not_sent": {"N": "0"},
            "outcomes": {"M": {}},
            "timeouts": {"M": {}},
            "pending": {"S": "open"},
            "due": {"S": at},
            "expires_at": {"N": "1795316645"},
        },
        ConditionExpression="attribute_not_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    _dynamodb.update_item(
        TableName=os.environ["LIMITS_TABLE"],
        Key={"pk": {"S": "MINIMAL"}},
        UpdateExpression="SET next_slot_us = :next, probed_version = :version",
        ConditionExpression="attribute_not_exists(next_slot_us) OR next_slot_us < :now OR consecutive_401s < :limit",
        ExpressionAttributeValues={
            ":next": {"N": "1"},
            ":now": {"N": "2"},
            ":limit": {"N": "3"},
            ":version": {"S": "00000000-0000-4000-8000-000000000000"},
        },
        ReturnValues="ALL_NEW",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    form = {"mobilenumber": body["to"].replace("-", ""), "smstext": body["text"], "status": 1, "smsid": smsid}
    _connection.request("POST", _endpoint.path, body=urlencode(form), headers=_headers)
    code = _connection.getresponse().read().decode()
    changed = _dynamodb.update_item(
        TableName=os.environ["STATE_TABLE"],
        Key=key,
        UpdateExpression="SET outcomes.#claim = :outcome, due = :due REMOVE content",
        ConditionExpression="attribute_exists(fingerprint) AND attribute_not_exists(outcomes.#claim)",
        ExpressionAttributeNames={"#claim": claim},
        ExpressionAttributeValues={
            ":outcome": {"M": {"kind": {"S": "accepted"}, "at": {"S": at}, "code": {"S": code}}},
            ":due": {"S": at},
        },
        ReturnValues="ALL_NEW",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    return {"statusCode": 201, "body": json.dumps({"smsid": changed["Attributes"]["smsid"]["S"], "code": code})}
