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

# A try ends within 3 s. DynamoDB gets one: whether it may be made again is the use cases' decision (`insist`), who know
# how much time there is before the Lambda's own end.
_TRIES = {"dynamodb": 1}
_USUAL_TRIES = 2


@cache
def _session() -> boto3.Session:
    return boto3.Session()


@cache
def _client(service: str) -> Any:
    tries = _TRIES.get(service, _USUAL_TRIES)
    config = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": tries})
    return cast("Any", _session()).client(service, config=config)


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
