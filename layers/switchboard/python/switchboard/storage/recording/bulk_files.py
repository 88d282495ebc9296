"""Files dropped under `bulk/` in the jobs bucket: read as a download is, or copied into quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.errors import NotAudioError, StoreUnavailableError
from switchboard.domain.recording.mp3 import begins_like_mp3
from switchboard.storage.aws import store_errors
from switchboard.storage.recording.object_names import quoted_within

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READ_BYTES: Final = 256 * 1024
_LONGEST_NAME: Final = 900
"""Encoded, a key may be three times as long as it was; S3's are of 1,024 bytes at most."""
_GONE: Final = frozenset({"NoSuchKey", "404"})


class _BulkDownload:
    """Implements ports.Download over an object that is being read."""

    content_type = "audio/mpeg"

    def __init__(self, *, file_name: str, length: int, first: bytes, body: Any) -> None:
        self.file_name = file_name
        self.length = length
        self._first = first
        self._body = body

    def chunks(self) -> Iterator[bytes]:
        chunk, read = self._first, 0
        while chunk:
            read += len(chunk)
            yield chunk
            with store_errors("read bulk file"):
                chunk = self._body.read(_READ_BYTES)
        if read != self.length:
            raise StoreUnavailableError("read bulk file: cut")


class S3BulkFiles:
    """A BulkFiles from one bucket, with a quarantine in another. `client` is called when first used."""

    def __init__(self, *, client: Callable[[], S3Client], bucket: str, quarantine_bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._quarantine_bucket = quarantine_bucket

    @contextmanager
    def open(self, key: str) -> Iterator[_BulkDownload | None]:
        with store_errors("open bulk file"):
            try:
                answer = self._client().get_object(Bucket=self._bucket, Key=key)
            except self._client().exceptions.NoSuchKey:
                answer = None
            first = answer["Body"].read(_READ_BYTES) if answer else b""
        if answer is None:
            yield None
            return
        try:
            if not begins_like_mp3(first):
                raise NotAudioError("a bulk file is no recording", provider="biztel", operation="read_bulk_file")
            yield _BulkDownload(
                file_name=key.rpartition("/")[2], length=answer["ContentLength"], first=first, body=answer["Body"]
            )
        finally:
            answer["Body"].close()

    def quarantine(self, key: str, *, reason: str, at: datetime) -> None:
        name = quoted_within(key.removeprefix("bulk/"), _LONGEST_NAME)
        with store_errors("quarantine bulk file"):
            try:
                self._client().copy_object(
                    Bucket=self._quarantine_bucket,
                    Key=f"quarantine/bulk/{at:%Y/%m/%d}/{name}",
                    CopySource={"Bucket": self._bucket, "Key": key},
                    Metadata={"reason": reason},
                    MetadataDirective="REPLACE",
                    # Otherwise S3 copies the tags of whoever dropped the file, for which there would have to be rights.
                    TaggingDirective="REPLACE",
                )
            except self._client().exceptions.ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _GONE:
                    raise
