"""Reaches the emulated AWS account behind the simulator: its objects, its policies and its events."""

import http.client
from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from sandbox.aws_clients import create_client

_SCRATCH_BUCKET: Final = "sandbox-transcribe"
_SCRATCH_KEY: Final = "silence.mp3"
_TIMEOUT_S: Final = 10.0


class AwsAccount(Protocol):
    """The account whose jobs are simulated."""

    def read(self, bucket: str, key: str) -> bytes | None:
        """Return an object, or None if there is none."""
        ...

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""
        ...

    def refusal(self, headers: Mapping[str, str], body: bytes, job: str, *, starts: bool) -> bytes | None:
        """Return the answer with which the account's policies refuse a caller's signed request, or None."""
        ...

    def emit(self, job: str, *, failed: bool) -> None:
        """Let the event about the end of a job come."""
        ...


class EmulatedAccount:
    """An AwsAccount in the emulator at `url`.

    No caller can put an event of `aws.transcribe`. The emulator's own Transcribe emits one when a job of it ends: a job
    of the same name is started there, over an object of no meaning, or over none for a job that fails.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._s3 = create_client("s3", url)
        self._transcribe = create_client("transcribe", url)

    def prepare(self) -> None:
        """Create the object over which the emulator's jobs run."""
        location = {"LocationConstraint": self._s3.meta.region_name}
        self._s3.create_bucket(Bucket=_SCRATCH_BUCKET, CreateBucketConfiguration=location)
        self._s3.put_object(Bucket=_SCRATCH_BUCKET, Key=_SCRATCH_KEY, Body=b"-")

    def read(self, bucket: str, key: str) -> bytes | None:
        """Return an object, or None if there is none."""
        try:
            content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError:
            return None
        return content

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""
        self._s3.put_object(Bucket=bucket, Key=key, Body=content)

    def refusal(self, headers: Mapping[str, str], body: bytes, job: str, *, starts: bool) -> bytes | None:
        """Send the signed request on unchanged, so that the emulator checks it against the role of the caller.

        A job that it starts is deleted at once: it must write no result and emit no event.
        """
        connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=_TIMEOUT_S)
        try:
            connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status == http.HTTPStatus.FORBIDDEN or b"AccessDenied" in answer:
            return answer
        if starts:
            self._transcribe.delete_transcription_job(TranscriptionJobName=job)
        return None

    def emit(self, job: str, *, failed: bool) -> None:
        """Let the emulator's own Transcribe end a job of this name, which takes it two seconds."""
        self._transcribe.delete_transcription_job(TranscriptionJobName=job)
        request: dict[str, Any] = {
            "TranscriptionJobName": job,
            "LanguageCode": "en-US",
            "Media": {"MediaFileUri": f"s3://{_SCRATCH_BUCKET}/{'missing' if failed else _SCRATCH_KEY}"},
            "OutputBucketName": _SCRATCH_BUCKET,
            "OutputKey": "ignored.json",
        }
        self._transcribe.start_transcription_job(**request)
