"""Test what every JobStore does: the first job of an id stays, and it is durable once `put` has returned."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.recording.facts import ReadyFact, RecordingReady
from switchboard.ports.recordings import JobStore
from switchboard.storage.recording.jobs import S3JobStore
from tests.contract.conftest import IMPLEMENTATIONS, Aws, choose
from tests.fakes import START, InMemoryJobStore

READY = RecordingReady(
    recording_id="1563433858.66", tel="09000000001", date="2019-07-18 16:10:58", called_at=START - timedelta(minutes=5)
)


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
    jobs.put(READY, at=START)
    first = jobs.get(READY.recording_id)

    assert not jobs.put(RecordingReady(recording_id=READY.recording_id, tel="other"), at=START + timedelta(hours=1))

    assert jobs.get(READY.recording_id) == first


def test_a_missing_bucket_is_a_store_unavailable_error(aws: Aws) -> None:
    jobs = S3JobStore(client=lambda: aws.s3, bucket="no-such-bucket")

    with pytest.raises(StoreUnavailableError, match="put job: NoSuchBucket"):
        jobs.put(READY, at=START)
    with pytest.raises(StoreUnavailableError, match="get job: NoSuchBucket"):
        jobs.get(READY.recording_id)
