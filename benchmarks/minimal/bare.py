"""The smallest function with a DynamoDB client: the baseline of a cold start."""

from __future__ import annotations

import json
from typing import Any

import boto3

dynamodb = boto3.client("dynamodb")


def lambda_handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    return {"statusCode": 200, "body": json.dumps({"region": dynamodb.meta.region_name})}
