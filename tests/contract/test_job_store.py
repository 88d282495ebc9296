"""What every JobStore does: the first ready_fact of an id stays, and is there when it has been accepted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.recording.facts import ReadyFact, RecordingReady
from switchboard.ports.recordings import JobStore
from switchboard.storage.recording.jobs import S3JobStore
from tests.contract.conftest import IMPLEMENTATIONS, Aws
from tests.fakes import START, InMemoryJobStore

NOTICE = RecordingReady(
    recording_id="1563433858.66", tel="09000000001", date="2019-07-18 16:10:58", called_at=START - timedelta(minutes=5)
)


@pytest.fixture(params=IMPLEMENTATIONS)
def jobs(request: pytest.FixtureRequest) -> JobStore:
    if request.param == "in memory":
        return InMemoryJobStore()
    aws: Aws = request.getfixturevalue("aws")
    return S3JobStore(client=lambda: aws.s3, bucket=request.getfixturevalue("bucket"))


def test_an_id_that_was_never_announced_has_no_job(jobs: JobStore) -> None:
    assert jobs.get("1563433858.66") is None


@pytest.mark.parametrize("notice", [NOTICE, RecordingReady(recording_id=NOTICE.recording_id)])
def test_a_job_comes_back_as_it_was_announced(jobs: JobStore, notice: RecordingReady) -> None:
    assert jobs.put(notice, at=START)

    expected = ReadyFact(tel=notice.tel, date=notice.date, called_at=notice.called_at, at=START)
    assert jobs.get(notice.recording_id) == expected


def test_a_second_announcement_overwrites_nothing(jobs: JobStore) -> None:
    jobs.put(NOTICE, at=START)
    first = jobs.get(NOTICE.recording_id)

    assert not jobs.put(RecordingReady(recording_id=NOTICE.recording_id, tel="other"), at=START + timedelta(hours=1))

    assert jobs.get(NOTICE.recording_id) == first


def test_a_bucket_that_does_not_answer_is_no_accepted_job(aws: Aws) -> None:
    lost = S3JobStore(client=lambda: aws.s3, bucket="no-such-bucket")

    with pytest.raises(StoreUnavailableError, match="put job: NoSuchBucket"):
        lost.put(NOTICE, at=START)
    with pytest.raises(StoreUnavailableError, match="get job: NoSuchBucket"):
        lost.get(NOTICE.recording_id)
