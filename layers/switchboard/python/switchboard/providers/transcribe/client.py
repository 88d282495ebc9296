"""Ask Amazon Transcribe for jobs, and for their states and results."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from switchboard.domain.errors import (
    ForbiddenError,
    OutcomeUnknownError,
    ProviderBusyError,
    ProviderError,
    RefusedError,
    UnreadableResultError,
)
from switchboard.domain.recording.transcript_facts import FailureReason, Source, TranscriptionAttempt, TranscriptionEnd
from switchboard.domain.recording.transcripts import channels_of
from switchboard.domain.recording.words import ChannelWords
from switchboard.ports.transcripts import JobLook, JobState, Media
from switchboard.providers.transcribe.results import parse_result

if TYPE_CHECKING:
    from mypy_boto3_transcribe import TranscribeServiceClient

PROVIDER: Final = "transcribe"
_BUSY_CODES: Final = frozenset({"LimitExceededException", "ThrottlingException", "TooManyRequestsException"})
_NOT_ACCESSIBLE: Final = "can't be accessed"
_MEDIA_WORDS: Final = ("format", "sample rate", "channel", "codec")
_MAX_SPEAKERS: Final = 2
_MAX_WORDS: Final = 200
"""The most characters of the service's words about a failure that are kept."""


class ResultStore(Protocol):
    """The bucket into which the service writes its results."""

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        ...

    def read(self, key: str) -> bytes | None:
        """Return the result under the key, or None if there is none."""
        ...

    def quarantine(self, key: str, *, at: datetime) -> None:
        """Copy the result for an operator to look at. Do nothing if there is none."""
        ...


class TranscribeRecognizer:
    """A Recognizer over Amazon Transcribe. `client` is called only when it is needed.

    `vocabulary` is the name of a custom vocabulary, or empty.
    """

    def __init__(
        self, *, client: Callable[[], TranscribeServiceClient], results: ResultStore, vocabulary: str = ""
    ) -> None:
        self._client = client
        self._results = results
        self._vocabulary = vocabulary

    def start(self, attempt: TranscriptionAttempt, media: Media) -> TranscriptionEnd:
        uri = f"s3://{media.bucket}/{media.key}"
        request: dict[str, Any] = {
            "TranscriptionJobName": attempt.job,
            "LanguageCode": attempt.language,
            "MediaFormat": media.format,
            "Media": {"MediaFileUri": uri},
            "OutputBucketName": self._results.bucket,
            "OutputKey": _result_key(attempt.job),
        }
        if settings := self._build_settings(attempt.source):
            request["Settings"] = settings
        try:
            self._client().start_transcription_job(**request)
        except ClientError as error:
            if _code_of(error) == "ConflictException":
                return self._compare_existing(attempt.job, uri)
            raise _provider_error(error, "StartTranscriptionJob") from None
        except BotoCoreError as error:
            raise _unanswered(error, "StartTranscriptionJob") from None
        return TranscriptionEnd.STARTED

    def look(self, job: str) -> JobLook:
        found = self._get(job)
        if found is None:
            return JobLook(state=JobState.NOT_FOUND)
        status = found.get("TranscriptionJobStatus")
        if status == "COMPLETED":
            return JobLook(state=JobState.COMPLETED)
        if status == "FAILED":
            words = str(found.get("FailureReason") or "")[:_MAX_WORDS]
            return JobLook(state=JobState.FAILED, reason=classify_failure(words), words=words or None)
        return JobLook(state=JobState.RUNNING)

    def result(self, job: str, source: Source) -> ChannelWords:
        content = self._results.read(_result_key(job))
        if content is None:
            raise UnreadableResultError("The result of a completed job is missing")
        return parse_result(content, channels=channels_of(source))

    def quarantine(self, job: str, *, at: datetime) -> None:
        self._results.quarantine(_result_key(job), at=at)

    def _build_settings(self, source: Source) -> dict[str, Any]:
        """Build the settings: channels apart if there are two, speakers apart if both are in one channel."""
        settings: dict[str, Any] = {}
        if source is Source.JOINED:
            settings["ChannelIdentification"] = True
        if source is Source.MONAURAL:
            settings |= {"ShowSpeakerLabels": True, "MaxSpeakerLabels": _MAX_SPEAKERS}
        return settings | {"VocabularyName": self._vocabulary} if self._vocabulary else settings

    def _compare_existing(self, job: str, uri: str) -> TranscriptionEnd:
        """Return `already_started` if the job of this name has our audio: an earlier request had arrived.

        Raises:
            RefusedError: another job has the name.
            OutcomeUnknownError: the job is not found a moment after it was.
        """
        found = self._get(job)
        if found is None:
            raise OutcomeUnknownError(
                "The job that has this name is not found", provider=PROVIDER, operation="StartTranscriptionJob"
            )
        if (found.get("Media") or {}).get("MediaFileUri") != uri:
            raise RefusedError(
                "Another job has this name", provider=PROVIDER, operation="StartTranscriptionJob", http_status=400
            )
        return TranscriptionEnd.ALREADY_STARTED

    def _get(self, job: str) -> dict[str, Any] | None:
        try:
            answer: Any = self._client().get_transcription_job(TranscriptionJobName=job)
        except ClientError as error:
            if _code_of(error) == "NotFoundException" or "couldn't be found" in _message_of(error):
                return None
            raise _provider_error(error, "GetTranscriptionJob") from None
        except BotoCoreError as error:
            raise _unanswered(error, "GetTranscriptionJob") from None
        job_found: dict[str, Any] = answer["TranscriptionJob"]
        return job_found


def classify_failure(words: str) -> FailureReason:
    """Return the reason for which the service failed a job, by its words. Unknown words are an internal failure."""
    lower = words.lower()
    if _NOT_ACCESSIBLE in lower:
        return FailureReason.NOT_ACCESSIBLE
    return FailureReason.MEDIA if any(word in lower for word in _MEDIA_WORDS) else FailureReason.INTERNAL


def _provider_error(error: ClientError, operation: str) -> ProviderError:
    """Turn the service's error into ours. Its text names the service's code, or what it says of a refusal."""
    code, message = _code_of(error), _message_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _BUSY_CODES:
        return ProviderBusyError(
            f"{operation}: {code}", provider=PROVIDER, operation=operation, http_status=status, provider_code=code
        )
    if code in {"BadRequestException", "ValidationException"} and _NOT_ACCESSIBLE not in message:
        return RefusedError(
            message[:_MAX_WORDS], provider=PROVIDER, operation=operation, http_status=status, provider_code=code
        )
    # An unexpected refusal needs an operator like a refusal of the role: repeating it soon changes nothing.
    kind = OutcomeUnknownError if status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR else ForbiddenError
    return kind(f"{operation}: {code}", provider=PROVIDER, operation=operation, http_status=status, provider_code=code)


def _unanswered(error: BotoCoreError, operation: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(f"{operation}: {type(error).__name__}", provider=PROVIDER, operation=operation)


def _code_of(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _message_of(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Message", "")


def _result_key(job: str) -> str:
    return f"results/{job}.json"
