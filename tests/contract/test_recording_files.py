"""Files in the bucket are whole or not there, whatever became of the transfer, and cost no memory. (I24, I26)"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from typing import Any, Final, cast

import pytest

from switchboard.domain.errors import DownloadFailedError, StoreUnavailableError
from switchboard.storage.recording.files import PART_BYTES, S3RecordingFiles
from tests.contract.conftest import Aws

PART: Final = 5 * 1024 * 1024
"""S3's own least size of a part that is not the last."""
KEY: Final = "recordings/2026/11/22/1563433858.66/left.mp3"
SIZES: Final = (1, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1)
CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Transfer:
    """A download of `size` bytes that breaks off after `cut` of them, if that is given."""

    size: int
    cut: int | None = None
    content_type: str = "audio/mpeg"
    file_name: str = "録音 1.mp3"

    @property
    def length(self) -> int:
        return self.size

    def chunks(self) -> Iterator[bytes]:
        end = self.size if self.cut is None else self.cut
        for at in range(0, end, CHUNK):
            yield b"\xff" * min(CHUNK, end - at)
        if self.cut is not None:
            raise DownloadFailedError("cut", provider="biztel", operation="download_recording")


@pytest.fixture
def files(aws: Aws, bucket: str) -> S3RecordingFiles:
    return S3RecordingFiles(client=lambda: aws.s3, bucket=bucket, part_bytes=PART)


def left_behind(aws: Aws, bucket: str) -> tuple[list[str], list[str]]:
    """The keys of the objects, and of the uploads left open."""
    objects = aws.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    uploads = aws.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return [each["Key"] for each in objects], [each["Key"] for each in uploads]


@pytest.mark.parametrize("size", SIZES)
def test_a_whole_transfer_is_stored_as_it_came(aws: Aws, bucket: str, files: S3RecordingFiles, size: int) -> None:
    stored = files.store(KEY, Transfer(size))

    answer = aws.s3.get_object(Bucket=bucket, Key=KEY)
    assert answer["Body"].read() == b"\xff" * size
    assert (stored.bytes, stored.sha256) == (size, sha256(b"\xff" * size).hexdigest())
    assert answer["ContentType"] == "audio/mpeg"
    assert files.find(KEY) == stored
    assert left_behind(aws, bucket) == ([KEY], [])


@pytest.mark.parametrize("cut", [0, *SIZES])
def test_a_transfer_that_breaks_off_leaves_nothing(aws: Aws, bucket: str, files: S3RecordingFiles, cut: int) -> None:
    with pytest.raises(DownloadFailedError):
        files.store(KEY, Transfer(2 * PART + 2, cut))

    assert left_behind(aws, bucket) == ([], [])


@pytest.mark.parametrize("size", [3, PART + 3])
def test_a_file_that_is_there_stays_as_it_is(aws: Aws, bucket: str, files: S3RecordingFiles, size: int) -> None:
    first = files.store(KEY, Transfer(2))

    assert files.store(KEY, Transfer(size)) == first
    assert aws.s3.get_object(Bucket=bucket, Key=KEY)["ContentLength"] == 2
    assert left_behind(aws, bucket) == ([KEY], [])


def test_what_a_dead_worker_left_open_is_ended_by_the_next(aws: Aws, bucket: str, files: S3RecordingFiles) -> None:
    aws.s3.create_multipart_upload(Bucket=bucket, Key=KEY)

    files.store(KEY, Transfer(PART + 1))

    assert left_behind(aws, bucket) == ([KEY], [])


def test_a_file_that_is_not_there_is_not_found(files: S3RecordingFiles) -> None:
    assert files.find(KEY) is None


@pytest.mark.parametrize("size", [1, PART + 1])
@pytest.mark.parametrize("letter", ["a", "録", "𠮷"])
def test_a_name_of_any_length_leaves_room_in_the_metadata(
    aws: Aws, bucket: str, files: S3RecordingFiles, letter: str, size: int
) -> None:
    """S3 refuses more than 2 KB of it, each time anew: the recording would be lost for its name."""
    name = letter * 251 + ".mp3"

    assert files.store(KEY, Transfer(size, file_name=name)).file_name == name

    metadata = aws.s3.head_object(Bucket=bucket, Key=KEY)["Metadata"]
    assert sum(len(each) + len(value) for each, value in metadata.items()) <= 2048
    found = files.find(KEY)
    assert found is not None
    assert name.endswith(found.file_name)
    assert found.file_name.endswith(f"{letter}.mp3")


def test_a_bucket_that_does_not_answer_is_said_so(aws: Aws) -> None:
    lost = S3RecordingFiles(client=lambda: aws.s3, bucket="no-such-bucket", part_bytes=PART)

    for size in (1, PART + 1):
        with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
            lost.store(KEY, Transfer(size))


def test_an_address_expires_and_names_the_file(files: S3RecordingFiles) -> None:
    url = files.url(files.store(KEY, Transfer(1)), expires_in=timedelta(minutes=15))

    assert "Expires=" in url
    assert "%25E9%258C%25B2%25E9%259F%25B3" in url


class _Sink:
    """An S3 that reads what it is given and keeps nothing."""

    def __init__(self) -> None:
        self.parts = 0

    def put_object(self, *, Body: BytesIO, **_: Any) -> dict[str, str]:  # noqa: N803 - boto3's own name
        return self.upload_part(Body=Body)

    def upload_part(self, *, Body: BytesIO, **_: Any) -> dict[str, str]:  # noqa: N803
        while Body.read(CHUNK):
            pass
        self.parts += 1
        return {"ETag": str(self.parts)}

    def create_multipart_upload(self, **_: Any) -> dict[str, str]:
        return {"UploadId": "upload"}

    def list_multipart_uploads(self, **_: Any) -> dict[str, str]:
        return {}

    def complete_multipart_upload(self, **_: Any) -> None:
        return None


def _peak(size: int) -> int:
    sink = _Sink()
    files = S3RecordingFiles(client=lambda: cast("Any", sink), bucket="any")
    tracemalloc.start()
    try:
        files.store(KEY, Transfer(size))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_depend_on_the_size_of_a_file() -> None:
    """1 GiB, with the process's own memory, is in benchmarks/recordings.py."""
    small, large = _peak(16 * 2**20), _peak(160 * 2**20)

    assert large < 16 * 2**20
    assert large < small + 2**20
    assert PART_BYTES == 8 * 2**20
