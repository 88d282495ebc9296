"""Simulates a recogniser behind HTTP without sockets: decides about each request."""

import hmac
import json
import re
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.simulators.account import Account, Log
from sandbox.simulators.clock_and_locks import Clock, StateLock
from sandbox.simulators.outcomes import Outcome
from sandbox.simulators.recognizer_http.config import SimulatorConfig
from sandbox.simulators.recognizer_http.faults import FAULTS_OF_REQUESTS, Fault, FaultKind
from sandbox.simulators.transcribe.results import Words, can_be_read, words_of

_PATH: Final = re.compile(r"/jobs/(?P<job>[0-9A-Za-z._-]{1,200})(?P<result>/result)?")
_CHANNELS: Final = (["left", "right"], ["left"], ["right"], ["monaural"])
_MEMBERS: Final = frozenset({"language", "channels", "format", "audio_url", "audio_url_expires_at"})
_TIMEOUT_S: Final = 10.0

Download = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to one request."""

    status: int
    body: bytes = b"{}"
    outcome: Outcome = Outcome.ANSWERED


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """A request that the server received."""

    at_s: float
    operation: str
    job: str
    status: int


@dataclass(slots=True, kw_only=True)
class Job:
    """One job: what was asked for, its end, and its result or the reason for its failure."""

    name: str
    request: Mapping[str, Any] = field(repr=False)
    ends_s: float
    failure: str | None = None
    result: bytes = field(default=b"", repr=False)


class Provider(Account[SimulatorConfig, Fault, RequestRecord]):
    """The whole state of the simulated server. `known` has the words of channels by their gains."""

    def __init__(
        self, config: SimulatorConfig, *, download: Download, known: Words, clock: Clock, lock: StateLock, log: Log
    ) -> None:
        super().__init__(config, lock=lock, log=log)
        self._download = download
        self._known = known
        self._clock = clock
        self._jobs: dict[str, Job] = {}

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs that were taken, oldest first."""
        with self.lock:
            return tuple(self._jobs.values())

    def handle(self, method: str, path: str, authorization: str, body: bytes) -> Answer:
        """Decide about one request."""
        match = _PATH.fullmatch(path)
        operations = {("PUT", False): "start", ("GET", False): "look", ("GET", True): "result"}
        operation = operations.get((method, bool(match and match["result"]))) if match else None
        if match is None or operation is None:
            return Answer(status=404)
        job = match["job"]
        if not hmac.compare_digest(authorization.encode(), f"Bearer {self.config.token}".encode()):
            return self._record(operation, job, Answer(status=401))
        with self.lock:
            fault = self._faults.take(
                lambda fault: (
                    fault.match_job in job
                    and fault.match_operation in ("", operation)
                    and (fault.kind in FAULTS_OF_REQUESTS or (operation == "start" and job not in self._jobs))
                )
            )
        if fault is not None and fault.kind is FaultKind.STATUS:
            return self._record(operation, job, Answer(status=fault.status))
        if operation == "start":
            answer = self._start(job, body, fault)
        else:
            answer = self._look(job) if operation == "look" else self._give_result(job)
        if fault is not None and fault.kind is FaultKind.DROP:
            answer = Answer(status=answer.status, body=answer.body, outcome=Outcome.DROPPED)
        return self._record(operation, job, answer)

    def reset(self) -> None:
        """Reset as every provider, and forget the jobs."""
        with self.lock:
            super().reset()
            self._jobs.clear()

    def _start(self, name: str, body: bytes, fault: Fault | None) -> Answer:
        with self.lock:
            if name in self._jobs:
                return Answer(status=200)
            now = self._clock()
            if sum(job.ends_s > now for job in self._jobs.values()) >= self.config.concurrent_jobs:
                return Answer(status=429)
        request = _read_request(body)
        if request is None:
            return Answer(status=422)
        kind = fault.kind if fault else None
        duration_s = fault.seconds if fault and kind is FaultKind.SLOW else self.config.job_s
        job = Job(name=name, request=request, ends_s=now + duration_s)
        if fault and kind is FaultKind.FAILED:
            job.failure = fault.reason
        else:
            job.failure, job.result = self._recognize(request, kind)
        with self.lock:
            if kind is not FaultKind.FORGOTTEN:
                self._jobs[name] = job
        return Answer(status=201)

    def _recognize(self, request: Mapping[str, Any], kind: FaultKind | None) -> tuple[str | None, bytes]:
        """Return the reason for which the audio cannot be recognised, or None, and the result."""
        audio = self._download(request["audio_url"])
        if audio is None:
            return "not_accessible", b""
        channels = request["channels"]
        words: Sequence[Sequence[Any]] = words_of(audio, self._known) or [()] * len(channels)
        if not can_be_read(audio) or len(words) != len(channels):
            return "media", b""
        if kind is FaultKind.UNREADABLE:
            return None, b"{"
        lists = [
            [
                {"start_ms": w.start_ms, "end_ms": w.end_ms, "text": w.text + w.punctuation, "confidence": 0.98}
                for w in (() if kind is FaultKind.EMPTY else spoken)
            ]
            for spoken in words
        ]
        return None, json.dumps({"channels": lists}, ensure_ascii=False).encode()

    def _look(self, name: str) -> Answer:
        with self.lock:
            job = self._jobs.get(name)
            if job is None:
                return Answer(status=404)
            if job.ends_s > self._clock():
                members = {"state": "running"}
            else:
                members = {"state": "failed", "reason": job.failure} if job.failure else {"state": "completed"}
        return Answer(status=200, body=json.dumps(members).encode())

    def _give_result(self, name: str) -> Answer:
        with self.lock:
            job = self._jobs.get(name)
            if job is None or job.failure or job.ends_s > self._clock():
                return Answer(status=404)
            return Answer(status=200, body=job.result)

    def _record(self, operation: str, job: str, answer: Answer) -> Answer:
        with self.lock:
            self._requests.append(RequestRecord(at_s=self._clock(), operation=operation, job=job, status=answer.status))
            self.lock.wake()
        self._log(f"{answer.status} {operation} {job}")
        return answer


def download(url: str) -> bytes | None:
    """Return what is behind a link to audio, or None if it has expired or cannot be read."""
    if not url.startswith(("http://", "https://")):
        return None
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - the scheme is checked
            content: bytes = response.read()
    except (OSError, ValueError):
        return None
    return content


def _read_request(body: bytes) -> Mapping[str, Any] | None:
    """Return the request to start a job, or None if it does not follow the document."""
    try:
        request = json.loads(body)
    except ValueError:
        return None
    if not isinstance(request, dict) or request.keys() != _MEMBERS or request["channels"] not in _CHANNELS:
        return None
    return request if all(isinstance(request[name], str) for name in _MEMBERS - {"channels"}) else None
