"""Store recordings' files in a bucket, in parts, whole or not at all, and sign links to them that expire."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.recording.facts import StoredFile
from switchboard.domain.recording.mp3 import Mp3Meter
from switchboard.ports.recordings import Download
from switchboard.storage.aws import PRECONDITION_FAILED, error_code, store_errors
from switchboard.storage.recording.object_names import quote_within

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES: Final = 8 * 1024 * 1024
_READ_BYTES: Final = 256 * 1024
_MAX_NAME_LENGTH: Final = 1024
"""The longest encoded file name in an object's metadata, for all of which S3 has 2 KB."""


class _FileMeter:
    """The measurements of a file, taken from its bytes while they pass by."""

    def __init__(self) -> None:
        self.bytes = 0
        self._hash = hashlib.sha256()
        self._mp3_meter = Mp3Meter()

    def feed(self, chunk: bytes) -> None:
        """Measure the file's next bytes."""
        self.bytes += len(chunk)
        self._hash.update(chunk)
        self._mp3_meter.feed(chunk)

    def stored_file(self, key: str, *, content_type: str, file_name: str) -> StoredFile:
        """Return the file with what was measured."""
        return StoredFile(
            key=key,
            bytes=self.bytes,
            sha256=self._hash.hexdigest(),
            content_type=content_type,
            file_name=file_name,
            seconds=self._mp3_meter.seconds(),
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a file, whose `content` is `size` bytes."""

    content: BytesIO
    size: int


class S3RecordingFiles:
    """A RecordingFiles over one bucket. `presigner` signs links and needs the rights of GetObject."""

    def __init__(
        self,
        *,
        client: Callable[[], S3Client],
        bucket: str,
        presigner: Callable[[], S3Client] | None = None,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._client = client
        self._presigner = presigner or client
        self._bucket = bucket
        self._part_bytes = part_bytes

    def store(self, key: str, download: Download) -> StoredFile:
        meter = _FileMeter()
        parts = self._split_into_parts(download, meter)
        first_part = next(parts)
        if first_part.size == self._part_bytes:
            return self._store_parts(key, first_part, parts, download=download, meter=meter)
        # The first part is the only one, and the download has ended: a failed transfer would have raised by now.
        file = meter.stored_file(key, content_type=download.content_type, file_name=download.file_name)
        metadata = {
            **_metadata(download),
            "sha256": file.sha256,
            "seconds": "" if file.seconds is None else str(file.seconds),
        }
        with store_errors("store recording"):
            try:
                self._client().put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=first_part.content,
                    IfNoneMatch="*",
                    ContentType=download.content_type,
                    Metadata=metadata,
                )
            except ClientError as error:
                return self._find_existing(key, error)
        return file

    def find(self, key: str) -> StoredFile | None:
        with store_errors("find recording"):
            try:
                response = self._client().get_object(Bucket=self._bucket, Key=key)
            except self._client().exceptions.NoSuchKey:
                return None
            meter = _FileMeter()
            for chunk in response["Body"].iter_chunks(_READ_BYTES):
                meter.feed(chunk)
        if meter.bytes != response["ContentLength"]:
            raise StoreUnavailableError("find recording: cut")
        name = unquote(response["Metadata"].get("file-name", "")) or key.rpartition("/")[2]
        return meter.stored_file(key, content_type=response["ContentType"], file_name=name)

    def url(self, file: StoredFile, *, expires_in: timedelta) -> str:
        disposition = f"attachment; filename*=utf-8''{quote(file.file_name, safe='')}"
        with store_errors("sign address"):
            return self._presigner().generate_presigned_url(
                "get_object",
                Params={"Bucket": self._bucket, "Key": file.key, "ResponseContentDisposition": disposition},
                ExpiresIn=int(expires_in.total_seconds()),
            )

    def _split_into_parts(self, download: Download, meter: _FileMeter) -> Iterator[_Part]:
        """Yield the file in parts of `part_bytes`, except the last part, which is smaller and may be empty.

        The last part comes only when the download has ended by itself. All parts share one buffer: the caller must be
        done with a part before it takes the next one.
        """
        buffer, size = BytesIO(), 0
        for chunk in download.chunks():
            meter.feed(chunk)
            rest = memoryview(chunk)
            while size + len(rest) >= self._part_bytes:
                missing = self._part_bytes - size
                buffer.write(rest[:missing])
                buffer.seek(0)
                yield _Part(buffer, self._part_bytes)
                buffer.seek(0)
                rest, size = rest[missing:], 0
            buffer.write(rest)
            size += len(rest)
        buffer.truncate(size)
        buffer.seek(0)
        yield _Part(buffer, size)

    def _store_parts(
        self, key: str, first_part: _Part, further_parts: Iterator[_Part], *, download: Download, meter: _FileMeter
    ) -> StoredFile:
        self._abort_open_uploads(key)
        with store_errors("begin upload"):
            upload_id = self._client().create_multipart_upload(
                Bucket=self._bucket, Key=key, ContentType=download.content_type, Metadata=_metadata(download)
            )["UploadId"]
        try:
            uploaded = [self._upload(key, upload_id, 1, first_part)]
            for number, part in enumerate(further_parts, start=2):
                if part.size:
                    uploaded.append(self._upload(key, upload_id, number, part))
            with store_errors("complete upload"):
                try:
                    self._client().complete_multipart_upload(
                        Bucket=self._bucket,
                        Key=key,
                        UploadId=upload_id,
                        MultipartUpload={"Parts": uploaded},
                        IfNoneMatch="*",
                    )
                except ClientError as error:
                    existing = self._find_existing(key, error)
                    self._abort(key, upload_id)
                    return existing
        except BaseException:
            # A file that is not whole must not stay, whatever went wrong. If the upload cannot be aborted now, the
            # bucket's lifecycle rule aborts it.
            with suppress(StoreUnavailableError):
                self._abort(key, upload_id)
            raise
        return meter.stored_file(key, content_type=download.content_type, file_name=download.file_name)

    def _upload(self, key: str, upload_id: str, number: int, part: _Part) -> CompletedPartTypeDef:
        with store_errors("upload part"):
            response = self._client().upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=part.content
            )
        return {"PartNumber": number, "ETag": response["ETag"]}

    def _abort(self, key: str, upload_id: str) -> None:
        with store_errors("abort upload"):
            self._client().abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def _abort_open_uploads(self, key: str) -> None:
        """Abort the uploads of this key that a dead container left open. Only one container writes a key at a time."""
        with store_errors("list uploads"):
            response = self._client().list_multipart_uploads(Bucket=self._bucket, Prefix=key)
        for upload in response.get("Uploads", []):
            if upload["Key"] == key:
                self._abort(key, upload["UploadId"])

    def _find_existing(self, key: str, error: ClientError) -> StoredFile:
        """Return the file that a refused write must not overwrite, or raise `error` if it means something else."""
        existing = self.find(key) if error_code(error) == PRECONDITION_FAILED else None
        if existing is None:
            raise error
        return existing


def _metadata(download: Download) -> dict[str, str]:
    return {"file-name": quote_within(download.file_name, _MAX_NAME_LENGTH)}
