"""Builds the components of the applications that make transcripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switchboard.bootstrap.components.shared import CLOCK, new_id
from switchboard.config import StateSettings, TranscriptionQueueSettings, TranscriptionSettings
from switchboard.domain.errors import ConfigurationError
from switchboard.domain.recording.transcription_policy import TranscriptionPolicy
from switchboard.guard.provider.recognizer import LimitStoreRecognizerGuard, RecognizerLimits
from switchboard.providers.transcribe.client import TranscribeRecognizer
from switchboard.storage import aws
from switchboard.storage.limits import DynamoDbProviderLimitStore
from switchboard.storage.queues import SqsTranscriptionQueues
from switchboard.storage.recording.transcriptions import (
    DynamoDbTranscriptionStore,
    S3AudioFiles,
    S3RecognitionResults,
)
from switchboard.storage.retrying import retrying

if TYPE_CHECKING:
    # Only for types: without the HTTP recogniser none of its functions needs a transport.
    from switchboard.ports.transcripts import Recognizer

RECOGNIZER: Final = "transcribe"
"""The name of the recogniser's limits and month, whichever recogniser it is."""


def transcription_queues(settings: TranscriptionQueueSettings) -> SqsTranscriptionQueues:
    """Build the queues of recordings whose transcripts are to be started or looked at."""
    return SqsTranscriptionQueues(
        client=aws.sqs,
        start_url=settings.transcription_queue_url,
        look_url=settings.transcription_events_queue_url,
    )


def transcription_store(settings: StateSettings) -> DynamoDbTranscriptionStore:
    """Build the store of the facts about transcripts."""
    store = DynamoDbTranscriptionStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.state_table
    )
    return retrying(store, "get", "begin", "record", "schedule")


def transcription_policy(settings: TranscriptionSettings) -> TranscriptionPolicy:
    """Build this deployment's policy for transcripts."""
    return TranscriptionPolicy(
        stack=settings.stack_name,
        language=settings.transcription_language,
        vocabulary=settings.transcription_vocabulary,
        recognizer=settings.transcription_recognizer,
        enabled=settings.transcription_minutes_per_month > 0,
    )


def audio_files(settings: TranscriptionSettings) -> S3AudioFiles:
    """Build the files of the recordings' bucket, and of the recogniser's."""
    return S3AudioFiles(
        client=aws.s3_files, bucket=settings.recordings_bucket, recognition_bucket=settings.recognition_bucket
    )


def recognizer(settings: TranscriptionSettings, *, quarantine_bucket: str = "") -> Recognizer:
    """Build the recogniser. Only an application with a quarantine reads its results.

    Raises:
        ConfigurationError: the HTTP recogniser's address is missing or not an https one.
    """
    results = S3RecognitionResults(
        client=aws.s3, bucket=settings.recognition_bucket, quarantine_bucket=quarantine_bucket
    )
    if settings.transcription_recognizer == "http":
        return _http_recognizer(settings, results)
    return TranscribeRecognizer(client=aws.transcribe, results=results, vocabulary=settings.transcription_vocabulary)


def _http_recognizer(settings: TranscriptionSettings, results: S3RecognitionResults) -> Recognizer:
    from switchboard.providers.recognizer_http.client import HttpRecognizer  # noqa: PLC0415

    secret = aws.CachedSecret(name=settings.recognizer_secret_name)

    def token() -> str:
        value = secret().values.get("token")
        if not isinstance(value, str):
            raise ConfigurationError(f"the secret {settings.recognizer_secret_name} needs the text token")
        return value

    return HttpRecognizer(
        url=settings.recognizer_url,
        token=token,
        links=audio_files(settings).link,
        quarantine=results.keep,
        clock=CLOCK,
        allow_plain_http=settings.allow_plain_http,
    )


def recognizer_guard(settings: TranscriptionSettings) -> LimitStoreRecognizerGuard:
    """Build the guard of the recogniser's account."""
    return LimitStoreRecognizerGuard(
        store=DynamoDbProviderLimitStore(
            client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.limits_table
        ),
        provider=RECOGNIZER,
        limits=RecognizerLimits(in_flight=settings.transcription_in_flight),
        clock=CLOCK,
        new_id=new_id,
    )
