"""One AWS session a container, its clients made where they are used, and its failures as one kind of error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from switchboard.domain.errors import StoreUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

# Short, so that a store which does not answer is found out well before the Lambda's own end: 3 s at the most, and
# twice that where a write is insisted on.
_CONFIG = Config(connect_timeout=0.5, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})


@cache
def _session() -> boto3.Session:
    return boto3.Session()


@cache
def _client(service: str) -> Any:
    return cast("Any", _session()).client(service, config=_CONFIG)


def dynamodb() -> DynamoDBClient:
    return cast("DynamoDBClient", _client("dynamodb"))


def s3() -> S3Client:
    return cast("S3Client", _client("s3"))


def sqs() -> SQSClient:
    return cast("SQSClient", _client("sqs"))


def secretsmanager() -> SecretsManagerClient:
    return cast("SecretsManagerClient", _client("secretsmanager"))


@contextmanager
def store_errors(operation: str) -> Iterator[None]:
    """Turns what boto3 raises into StoreUnavailableError. Its text names the operation and AWS's own code only."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        raise StoreUnavailableError(f"{operation}: {code}") from None
    except BotoCoreError as error:
        raise StoreUnavailableError(f"{operation}: {type(error).__name__}") from None
