"""Recordings' files in a bucket: streamed in by parts, whole or not at all, and shown by addresses that expire."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.recording.facts import StoredFile
from switchboard.domain.recording.mp3 import Mp3Meter
from switchboard.ports.recordings import Download
from switchboard.storage.aws import store_errors
from switchboard.storage.recording.object_names import quoted_within

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES: Final = 8 * 1024 * 1024
_READ_BYTES: Final = 256 * 1024
_LONGEST_NAME: Final = 1024
"""Of a name in an object's metadata, for all of which S3 has 2 KB."""


class _Measure:
    """What is told of a file from its bytes while they pass by."""

    def __init__(self) -> None:
        self.bytes = 0
        self._hash = hashlib.sha256()
        self._meter = Mp3Meter()

    def feed(self, chunk: bytes) -> None:
        self.bytes += len(chunk)
        self._hash.update(chunk)
        self._meter.feed(chunk)

    def file(self, key: str, *, content_type: str, file_name: str) -> StoredFile:
        return StoredFile(
            key=key,
            bytes=self.bytes,
            sha256=self._hash.hexdigest(),
            content_type=content_type,
            file_name=file_name,
            seconds=self._meter.seconds(),
        )


class S3RecordingFiles:
    """A RecordingFiles over one bucket. `presigner` signs addresses; it needs what GetObject needs."""

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
        measure, described = _Measure(), _described(download)
        parts = self._parts(download, measure)
        first, size = next(parts)
        if size < self._part_bytes:
            # The end has been seen: whatever was wrong with the transfer would have been raised by now.
            file = measure.file(key, content_type=download.content_type, file_name=download.file_name)
            told = {"sha256": file.sha256, "seconds": "" if file.seconds is None else str(file.seconds)}
            with store_errors("store recording"):
                try:
                    self._client().put_object(
                        Bucket=self._bucket, Key=key, Body=first, IfNoneMatch="*", **_with(described, told)
                    )
                except ClientError as error:
                    return self._stored_before(key, error)
            return file
        return self._store_parts(key, first, parts, download=download, measure=measure, described=described)

    def find(self, key: str) -> StoredFile | None:
        with store_errors("find recording"):
            try:
                answer = self._client().get_object(Bucket=self._bucket, Key=key)
            except self._client().exceptions.NoSuchKey:
                return None
            measure = _Measure()
            for chunk in answer["Body"].iter_chunks(_READ_BYTES):
                measure.feed(chunk)
        if measure.bytes != answer["ContentLength"]:
            raise StoreUnavailableError("find recording: cut")
        name = unquote(answer["Metadata"].get("file-name", "")) or key.rpartition("/")[2]
        return measure.file(key, content_type=answer["ContentType"], file_name=name)

    def url(self, file: StoredFile, *, expires_in: timedelta) -> str:
        disposition = f"attachment; filename*=utf-8''{quote(file.file_name, safe='')}"
        with store_errors("sign address"):
            return self._presigner().generate_presigned_url(
                "get_object",
                Params={"Bucket": self._bucket, "Key": file.key, "ResponseContentDisposition": disposition},
                ExpiresIn=int(expires_in.total_seconds()),
            )

    def _parts(self, download: Download, measure: _Measure) -> Iterator[tuple[BytesIO, int]]:
        """The file in pieces of `part_bytes` with their sizes, all but the last of them full; the last may be empty,
        and comes only when the download has ended by itself. Each is to be done with before the next is asked for: it
        is the same memory."""
        part, size = BytesIO(), 0
        for chunk in download.chunks():
            measure.feed(chunk)
            rest = memoryview(chunk)
            while size + len(rest) >= self._part_bytes:
                room = self._part_bytes - size
                part.write(rest[:room])
                part.seek(0)
                yield part, self._part_bytes
                part.seek(0)
                rest, size = rest[room:], 0
            part.write(rest)
            size += len(rest)
        part.truncate(size)
        part.seek(0)
        yield part, size

    def _store_parts(
        self,
        key: str,
        first: BytesIO,
        rest: Iterator[tuple[BytesIO, int]],
        *,
        download: Download,
        measure: _Measure,
        described: dict[str, Any],
    ) -> StoredFile:
        self._abort_left_open(key)
        with store_errors("begin upload"):
            upload = self._client().create_multipart_upload(Bucket=self._bucket, Key=key, **described)["UploadId"]
        try:
            done = [self._upload(key, upload, 1, first)]
            for number, (part, size) in enumerate(rest, start=2):
                if size:
                    done.append(self._upload(key, upload, number, part))
            with store_errors("complete upload"):
                try:
                    self._client().complete_multipart_upload(
                        Bucket=self._bucket,
                        Key=key,
                        UploadId=upload,
                        MultipartUpload={"Parts": done},
                        IfNoneMatch="*",
                    )
                except ClientError as error:
                    found = self._stored_before(key, error)
                    self._abort(key, upload)
                    return found
        except BaseException:
            # Whatever it is: what is not whole must not stay. The bucket's own rule ends what cannot be ended now.
            with suppress(StoreUnavailableError):
                self._abort(key, upload)
            raise
        return measure.file(key, content_type=download.content_type, file_name=download.file_name)

    def _upload(self, key: str, upload: str, number: int, part: BytesIO) -> CompletedPartTypeDef:
        with store_errors("upload part"):
            answer = self._client().upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=part
            )
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _abort(self, key: str, upload: str) -> None:
        with store_errors("abort upload"):
            self._client().abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

    def _abort_left_open(self, key: str) -> None:
        """What a container that died left behind under this key: nobody else writes there at the same time."""
        with store_errors("list uploads"):
            found = self._client().list_multipart_uploads(Bucket=self._bucket, Prefix=key)
        for each in found.get("Uploads", []):
            if each["Key"] == key:
                self._abort(key, each["UploadId"])

    def _stored_before(self, key: str, error: ClientError) -> StoredFile:
        """The file that was there already; anything else that went wrong is raised."""
        found = self.find(key) if error.response.get("Error", {}).get("Code") == "PreconditionFailed" else None
        if found is None:
            raise error
        return found


def _described(download: Download) -> dict[str, Any]:
    file_name = quoted_within(download.file_name, _LONGEST_NAME)
    return {"ContentType": download.content_type, "Metadata": {"file-name": file_name}}


def _with(described: dict[str, Any], told: dict[str, str]) -> dict[str, Any]:
    return {**described, "Metadata": {**described["Metadata"], **told}}
