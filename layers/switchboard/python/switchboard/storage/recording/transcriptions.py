"""Add the facts about transcripts to the recordings' items, and store what was said in a bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.recording.facts import QuarantinedFile, Recording, StoredFile
from switchboard.domain.recording.mp3_join import NotJoinableError
from switchboard.domain.recording.transcript_facts import StoredTranscript, TranscriptionAttempt, TranscriptionOutcome
from switchboard.domain.recording.transcription_policy import MEDIA_FORMATS
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.listing import UnreadableItem
from switchboard.ports.transcripts import Media
from switchboard.storage.aws import PRECONDITION_FAILED, conditional_update, error_code, store_errors
from switchboard.storage.items import to_attributes
from switchboard.storage.orders.indexes import convert_items, overdue_items
from switchboard.storage.recording.files import S3RecordingFiles
from switchboard.storage.recording.items import (
    TRANSCRIPT,
    TRANSCRIPTION_ATTEMPT,
    TRANSCRIPTION_PENDING,
    recording_from,
    recording_pk,
    transcript_value,
    transcription_attempt_value,
    transcription_outcome_attribute,
    transcription_outcome_value,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

_READ_BYTES: Final = 256 * 1024
_NO_SUCH_OBJECT_CODES: Final = frozenset({"NoSuchKey", "404"})


class DynamoDbTranscriptionStore:
    """A TranscriptionStore over the recordings' items in one table."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, recording_id: str) -> Recording | None:
        with store_errors("get recording"):
            response = self._client.get_item(TableName=self._table, Key=_key(recording_id), ConsistentRead=True)
        return recording_from(response.get("Item"))

    def begin(self, recording: Recording, attempt: TranscriptionAttempt, *, due: datetime) -> Recording | None:
        seen = len(recording.transcription_attempts)
        name = f"{TRANSCRIPTION_ATTEMPT}{attempt.job}"
        unchanged = "transcription_attempts = :seen"
        values = to_attributes(
            {
                ":attempt": transcription_attempt_value(attempt),
                ":seen": seen,
                ":next": seen + 1,
                ":pending": TRANSCRIPTION_PENDING,
                ":due": to_rfc3339(due),
            }
        )
        updated, item = self._update(
            "begin transcription",
            recording.recording_id,
            update="SET #attempt = :attempt, transcription_attempts = :next, pending = :pending, due = :due"
            " REMOVE transcription_waits_for",
            condition="attribute_exists(kind) AND (attribute_not_exists(pending) OR pending = :pending) AND "
            + (unchanged if seen else f"(attribute_not_exists(transcription_attempts) OR {unchanged})"),
            names={"#attempt": name},
            values=values,
        )
        # A repetition after a lost answer must not count again.
        is_repeated = item.get(name) == values[":attempt"]
        return recording_from(item) if updated or is_repeated else None

    def record(
        self, recording_id: str, outcome: TranscriptionOutcome, *, transcript: StoredTranscript | None = None
    ) -> Recording:
        names = {"#outcome": transcription_outcome_attribute(outcome)}
        values: dict[str, Any] = {":outcome": transcription_outcome_value(outcome)}
        update = "SET #outcome = if_not_exists(#outcome, :outcome)"
        if transcript is not None:
            names["#transcript"] = f"{TRANSCRIPT}{transcript.job}"
            values[":transcript"] = transcript_value(transcript)
            update += ", #transcript = if_not_exists(#transcript, :transcript)"
        _, item = self._update(
            "record transcription",
            recording_id,
            update=update,
            condition="attribute_exists(kind)",
            names=names,
            values=to_attributes(values),
        )
        recording = recording_from(item)
        if recording is None:
            raise StoreUnavailableError("record transcription: no such recording")
        return recording

    def schedule(self, recording: Recording, *, due: datetime | None, waits_for: str | None = None) -> None:
        seen = recording.transcription_due
        if due is None and seen is None:
            return
        values: dict[str, Any] = {}
        if due is None:
            update = "REMOVE pending, due, transcription_waits_for"
        else:
            values |= {":pending": TRANSCRIPTION_PENDING, ":due": to_rfc3339(due), ":waits_for": waits_for}
            update = "SET pending = :pending, due = :due"
            update += ", transcription_waits_for = :waits_for" if waits_for else " REMOVE transcription_waits_for"
        if seen is None:
            condition = "attribute_exists(kind) AND attribute_not_exists(pending)"
        else:
            condition = "attribute_exists(kind) AND pending = :pending AND due = :seen"
            values |= {":pending": TRANSCRIPTION_PENDING, ":seen": to_rfc3339(seen)}
        self._update(
            "schedule transcription",
            recording.recording_id,
            update=update,
            condition=condition,
            values=to_attributes(values),
        )

    def overdue(self, *, now: datetime, limit: int) -> Iterable[Recording | UnreadableItem]:
        items = overdue_items(
            self._client, self._table, pending=TRANSCRIPTION_PENDING, now=now, limit=limit, noun="transcripts"
        )
        return convert_items(items, recording_from)

    def _update(
        self,
        operation: str,
        recording_id: str,
        *,
        update: str,
        condition: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
    ) -> tuple[bool, Mapping[str, Any]]:
        more: dict[str, Any] = {} if names is None else {"ExpressionAttributeNames": dict(names)}
        return conditional_update(
            self._client,
            operation,
            TableName=self._table,
            Key=_key(recording_id),
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeValues=dict(values),
            **more,
        )


class S3TranscriptFiles:
    """A TranscriptFiles over one bucket. `client` is called only when it is needed."""

    def __init__(self, *, client: Callable[[], S3Client], bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write(self, key: str, content: bytes) -> bytes:
        with store_errors("put transcript"):
            try:
                self._client().put_object(
                    Bucket=self._bucket, Key=key, Body=content, ContentType="application/json", IfNoneMatch="*"
                )
            except ClientError as error:
                if error_code(error) != PRECONDITION_FAILED:
                    raise
            else:
                return content
        existing = self.read(key)
        if existing is None:
            raise StoreUnavailableError("put transcript: deleted")
        return existing

    def read(self, key: str) -> bytes | None:
        with store_errors("get transcript"):
            try:
                response = self._client().get_object(Bucket=self._bucket, Key=key)
            except self._client().exceptions.NoSuchKey:
                return None
            return response["Body"].read()


class S3AudioFiles:
    """An AudioFiles over the recordings' bucket, with joined files in the recogniser's bucket under `media/`."""

    def __init__(self, *, client: Callable[[], S3Client], bucket: str, recognition_bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._recognition_bucket = recognition_bucket
        self._joined = S3RecordingFiles(client=client, bucket=recognition_bucket, quarantine_bucket=recognition_bucket)

    @contextmanager
    def open(self, file: StoredFile) -> Iterator[Iterator[bytes]]:
        with store_errors("read recording"):
            body = self._client().get_object(Bucket=self._bucket, Key=file.key)["Body"]
        try:
            yield _read_chunks(body)
        finally:
            body.close()

    def media(self, file: StoredFile) -> Media:
        return Media(bucket=self._bucket, key=file.key, format=MEDIA_FORMATS[file.key.rpartition(".")[2]])

    def link(self, media: Media, *, expires_in: timedelta) -> str:
        """Return an address under which anyone can read the audio of a job until it expires."""
        with store_errors("sign address"):
            return self._client().generate_presigned_url(
                "get_object",
                Params={"Bucket": media.bucket, "Key": media.key},
                ExpiresIn=int(expires_in.total_seconds()),
            )

    def find_joined(self, recording_id: str, digest: str) -> Media | None:
        media = self._joined_media(recording_id, digest)
        with store_errors("find joined file"):
            try:
                self._client().head_object(Bucket=media.bucket, Key=media.key)
            except ClientError as error:
                if error_code(error) not in _NO_SUCH_OBJECT_CODES:
                    raise
                return None
        return media

    def put_joined(self, recording_id: str, digest: str, chunks: Iterator[bytes]) -> Media:
        media = self._joined_media(recording_id, digest)
        stem = media.key.rpartition(".")[0]
        file = self._joined.store(stem, _JoinedFile(chunks), quarantine_key=f"{stem}.unusable")
        if isinstance(file, QuarantinedFile):
            raise NotJoinableError("the joined file is no MP3")
        return media

    def _joined_media(self, recording_id: str, digest: str) -> Media:
        return Media(bucket=self._recognition_bucket, key=f"media/{recording_id}/{digest}.mp3", format="mp3")


class _JoinedFile:
    """A joined file as a download: its end is certain, since it is made here."""

    end_is_certain = True
    file_name = "joined.mp3"

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def chunks(self) -> Iterator[bytes]:
        return self._chunks


def _read_chunks(body: Any) -> Iterator[bytes]:
    with store_errors("read recording"):
        yield from body.iter_chunks(_READ_BYTES)


def _key(recording_id: str) -> dict[str, Any]:
    return to_attributes({"pk": recording_pk(recording_id)})


class S3RecognitionResults:
    """The raw results in the recogniser's bucket, with a quarantine in another. `client` is called when needed."""

    def __init__(self, *, client: Callable[[], S3Client], bucket: str, quarantine_bucket: str = "") -> None:
        self._client = client
        self.bucket = bucket
        self._quarantine_bucket = quarantine_bucket

    def read(self, key: str) -> bytes | None:
        """Return the result under the key, or None if there is none."""
        return S3TranscriptFiles(client=self._client, bucket=self.bucket).read(key)

    def quarantine(self, key: str, *, at: datetime) -> None:
        """Copy the result for an operator to look at. Do nothing if there is none."""
        with store_errors("quarantine result"):
            try:
                self._client().copy_object(
                    Bucket=self._quarantine_bucket,
                    Key=_quarantine_key(key.rpartition("/")[2], at=at),
                    CopySource={"Bucket": self.bucket, "Key": key},
                    # Without this S3 copies the object's tags, which takes rights that the worker does not have.
                    TaggingDirective="REPLACE",
                )
            except ClientError as error:
                if error_code(error) not in _NO_SUCH_OBJECT_CODES:
                    raise

    def keep(self, job: str, content: bytes, *, at: datetime) -> None:
        """Keep a result that came in an answer and not in the bucket, for an operator to look at."""
        with store_errors("quarantine result"):
            self._client().put_object(
                Bucket=self._quarantine_bucket, Key=_quarantine_key(f"{job}.json", at=at), Body=content
            )


def _quarantine_key(name: str, *, at: datetime) -> str:
    return f"quarantine/transcripts/{at:%Y/%m/%d}/{name}"
