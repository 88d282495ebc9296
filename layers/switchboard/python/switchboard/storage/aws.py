"""One AWS session a container, its clients made where they are used, and its failures as one kind of error."""

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
# A client may be shared by threads, and a session may not; a cache alone lets each of them make one of its own.
_one_at_a_time = RLock()


@cache
def _session() -> boto3.Session:
    return boto3.Session()


def _client(service: str, *, timeout_s: float = _USUAL_TIMEOUT_S, tries: int = _USUAL_TRIES) -> Any:
    with _one_at_a_time:
        return _made(service, timeout_s, tries)


@cache
def _made(service: str, timeout_s: float, tries: int) -> Any:
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=timeout_s,
        retries={"mode": "standard", "total_max_attempts": tries},
    )
    return cast("Any", _session()).client(service, config=config)


def dynamodb(*, timeout_s: float = _USUAL_TIMEOUT_S) -> DynamoDBClient:
    return cast("DynamoDBClient", _client("dynamodb", timeout_s=timeout_s, tries=1))


def s3(*, timeout_s: float = _USUAL_TIMEOUT_S) -> S3Client:
    return cast("S3Client", _client("s3", timeout_s=timeout_s))


def s3_files() -> S3Client:
    """For files: a part may take a while, and is not copied only to be summed up once more."""
    return cast("S3Client", _file_client())


@cache
def _file_client() -> Any:
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_FILE_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": _USUAL_TRIES},
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return cast("Any", _session()).client("s3", config=config)


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
