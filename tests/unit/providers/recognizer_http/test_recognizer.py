"""The adapter of a recogniser behind HTTP against its simulator, and the results that it reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from sandbox.simulators.recognizer_http import RecognizerSimulator, SimulatorConfig
from sandbox.simulators.recognizer_http.faults import Fault, FaultKind
from switchboard.domain.errors import (
    ConfigurationError,
    ForbiddenError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    UnreadableResultError,
)
from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.transcript_facts import FailureReason, Source, TranscriptionAttempt, TranscriptionEnd
from switchboard.domain.recording.transcription_policy import next_look
from switchboard.domain.recording.transcripts import channels_of
from switchboard.domain.recording.words import Word
from switchboard.ports.transcripts import JobLook, JobState, Media
from switchboard.providers.recognizer_http.client import HttpRecognizer
from switchboard.providers.recognizer_http.results import parse_result
from tests.customer import ManualClock
from tests.fakes import START, FixedClock
from tests.mpeg import TELEPHONE

TOKEN: Final = "right-token"
MEDIA: Final = Media(bucket="recordings", key="recordings/left.mp3", format="mp3")
JOB: Final = "stack.1.left.0123456789abcdef.1"
ATTEMPT: Final = TranscriptionAttempt(
    job=JOB,
    source=Source.LEFT,
    inputs=("hash",),
    language="ja-JP",
    recognizer="http",
    generation=1,
    billed_seconds=15,
    at=START,
)
RUNNING, COMPLETED = JobLook(state=JobState.RUNNING), JobLook(state=JobState.COMPLETED)


@dataclass
class Server:
    """A simulator, the adapter in front of it, and what the adapter kept and signed."""

    simulator: RecognizerSimulator
    recognizer: HttpRecognizer
    clock: ManualClock
    kept: dict[str, bytes]
    links: list[tuple[Media, timedelta]]

    def add_fault(self, kind: FaultKind, **members: Any) -> None:
        self.simulator.provider.add_fault(Fault(kind=kind, **members))

    def end_jobs(self) -> None:
        self.clock.now += 1


@dataclass
class Backstage:
    """The stores behind the adapter, in memory."""

    audio: dict[str, bytes] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)
    links: list[tuple[Media, timedelta]] = field(default_factory=list)
    connected: list[HttpRecognizer] = field(default_factory=list)

    def connect(self, url: str, *, token: str = TOKEN, max_result_bytes: int = 10_000) -> HttpRecognizer:
        recognizer = HttpRecognizer(
            url=url,
            token=lambda: token,
            links=self.link,
            quarantine=self.keep,
            clock=FixedClock(),
            allow_plain_http=True,
            max_result_bytes=max_result_bytes,
        )
        self.connected.append(recognizer)
        return recognizer

    def link(self, media: Media, *, expires_in: timedelta) -> str:
        self.links.append((media, expires_in))
        return f"https://bucket.example/{media.key}?signature=of-a-link"

    def keep(self, job: str, content: bytes, *, at: datetime) -> None:
        self.kept[f"{at:%Y-%m-%d} {job}"] = content

    def download(self, url: str) -> bytes | None:
        return self.audio.get(url.partition("?")[0])


@pytest.fixture
def backstage() -> Backstage:
    return Backstage(audio={f"https://bucket.example/{MEDIA.key}": TELEPHONE * 100})


@pytest.fixture
def server(backstage: Backstage) -> Iterator[Server]:
    clock = ManualClock()
    with RecognizerSimulator(SimulatorConfig(token=TOKEN), download=backstage.download, clock=clock) as simulator:
        yield Server(simulator, backstage.connect(simulator.url), clock, backstage.kept, backstage.links)
    for recognizer in backstage.connected:
        recognizer.close()


def test_a_job_is_taken_once_and_ends_with_its_words(server: Server) -> None:
    assert server.recognizer.look(JOB).state is JobState.NOT_FOUND
    ends = [server.recognizer.start(ATTEMPT, MEDIA) for _ in range(2)]
    assert ends == [TranscriptionEnd.STARTED, TranscriptionEnd.ALREADY_STARTED]
    assert server.recognizer.look(JOB) == RUNNING
    server.end_jobs()
    assert server.recognizer.look(JOB) == COMPLETED
    words = server.recognizer.result(JOB, Source.LEFT)

    assert list(words) == [Channel.LEFT]
    assert [job.name for job in server.simulator.provider.jobs] == [JOB]
    assert server.links == [(MEDIA, timedelta(hours=1))] * 2
    [job] = server.simulator.provider.jobs
    assert job.request == {
        "language": "ja-JP",
        "channels": ["left"],
        "format": "mp3",
        "audio_url": f"https://bucket.example/{MEDIA.key}?signature=of-a-link",
        "audio_url_expires_at": "2026-11-22T04:04:05.678Z",
    }


def test_a_path_before_the_jobs_is_kept(server: Server, backstage: Backstage) -> None:
    with pytest.raises(ForbiddenError):
        backstage.connect(f"{server.simulator.url}/v1/").start(ATTEMPT, MEDIA)
    assert server.simulator.requests == ()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (429, RateLimitedError),
        (500, OutcomeUnknownError),
        (503, OutcomeUnknownError),
        (401, ForbiddenError),
        (403, ForbiddenError),
        (404, ForbiddenError),
        (302, ForbiddenError),
        (418, ForbiddenError),
        (400, RefusedError),
        (409, RefusedError),
        (422, RefusedError),
        (202, OutcomeUnknownError),
    ],
)
def test_each_status_of_a_start_has_its_class(server: Server, status: int, expected: type[ProviderError]) -> None:
    server.add_fault(FaultKind.STATUS, status=status)

    with pytest.raises(ProviderError) as failure:
        server.recognizer.start(ATTEMPT, MEDIA)

    assert type(failure.value) is expected
    assert "signature" not in str(failure.value)
    assert server.recognizer.start(ATTEMPT, MEDIA) is TranscriptionEnd.STARTED


def test_a_wrong_token_is_the_configurations_fault(server: Server, backstage: Backstage) -> None:
    other = backstage.connect(server.simulator.url, token="wrong-token")
    for request in (lambda: other.start(ATTEMPT, MEDIA), lambda: other.look(JOB)):
        with pytest.raises(ForbiddenError):
            request()


def test_a_lost_answer_is_asked_for_again_under_the_same_name(server: Server) -> None:
    server.add_fault(FaultKind.DROP)
    with pytest.raises(OutcomeUnknownError):
        server.recognizer.start(ATTEMPT, MEDIA)

    assert server.recognizer.start(ATTEMPT, MEDIA) is TranscriptionEnd.ALREADY_STARTED
    assert len(server.simulator.provider.jobs) == 1


def test_a_server_that_is_down_gets_nothing(server: Server) -> None:
    server.simulator.stop()
    with pytest.raises(NotSentError):
        server.recognizer.start(ATTEMPT, MEDIA)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("media", FailureReason.MEDIA),
        ("not_accessible", FailureReason.NOT_ACCESSIBLE),
        ("internal", FailureReason.INTERNAL),
        ("the customer said 090-0000-0001", FailureReason.INTERNAL),
        ("too_long", FailureReason.INTERNAL),
    ],
)
def test_a_failed_job_has_a_listed_reason_and_no_words(server: Server, reason: str, expected: FailureReason) -> None:
    server.add_fault(FaultKind.FAILED, reason=reason)
    server.recognizer.start(ATTEMPT, MEDIA)
    server.end_jobs()

    assert server.recognizer.look(JOB) == JobLook(state=JobState.FAILED, reason=expected)


def test_audio_that_cannot_be_read_fails(server: Server, backstage: Backstage) -> None:
    backstage.audio.clear()
    server.recognizer.start(ATTEMPT, MEDIA)
    server.end_jobs()

    assert server.recognizer.look(JOB).reason is FailureReason.NOT_ACCESSIBLE


def test_an_unreadable_result_is_kept_for_an_operator(server: Server) -> None:
    server.add_fault(FaultKind.UNREADABLE)
    server.recognizer.start(ATTEMPT, MEDIA)
    server.end_jobs()
    with pytest.raises(UnreadableResultError):
        server.recognizer.result(JOB, Source.LEFT)
    server.recognizer.quarantine(JOB, at=START)

    assert server.kept == {f"{START:%Y-%m-%d} {JOB}": b"{"}


def test_a_result_that_is_too_large_is_read_no_further(server: Server, backstage: Backstage) -> None:
    recognizer = backstage.connect(server.simulator.url, max_result_bytes=10)
    recognizer.start(ATTEMPT, MEDIA)
    server.end_jobs()
    with pytest.raises(UnreadableResultError):
        recognizer.result(JOB, Source.LEFT)
    recognizer.quarantine(JOB, at=START)

    assert [len(content) for content in server.kept.values()] == [11]


def test_a_missing_result_is_unreadable_and_nothing_is_kept(server: Server) -> None:
    with pytest.raises(UnreadableResultError):
        server.recognizer.result(JOB, Source.LEFT)
    server.recognizer.quarantine(JOB, at=START)

    assert server.kept == {}


@pytest.mark.parametrize("status", [401, 500])
def test_a_result_without_an_answer_is_asked_for_again(server: Server, status: int) -> None:
    server.recognizer.start(ATTEMPT, MEDIA)
    server.end_jobs()
    server.add_fault(FaultKind.STATUS, status=status)
    with pytest.raises(ProviderError):
        server.recognizer.result(JOB, Source.LEFT)

    assert server.recognizer.result(JOB, Source.LEFT) is not None


@pytest.mark.parametrize("url", ["", "http://speech.example.com", "https://speech.example.com?a=b", "speech"])
def test_only_an_https_address_is_taken(url: str, backstage: Backstage) -> None:
    with pytest.raises(ConfigurationError):
        HttpRecognizer(
            url=url, token=lambda: TOKEN, links=backstage.link, quarantine=backstage.keep, clock=FixedClock()
        )


def spoken(**members: Any) -> dict[str, Any]:
    return {"start_ms": 0, "end_ms": 400, "text": "はい", **members}


def test_words_are_read_in_the_order_of_their_times() -> None:
    words = [spoken(start_ms=500, end_ms=900, text=" 。 "), spoken(confidence=0.5, speaker="a", more=1)]
    content = json.dumps({"channels": [words, []]}).encode()

    assert parse_result(content, channels=channels_of(Source.JOINED)) == {
        Channel.LEFT: (
            Word(start_ms=0, end_ms=400, text="はい", confidence=0.5, speaker="a"),
            Word(start_ms=500, end_ms=900, text="。"),
        ),
        Channel.RIGHT: (),
    }


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"channels": [[], []]}', id="two channels"),
        *(
            pytest.param(json.dumps({"channels": [[word]]}).encode(), id=f"{number}")
            for number, word in enumerate(
                (
                    spoken(start_ms=0.5),
                    spoken(start_ms=-1),
                    spoken(start_ms=True),
                    spoken(end_ms=None),
                    spoken(start_ms=401),
                    spoken(text=1),
                    spoken(text=" "),
                    spoken(confidence=2),
                    spoken(confidence=float("nan")),
                    spoken(confidence="high"),
                    spoken(speaker=1),
                    "word",
                )
            )
        ),
    ],
)
def test_content_that_does_not_follow_the_document_is_unreadable(content: bytes) -> None:
    with pytest.raises(UnreadableResultError):
        parse_result(content, channels=channels_of(Source.LEFT))


def test_a_server_that_does_not_tell_is_asked_after_doubled_times() -> None:
    looks: list[int] = []
    now = START
    while len(looks) < 13:
        now = next_look(ATTEMPT, now=now)
        looks.append((now - START) // timedelta(minutes=1))

    assert looks == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 2048]
