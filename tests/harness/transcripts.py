"""One recording whose transcript is made, and the invocations that meet: starts, events, the sweep and a late file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar

from switchboard.domain.errors import OutcomeUnknownError, StoreUnavailableError
from switchboard.domain.recording.facts import (
    Channel,
    FetchEnd,
    FetchOutcome,
    ReadyFact,
    Recording,
    Role,
    StoredFile,
)
from switchboard.domain.recording.transcript_document import decode_document
from switchboard.domain.recording.transcript_facts import FailureReason, Source, TranscriptionAttempt, TranscriptionEnd
from switchboard.domain.recording.transcription_policy import TranscriptionPolicy
from switchboard.domain.recording.transcripts import (
    MAX_GENERATIONS,
    TranscriptState,
    channels_of,
    sources_of,
    status_of_transcript,
)
from switchboard.domain.recording.words import ChannelWords
from switchboard.ports.transcripts import JobLook, JobState, Media, Recognizer
from switchboard.usecases.operations.reconcile_overdue import SweepReport
from switchboard.usecases.recording.close import CloseRecording
from switchboard.usecases.recording.prepare_transcript import PrepareTranscript
from switchboard.usecases.recording.requeue_transcriptions import RequeueTranscriptions
from switchboard.usecases.recording.start_transcription import StartTranscription
from switchboard.usecases.recording.store_transcript import StoreTranscript
from tests.fakes import START, FixedClock
from tests.fakes.recordings import CountingQuota, InMemoryRecordingStore
from tests.fakes.transcripts import (
    InMemoryAudioFiles,
    InMemoryTranscriptFiles,
    InMemoryTranscriptionQueues,
    InMemoryTranscriptionStore,
    OpenRecognizerGuard,
    ScriptedRecognizer,
)
from tests.harness.explorer import demand
from tests.harness.stepping import CRASHES, Actor, Crashed, Fault, History, step, stepped

A = TypeVar("A")
ID: Final = "26112212345600000100"
POLICY = TranscriptionPolicy(stack="stack", language="ja-JP", vocabulary="", recognizer="scripted", enabled=True)
_LONGEST = timedelta(days=4)
"""Three generations of a day each, and the pauses between them."""
_AT_A_REQUEST = (Fault.NOT_APPLIED, Fault.ANSWER_LOST, *CRASHES)


class TickingClock(FixedClock):
    """A clock on which no two readings are the same."""

    def now(self) -> datetime:
        self.advance(timedelta(milliseconds=1))
        return super().now()


class SteppedRecognizer(Recognizer):
    """A recogniser each request to which is a step."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer

    def start(self, attempt: TranscriptionAttempt, media: Media) -> TranscriptionEnd:
        return self._request("start", lambda: self._recognizer.start(attempt, media))

    def look(self, job: str) -> JobLook:
        return self._request("look", lambda: self._recognizer.look(job))

    def result(self, job: str, source: Source) -> ChannelWords:
        return self._recognizer.result(job, source)

    def quarantine(self, job: str, *, at: datetime) -> None:
        self._recognizer.quarantine(job, at=at)

    def _request(self, name: str, call: Callable[[], A]) -> A:
        fault: StrEnum | None = step(f"recognizer.{name}", _AT_A_REQUEST)
        if fault is Fault.CRASH_BEFORE:
            raise Crashed
        if fault is Fault.NOT_APPLIED:
            raise OutcomeUnknownError("scripted", provider="scripted", operation=name)
        answer = call()
        if fault is Fault.ANSWER_LOST:
            raise OutcomeUnknownError("scripted", provider="scripted", operation=name)
        if fault is Fault.CRASH_AFTER:
            raise Crashed
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptParts:
    """The classes that a world is made of. Mutants replace one of them."""

    recognizer: type[ScriptedRecognizer] = ScriptedRecognizer
    start: type[StartTranscription] = StartTranscription
    prepare: type[PrepareTranscript] = PrepareTranscript
    trusts_events: bool = False


class TrustsEvents(SteppedRecognizer):
    """A recogniser that is not asked: an event means that the job is completed."""

    def look(self, job: str) -> JobLook:
        return JobLook(state=JobState.COMPLETED)


class TranscriptWorld:
    """One recording with a left file, for which a right one may come late."""

    def __init__(
        self, *, parts: TranscriptParts, script: tuple[FailureReason | None, ...] = (), late_channel: bool = False
    ) -> None:
        self.clock = TickingClock()
        self.recordings = InMemoryRecordingStore()
        self.store = InMemoryTranscriptionStore(self.recordings)
        self.queues = InMemoryTranscriptionQueues()
        self.transcripts = InMemoryTranscriptFiles()
        self.recognizer = parts.recognizer(self.clock, script)
        self.quota = CountingQuota(limit=100_000)
        self.script = script
        self._late_channel = late_channel
        guard, audio = OpenRecognizerGuard(self.clock), InMemoryAudioFiles()
        recognizer = (TrustsEvents if parts.trusts_events else SteppedRecognizer)(self.recognizer)
        store, queues = stepped(self.store, "facts"), stepped(self.queues, "queues")
        self.start = parts.start(
            recordings=store,
            audio=audio,
            recognizer=recognizer,
            guard=guard,
            quota=self.quota,
            queues=queues,
            policy=POLICY,
            clock=self.clock,
        )
        self.look = StoreTranscript(
            recordings=store,
            recognizer=recognizer,
            guard=guard,
            transcripts=stepped(self.transcripts, "transcripts"),
            queues=queues,
            prepare=parts.prepare(audio=audio, redacts=False),
            clock=self.clock,
        )
        self.sweep = RequeueTranscriptions(
            recordings=store, queues=queues, clock=self.clock, look_again_after=timedelta(minutes=15)
        )
        self.close = CloseRecording(recordings=stepped(self.recordings, "recordings"), queues=queues)
        fact = ReadyFact(tel="", date="", called_at=START, at=START, by_file=True)
        self.recordings.announce(ID, fact, due=START)
        self.store_file(Channel.LEFT)
        self.close(self.recording, at=self.clock.now())
        self.queues.entries.clear()

    @property
    def recording(self) -> Recording:
        return self.recordings.rows[ID]

    @property
    def actors(self) -> Sequence[Actor]:
        """The invocations that meet."""

        def has_job() -> bool:
            return bool(self.recognizer.jobs)

        def end_jobs() -> None:
            step("service.end")
            self.recognizer.end_all()

        actors = [
            Actor("start", lambda: self._invoke(lambda: self.start(ID))),
            Actor("service", end_jobs, ready=has_job),
            *(Actor(f"event {number}", lambda: self._invoke(lambda: self.look(ID)), has_job) for number in range(3)),
            Actor("sweep", lambda: self._invoke(self._sweep_once)),
            Actor("correction", lambda: self._invoke(self._correct)),
        ]
        if self._late_channel:
            actors.append(Actor("late file", lambda: self._invoke(self._come_late)))
        return actors

    def store_file(self, channel: Channel) -> None:
        file = StoredFile(
            key=f"recordings/{channel}.mp3",
            bytes=100_000,
            sha256=f"hash of {channel}",
            content_type="audio/mpeg",
            file_name=f"{channel}.mp3",
            seconds=25.0,
        )
        outcome = FetchOutcome(id=f"{channel}", channel=channel, at=self.clock.now(), end=FetchEnd.STORED, file=file)
        self.recordings.record_outcome(ID, outcome)

    def reconcile(self) -> None:
        """Do all work that is left: entries, and then the sweep at each deadline, until nothing is due.

        Raises:
            ViolationError: the work does not end by its deadline.
        """
        if self._late_channel:
            # The queue delivers the entry of a dead container again.
            self._come_late()
        deadline = self.clock.now() + _LONGEST
        while self.queues.entries or self.recording.transcription_due is not None:
            if self.queues.entries:
                kind, _, delay_s = self.queues.entries.pop(0)
                self.clock.advance(timedelta(seconds=delay_s))
                (self.start if kind == "start" else self.look)(ID)
            elif self.recording.transcription_due is not None:
                self.clock.sleep_until(self.recording.transcription_due)
                self._sweep_once()
            demand(self.clock.now() < deadline, "I33", "the transcript is not final by its deadline")

    def _sweep_once(self) -> None:
        self.clock.advance(timedelta(minutes=1))
        self.sweep(SweepReport(), limit=10)

    def _correct(self) -> None:
        recording = self.recording
        correction = recording.correct(left=Role.OPERATOR, right=Role.CUSTOMER, at=self.clock.now())
        step("correct")
        if correction is not None:
            self.recordings.correct(self.recording, correction)

    def _come_late(self) -> None:
        self.store_file(Channel.RIGHT)
        step("late file stored", CRASHES)
        self.close(self.recording, at=self.clock.now())

    @staticmethod
    def _invoke(body: Callable[[], object]) -> None:
        """Run one invocation: its container may die, or the queue delivers the entry again."""
        try:
            body()
        except (Crashed, StoreUnavailableError):
            return


def check(world: TranscriptWorld, history: History) -> None:
    """Check a history against I33."""
    world.reconcile()
    created = Counter(world.recognizer.created)
    demand(max(created.values(), default=1) == 1, "I33", f"a job was started twice: {created}")
    by_audio = Counter(name.rpartition(".")[0] for name in created)
    most = min(MAX_GENERATIONS, 1 + len(world.script))
    demand(max(by_audio.values(), default=0) <= most, "I33", f"more jobs than failures allow: {by_audio}")
    status = status_of_transcript(world.recording, wanted=True)
    sources = sources_of(world.recording)
    demand(all(source.progress.final for source in sources), "I33", "a source is not final")
    is_whole = len(channels_of(sources[0].source)) == 2
    expected = TranscriptState.READY if is_whole else TranscriptState.PARTIAL
    if len(world.script) >= MAX_GENERATIONS:
        expected = TranscriptState.FAILED
    demand(status.state is expected, "I33", f"{status.state} in place of {expected}")
    for stored in status.transcripts:
        document = decode_document(world.transcripts.objects[stored.key])
        source = next(source for source in sources if source.transcript == stored).source
        demand(document.words == world.recognizer.result(stored.job, source), "I33", "words were lost or moved")
    seconds = sum(attempt.billed_seconds for attempt in world.recording.transcription_attempts)
    demand(world.quota.used >= seconds, "I33", "a job was not counted in the month")


def world_of(
    parts: TranscriptParts, *, script: tuple[FailureReason | None, ...] = (), late_channel: bool = False
) -> TranscriptWorld:
    """Make a world."""
    return TranscriptWorld(parts=parts, script=script, late_channel=late_channel)
