"""Read files that were dropped under `bulk/` in the jobs bucket, or copy them into quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.errors import StoreUnavailableError
from switchboard.storage.aws import error_code, store_errors
from switchboard.storage.recording.object_names import quote_within

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READ_BYTES: Final = 256 * 1024
_MAX_NAME_LENGTH: Final = 900
"""The longest encoded name. Encoding makes a name up to three times as long, and S3's keys have at most 1,024 bytes."""
_NO_SUCH_OBJECT_CODES: Final = frozenset({"NoSuchKey", "404"})


class _BulkDownload:
    """A ports.Download over an object that is being read."""

    end_is_certain = True

    def __init__(self, *, file_name: str, length: int, body: Any) -> None:
        self.file_name = file_name
        self._length = length
        self._body = body

    def chunks(self) -> Iterator[bytes]:
        bytes_read = 0
        while True:
            with store_errors("read bulk file"):
                chunk = self._body.read(_READ_BYTES)
            if not chunk:
                break
            bytes_read += len(chunk)
            yield chunk
        if bytes_read != self._length:
            raise StoreUnavailableError("read bulk file: cut")


class S3BulkFiles:
    """A BulkFiles over one bucket, with a quarantine in another. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], S3Client], bucket: str, quarantine_bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._quarantine_bucket = quarantine_bucket

    @contextmanager
    def open(self, key: str) -> Iterator[_BulkDownload | None]:
        with store_errors("open bulk file"):
            try:
                response = self._client().get_object(Bucket=self._bucket, Key=key)
            except self._client().exceptions.NoSuchKey:
                response = None
        if response is None:
            yield None
            return
        try:
            yield _BulkDownload(
                file_name=key.rpartition("/")[2],
                length=response["ContentLength"],
                body=response["Body"],
            )
        finally:
            response["Body"].close()

    def quarantine_key(self, key: str, *, at: datetime) -> str:
        return f"quarantine/bulk/{at:%Y/%m/%d}/{quote_within(key.removeprefix('bulk/'), _MAX_NAME_LENGTH)}"

    def quarantine(self, key: str, *, reason: str, at: datetime) -> None:
        with store_errors("quarantine bulk file"):
            try:
                self._client().copy_object(
                    Bucket=self._quarantine_bucket,
                    Key=self.quarantine_key(key, at=at),
                    CopySource={"Bucket": self._bucket, "Key": key},
                    Metadata={"reason": reason},
                    MetadataDirective="REPLACE",
                    # Without this S3 copies the file's tags, which takes rights that the worker does not have.
                    TaggingDirective="REPLACE",
                )
            except self._client().exceptions.ClientError as error:
                if error_code(error) not in _NO_SUCH_OBJECT_CODES:
                    raise
