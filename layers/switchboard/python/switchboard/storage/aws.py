"""One AWS session a container, clients built at their first use, and AWS's failures as StoreUnavailableError."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from switchboard.domain.errors import StoreUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

CONDITION_FAILED: Final = "ConditionalCheckFailedException"
"""DynamoDB's code of a write whose condition was not met."""
PRECONDITION_FAILED: Final = "PreconditionFailed"
"""S3's code of a write that must not overwrite (`IfNoneMatch`) and found an object."""

# DynamoDB gets one try of `timeout_s`: the composition root, which knows how much time there is before the Lambda's own
# end, decides which calls are retried (storage/retrying.py). The others may try twice by themselves.
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
        raise StoreUnavailableError(f"{operation}: {error_code(error) or 'unknown'}") from None
    except BotoCoreError as error:
        raise StoreUnavailableError(f"{operation}: {type(error).__name__}") from None


def conditional_update(client: DynamoDBClient, operation: str, **call: Any) -> tuple[bool, Mapping[str, Any]]:
    """Make one UpdateItem call.

    Returns:
        Whether the condition was met, and the item in DynamoDB's form after the call (met) or before it (not met). The
        item is empty if there is none.

    Raises:
        StoreUnavailableError: DynamoDB did not answer. The text names `operation`.
    """
    return _write_if_met(operation, client.update_item, ReturnValues="ALL_NEW", **call)


def conditional_put(client: DynamoDBClient, operation: str, **call: Any) -> tuple[bool, Mapping[str, Any]]:
    """Make one PutItem call.

    Returns:
        Whether the condition was met, and, if it was not, the existing item in DynamoDB's form.

    Raises:
        StoreUnavailableError: DynamoDB did not answer. The text names `operation`.
    """
    return _write_if_met(operation, client.put_item, **call)


def error_code(error: ClientError) -> str | None:
    """Return AWS's own code of the error, or None if it has none."""
    return error.response.get("Error", {}).get("Code")


def _write_if_met(operation: str, write: Callable[..., Any], **call: Any) -> tuple[bool, Mapping[str, Any]]:
    with store_errors(operation):
        try:
            response = write(ReturnValuesOnConditionCheckFailure="ALL_OLD", **call)
        except ClientError as error:
            if error_code(error) != CONDITION_FAILED:
                raise
            return False, cast("Mapping[str, Any]", error.response.get("Item", {}))
    return True, response.get("Attributes", {})
