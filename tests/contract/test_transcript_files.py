"""Test that a transcript is written once, and that joined audio is stored whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from switchboard.domain.recording.facts import StoredFile
from switchboard.domain.recording.mp3_join import NotJoinableError
from switchboard.storage.recording.transcriptions import S3AudioFiles, S3RecognitionResults, S3TranscriptFiles
from tests.contract.conftest import Aws
from tests.fakes import START
from tests.mpeg import TELEPHONE


@pytest.fixture
def audio(aws: Aws, bucket: str) -> S3AudioFiles:
    return S3AudioFiles(client=lambda: aws.s3, bucket=bucket, recognition_bucket=bucket)


def test_the_first_content_of_a_transcript_stays(aws: Aws, bucket: str) -> None:
    transcripts = S3TranscriptFiles(client=lambda: aws.s3, bucket=bucket)

    assert transcripts.write("transcripts/a.json", b"first") == b"first"
    assert transcripts.write("transcripts/a.json", b"second") == b"first"
    assert transcripts.read("transcripts/a.json") == b"first"
    assert transcripts.read("transcripts/b.json") is None


def test_a_joined_file_is_stored_once_and_found(audio: S3AudioFiles) -> None:
    assert audio.find_joined("1", "digest") is None

    media = audio.put_joined("1", "digest", iter([TELEPHONE * 10, TELEPHONE * 10]))

    assert (media.key, media.format) == ("media/1/digest.mp3", "mp3")
    assert audio.find_joined("1", "digest") == media
    assert audio.put_joined("1", "digest", iter([TELEPHONE * 20])) == media


def test_a_file_that_cannot_be_joined_leaves_nothing(audio: S3AudioFiles) -> None:
    def fail() -> Iterator[bytes]:
        yield TELEPHONE * 10
        raise NotJoinableError("too_many_bits")

    with pytest.raises(NotJoinableError):
        audio.put_joined("1", "digest", fail())

    assert audio.find_joined("1", "digest") is None


def test_a_file_is_read_in_pieces(aws: Aws, bucket: str, audio: S3AudioFiles) -> None:
    aws.s3.put_object(Bucket=bucket, Key="recordings/left.mp3", Body=TELEPHONE * 5)
    file = StoredFile(
        key="recordings/left.mp3", bytes=720, sha256="0" * 64, content_type="audio/mpeg", file_name="left.mp3"
    )

    with audio.open(file) as chunks:
        assert b"".join(chunks) == TELEPHONE * 5
    assert audio.media(file).format == "mp3"


def test_an_unreadable_result_is_copied_for_an_operator(aws: Aws, bucket: str) -> None:
    results = S3RecognitionResults(client=lambda: aws.s3, bucket=bucket, quarantine_bucket=bucket)
    aws.s3.put_object(Bucket=bucket, Key="results/job.json", Body=b"{")

    results.quarantine("results/job.json", at=START)
    results.quarantine("results/missing.json", at=START)

    [entry] = aws.s3.list_objects_v2(Bucket=bucket, Prefix="quarantine/")["Contents"]
    assert entry["Key"] == "quarantine/transcripts/2026/11/22/job.json"
