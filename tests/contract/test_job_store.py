"""Test what every JobStore does: the first job of an id stays, and it is durable once `put` has returned."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.domain.errors import StoreUnavailableError, UnreadableJobError
from switchboard.domain.recording.facts import MAX_NOTICES, ReadyFact, RecordingReady
from switchboard.ports.recordings import JobOutcome, JobStore
from switchboard.storage.recording.jobs import S3JobStore
from tests.contract.conftest import IMPLEMENTATIONS, Aws, choose
from tests.fakes import START, InMemoryJobStore

READY = RecordingReady(
    recording_id="1563433858.66", tel="09000000001", date="2019-07-18 16:10:58", called_at=START - timedelta(minutes=5)
)

OTHER = RecordingReady(recording_id=READY.recording_id, tel="other")
FACT = ReadyFact(tel=READY.tel, date=READY.date, called_at=READY.called_at, at=START)


@pytest.fixture
def s3_jobs(aws: Aws, bucket: str) -> S3JobStore:
    return S3JobStore(client=lambda: aws.s3, bucket=bucket)


@pytest.fixture(params=IMPLEMENTATIONS)
def jobs(request: pytest.FixtureRequest) -> JobStore:
    return choose(request, InMemoryJobStore, "s3_jobs")


def test_an_id_that_was_never_announced_has_no_job(jobs: JobStore) -> None:
    assert jobs.get("1563433858.66") is None


@pytest.mark.parametrize(
    "ready",
    [
        pytest.param(READY, id="all members"),
        pytest.param(RecordingReady(recording_id=READY.recording_id), id="only the id"),
    ],
)
def test_a_job_comes_back_unchanged(jobs: JobStore, ready: RecordingReady) -> None:
    assert jobs.put(ready, at=START)

    expected = ReadyFact(tel=ready.tel, date=ready.date, called_at=ready.called_at, at=START)
    assert jobs.get(ready.recording_id) == expected


def test_a_second_job_of_the_same_id_overwrites_nothing(jobs: JobStore) -> None:
    outcomes = [jobs.put(ready, at=START + timedelta(hours=hour)) for hour, ready in enumerate((READY, OTHER, READY))]

    assert outcomes == [JobOutcome.ANNOUNCED, JobOutcome.DIFFERENT, JobOutcome.REPEATED]
    assert jobs.get(READY.recording_id) == FACT


def test_only_a_few_different_reports_of_one_id_are_kept(jobs: JobStore) -> None:
    reports = [RecordingReady(recording_id=READY.recording_id, tel=str(number)) for number in range(MAX_NOTICES + 2)]

    outcomes = [jobs.put(report, at=START) for report in reports]

    assert outcomes == [
        JobOutcome.ANNOUNCED,
        *[JobOutcome.DIFFERENT] * (MAX_NOTICES - 1),
        *[JobOutcome.TOO_MANY] * 2,
    ]
    assert jobs.put(reports[1], at=START) is JobOutcome.REPEATED


@pytest.mark.parametrize(
    ("recording_id", "key"),
    [
        pytest.param("26112200000001000050", "jobs/26112200000001000050.json", id="of the day"),
        pytest.param("26112300000001000050", "jobs/26112300000001000050.json", id="of the next day"),
        pytest.param("26112400000001000050", "backlog/26112400000001000050.json", id="two days ahead"),
        pytest.param("1563433858.66", "backlog/1563433858.66.json", id="epoch of another year"),
        pytest.param(f"{int(START.timestamp())}.66", f"jobs/{int(START.timestamp())}.66.json", id="epoch of the day"),
        pytest.param("26133200000001000050", "backlog/26133200000001000050.json", id="impossible date"),
        pytest.param("abc", "backlog/abc.json", id="no date"),
    ],
)
def test_a_job_of_another_day_starts_in_the_backlog(
    s3_jobs: S3JobStore, aws: Aws, bucket: str, recording_id: str, key: str
) -> None:
    s3_jobs.put(RecordingReady(recording_id=recording_id), at=START)

    assert [entry["Key"] for entry in aws.s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert s3_jobs.get(recording_id) == s3_jobs.read(key) is not None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"not JSON", id="no JSON"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{}", id="no members"),
        pytest.param(b'{"tel": 1, "date": "", "called_at": null, "received_at": "2026-11-22T03:04:05Z"}', id="number"),
        pytest.param(b'{"tel": "", "date": "", "called_at": null, "received_at": "yesterday"}', id="no time"),
        pytest.param(b'{"tel": "", "date": "", "called_at": null, "received_at": "2026-11-22"}', id="no zone"),
        pytest.param(b" " * 20_000, id="too long"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
    ],
)
def test_an_object_that_holds_no_job_is_unreadable(s3_jobs: S3JobStore, aws: Aws, bucket: str, body: bytes) -> None:
    aws.s3.put_object(Bucket=bucket, Key="jobs/abc.json", Body=body)

    with pytest.raises(UnreadableJobError) as error:
        s3_jobs.get("abc")
    assert error.value.key == "jobs/abc.json"


def test_an_empty_object_is_no_job(s3_jobs: S3JobStore, aws: Aws, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="jobs/abc.json", Body=b"")

    assert s3_jobs.get("abc") is None


def test_a_missing_bucket_is_a_store_unavailable_error(aws: Aws) -> None:
    jobs = S3JobStore(client=lambda: aws.s3, bucket="no-such-bucket")

    with pytest.raises(StoreUnavailableError, match="put job: NoSuchBucket"):
        jobs.put(READY, at=START)
    with pytest.raises(StoreUnavailableError, match="get job: NoSuchBucket"):
        jobs.get(READY.recording_id)
