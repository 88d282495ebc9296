"""One AWS session a container, clients built at their first use, and AWS's failures as StoreUnavailableError."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from threading import RLock
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

# A call to DynamoDB is tried once, for `timeout_s`: only its caller knows if there is time for a second try before the
# Lambda ends. Calls to the other services are tried twice.
_CONNECT_TIMEOUT_S = 1.0
_USUAL_TIMEOUT_S = 2.0
_USUAL_TRIES = 2
_FILE_TIMEOUT_S = 15.0
# Threads may share a client, but not a session. Without the lock, a cache lets each thread build a client of its own.
_session_lock = RLock()


@cache
def _get_session() -> boto3.Session:
    return boto3.Session()


def _get_client(service: str, *, timeout_s: float = _USUAL_TIMEOUT_S, tries: int = _USUAL_TRIES) -> Any:
    with _session_lock:
        return _build_client(service, timeout_s, tries)


@cache
def _build_client(service: str, timeout_s: float, tries: int) -> Any:
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=timeout_s,
        retries={"mode": "standard", "total_max_attempts": tries},
    )
    return cast("Any", _get_session()).client(service, config=config)


def dynamodb(*, timeout_s: float = _USUAL_TIMEOUT_S) -> DynamoDBClient:
    """Return the container's DynamoDB client, whose calls are tried once and end after `timeout_s`."""
    return cast("DynamoDBClient", _get_client("dynamodb", timeout_s=timeout_s, tries=1))


def s3(*, timeout_s: float = _USUAL_TIMEOUT_S) -> S3Client:
    """Return the container's S3 client for small objects."""
    return cast("S3Client", _get_client("s3", timeout_s=timeout_s))


def s3_files() -> S3Client:
    """Return the container's S3 client for files.

    A part may take a while. No checksum is added to it, since that would copy and read it once more.
    """
    return cast("S3Client", _get_file_client())


@cache
def _get_file_client() -> Any:
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_FILE_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": _USUAL_TRIES},
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return cast("Any", _get_session()).client("s3", config=config)


def sqs() -> SQSClient:
    """Return the container's SQS client."""
    return cast("SQSClient", _get_client("sqs"))


def secretsmanager() -> SecretsManagerClient:
    """Return the container's Secrets Manager client."""
    return cast("SecretsManagerClient", _get_client("secretsmanager"))


@contextmanager
def store_errors(operation: str) -> Iterator[None]:
    """Turn the errors of boto3 into StoreUnavailableError, whose text has the operation and AWS's error code only."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        raise StoreUnavailableError(f"{operation}: {code}") from None
    except BotoCoreError as error:
        raise StoreUnavailableError(f"{operation}: {type(error).__name__}") from None


def conditional_update(client: DynamoDBClient, operation: str, **call: Any) -> tuple[bool, Mapping[str, Any]]:
    """Run one UpdateItem.

    Returns:
        True and the item after the update if its condition was met, otherwise False and the item as it is. The item has
        DynamoDB's format and is empty if there is none.

    Raises:
        StoreUnavailableError: DynamoDB refused the call or did not answer; the text names `operation`.
    """
    with store_errors(operation):
        try:
            response = client.update_item(ReturnValues="ALL_NEW", ReturnValuesOnConditionCheckFailure="ALL_OLD", **call)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            return False, cast("Mapping[str, Any]", error.response.get("Item", {}))
    return True, response.get("Attributes", {})
