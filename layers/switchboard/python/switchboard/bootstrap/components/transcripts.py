"""Builds the components of the applications that make transcripts."""

from __future__ import annotations

from typing import Final

from switchboard.bootstrap.components.shared import CLOCK, new_id
from switchboard.config import StateSettings, TranscriptionQueueSettings, TranscriptionSettings
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

RECOGNIZER: Final = "transcribe"


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
        recognizer=RECOGNIZER,
        enabled=settings.transcription_minutes_per_month > 0,
    )


def audio_files(settings: TranscriptionSettings) -> S3AudioFiles:
    """Build the files of the recordings' bucket, and of the recogniser's."""
    return S3AudioFiles(
        client=aws.s3_files, bucket=settings.recordings_bucket, recognition_bucket=settings.recognition_bucket
    )


def recognizer(settings: TranscriptionSettings, *, quarantine_bucket: str = "") -> TranscribeRecognizer:
    """Build the recogniser. Only an application with a quarantine reads its results."""
    return TranscribeRecognizer(
        client=aws.transcribe,
        results=S3RecognitionResults(
            client=aws.s3, bucket=settings.recognition_bucket, quarantine_bucket=quarantine_bucket
        ),
        vocabulary=settings.transcription_vocabulary,
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
