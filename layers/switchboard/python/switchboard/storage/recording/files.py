"""Store recordings' files in a bucket, in parts, whole or not at all, and sign links to them that expire.

What is no recording goes into the quarantine bucket in the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from switchboard.domain.errors import DownloadFailedError, StoreUnavailableError
from switchboard.domain.recording.audio import AudioFormat, AudioMeter
from switchboard.domain.recording.facts import QuarantinedFile, StoredFile
from switchboard.ports.recordings import Download
from switchboard.storage.aws import PRECONDITION_FAILED, error_code, store_errors
from switchboard.storage.recording.object_names import quote_within

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES: Final = 8 * 1024 * 1024
_READ_BYTES: Final = 256 * 1024
_UNKNOWN_TYPE: Final = "application/octet-stream"
_EXTENSIONS: Final = frozenset(audio_format.extension for audio_format in AudioFormat)
_MAX_NAME_LENGTH: Final = 1024
"""The longest encoded file name in an object's metadata, for all of which S3 has 2 KB."""


class _FileMeter:
    """The measurements of a file, taken from its bytes while they pass by."""

    def __init__(self) -> None:
        self.bytes = 0
        self.audio = AudioMeter()
        self._hash = hashlib.sha256()

    def feed(self, chunk: bytes) -> None:
        """Measure the file's next bytes."""
        self.bytes += len(chunk)
        self._hash.update(chunk)
        self.audio.feed(chunk)

    def stored_file(self, key: str, *, content_type: str, file_name: str) -> StoredFile:
        """Return the recording with what was measured."""
        return StoredFile(
            key=key,
            bytes=self.bytes,
            sha256=self._hash.hexdigest(),
            content_type=content_type,
            file_name=file_name,
            seconds=self.audio.seconds(),
        )

    def quarantined_file(self, key: str, *, is_cut: bool) -> QuarantinedFile:
        """Return the file that is no recording with what was measured."""
        return QuarantinedFile(
            key=key, bytes=self.bytes, sha256=self._hash.hexdigest(), is_text=self.audio.is_text, is_cut=is_cut
        )


class _Transfer:
    """The bytes of a download. With `keep_cut` a failure ends them, unless it comes before the first of them."""

    def __init__(self, download: Download, *, keep_cut: bool) -> None:
        self._download = download
        self._keep_cut = keep_cut
        self.is_cut = False

    def chunks(self) -> Iterator[bytes]:
        has_begun = False
        try:
            for chunk in self._download.chunks():
                has_begun = True
                yield chunk
        except DownloadFailedError:
            if not (self._keep_cut and has_begun):
                raise
            self.is_cut = True


class _Content(BytesIO):
    """A file's bytes. A read may return more than `size`: the HTTP library's 16 KiB would take a system call each."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(max(size, _READ_BYTES) if size and size > 0 else size)


class _ExistsError(Exception):
    """A write that would have overwritten a recording."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a file, whose `content` is `size` bytes."""

    content: BytesIO
    size: int


@dataclass(frozen=True, slots=True)
class _Target:
    """The object to write. An existing one is overwritten only in the quarantine."""

    bucket: str
    key: str
    content_type: str
    metadata: Mapping[str, str]
    overwrites: bool = False

    @property
    def condition(self) -> dict[str, Any]:
        """The condition of the write."""
        return {} if self.overwrites else {"IfNoneMatch": "*"}


class S3RecordingFiles:
    """A RecordingFiles over one bucket, with a quarantine in another, which only `store` needs.

    `presigner` signs links and needs the rights of GetObject.
    """

    def __init__(
        self,
        *,
        client: Callable[[], S3Client],
        bucket: str,
        quarantine_bucket: str | None = None,
        presigner: Callable[[], S3Client] | None = None,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._client = client
        self._presigner = presigner or client
        self._bucket = bucket
        self._quarantine_bucket = quarantine_bucket
        self._part_bytes = part_bytes

    def store(
        self, key: str, download: Download, *, quarantine_key: str, keep_cut: bool = False
    ) -> StoredFile | QuarantinedFile:
        meter, transfer = _FileMeter(), _Transfer(download, keep_cut=keep_cut)
        parts = self._split_into_parts(transfer.chunks(), meter)
        first_part = next(parts)
        is_only_part = first_part.size < self._part_bytes  # then the download has ended
        may_be_cut = transfer.is_cut or not download.end_is_certain or (keep_cut and not is_only_part)
        audio_format = None if may_be_cut else meter.audio.format
        if audio_format is not None:
            target = self._recording_target(key, download.file_name, audio_format)
        else:
            reason = "no_length" if not download.end_is_certain else "cut" if may_be_cut else "not_audio"
            target = self._quarantine_target(quarantine_key, reason)
        try:
            if is_only_part:
                self._put(target, first_part)
            else:
                self._put_parts(target, first_part, parts)
        except _ExistsError:
            return self._measure_existing(target.key)
        is_whole = download.end_is_certain and not transfer.is_cut
        if audio_format is None and is_whole and meter.audio.format is not None:
            # A tag larger than the first part came before the audio, or the transfer might have been cut.
            audio_format = meter.audio.format
            target = self._copy(target, self._recording_target(key, download.file_name, audio_format))
        if audio_format is None:
            return meter.quarantined_file(target.key, is_cut=transfer.is_cut)
        file_name = _with_extension(download.file_name, audio_format)
        return meter.stored_file(target.key, content_type=target.content_type, file_name=file_name)

    def find(self, key: str) -> StoredFile | None:
        with store_errors("find recording"):
            response = self._client().list_objects_v2(Bucket=self._bucket, Prefix=f"{key}.", MaxKeys=1)
        contents = response.get("Contents", [])
        return self._measure_existing(contents[0]["Key"]) if contents else None

    def _measure_existing(self, key: str) -> StoredFile:
        meter = _FileMeter()
        with store_errors("read recording"):
            response = self._client().get_object(Bucket=self._bucket, Key=key)
            for chunk in response["Body"].iter_chunks(_READ_BYTES):
                meter.feed(chunk)
        if meter.bytes != response["ContentLength"]:
            raise StoreUnavailableError("read recording: cut")
        meter.audio.finish()
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

    def _split_into_parts(self, chunks: Iterator[bytes], meter: _FileMeter) -> Iterator[_Part]:
        """Yield the file in parts of `part_bytes`, except the last part, which is smaller and may be empty.

        The last part comes only when the chunks have ended by themselves. All parts share one buffer: the caller must
        be done with a part before it takes the next one.
        """
        buffer, size = _Content(), 0
        for chunk in chunks:
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
        meter.audio.finish()
        buffer.truncate(size)
        buffer.seek(0)
        yield _Part(buffer, size)

    def _recording_target(self, key: str, file_name: str, audio_format: AudioFormat) -> _Target:
        name = quote_within(_with_extension(file_name, audio_format), _MAX_NAME_LENGTH)
        return _Target(self._bucket, f"{key}.{audio_format.extension}", audio_format.content_type, {"file-name": name})

    def _quarantine_target(self, key: str, reason: str) -> _Target:
        assert self._quarantine_bucket, "only an application with a quarantine stores files"
        return _Target(self._quarantine_bucket, key, _UNKNOWN_TYPE, {"reason": reason}, overwrites=True)

    def _put(self, target: _Target, part: _Part) -> None:
        """Store a file of one part.

        Raises:
            _ExistsError: the recording is stored already.
        """
        with store_errors("store recording"):
            try:
                self._client().put_object(
                    Bucket=target.bucket,
                    Key=target.key,
                    Body=part.content,
                    ContentType=target.content_type,
                    Metadata=target.metadata,
                    **target.condition,
                )
            except ClientError as error:
                _raise_if_exists(error)
                raise

    def _put_parts(self, target: _Target, first_part: _Part, further_parts: Iterator[_Part]) -> None:
        """Store a file of several parts.

        Raises:
            _ExistsError: the recording is stored already.
        """
        if not target.overwrites:
            self._abort_open_uploads(target.key)
        with store_errors("begin upload"):
            upload_id = self._client().create_multipart_upload(
                Bucket=target.bucket, Key=target.key, ContentType=target.content_type, Metadata=target.metadata
            )["UploadId"]
        try:
            uploaded = [self._upload(target, upload_id, 1, first_part)]
            for number, part in enumerate(further_parts, start=2):
                if part.size:
                    uploaded.append(self._upload(target, upload_id, number, part))
            with store_errors("complete upload"):
                try:
                    self._client().complete_multipart_upload(
                        Bucket=target.bucket,
                        Key=target.key,
                        UploadId=upload_id,
                        MultipartUpload={"Parts": uploaded},
                        **target.condition,
                    )
                except ClientError as error:
                    _raise_if_exists(error)
                    raise
        except BaseException:
            # A file that is not whole must not stay, whatever went wrong. If the upload cannot be aborted now, the
            # bucket's lifecycle rule aborts it.
            with suppress(StoreUnavailableError):
                self._abort(target.bucket, target.key, upload_id)
            raise

    def _upload(self, target: _Target, upload_id: str, number: int, part: _Part) -> CompletedPartTypeDef:
        with store_errors("upload part"):
            response = self._client().upload_part(
                Bucket=target.bucket, Key=target.key, UploadId=upload_id, PartNumber=number, Body=part.content
            )
        return {"PartNumber": number, "ETag": response["ETag"]}

    def _copy(self, source: _Target, target: _Target) -> _Target:
        """Copy an object of the quarantine into the recordings bucket."""
        with store_errors("copy recording"):
            self._client().copy_object(
                Bucket=target.bucket,
                Key=target.key,
                CopySource={"Bucket": source.bucket, "Key": source.key},
                ContentType=target.content_type,
                Metadata=target.metadata,
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",  # copying tags takes rights that the worker does not have
            )
        return target

    def _abort(self, bucket: str, key: str, upload_id: str) -> None:
        with store_errors("abort upload"):
            self._client().abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)

    def _abort_open_uploads(self, key: str) -> None:
        """Abort the uploads of this key that a dead container left open. Only one container writes a key at a time."""
        with store_errors("list uploads"):
            response = self._client().list_multipart_uploads(Bucket=self._bucket, Prefix=key)
        for upload in response.get("Uploads", []):
            if upload["Key"] == key:
                self._abort(self._bucket, key, upload["UploadId"])


def _raise_if_exists(error: ClientError) -> None:
    """Check whether a write was refused because it must not overwrite the object, and raise _ExistsError then."""
    if error_code(error) == PRECONDITION_FAILED:
        raise _ExistsError from error


def _with_extension(name: str, audio_format: AudioFormat) -> str:
    """Return the name with the format's extension in place of another format's."""
    stem, dot, extension = name.rpartition(".")
    is_other = dot and extension.lower() in _EXTENSIONS and extension.lower() != audio_format.extension
    return f"{stem}.{audio_format.extension}" if is_other else name
