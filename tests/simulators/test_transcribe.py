"""The simulator of Amazon Transcribe does what its documents say: jobs, names, limits, results, events, faults."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.simulators.transcribe import SimulatorConfig, TranscribeSimulator
from sandbox.simulators.transcribe.faults import FaultKind
from sandbox.simulators.transcribe.results import read_known_words
from tests.customer import Answered, ManualClock, answer_of, connection_to

DIALOGUE: Final = Path(__file__).parents[2] / "sandbox/simulators/biztel/dialogue"
LEFT: Final = ("recordings", "recordings/left.mp3")
DENIED: Final = b'{"__type": "AccessDeniedException"}'


@dataclass
class Account:
    """An account in memory: its objects, its refusals and its events."""

    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    events: list[tuple[str, bool]] = field(default_factory=list)
    is_refused: bool = False

    def read(self, bucket: str, key: str) -> bytes | None:
        return self.objects.get((bucket, key))

    def write(self, bucket: str, key: str, content: bytes) -> None:
        self.objects[bucket, key] = content

    def refusal(self, headers: Mapping[str, str], body: bytes, job: str, *, starts: bool) -> bytes | None:
        return DENIED if self.is_refused else None

    def emit(self, job: str, *, failed: bool) -> None:
        self.events.append((job, failed))


@dataclass
class Customer:
    """A plain client of one simulator."""

    simulator: TranscribeSimulator
    account: Account
    clock: ManualClock

    def request(self, action: str, **members: Any) -> Answered:
        headers = {"X-Amz-Target": f"Transcribe.{action}", "Content-Type": "application/x-amz-json-1.1"}
        return answer_of(connection_to(self.simulator.url), "POST", "/", json.dumps(members).encode(), headers)

    def start(self, name: str = "job", key: str = LEFT[1], **members: Any) -> Answered:
        return self.request(
            "StartTranscriptionJob",
            TranscriptionJobName=name,
            LanguageCode="ja-JP",
            Media={"MediaFileUri": f"s3://{LEFT[0]}/{key}"},
            OutputBucketName="results",
            OutputKey=f"results/{name}.json",
            **members,
        )

    def get(self, name: str = "job") -> dict[str, Any]:
        job: dict[str, Any] = self.request("GetTranscriptionJob", TranscriptionJobName=name).json["TranscriptionJob"]
        return job

    def result(self, name: str = "job") -> Any:
        return json.loads(self.account.objects["results", f"results/{name}.json"])["results"]

    def run(self, seconds: float = 1.0) -> None:
        self.clock.now += seconds
        while self.simulator.deliver_due():
            pass

    def control(self, path: str, body: object = None) -> Any:
        connection = connection_to(self.simulator.url)
        method, content = ("GET", None) if body is None else ("POST", json.dumps(body).encode())
        return answer_of(connection, method, f"/control/{path}", content, {"Content-Type": "application/json"}).json


def code_of(answer: Answered) -> str:
    code: str = answer.json["__type"]
    return code


@pytest.fixture
def customer() -> Iterator[Customer]:
    account, clock = Account({LEFT: (DIALOGUE / "left.mp3").read_bytes()}), ManualClock()
    known = read_known_words(DIALOGUE / "words.json")
    with TranscribeSimulator(SimulatorConfig(), aws=account, known=known, clock=clock, ends_by_hand=True) as simulator:
        yield Customer(simulator, account, clock)


def test_a_job_runs_ends_with_its_words_and_emits_one_event(customer: Customer) -> None:
    assert customer.start().status == 200
    assert customer.get()["TranscriptionJobStatus"] == "IN_PROGRESS"
    customer.run()

    assert customer.get()["TranscriptionJobStatus"] == "COMPLETED"
    assert customer.account.events == [("job", False)]
    spoken = "".join(item["alternatives"][0]["content"] for item in customer.result()["items"])
    assert spoken.startswith("もしもし、山田と申します")
    assert "注文番号は1042です" in spoken


def test_a_taken_name_is_a_conflict_and_starts_nothing(customer: Customer) -> None:
    customer.start()
    customer.run()

    assert code_of(customer.start()) == "ConflictException"
    assert customer.control("jobs")["count"] == 1


def test_an_unknown_job_is_not_found(customer: Customer) -> None:
    assert code_of(customer.request("GetTranscriptionJob", TranscriptionJobName="other")) == "NotFoundException"


def test_a_name_with_other_characters_is_refused(customer: Customer) -> None:
    assert code_of(customer.start("job/1")) == "BadRequestException"


def test_a_role_without_the_right_is_refused_by_the_account(customer: Customer) -> None:
    customer.account.is_refused = True

    assert (customer.start().status, code_of(customer.start())) == (403, "AccessDeniedException")
    assert customer.control("jobs")["count"] == 0


def test_more_running_jobs_than_the_quota_are_refused(customer: Customer) -> None:
    customer.control("config", {"concurrent_jobs": 1})
    customer.start("one")

    assert code_of(customer.start("two")) == "LimitExceededException"
    customer.run()
    assert customer.start("two").status == 200


def test_more_requests_a_second_than_the_quota_are_throttled(customer: Customer) -> None:
    customer.control("config", {"starts_per_second": 1})
    customer.start("one")

    assert code_of(customer.start("two")) == "ThrottlingException"
    customer.clock.now += 1.1
    assert customer.start("two").status == 200


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "can't be accessed"), (b"Internal Server Error", "media format")],
    ids=["missing", "text"],
)
def test_audio_that_cannot_be_used_fails_the_job(customer: Customer, content: bytes | None, reason: str) -> None:
    if content is None:
        customer.account.objects.clear()
    else:
        customer.account.objects[LEFT] = content
    customer.start()
    customer.run()

    assert customer.get()["TranscriptionJobStatus"] == "FAILED"
    assert reason in customer.get()["FailureReason"]
    assert customer.account.events == [("job", True)]


def test_speakers_are_labelled_only_if_asked_for(customer: Customer) -> None:
    customer.start("plain")
    customer.start("labelled", Settings={"ShowSpeakerLabels": True, "MaxSpeakerLabels": 2})
    customer.run()

    assert "speaker_label" not in customer.result("plain")["items"][0]
    assert customer.result("labelled")["items"][0]["speaker_label"] == "spk_0"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FaultKind.LIMIT, "LimitExceededException"),
        (FaultKind.THROTTLE, "ThrottlingException"),
        (FaultKind.INTERNAL, "InternalFailureException"),
        (FaultKind.DENIED, "AccessDeniedException"),
    ],
)
def test_a_scripted_refusal_starts_no_job(customer: Customer, kind: FaultKind, code: str) -> None:
    customer.control("faults", {"kind": kind})

    assert code_of(customer.start()) == code
    assert customer.start().status == 200


@pytest.mark.parametrize(
    ("kind", "seconds", "events"),
    [
        (FaultKind.EVENT_LOST, 0, 0),
        (FaultKind.EVENT_TWICE, 4, 2),
        (FaultKind.EVENT_LATE, 0, 0),
        (FaultKind.EVENT_LATE, 60, 1),
    ],
    ids=["lost", "twice", "not yet", "late"],
)
def test_a_scripted_event_comes_as_the_script_says(
    customer: Customer, kind: FaultKind, seconds: float, events: int
) -> None:
    customer.control("faults", {"kind": kind, "seconds": 60})
    customer.start()
    customer.run()
    customer.run(seconds)

    assert customer.get()["TranscriptionJobStatus"] == "COMPLETED"
    assert len(customer.account.events) == events


def test_a_forgotten_job_is_not_found(customer: Customer) -> None:
    customer.control("faults", {"kind": "forgotten"})
    assert customer.start().status == 200
    customer.run()

    assert code_of(customer.request("GetTranscriptionJob", TranscriptionJobName="job")) == "NotFoundException"


def test_a_failed_job_gives_the_scripted_reason(customer: Customer) -> None:
    customer.control("faults", {"kind": "failed", "words": "Unsupported sample rate"})
    customer.start()
    customer.run()

    assert customer.get()["FailureReason"] == "Unsupported sample rate"


def test_a_reset_forgets_jobs_and_faults(customer: Customer) -> None:
    customer.start()
    customer.control("faults", {"kind": "limit"})
    customer.control("reset", {})

    assert customer.control("jobs")["count"] == 0
    assert customer.start().status == 200
