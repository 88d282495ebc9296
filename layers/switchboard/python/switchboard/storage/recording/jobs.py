"""Store recordings' jobs in a bucket: one object for each id, never overwritten, whose creation starts the work."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.recording.facts import ReadyFact, RecordingReady
from switchboard.domain.recording.object_keys import job_key
from switchboard.domain.timestamps import from_optional_rfc3339, from_rfc3339, to_rfc3339
from switchboard.storage.aws import PRECONDITION_FAILED, error_code, store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONFLICT: Final = "ConditionalRequestConflict"
"""S3's code while another write to the same key is under way, whose success is not known yet."""
_MAX_TRIES: Final = 3


class S3JobStore:
    """A JobStore over one bucket. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], S3Client], bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, ready: RecordingReady, *, at: datetime) -> bool:
        content = {
            "recording_id": ready.recording_id,
            "tel": ready.tel,
            "date": ready.date,
            "called_at": to_rfc3339(ready.called_at) if ready.called_at else None,
            "received_at": to_rfc3339(at),
        }
        body = json.dumps(content, sort_keys=True).encode()
        for _ in range(_MAX_TRIES):
            with store_errors("put job"):
                try:
                    self._client().put_object(
                        Bucket=self._bucket,
                        Key=job_key(ready.recording_id),
                        Body=body,
                        ContentType="application/json",
                        IfNoneMatch="*",
                    )
                except ClientError as error:
                    if error_code(error) == PRECONDITION_FAILED:
                        return False
                    if error_code(error) != _CONFLICT:
                        raise
                    continue
            return True
        raise StoreUnavailableError(f"put job: {_CONFLICT}")

    def get(self, recording_id: str) -> ReadyFact | None:
        with store_errors("get job"):
            try:
                response = self._client().get_object(Bucket=self._bucket, Key=job_key(recording_id))
            except self._client().exceptions.NoSuchKey:
                return None
            content = json.loads(response["Body"].read())
        return ReadyFact(
            tel=content["tel"],
            date=content["date"],
            called_at=from_optional_rfc3339(content["called_at"]),
            at=from_rfc3339(content["received_at"]),
        )
