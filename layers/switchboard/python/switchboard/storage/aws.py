"""One AWS session a container: clients built at their first use, AWS's failures and clock, and cached secrets."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - the first connection would load it, and a caller wait for it
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, cast

import botocore
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.loaders import Loader

from switchboard.domain.errors import (
    ConfigurationError,
    StoreRefusedError,
    StoreThrottledError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_transcribe import TranscribeServiceClient

    from switchboard.domain.verification.one_time_codes import CodeKey

CONDITION_FAILED: Final = "ConditionalCheckFailedException"
"""DynamoDB's code of a write whose condition was not met."""
PRECONDITION_FAILED: Final = "PreconditionFailed"
"""S3's code of a write that must not overwrite (`IfNoneMatch`) and found an object."""

_PERMANENT_REFUSALS: Final = frozenset(
    {
        "ValidationException",  # DynamoDB: also an item that would be larger than 400 KB
        "ValidationError",  # the same as the reason of a cancelled transaction
        "SerializationException",
        "ItemCollectionSizeLimitExceededException",
        "ItemCollectionSizeLimitExceeded",
        "EntityTooLarge",  # S3
        "KeyTooLongError",
        "InvalidMessageContents",  # SQS
    }
)
"""AWS's codes of calls that fail in the same way however often they are repeated."""

_THROTTLED: Final = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"})
"""DynamoDB's codes of a call that it refused unread, because too many came at once."""

CONNECT_TIMEOUT_S: Final = 1.0
"""The seconds that AWS may take to accept a connection, beside the time-out of the request."""
CALLS_AT_ONCE: Final = 16
"""The threads that may share one client, each of which keeps a connection."""
OPERATIONS_WITH_ITEMS: Final = ("BatchGetItem", "GetItem", "Query", "UpdateItem")
_MEMBERS_WITH_ITEMS: Final = ("Attributes", "Item", "Items", "Responses")
# botocore's own is built anew for each request, from thirty parts.
_USER_AGENT: Final = f"Botocore/{botocore.__version__} switchboard"
_REGIONAL_SERVICES: Final = ("dynamodb", "events", "secretsmanager", "sqs")
"""Our services whose endpoints and signatures are those that most services of AWS have, in all regions."""
_SERVICES: Final = (*_REGIONAL_SERVICES, "s3", "transcribe")

# DynamoDB gets one try of `timeout_s`: the composition root, which knows how much time there is before the Lambda's own
# end, decides which calls are retried (storage/retrying.py). The others may try twice by themselves.
_USUAL_TIMEOUT_S = 2.0
_USUAL_TRIES = 2
_FILE_TIMEOUT_S = 15.0
_WITH_ITEM: Final[Mapping[str, Any]] = {
    "ReturnValues": "ALL_NEW",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
_REQUESTED_AT: Final = "switchboard_requested_at"
# Threads may share a client, but not a session. Without the lock, a cache lets each thread build a client of its own.
_session_lock = RLock()

_MIN_CODE_KEY_LENGTH: Final = 32

_REVOKED_AFTER_S: Final = 50.0
"""The age at which a list of tokens is read again. A removed token opens its webhook for 60 s at the most."""
_REVOKED_WITHOUT_ANSWER_AFTER_S: Final = 300.0
"""The age of a list that still counts while Secrets Manager does not answer: else true callbacks would be lost."""


class _DataLoader(Loader):
    """A loader of botocore's models. It looks through the folders of all services only for one that is not ours."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore's signature
        return list(_SERVICES)

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        load = super().load_service_model if service_name in _SERVICES else Loader().load_service_model
        return load(service_name, type_name, api_version)


class _RegionalDataLoader(_DataLoader):
    """A loader for the regional services, which derives the file `endpoints` from the small one of the partitions.

    The file has 1.2 MB, a twentieth of a cold start. Rule sets give the addresses of these services. Besides, botocore
    takes only the defaults from this file.
    """

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        if name != "endpoints":
            data: tuple[Any, str] = super().load_data_with_path(name)
            return data
        partitions, path = super().load_data_with_path("partitions")
        return {
            "version": 3,
            "partitions": [_build_endpoints(partition) for partition in partitions["partitions"]],
        }, path


def _build_endpoints(partition: Mapping[str, Any]) -> Mapping[str, Any]:
    outputs, regional = partition["outputs"], "{service}.{region}.{dnsSuffix}"
    variants = [
        {"tags": tags, "hostname": regional, "dnsSuffix": outputs["dnsSuffix"]}
        for tags in (["fips"], ["dualstack"], ["dualstack", "fips"])
    ]
    defaults = {"hostname": regional, "protocols": ["https"], "signatureVersions": ["v4"], "variants": variants}
    return {
        "partition": partition["id"],
        "dnsSuffix": outputs["dnsSuffix"],
        "regionRegex": partition["regionRegex"],
        "regions": partition["regions"],
        "defaults": defaults,
        "services": {},
    }


@cache
def _get_session(loader: type[Loader]) -> botocore.session.Session:
    # boto3's clients are botocore's. The import of boto3 would take a tenth of a cold start.
    session = botocore.session.get_session()
    session.register_component("data_loader", loader())
    return session


def _get_client(service: str, *, timeout_s: float = _USUAL_TIMEOUT_S, tries: int = _USUAL_TRIES) -> Any:
    with _session_lock:
        return _build_client(service, timeout_s, tries)


@cache
def _build_client(service: str, timeout_s: float, tries: int) -> Any:
    config = Config(
        user_agent=_USER_AGENT,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=timeout_s,
        retries={"mode": "standard", "total_max_attempts": tries},
        max_pool_connections=CALLS_AT_ONCE,
    )
    loader = _RegionalDataLoader if service in _REGIONAL_SERVICES else _DataLoader
    client = cast("Any", _get_session(loader)).create_client(service, config=config)
    if service == "dynamodb":
        parse_items_fast(client)
    return client


def parse_items_fast(client: DynamoDBClient) -> None:
    """Let JSON's own parser read the items in answers, in a fraction of the time of botocore's.

    Both give the same for all types but binary ones, and no item of ours has any.
    """
    for operation in OPERATIONS_WITH_ITEMS:
        client.meta.events.register(f"before-parse.dynamodb.{operation}", parse_items)


def parse_items(*, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Take the items out of an answer's body before botocore parses the rest."""
    if response_dict["status_code"] == HTTPStatus.OK:
        answer = json.loads(response_dict["body"])
        customized_response_dict.update({name: answer.pop(name) for name in _MEMBERS_WITH_ITEMS if name in answer})
        response_dict["body"] = json.dumps(answer).encode()


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
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=_FILE_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": _USUAL_TRIES},
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return cast("Any", _get_session(_DataLoader)).create_client("s3", config=config)


def sqs() -> SQSClient:
    """Return the container's SQS client."""
    return cast("SQSClient", _get_client("sqs"))


def events() -> Any:
    """Return the container's EventBridge client."""
    return _get_client("events")


def transcribe() -> TranscribeServiceClient:
    """Return the container's Transcribe client. Each call is tried once: every request takes a slot of the pace."""
    return cast("TranscribeServiceClient", _get_client("transcribe", timeout_s=10.0, tries=1))


def secretsmanager() -> SecretsManagerClient:
    """Return the container's Secrets Manager client."""
    return cast("SecretsManagerClient", _get_client("secretsmanager"))


@contextmanager
def store_errors(operation: str) -> Iterator[None]:
    """Turn the errors of boto3 into our own, whose texts have the operation and AWS's error code only.

    Raises:
        StoreRefusedError: AWS refuses this call for good.
        StoreThrottledError: too many calls came at once.
        StoreUnavailableError: any other error.
    """
    try:
        yield
    except ClientError as error:
        refused = _PERMANENT_REFUSALS.intersection(_codes_of(error))
        unavailable = StoreThrottledError if error_code(error) in _THROTTLED else StoreUnavailableError
        raise (StoreRefusedError if refused else unavailable)(
            f"{operation}: {error_code(error) or 'unknown'}"
        ) from None
    except ParamValidationError as error:
        raise StoreRefusedError(f"{operation}: {type(error).__name__}") from None
    except BotoCoreError as error:
        raise StoreUnavailableError(f"{operation}: {type(error).__name__}") from None


def conditional_update(
    client: DynamoDBClient, operation: str, *, wants_item: bool = True, **call: Any
) -> tuple[bool, Mapping[str, Any]]:
    """Make one UpdateItem call. Without `wants_item` no item comes back, which saves a third of the call's time.

    Returns:
        Whether the condition was met, and the item in DynamoDB's form after the call (met) or before it (not met). The
        item is empty if there is none.

    Raises:
        StoreUnavailableError: DynamoDB did not answer. The text names `operation`.
        StoreRefusedError: DynamoDB refuses the update for good.
    """
    with store_errors(operation):
        try:
            response = client.update_item(**(_WITH_ITEM if wants_item else {}), **call)
        except ClientError as error:
            if error_code(error) != CONDITION_FAILED:
                raise
            return False, cast("Mapping[str, Any]", error.response.get("Item", {}))
    return True, response.get("Attributes", {})


def error_code(error: ClientError) -> str | None:
    """Return AWS's own code of the error, or None if it has none."""
    return error.response.get("Error", {}).get("Code")


def cancellation_reasons(error: ClientError) -> list[dict[str, Any]]:
    """Return why a transaction was cancelled, one reason for each of its writes. The stubs of errors omit them."""
    return cast("list[dict[str, Any]]", error.response.get("CancellationReasons", []))


def _codes_of(error: ClientError) -> Iterator[str | None]:
    """Yield AWS's code of the error and, of a cancelled transaction, those of its reasons."""
    yield error_code(error)
    for reason in cancellation_reasons(error):
        yield reason.get("Code")


class StoreClock:
    """An observer of all answers to one client, whichever store requested them.

    `Date` has whole seconds, and an answer takes a while to arrive. So only an interval is certain, and the difference
    is the point of it that is nearest to zero.
    """

    def __init__(self, client: DynamoDBClient, *, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._ahead_s: float | None = None
        client.meta.events.register("before-call.dynamodb", self._record_request)
        client.meta.events.register("after-call.dynamodb", self._record_answer)

    def ahead_s(self) -> float | None:
        """Return by how many seconds this container's clock is at least ahead (negative: behind).

        Returns None before the first answer with a date.
        """
        return self._ahead_s

    def _record_request(self, *, context: dict[str, Any], **_: object) -> None:
        context[_REQUESTED_AT] = self._now_s()

    def _record_answer(self, *, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        headers = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        try:
            second = parsedate_to_datetime(headers["date"]).timestamp()
        except (KeyError, ValueError):
            return
        least, most = context[_REQUESTED_AT] - second - 1, self._now_s() - second
        self._ahead_s = max(0.0, least) + min(0.0, most)


@dataclass(frozen=True, slots=True)
class SecretValue:
    """One version of a secret, whose values stay out of its repr."""

    version: str
    values: Mapping[str, Any] = field(repr=False)


class CachedSecret:
    """One JSON secret, cached for `max_age_s` seconds of `monotonic`.

    A value of that age is read again, at most once in `max_age_s`. While Secrets Manager does not answer, the cached
    value stays in use until `max_stale_s` after it was read. `refresh` reads at most once in `refresh_s`. The client is
    built with the cache, in the init phase, and nothing is read before the first use.
    """

    def __init__(
        self,
        *,
        name: str,
        client: Callable[[], SecretsManagerClient] = secretsmanager,
        monotonic: Callable[[], float] = time.monotonic,
        max_age_s: float = 300.0,
        max_stale_s: float = math.inf,
        refresh_s: float = 5.0,
    ) -> None:
        self._client = client()
        self._name = name
        self._monotonic = monotonic
        self._max_age_s = max_age_s
        self._max_stale_s = max_stale_s
        self._refresh_s = refresh_s
        self._read_at = 0.0
        self._tried_at = -math.inf
        self._value: SecretValue | None = None

    def __call__(self) -> SecretValue:
        """Return the cached value, and read it first if it is missing or old.

        A value that was good a moment ago is better than none: a provider may never repeat a refused callback.

        Raises:
            StoreUnavailableError: Secrets Manager did not answer, and there is no cached value or it is too old.
            ConfigurationError: the secret is not a JSON object.
        """
        now = self._monotonic()
        # Another thread may call `forget` at any moment.
        value = self._value
        if value is None or now - self._read_at > self._max_stale_s:
            return self._read(now)
        if now - max(self._read_at, self._tried_at) > self._max_age_s:
            with suppress(StoreUnavailableError):
                value = self._read(now)
        return value

    def refresh(self) -> SecretValue:
        """Return a value that was read within the past `refresh_s` seconds, so that a refusal by it is certain.

        Raises:
            StoreUnavailableError: Secrets Manager does not answer, or did not within the past `refresh_s` seconds.
            ConfigurationError: the secret is not a JSON object.
        """
        now = self._monotonic()
        value = self._value
        if value is not None and now - self._read_at < self._refresh_s:
            return value
        if now - self._tried_at < self._refresh_s:
            raise StoreUnavailableError("read secret: no answer a moment ago")
        return self._read(now)

    def forget(self) -> None:
        """Forget the cached value: the secret may have been replaced, and the next use reads it again."""
        self._value = None

    def _read(self, now: float) -> SecretValue:
        self._tried_at = now
        with store_errors("read secret"):
            response = self._client.get_secret_value(SecretId=self._name)
        try:
            values = json.loads(response["SecretString"])
        except (KeyError, ValueError):
            values = None
        if not isinstance(values, dict):
            self.forget()
            raise ConfigurationError(f"The secret {self._name} must be a JSON object")
        value = self._value = SecretValue(version=response["VersionId"], values=values)
        self._read_at = now
        return value


def webhook_tokens(name: str) -> CachedSecret:
    """Build the cache of one webhook's live tokens."""
    return CachedSecret(name=name, max_age_s=_REVOKED_AFTER_S, max_stale_s=_REVOKED_WITHOUT_ANSWER_AFTER_S)


class SecretCodeKeys(CachedSecret):
    """The CodeKeys in one JSON secret: `{"current": "2", "1": "...", "2": "..."}`."""

    def current(self) -> CodeKey:
        values = self().values
        return _build_code_key(values, values.get("current"))

    def find(self, version: str) -> CodeKey:
        values = self().values
        # Another container may have read a newer secret than this one.
        return _build_code_key(values if version in values else self.refresh().values, version)


def _build_code_key(values: Mapping[str, Any], version: object) -> CodeKey:
    # Most functions load this module and need no code.
    from switchboard.domain.verification.one_time_codes import CodeKey  # noqa: PLC0415

    value = values.get(version) if isinstance(version, str) else None
    if not isinstance(version, str) or not isinstance(value, str) or len(value) < _MIN_CODE_KEY_LENGTH:
        raise ConfigurationError(f"The secret of the code keys has no key of version {version}")
    return CodeKey(version, value.encode())
