"""Simulates Amazon Transcribe without sockets: decides about each request and ends each job."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.simulators.account import Account, Log
from sandbox.simulators.callback_sender import CallbackSender
from sandbox.simulators.clock_and_locks import Clock, StateLock
from sandbox.simulators.outcomes import Outcome
from sandbox.simulators.rate_window import RateWindow
from sandbox.simulators.transcribe.account_storage import AwsAccount
from sandbox.simulators.transcribe.config import SimulatorConfig
from sandbox.simulators.transcribe.faults import FAULTS_WITHOUT_JOB, Fault, FaultKind
from sandbox.simulators.transcribe.jobs import Job
from sandbox.simulators.transcribe.results import Words, build_result, can_be_read, words_of

_NAME: Final = re.compile(r"[0-9a-zA-Z._-]{1,200}")
_NOT_ACCESSIBLE: Final = "The S3 URI that you provided can't be accessed. Make sure that you have read permission."
_UNUSABLE_MEDIA: Final = "The media format provided does not match the detected media format."
_ERRORS: Final[Mapping[FaultKind, tuple[str, int, str]]] = {
    FaultKind.LIMIT: ("LimitExceededException", 400, "You have too many concurrent jobs."),
    FaultKind.THROTTLE: ("ThrottlingException", 400, "Rate exceeded"),
    FaultKind.INTERNAL: ("InternalFailureException", 500, "There was an internal error."),
    FaultKind.DENIED: ("AccessDeniedException", 403, "User is not authorized to perform this operation."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to one request, in the service's JSON."""

    status: int
    body: bytes
    outcome: Outcome = Outcome.ANSWERED


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """A request that the service received."""

    at_s: float
    action: str
    job: str
    status: int
    code: str | None


class Provider(Account[SimulatorConfig, Fault, RequestRecord]):
    """The whole state of the simulated account. `known` has the words of channels by their gains."""

    def __init__(
        self, config: SimulatorConfig, *, aws: AwsAccount, known: Words, clock: Clock, lock: StateLock, log: Log
    ) -> None:
        super().__init__(config, lock=lock, log=log)
        self._aws = aws
        self._known = known
        self._clock = clock
        self.ends = JobEnds(clock)
        self._forget()

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs that were started, oldest first."""
        with self.lock:
            return tuple(self._jobs.values())

    def handle(self, action: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Decide about one request, and start the job that it asks for."""
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            return self._record(action, "", _error("SerializationException", 400, "invalid JSON"))
        job = str(request.get("TranscriptionJobName") or "")
        if action in ("StartTranscriptionJob", "GetTranscriptionJob"):
            refusal = self._aws.refusal(headers, body, job, starts=action == "StartTranscriptionJob")
            if refusal is not None:
                return self._record(action, job, Answer(status=403, body=refusal), code="AccessDeniedException")
        with self.lock:
            if action == "StartTranscriptionJob":
                answer = self._start(job, request)
            elif action == "GetTranscriptionJob":
                answer = self._get(job)
            elif action == "ListTranscriptionJobs":
                answer = _answer({"TranscriptionJobSummaries": [found.to_json() for found in self._jobs.values()]})
            else:
                answer = _error("InvalidAction", 400, f"{action} is not simulated")
            return self._record(action, job, answer)

    def count_jobs(self) -> dict[str, int]:
        """Return how many jobs were started for each name without its generation."""
        return dict(Counter(job.name.rpartition(".")[0] for job in self.jobs))

    def reset(self) -> None:
        """Reset as every provider, and forget the jobs."""
        with self.lock:
            super().reset()
            self.ends.clear()
            self._forget()

    def _forget(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._starts, self._gets = RateWindow(), RateWindow()

    def _start(self, name: str, request: Mapping[str, Any]) -> Answer:
        now, config = self._clock(), self._config
        fault = self._faults.take(lambda fault: fault.match_job in name)
        if fault is not None and fault.kind in FAULTS_WITHOUT_JOB:
            return _error(*_ERRORS[fault.kind])
        if self._starts.is_full(now, limit=config.starts_per_second, kind="sliding"):
            return _error(*_ERRORS[FaultKind.THROTTLE])
        self._starts.count(now)
        if not _NAME.fullmatch(name) or not request.get("LanguageCode") or not request.get("Media"):
            return _error("BadRequestException", 400, "1 validation error detected")
        if name in self._jobs:
            return _error("ConflictException", 400, "The requested job name already exists. Use a different job name.")
        if sum(job.status == "IN_PROGRESS" for job in self._jobs.values()) >= config.concurrent_jobs:
            return _error(*_ERRORS[FaultKind.LIMIT])
        duration = config.job_s
        if fault is not None and fault.kind is FaultKind.SLOW and fault.seconds is not None:
            duration = fault.seconds
        job = Job(name=name, request=request, created_s=now, ends_s=now + duration)
        if fault is None or fault.kind is not FaultKind.FORGOTTEN:
            self._jobs[name] = job
            self.ends.schedule(job.ends_s, lambda: self._end(job, fault))
        answer = _answer({"TranscriptionJob": job.to_json()})
        if fault is not None and fault.kind is FaultKind.ACCEPT_THEN_DROP:
            return Answer(status=answer.status, body=answer.body, outcome=Outcome.DROPPED)
        return answer

    def _get(self, name: str) -> Answer:
        now = self._clock()
        if self._gets.is_full(now, limit=self._config.gets_per_second, kind="sliding"):
            return _error(*_ERRORS[FaultKind.THROTTLE])
        self._gets.count(now)
        job = self._jobs.get(name)
        if job is None:
            return _error("NotFoundException", 400, "The requested job couldn't be found.")
        return _answer({"TranscriptionJob": job.to_json()})

    def _end(self, job: Job, fault: Fault | None) -> None:
        """End a job: write its result, or fail it, and let its event come."""
        kind = fault.kind if fault is not None else None
        failure = self._write_result(job, kind) if kind is not FaultKind.FAILED else fault.words if fault else None
        with self.lock:
            job.status = "FAILED" if failure else "COMPLETED"
            job.failure = failure
            job.completed_s = self._clock()
            self.lock.wake()
        self._log(f"{job.status} {job.name}")
        if kind is FaultKind.EVENT_LOST or not self._config.emits_events:
            return
        delay_s = (fault.seconds or 0.0) if fault is not None and kind is FaultKind.EVENT_LATE else 0.0
        times = 2 if kind is FaultKind.EVENT_TWICE else 1
        for number in range(times):
            self.ends.schedule(
                self._clock() + delay_s + 3.0 * number, lambda: self._aws.emit(job.name, failed=failure is not None)
            )

    def _write_result(self, job: Job, kind: FaultKind | None) -> str | None:
        """Write the result of a job. Return the reason for which it failed, or None."""
        audio = self._aws.read(*job.media)
        if audio is None:
            return _NOT_ACCESSIBLE
        if not can_be_read(audio):
            return _UNUSABLE_MEDIA
        settings = job.request.get("Settings") or {}
        channels = [] if kind is FaultKind.EMPTY else words_of(audio, self._known)
        separates_channels = bool(settings.get("ChannelIdentification"))
        if separates_channels and kind is FaultKind.EMPTY:
            channels = [[], []]
        content = build_result(
            job.name,
            channels,
            separates_channels=separates_channels,
            labels_speakers=bool(settings.get("ShowSpeakerLabels")),
        )
        key = job.request.get("OutputKey") or f"{job.name}.json"
        self._aws.write(job.request["OutputBucketName"], key, b"{" if kind is FaultKind.UNREADABLE else content)
        return None

    def _record(self, action: str, job: str, answer: Answer, *, code: str | None = None) -> Answer:
        if code is None and answer.status != 200:
            code = json.loads(answer.body).get("__type")
        with self.lock:
            self._requests.append(
                RequestRecord(at_s=self._clock(), action=action, job=job, status=answer.status, code=code)
            )
            self.lock.wake()
        self._log(f"{answer.status} {code or '-'} {action} {job or '-'}")
        return answer


class JobEnds(CallbackSender):
    """The ends of jobs and their events, in the order of their times."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, name="transcribe-jobs")

    def schedule(self, time_s: float, job: Any) -> None:
        """Do `job` at `time_s`."""
        self._schedule(time_s, job)


def _answer(content: Mapping[str, Any]) -> Answer:
    return Answer(status=200, body=json.dumps(content).encode())


def _error(code: str, status: int, message: str) -> Answer:
    return Answer(status=status, body=json.dumps({"__type": code, "Message": message}).encode())
