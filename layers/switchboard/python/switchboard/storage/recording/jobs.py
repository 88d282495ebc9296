"""Jobs in a bucket: one object an id, which nothing ever overwrites and whose creation starts the work."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.recording.facts import ReadyFact, RecordingReady
from switchboard.domain.recording.object_keys import job_key
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.storage.aws import store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_THERE_ALREADY: Final = "PreconditionFailed"
_BEING_WRITTEN: Final = "ConditionalRequestConflict"
_TRIES: Final = 3


class S3JobStore:
    """A JobStore over one bucket. `client` is called when first used."""

    def __init__(self, *, client: Callable[[], S3Client], bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, notice: RecordingReady, *, at: datetime) -> bool:
        content = {
            "recording_id": notice.recording_id,
            "tel": notice.tel,
            "date": notice.date,
            "called_at": to_rfc3339(notice.called_at) if notice.called_at else None,
            "received_at": to_rfc3339(at),
        }
        body = json.dumps(content, sort_keys=True).encode()
        for _ in range(_TRIES):
            with store_errors("put job"):
                try:
                    self._client().put_object(
                        Bucket=self._bucket,
                        Key=job_key(notice.recording_id),
                        Body=body,
                        ContentType="application/json",
                        IfNoneMatch="*",
                    )
                except ClientError as error:
                    code = error.response.get("Error", {}).get("Code")
                    if code == _THERE_ALREADY:
                        return False
                    # Somebody else is writing this very job: whether they will succeed is not known yet.
                    if code != _BEING_WRITTEN:
                        raise
                    continue
            return True
        raise StoreUnavailableError(f"put job: {_BEING_WRITTEN}")

    def get(self, recording_id: str) -> ReadyFact | None:
        with store_errors("get job"):
            try:
                answer = self._client().get_object(Bucket=self._bucket, Key=job_key(recording_id))
            except self._client().exceptions.NoSuchKey:
                return None
            content = json.loads(answer["Body"].read())
        called_at = content["called_at"]
        return ReadyFact(
            tel=content["tel"],
            date=content["date"],
            called_at=from_rfc3339(called_at) if called_at else None,
            at=from_rfc3339(content["received_at"]),
        )
