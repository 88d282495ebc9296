"""The adapter of Amazon Transcribe against its simulator, and the results that it reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from sandbox.simulators.transcribe import SimulatorConfig, TranscribeSimulator
from sandbox.simulators.transcribe.faults import Fault, FaultKind
from switchboard.domain.errors import (
    ForbiddenError,
    OutcomeUnknownError,
    ProviderBusyError,
    ProviderError,
    RefusedError,
    UnreadableResultError,
)
from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.transcript_facts import FailureReason, Source, TranscriptionAttempt, TranscriptionEnd
from switchboard.domain.recording.transcripts import channels_of
from switchboard.domain.recording.words import Word
from switchboard.ports.transcripts import JobLook, JobState, Media
from switchboard.providers.transcribe.client import TranscribeRecognizer, classify_failure
from switchboard.providers.transcribe.results import parse_result
from tests.mpeg import TELEPHONE

AT: Final = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
MEDIA: Final = Media(bucket="recordings", key="recordings/left.mp3", format="mp3")
ATTEMPT: Final = TranscriptionAttempt(
    job="stack.1.left.0123456789abcdef.1",
    source=Source.LEFT,
    inputs=("hash",),
    language="ja-JP",
    recognizer="transcribe",
    generation=1,
    billed_seconds=15,
    at=AT,
)


@dataclass
class MemoryAccount:
    """An account in memory: its objects, and the events that it emitted."""

    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    events: list[tuple[str, bool]] = field(default_factory=list)

    def read(self, bucket: str, key: str) -> bytes | None:
        return self.objects.get((bucket, key))

    def write(self, bucket: str, key: str, content: bytes) -> None:
        self.objects[bucket, key] = content

    def refusal(self, headers: Mapping[str, str], body: bytes, job: str, *, starts: bool) -> bytes | None:
        return None

    def emit(self, job: str, *, failed: bool) -> None:
        self.events.append((job, failed))


class MemoryResults:
    """The bucket of results in the account."""

    bucket = "recognition"

    def __init__(self, account: MemoryAccount) -> None:
        self._account = account
        self.quarantined: list[str] = []

    def read(self, key: str) -> bytes | None:
        return self._account.read(self.bucket, key)

    def quarantine(self, key: str, *, at: datetime) -> None:
        self.quarantined.append(key)


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount({("recordings", "recordings/left.mp3"): TELEPHONE * 40})


@pytest.fixture
def simulator(account: MemoryAccount) -> Iterator[TranscribeSimulator]:
    with TranscribeSimulator(SimulatorConfig(job_s=0.0), aws=account, ends_by_hand=True) as running:
        yield running


@pytest.fixture
def recognizer(simulator: TranscribeSimulator, account: MemoryAccount) -> TranscribeRecognizer:
    client: Any = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="ap-northeast-1"
    ).client(
        "transcribe",
        endpoint_url=simulator.url,
        config=Config(proxies={}, retries={"total_max_attempts": 1}, read_timeout=5),
    )
    return TranscribeRecognizer(client=lambda: client, results=MemoryResults(account))


def test_a_job_is_started_looked_at_and_read(
    recognizer: TranscribeRecognizer, simulator: TranscribeSimulator, account: MemoryAccount
) -> None:
    assert recognizer.start(ATTEMPT, MEDIA) is TranscriptionEnd.STARTED
    assert recognizer.look(ATTEMPT.job) == JobLook(state=JobState.RUNNING)
    simulator.deliver_due()
    simulator.deliver_due()

    assert recognizer.look(ATTEMPT.job) == JobLook(state=JobState.COMPLETED)
    assert set(recognizer.result(ATTEMPT.job, Source.LEFT)) == {Channel.LEFT}
    assert account.events == [(ATTEMPT.job, False)]


def test_a_taken_name_with_our_audio_is_our_job(
    recognizer: TranscribeRecognizer, simulator: TranscribeSimulator
) -> None:
    simulator.provider.add_fault(Fault(kind=FaultKind.ACCEPT_THEN_DROP))
    with pytest.raises(OutcomeUnknownError):
        recognizer.start(ATTEMPT, MEDIA)

    assert recognizer.start(ATTEMPT, MEDIA) is TranscriptionEnd.ALREADY_STARTED
    assert len(simulator.provider.jobs) == 1


def test_a_taken_name_with_other_audio_is_refused(recognizer: TranscribeRecognizer) -> None:
    recognizer.start(ATTEMPT, MEDIA)

    with pytest.raises(RefusedError, match="Another job has this name"):
        recognizer.start(ATTEMPT, replace(MEDIA, key="recordings/other.mp3"))


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.LIMIT, ProviderBusyError),
        (FaultKind.THROTTLE, ProviderBusyError),
        (FaultKind.INTERNAL, OutcomeUnknownError),
        (FaultKind.DENIED, ForbiddenError),
    ],
)
def test_a_refused_start_raises_the_error_of_its_class(
    recognizer: TranscribeRecognizer, simulator: TranscribeSimulator, kind: FaultKind, error: type[ProviderError]
) -> None:
    simulator.provider.add_fault(Fault(kind=kind))

    with pytest.raises(error):
        recognizer.start(ATTEMPT, MEDIA)

    assert simulator.provider.jobs == ()


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        (Source.LEFT, None),
        (Source.JOINED, {"ChannelIdentification": True}),
        (Source.MONAURAL, {"ShowSpeakerLabels": True, "MaxSpeakerLabels": 2}),
    ],
)
def test_channels_or_speakers_are_kept_apart_if_there_are_two(
    recognizer: TranscribeRecognizer, simulator: TranscribeSimulator, source: Source, settings: dict[str, Any] | None
) -> None:
    recognizer.start(replace(ATTEMPT, source=source), MEDIA)

    assert simulator.provider.jobs[0].request.get("Settings") == settings


def test_a_failed_job_gives_the_services_words(
    recognizer: TranscribeRecognizer, simulator: TranscribeSimulator
) -> None:
    simulator.provider.add_fault(Fault(kind=FaultKind.FAILED, words="The codec is not supported." + "." * 300))
    recognizer.start(ATTEMPT, MEDIA)
    simulator.deliver_due()

    words = "The codec is not supported." + "." * 173
    assert recognizer.look(ATTEMPT.job) == JobLook(state=JobState.FAILED, reason=FailureReason.MEDIA, words=words)


def test_an_unknown_job_is_not_found(recognizer: TranscribeRecognizer) -> None:
    assert recognizer.look("stack.nothing") == JobLook(state=JobState.NOT_FOUND)


def test_a_missing_result_is_unreadable(recognizer: TranscribeRecognizer) -> None:
    with pytest.raises(UnreadableResultError):
        recognizer.result("stack.nothing", Source.LEFT)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("The S3 URI that you provided can't be accessed.", FailureReason.NOT_ACCESSIBLE),
        ("The media format provided does not match the detected media format.", FailureReason.MEDIA),
        ("Invalid sample rate for audio file.", FailureReason.MEDIA),
        ("Your audio file must have two channels.", FailureReason.MEDIA),
        ("Internal Failure. Please try your request again.", FailureReason.INTERNAL),
        ("", FailureReason.INTERNAL),
    ],
)
def test_a_failure_is_classified_by_the_services_words(words: str, reason: FailureReason) -> None:
    assert classify_failure(words) is reason


def item(start: str, end: str, text: str, **more: str) -> dict[str, Any]:
    return {
        "type": "pronunciation",
        "start_time": start,
        "end_time": end,
        "alternatives": [{"confidence": "0.5", "content": text}],
        **more,
    }


MARK: Final = {"type": "punctuation", "alternatives": [{"confidence": "0.0", "content": "。"}]}


def test_punctuation_joins_the_word_before_it() -> None:
    content = {"results": {"items": [MARK, item("0.04", "1.005", "はい"), MARK]}}

    words = parse_result(json.dumps(content).encode(), channels=[Channel.RIGHT])

    assert words == {Channel.RIGHT: (Word(start_ms=40, end_ms=1005, text="はい。", confidence=0.5),)}


def test_the_services_channels_are_ours_in_order() -> None:
    channels = [
        {"channel_label": "ch_1", "items": [item("2.0", "2.5", "right")]},
        {"channel_label": "ch_0", "items": [item("1.0", "1.5", "left")]},
    ]
    content = {"results": {"items": [], "channel_labels": {"channels": channels}}}

    words = parse_result(json.dumps(content).encode(), channels=channels_of(Source.JOINED))

    assert {channel: [word.text for word in spoken] for channel, spoken in words.items()} == {
        Channel.LEFT: ["left"],
        Channel.RIGHT: ["right"],
    }


def test_a_speaker_is_read_from_the_item_or_from_the_segments() -> None:
    segments = [{"items": [{"start_time": "1.0", "end_time": "1.5", "speaker_label": "spk_1"}]}]
    items = [item("0.0", "0.5", "a", speaker_label="spk_0"), item("1.0", "1.5", "b")]
    content = {"results": {"items": items, "speaker_labels": {"segments": segments}}}

    words = parse_result(json.dumps(content).encode(), channels=[Channel.MONAURAL])

    assert [word.speaker for word in words[Channel.MONAURAL]] == ["spk_0", "spk_1"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"results": {}}',
        json.dumps({"results": {"items": [item("soon", "1.0", "a")]}}).encode(),
        json.dumps({"results": {"items": [item("-1", "1.0", "a")]}}).encode(),
        json.dumps({"results": {"items": [item("NaN", "1.0", "a")]}}).encode(),
        b'{"results": {"items": [{"type": "pronunciation", "alternatives": []}]}}',
    ],
    ids=["nothing", "cut", "a list", "no items", "no number", "negative", "not a number", "no alternative"],
)
def test_a_result_in_another_form_is_unreadable(content: bytes) -> None:
    with pytest.raises(UnreadableResultError):
        parse_result(content, channels=[Channel.LEFT])


class FailingLooks:
    """A client of the service that refuses each Start as a taken name, and fails each look with `error`."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def start_transcription_job(self, **_: object) -> None:
        raise ClientError({"Error": {"Code": "ConflictException"}}, "StartTranscriptionJob")

    def get_transcription_job(self, **_: object) -> None:
        raise self._error


NOT_FOUND: Final = ClientError({"Error": {"Code": "NotFoundException"}}, "GetTranscriptionJob")
THROTTLED: Final = ClientError({"Error": {"Code": "ThrottlingException"}}, "GetTranscriptionJob")
NO_ANSWER: Final = EndpointConnectionError(endpoint_url="https://transcribe.invalid")


@pytest.mark.parametrize(
    ("error", "expected"),
    [(NOT_FOUND, OutcomeUnknownError), (THROTTLED, ProviderBusyError), (NO_ANSWER, OutcomeUnknownError)],
    ids=["not found", "throttled", "no answer"],
)
def test_a_taken_name_whose_job_is_not_seen_is_not_taken_for_ours(
    error: Exception, expected: type[ProviderError], account: MemoryAccount
) -> None:
    client: Any = FailingLooks(error)
    with pytest.raises(ProviderError) as failure:
        TranscribeRecognizer(client=lambda: client, results=MemoryResults(account)).start(ATTEMPT, MEDIA)

    assert type(failure.value) is expected


class Refusing:
    """A client of the service that refuses every Start."""

    def __init__(self, code: str, status: int | None) -> None:
        metadata = {} if status is None else {"HTTPStatusCode": status}
        answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": metadata}
        self._error = ClientError(answer, "StartTranscriptionJob")

    def start_transcription_job(self, **_: object) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("SomethingNewException", 400, ForbiddenError),
        ("OptInRequired", 403, ForbiddenError),
        ("AccessDeniedException", 400, ForbiddenError),
        ("InternalFailureException", 500, OutcomeUnknownError),
        ("ServiceUnavailable", 503, OutcomeUnknownError),
        ("SomethingNewException", None, OutcomeUnknownError),
        ("BadRequestException", 400, RefusedError),
        ("LimitExceededException", 400, ProviderBusyError),
    ],
)
def test_an_unexpected_refusal_needs_an_operator(
    code: str, status: int | None, expected: type[ProviderError], account: MemoryAccount
) -> None:
    client: Any = Refusing(code, status)
    with pytest.raises(ProviderError) as failure:
        TranscribeRecognizer(client=lambda: client, results=MemoryResults(account)).start(ATTEMPT, MEDIA)

    assert type(failure.value) is expected
