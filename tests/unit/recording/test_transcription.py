"""Each class of failure of a transcription job, the guards before it, and the deadlines of the looks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest

from switchboard.domain.errors import (
    ForbiddenError,
    OutcomeUnknownError,
    ProviderBusyError,
    ProviderError,
    RefusedError,
    StoreUnavailableError,
    TranscriptNotFoundError,
    TranscriptNotReadyError,
    UnreadableItemError,
)
from switchboard.domain.recording.facts import (
    Channel,
    FetchEnd,
    FetchOutcome,
    QuarantinedFile,
    ReadyFact,
    Recording,
    StoredFile,
)
from switchboard.domain.recording.mp3_join import join
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.status import RecordingDeadlines
from switchboard.domain.recording.transcript_facts import FailureReason, Source, TranscriptionAttempt, TranscriptionEnd
from switchboard.domain.recording.transcription_policy import next_look
from switchboard.domain.recording.transcripts import TranscriptState, TranscriptStatus, sources_of, status_of_transcript
from switchboard.ports.recordings import Download
from switchboard.ports.transcripts import JobLook, JobState, Media
from switchboard.providers.biztel.file_names import parse_file_name
from switchboard.usecases.recording.close import CloseRecording
from switchboard.usecases.recording.keep_bulk_file import BulkOutcome, KeepBulkFile
from switchboard.usecases.recording.prepare_transcript import PrepareTranscript
from switchboard.usecases.recording.query import QueryRecordings, TranscriptView
from switchboard.usecases.recording.start_transcription import StartTranscription
from switchboard.usecases.recording.store_transcript import StoreTranscript
from tests.fakes import START, CountingIds, FixedClock
from tests.fakes.recordings import (
    AUDIO,
    CountingQuota,
    InMemoryJobStore,
    InMemoryRecordingFiles,
    InMemoryRecordingStore,
    WholeDownload,
)
from tests.fakes.transcripts import (
    InMemoryAudioFiles,
    InMemoryTranscriptFiles,
    InMemoryTranscriptionQueues,
    InMemoryTranscriptionStore,
    OpenRecognizerGuard,
    ScriptedRecognizer,
)
from tests.harness.transcripts import ID, POLICY
from tests.speech import HERTZ, encode

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
BOTH: Final = (Channel.LEFT, Channel.RIGHT)


class RaisingRecognizer(ScriptedRecognizer):
    """A recogniser whose next Starts raise the `errors`."""

    errors: tuple[ProviderError, ...] = ()

    def start(self, attempt: TranscriptionAttempt, media: Media) -> TranscriptionEnd:
        if self.errors:
            error, *rest = self.errors
            self.errors = tuple(rest)
            raise error
        return super().start(attempt, media)


class Deployment:
    """One deployment with one closed recording."""

    def __init__(
        self,
        *channels: Channel,
        script: tuple[FailureReason | None, ...] = (),
        quota: CountingQuota | None = None,
        seconds: float | None = 25.0,
        extension: str = "mp3",
        recognizer: type[RaisingRecognizer] = RaisingRecognizer,
        sound: Mapping[Channel, bytes] | None = None,
    ) -> None:
        self.clock = FixedClock()
        self.recordings = InMemoryRecordingStore()
        self.store = InMemoryTranscriptionStore(self.recordings)
        self.queues = InMemoryTranscriptionQueues()
        self.recognizer = recognizer(self.clock, script)
        self.quota = quota or CountingQuota(limit=100_000)
        self.guard = OpenRecognizerGuard(self.clock)
        self.transcripts = InMemoryTranscriptFiles()
        self.audio = InMemoryAudioFiles(
            **{f"recordings/{channel}.mp3": content for channel, content in (sound or {}).items()}
        )
        self.start = StartTranscription(
            recordings=self.store,
            audio=self.audio,
            recognizer=self.recognizer,
            guard=self.guard,
            quota=self.quota,
            queues=self.queues,
            policy=POLICY,
            clock=self.clock,
        )
        self.look = StoreTranscript(
            recordings=self.store,
            recognizer=self.recognizer,
            guard=self.guard,
            transcripts=self.transcripts,
            queues=self.queues,
            prepare=PrepareTranscript(audio=self.audio, redacts=True),
            clock=self.clock,
        )
        fact = ReadyFact(tel="", date="", called_at=START, at=START, by_file=True)
        self.recordings.announce(ID, fact, due=START)
        for channel in channels:
            content_type = "audio/mpeg" if extension == "mp3" else "audio/other"
            file = StoredFile(
                key=f"recordings/{channel}.{extension}",
                bytes=100_000,
                sha256=f"hash of {channel}",
                content_type=content_type,
                file_name="name",
                seconds=seconds,
            )
            outcome = FetchOutcome(id=channel, channel=channel, at=START, end=FetchEnd.STORED, file=file)
            self.recordings.record_outcome(ID, outcome)
        CloseRecording(recordings=self.recordings, queues=self.queues)(self.recording, at=START)

    def store_late(self, channel: Channel, *, seconds: float = 25.0) -> None:
        """Store another channel beside the one that is there, and close the recording again."""
        [stored] = self.recording.outcomes
        assert stored.file is not None
        file = replace(stored.file, key=f"recordings/{channel}.mp3", sha256=f"hash of {channel}", seconds=seconds)
        self.recordings.record_outcome(ID, replace(stored, id=channel, channel=channel, file=file))
        CloseRecording(recordings=self.recordings, queues=self.queues)(self.recording, at=self.clock.now())

    @property
    def recording(self) -> Recording:
        return self.recordings.rows[ID]

    @property
    def status(self) -> TranscriptStatus:
        return status_of_transcript(self.recording, wanted=True)

    def read(self) -> TranscriptView:
        """Return the transcript as a caller reads it."""
        query = QueryRecordings(
            recordings=self.recordings,
            jobs=InMemoryJobStore(),
            files=InMemoryRecordingFiles(),
            transcripts=self.transcripts,
            policy=RecordingPolicy(
                channels=frozenset(BOTH), monaural_as_fallback=False, deadlines=RecordingDeadlines()
            ),
            makes_transcripts=True,
            clock=self.clock,
            url_lifetime=MINUTE,
            parse_name=parse_file_name,
        )
        return query.transcript(ID)

    @property
    def jobs(self) -> list[str]:
        return [name.rpartition(f"{ID}.")[2] for name in self.recognizer.created]

    def run(self) -> None:
        """Do the work in the queues until it is done, with every job ended at once."""
        for _ in range(20):
            if not self.queues.entries:
                return
            kind, _, delay_s = self.queues.entries.pop(0)
            self.clock.advance(timedelta(seconds=delay_s))
            (self.start if kind == "start" else self.look)(ID)
            self.recognizer.end_all()
            if self.recognizer.jobs and not self.queues.entries:
                self.look(ID)


def test_both_channels_are_one_job_and_counted_once() -> None:
    deployment = Deployment(*BOTH)
    deployment.run()

    assert deployment.status.state is TranscriptState.READY
    assert [name.split(".")[0] for name in deployment.jobs] == ["joined"]
    assert deployment.quota.used == 25
    assert deployment.guard.permits == set()
    assert deployment.recording.transcription_due is None


def test_no_fact_holds_a_word_that_was_said() -> None:
    deployment = Deployment(*BOTH)
    deployment.run()

    [content] = deployment.transcripts.objects.values()
    assert "もしもし" in content.decode()
    assert "もしもし" not in repr(deployment.recording)


@pytest.mark.parametrize(
    ("channels", "source"),
    [((Channel.LEFT,), "left"), ((Channel.RIGHT, Channel.MONAURAL), "monaural"), ((Channel.MONAURAL,), "monaural")],
    ids=["left", "right and monaural", "monaural"],
)
def test_a_part_of_the_call_is_a_partial_transcript(channels: tuple[Channel, ...], source: str) -> None:
    deployment = Deployment(*channels)
    deployment.run()

    assert deployment.status.state is TranscriptState.PARTIAL
    assert [name.split(".")[0] for name in deployment.jobs] == [source]


@pytest.mark.parametrize(
    ("script", "state", "jobs"),
    [
        ((FailureReason.INTERNAL,), TranscriptState.READY, 2),
        ((FailureReason.INTERNAL,) * 3, TranscriptState.FAILED, 3),
        ((None,), TranscriptState.READY, 2),
        ((None, None), TranscriptState.FAILED, 2),
        ((FailureReason.MEDIA,), TranscriptState.FAILED, 1),
    ],
    ids=["internal once", "internal always", "unreadable", "unreadable twice", "media"],
)
def test_a_failed_job_is_followed_as_its_class_says(
    script: tuple[FailureReason | None, ...], state: TranscriptState, jobs: int
) -> None:
    deployment = Deployment(Channel.MONAURAL, script=script)
    deployment.run()

    expected = TranscriptState.PARTIAL if state is TranscriptState.READY else state
    assert (deployment.status.state, len(deployment.jobs)) == (expected, jobs)
    assert len(set(deployment.jobs)) == jobs


def test_audio_that_may_not_be_read_waits_an_hour_for_an_operator() -> None:
    deployment = Deployment(Channel.MONAURAL, script=(FailureReason.NOT_ACCESSIBLE,))
    deployment.run()

    assert (deployment.status.state, deployment.status.reason) == (TranscriptState.WAITING, "configuration")
    assert deployment.recording.transcription_due == deployment.clock.now() + HOUR
    deployment.start(ID)
    deployment.recognizer.end_all()
    deployment.look(ID)
    assert deployment.status.state is TranscriptState.PARTIAL
    assert [name.rpartition(".")[2] for name in deployment.jobs] == ["1", "2"]


def test_a_recogniser_that_never_takes_the_job_is_asked_at_most_hourly() -> None:
    deployment = Deployment(Channel.MONAURAL)
    error = OutcomeUnknownError("scripted", provider="scripted", operation="start")
    deployment.recognizer.errors = (error,) * 100
    for _ in range(30):
        deployment.queues.entries.clear()
        deployment.start(ID)
        due = deployment.recording.transcription_due
        assert due is not None
        deployment.clock.advance(due - deployment.clock.now())

    assert deployment.clock.now() - START > 22 * HOUR
    assert deployment.jobs == []
    deployment.recognizer.errors = ()
    deployment.start(ID)
    assert [name.rpartition(".")[2] for name in deployment.jobs] == ["1"]


class CannotBeAsked(RaisingRecognizer):
    """A recogniser that takes jobs and tells nothing about them."""

    def look(self, job: str) -> JobLook:
        raise ForbiddenError(job, provider="scripted", operation="look")


def test_a_job_that_cannot_be_asked_for_is_lost_after_a_day() -> None:
    deployment = Deployment(Channel.MONAURAL, recognizer=CannotBeAsked)
    deployment.start(ID)
    looks = 0
    while deployment.status.state is TranscriptState.RECOGNIZING and looks < 100:
        due = deployment.recording.transcription_due
        assert due is not None
        deployment.clock.advance(due - deployment.clock.now())
        result = deployment.look(ID)
        looks += 1

    assert result.ends == ((TranscriptionEnd.LOST, FailureReason.LOST),)
    assert timedelta(hours=24) <= deployment.clock.now() - START <= timedelta(hours=25)
    assert looks < 35


def test_a_look_that_is_refused_is_the_configurations_fault() -> None:
    deployment = Deployment(Channel.MONAURAL, recognizer=CannotBeAsked)
    deployment.start(ID)

    assert deployment.look(ID).account_refused


class CannotUseJoined(RaisingRecognizer):
    """A recogniser that cannot use files of two channels."""

    def look(self, job: str) -> JobLook:
        failed = JobLook(state=JobState.FAILED, reason=FailureReason.MEDIA)
        return failed if ".joined." in job else super().look(job)


def noise(seconds: int, *, seed: int, channels: int = 1) -> bytes:
    chance = random.Random(seed)
    return encode((chance.randint(-9000, 9000) for _ in range(seconds * HERTZ)), channels=channels)


def test_both_channels_are_recognised_from_one_joined_file() -> None:
    sound = {Channel.LEFT: noise(2, seed=1), Channel.RIGHT: noise(3, seed=2)}
    deployment = Deployment(*BOTH, sound=sound)
    deployment.run()

    [joined] = deployment.audio.joined.values()
    assert joined == b"".join(join([sound[Channel.LEFT]], [sound[Channel.RIGHT]]))
    assert [name.split(".")[0] for name in deployment.jobs] == ["joined"]
    assert deployment.status.state is TranscriptState.READY


def test_files_that_cannot_be_joined_become_two_jobs() -> None:
    sound = {Channel.LEFT: noise(2, seed=1), Channel.RIGHT: noise(2, seed=2, channels=2)}
    deployment = Deployment(*BOTH, sound=sound)
    deployment.run()

    assert [name.split(".")[0] for name in deployment.jobs] == ["left", "right"]
    assert deployment.status.state is TranscriptState.READY


def test_a_call_without_a_sound_is_empty_and_costs_nothing() -> None:
    silence = encode([0] * 3 * HERTZ)
    deployment = Deployment(*BOTH, sound=dict.fromkeys(BOTH, silence))
    deployment.run()

    assert deployment.status.state is TranscriptState.EMPTY
    assert not deployment.jobs
    assert deployment.quota.used == 0


def test_files_of_a_format_that_cannot_be_joined_are_two_jobs() -> None:
    deployment = Deployment(*BOTH, extension="wav")
    deployment.run()

    assert [name.split(".")[0] for name in deployment.jobs] == ["left", "right"]
    assert deployment.status.state is TranscriptState.READY
    assert len(deployment.status.transcripts) == 2


def test_a_joined_file_that_the_service_cannot_use_becomes_two_jobs() -> None:
    deployment = Deployment(*BOTH, recognizer=CannotUseJoined)
    deployment.run()

    assert [name.split(".")[0] for name in deployment.jobs] == ["joined", "left", "right"]
    assert deployment.status.state is TranscriptState.READY


@pytest.mark.parametrize(
    ("seconds", "extension", "state", "reason"),
    [
        (0.4, "mp3", TranscriptState.EMPTY, None),
        (4 * 3600 + 1.0, "mp3", TranscriptState.FAILED, "too_long"),
        (25.0, "aac", TranscriptState.FAILED, "unsupported_format"),
    ],
    ids=["too short", "too long", "format"],
)
def test_audio_that_cannot_be_recognised_costs_nothing(
    seconds: float, extension: str, state: TranscriptState, reason: str | None
) -> None:
    deployment = Deployment(Channel.LEFT, seconds=seconds, extension=extension)
    deployment.run()

    assert (deployment.status.state, deployment.status.reason) == (state, reason)
    assert (deployment.jobs, deployment.quota.used) == ([], 0)


def test_beyond_the_month_a_recording_waits_and_no_job_is_asked_for() -> None:
    deployment = Deployment(Channel.LEFT, quota=CountingQuota(limit=20))
    result = deployment.start(ID)

    assert (result.waits_for, deployment.status.reason) == ("month", "month")
    assert (deployment.jobs, deployment.guard.permits) == ([], set())
    assert deployment.recording.transcription_due is not None


@pytest.mark.parametrize(
    ("kind", "reason", "pause"),
    [
        (ProviderBusyError, "recognizer", MINUTE),
        (OutcomeUnknownError, "recognizer", MINUTE),
        (ForbiddenError, "configuration", HOUR),
    ],
)
def test_a_start_without_success_is_repeated_under_the_same_name(
    kind: type[ProviderError], reason: str, pause: timedelta
) -> None:
    deployment = Deployment(Channel.LEFT)
    deployment.queues.entries.clear()
    deployment.recognizer.errors = (kind("scripted", provider="transcribe", operation="start"),)

    first = deployment.start(ID)
    due = deployment.recording.transcription_due
    deployment.start(ID)

    assert (first.waits_for, first.account_refused) == (reason, kind is ForbiddenError)
    assert due is not None
    assert due >= START + pause
    assert [name.rpartition(".")[2] for name in deployment.jobs] == ["1"]
    assert deployment.quota.used == 25


def test_a_refused_request_is_final() -> None:
    deployment = Deployment(Channel.LEFT)
    deployment.recognizer.errors = (RefusedError("bad language", provider="transcribe", operation="start"),)
    deployment.run()

    assert (deployment.status.state, deployment.status.reason) == (TranscriptState.FAILED, "bad language")


def test_an_event_before_the_outcome_was_written_stores_the_transcript() -> None:
    deployment = Deployment(Channel.LEFT)
    attempt = POLICY.plan_attempt(ID, sources_of(deployment.recording)[0], at=START)
    deployment.store.begin(deployment.recording, attempt, due=START + HOUR)
    deployment.recognizer.start(attempt, Media(bucket="recordings", key="recordings/left.mp3", format="mp3"))
    deployment.recognizer.end_all()

    deployment.look(ID)
    deployment.start(ID)

    assert deployment.status.state is TranscriptState.PARTIAL
    assert len(deployment.jobs) == 1


def test_a_job_that_the_service_has_forgotten_is_lost_and_asked_for_again() -> None:
    deployment = Deployment(Channel.LEFT)
    deployment.start(ID)
    deployment.recognizer.jobs.clear()
    deployment.queues.entries.clear()

    result = deployment.look(ID)

    assert result.ends == ((TranscriptionEnd.LOST, FailureReason.LOST),)
    assert [kind for kind, *_ in deployment.queues.entries] == ["start"]


def test_a_transcript_stays_readable_while_a_late_channel_is_recognised() -> None:
    deployment = Deployment(Channel.LEFT)
    deployment.run()
    [left] = deployment.status.transcripts
    deployment.clock.advance(HOUR)
    deployment.store_late(Channel.RIGHT)

    partial = TranscriptStatus(state=TranscriptState.PARTIAL, reason="waiting", language="ja-JP", transcripts=(left,))
    assert deployment.status == partial
    deployment.start(ID)
    assert deployment.status == replace(partial, reason="recognizing")
    deployment.recognizer.end_all()
    deployment.look(ID)
    assert deployment.status.state is TranscriptState.READY
    assert left not in deployment.status.transcripts


def test_a_transcript_stays_readable_if_a_late_channel_fails() -> None:
    deployment = Deployment(Channel.LEFT)
    deployment.run()
    [left] = deployment.status.transcripts
    deployment.clock.advance(HOUR)
    deployment.store_late(Channel.RIGHT, seconds=4 * 3600 + 1.0)
    deployment.run()

    assert deployment.status == TranscriptStatus(
        state=TranscriptState.PARTIAL, reason="too_long", language="ja-JP", transcripts=(left,)
    )


def test_an_awaited_transcript_tells_when_to_ask_again() -> None:
    deployment = Deployment(*BOTH)
    with pytest.raises(TranscriptNotReadyError) as waiting:
        deployment.read()
    deployment.start(ID)
    with pytest.raises(TranscriptNotReadyError) as recognizing:
        deployment.read()
    deployment.run()

    assert (waiting.value.retry_after_s, recognizing.value.retry_after_s) == (300, 30)
    assert {turn.channel for turn in deployment.read().turns} == set(BOTH)


def test_a_transcript_that_failed_is_not_found_with_its_reason() -> None:
    deployment = Deployment(*BOTH, seconds=4 * 3600 + 1.0)
    deployment.run()

    with pytest.raises(TranscriptNotFoundError, match="too_long"):
        deployment.read()


def test_a_stored_object_that_is_gone_or_unreadable_is_no_empty_transcript() -> None:
    deployment = Deployment(*BOTH)
    deployment.run()
    [stored] = deployment.status.transcripts

    deployment.transcripts.objects[stored.key] = b'{"format": 2}'
    with pytest.raises(UnreadableItemError):
        deployment.read()
    del deployment.transcripts.objects[stored.key]
    with pytest.raises(TranscriptNotFoundError, match="deleted"):
        deployment.read()


def test_a_half_of_two_jobs_is_not_shown_before_the_other_has_ended() -> None:
    deployment = Deployment(*BOTH, recognizer=CannotUseJoined)
    deployment.start(ID)
    deployment.look(ID)
    deployment.start(ID)
    [left, _] = [job for job in deployment.recognizer.jobs.values() if job.attempt.source is not Source.JOINED]
    left.ends_at = deployment.clock.now()
    deployment.look(ID)

    assert len(deployment.recording.transcripts) == 1
    assert deployment.status == TranscriptStatus(state=TranscriptState.RECOGNIZING, language="ja-JP")


def test_a_queue_without_an_answer_leaves_the_transcript_to_the_sweep() -> None:
    class DeadQueues(InMemoryTranscriptionQueues):
        def put_start(self, recording_id: str, *, delay_s: int = 0) -> None:
            raise StoreUnavailableError("down")

    deployment = Deployment(Channel.LEFT)
    close = CloseRecording(recordings=deployment.recordings, queues=DeadQueues())
    close(deployment.recording, at=START + HOUR)

    assert deployment.recording.transcription_due is not None


def test_looks_follow_after_the_documented_times() -> None:
    attempt = TranscriptionAttempt(
        job="stack.1.left.0.1",
        source=Source.LEFT,
        inputs=(),
        language="ja-JP",
        recognizer="scripted",
        generation=1,
        billed_seconds=60,
        at=START,
    )
    looks, now = [], START
    for _ in range(5):
        now = next_look(attempt, now=now)
        looks.append((now - START) / HOUR)

    assert looks == [0.25, 1, 4, 12, 24]
    assert next_look(replace(attempt, billed_seconds=3600), now=START) == START + 2 * HOUR


class DroppedFile:
    """The one file that an operator dropped."""

    @contextmanager
    def open(self, key: str) -> Iterator[WholeDownload]:
        yield WholeDownload(AUDIO)

    def quarantine_key(self, key: str, *, at: datetime) -> str:
        return "quarantine"

    def quarantine(self, key: str, *, reason: str, at: datetime) -> None:
        raise AssertionError


class Mp3Files(InMemoryRecordingFiles):
    """Files that are stored under keys with the extension of MP3."""

    def store(
        self, key: str, download: Download, *, quarantine_key: str, keep_cut: bool = False
    ) -> StoredFile | QuarantinedFile:
        file = super().store(key, download, quarantine_key=quarantine_key, keep_cut=keep_cut)
        return replace(file, key=f"{file.key}.mp3")


def test_a_bulk_file_of_a_closed_recording_becomes_a_transcript() -> None:
    deployment = Deployment(Channel.LEFT)
    deployment.run()
    keep = KeepBulkFile(
        bulk=DroppedFile(),
        recordings=deployment.recordings,
        files=Mp3Files(),
        close=CloseRecording(recordings=deployment.recordings, queues=deployment.queues),
        parse_name=parse_file_name,
        clock=deployment.clock,
        new_id=CountingIds(),
    )
    name = f"bulk/20261122120405-0900000001-1001-{ID}-DST_r.mp3"

    outcomes = [keep(name), keep(name)]

    # The second delivery closes the recording again: the first one may have died before.
    assert outcomes == [BulkOutcome.STORED, BulkOutcome.THERE_ALREADY]
    assert [kind for kind, *_ in deployment.queues.entries] == ["start", "start"]
    deployment.run()
    assert deployment.status.state is TranscriptState.READY
    assert [name.split(".")[0] for name in deployment.jobs] == ["left", "joined"]


def test_a_job_of_a_very_long_recording_id_has_a_name_that_fits() -> None:
    source = sources_of(Deployment(Channel.LEFT).recording)[0]
    names = {POLICY.plan_attempt("r" * 200 + end, source, at=START).job for end in "ab"}

    assert len(names) == 2
    assert all(len(name) <= 200 for name in names)
