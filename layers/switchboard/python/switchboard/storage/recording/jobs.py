"""Store recordings' jobs in a bucket: one object for each id, never overwritten, whose creation starts the work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from switchboard.domain.errors import StoreUnavailableError, UnreadableJobError
from switchboard.domain.recording.facts import MAX_NOTICES, ReadyFact, RecordingReady
from switchboard.domain.recording.object_keys import job_key
from switchboard.domain.recording.priority import is_dated_near
from switchboard.domain.timestamps import from_optional_rfc3339, from_rfc3339, to_rfc3339
from switchboard.ports.recordings import JobOutcome
from switchboard.storage.aws import PRECONDITION_FAILED, error_code, store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONFLICT: Final = "ConditionalRequestConflict"
"""S3's code while another write to the same key is under way, whose success is not known yet."""
_NO_SUCH_OBJECT_CODES: Final = frozenset({"NoSuchKey", "404"})
_MAX_TRIES: Final = 3
_MAX_BYTES: Final = 16_384
"""Far more than a job has. The beginning of a longer object is no job."""
_DIGEST_LENGTH: Final = 16


class S3JobStore:
    """A JobStore over one bucket, with a quarantine in another. `client` is called only when it is needed.

    A webhook needs no quarantine. The object of an id whose date is not near starts its work in the backlog.
    """

    def __init__(self, *, client: Callable[[], S3Client], bucket: str, quarantine_bucket: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._quarantine_bucket = quarantine_bucket

    def put(self, ready: RecordingReady, *, at: datetime) -> JobOutcome:
        backlog = not is_dated_near(ready.recording_id, at)
        key = job_key(ready.recording_id, backlog=backlog)
        body = _to_body(ready, at)
        if self._create(key, body):
            return JobOutcome.ANNOUNCED
        if self._holds(key, ready):
            return JobOutcome.REPEATED
        notice_key = job_key(ready.recording_id, backlog=backlog, notice=_digest(ready))
        notice_keys = self._list(f"{key.removesuffix('.json')}/")
        if notice_key in notice_keys:
            return JobOutcome.REPEATED
        if len(notice_keys) >= MAX_NOTICES - 1:
            return JobOutcome.TOO_MANY
        return JobOutcome.DIFFERENT if self._create(notice_key, body) else JobOutcome.REPEATED

    def get(self, recording_id: str) -> ReadyFact | None:
        return self.read(job_key(recording_id)) or self.read(job_key(recording_id, backlog=True))

    def read(self, key: str) -> ReadyFact | None:
        with store_errors("get job"):
            try:
                response = self._client().get_object(Bucket=self._bucket, Key=key)
            except self._client().exceptions.NoSuchKey:
                return None
            body = response["Body"].read(_MAX_BYTES)
        return _parse_body(body, key) if body else None

    def quarantine(self, key: str, *, at: datetime) -> None:
        with store_errors("quarantine job"):
            try:
                self._client().copy_object(
                    Bucket=self._quarantine_bucket,
                    Key=f"quarantine/jobs/{at:%Y/%m/%d}/{key.replace('/', '_')}",
                    CopySource={"Bucket": self._bucket, "Key": key},
                    # Without this S3 copies the object's tags, which takes rights that the worker does not have.
                    TaggingDirective="REPLACE",
                )
            except ClientError as error:
                if error_code(error) not in _NO_SUCH_OBJECT_CODES:
                    raise

    def _holds(self, key: str, ready: RecordingReady) -> bool:
        try:
            existing = self.read(key)
        except UnreadableJobError:
            return False
        return existing is not None and (existing.tel, existing.date) == (ready.tel, ready.date)

    def _list(self, prefix: str) -> list[str]:
        with store_errors("list reports"):
            response = self._client().list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=MAX_NOTICES)
        return [entry["Key"] for entry in response.get("Contents", [])]

    def _create(self, key: str, body: bytes) -> bool:
        """Create the object. Return False if it exists."""
        for _ in range(_MAX_TRIES):
            with store_errors("put job"):
                try:
                    self._client().put_object(
                        Bucket=self._bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
                    )
                except ClientError as error:
                    if error_code(error) == PRECONDITION_FAILED:
                        return False
                    if error_code(error) != _CONFLICT:
                        raise
                    continue
            return True
        raise StoreUnavailableError(f"put job: {_CONFLICT}")


def _to_body(ready: RecordingReady, at: datetime) -> bytes:
    content = {
        "recording_id": ready.recording_id,
        "tel": ready.tel,
        "date": ready.date,
        "called_at": to_rfc3339(ready.called_at) if ready.called_at else None,
        "received_at": to_rfc3339(at),
    }
    return json.dumps(content, sort_keys=True).encode()


def _parse_body(body: bytes, key: str) -> ReadyFact:
    try:
        content = json.loads(body)
        tel, date = content["tel"], content["date"]
        called_at, at = from_optional_rfc3339(content["called_at"]), from_rfc3339(content["received_at"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UnreadableJobError(key=key) from None
    if not (isinstance(tel, str) and isinstance(date, str) and at.tzinfo and (called_at is None or called_at.tzinfo)):
        raise UnreadableJobError(key=key)
    return ReadyFact(tel=tel, date=date, called_at=called_at, at=at)


def _digest(ready: RecordingReady) -> str:
    return hashlib.sha256(repr((ready.tel, ready.date)).encode()).hexdigest()[:_DIGEST_LENGTH]
