"""Test that a file is stored whole or not at all, in memory that does not depend on its size. (I24, I26)"""

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
"""S3's minimum size of a part that is not the last."""
KEY: Final = "recordings/2026/11/22/1563433858.66/left.mp3"
SIZES: Final = (1, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1)
CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Transfer:
    """A download of `size` bytes. With `cut` it breaks off after that many bytes."""

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


def list_keys(aws: Aws, bucket: str) -> tuple[list[str], list[str]]:
    """Return the keys of the objects, and those of the open uploads."""
    objects = aws.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    uploads = aws.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return [entry["Key"] for entry in objects], [upload["Key"] for upload in uploads]


@pytest.mark.parametrize("size", SIZES, ids="{} bytes".format)
def test_a_whole_transfer_is_stored_unchanged(aws: Aws, bucket: str, files: S3RecordingFiles, size: int) -> None:
    stored = files.store(KEY, Transfer(size))

    answer = aws.s3.get_object(Bucket=bucket, Key=KEY)
    assert answer["Body"].read() == b"\xff" * size
    assert (stored.bytes, stored.sha256) == (size, sha256(b"\xff" * size).hexdigest())
    assert answer["ContentType"] == "audio/mpeg"
    assert files.find(KEY) == stored
    assert list_keys(aws, bucket) == ([KEY], [])


@pytest.mark.parametrize("cut", [0, *SIZES], ids="cut after {} bytes".format)
def test_a_transfer_that_breaks_off_leaves_nothing(aws: Aws, bucket: str, files: S3RecordingFiles, cut: int) -> None:
    with pytest.raises(DownloadFailedError):
        files.store(KEY, Transfer(2 * PART + 2, cut))

    assert list_keys(aws, bucket) == ([], [])


@pytest.mark.parametrize("size", [3, PART + 3], ids=["one part", "two parts"])
def test_an_existing_file_is_not_overwritten(aws: Aws, bucket: str, files: S3RecordingFiles, size: int) -> None:
    first = files.store(KEY, Transfer(2))

    assert files.store(KEY, Transfer(size)) == first
    assert aws.s3.get_object(Bucket=bucket, Key=KEY)["ContentLength"] == 2
    assert list_keys(aws, bucket) == ([KEY], [])


def test_an_upload_left_open_by_a_dead_worker_is_aborted(aws: Aws, bucket: str, files: S3RecordingFiles) -> None:
    aws.s3.create_multipart_upload(Bucket=bucket, Key=KEY)

    files.store(KEY, Transfer(PART + 1))

    assert list_keys(aws, bucket) == ([KEY], [])


def test_a_missing_file_is_not_found(files: S3RecordingFiles) -> None:
    assert files.find(KEY) is None


@pytest.mark.parametrize("size", [1, PART + 1], ids=["one part", "two parts"])
@pytest.mark.parametrize("letter", ["a", "録", "𠮷"], ids=["1 byte", "3 bytes", "4 bytes"])
def test_a_file_name_of_any_length_fits_into_the_metadata(
    aws: Aws, bucket: str, files: S3RecordingFiles, letter: str, size: int
) -> None:
    """S3 refuses metadata of more than 2 KB at every attempt, so the recording would be lost because of its name."""
    name = letter * 251 + ".mp3"

    assert files.store(KEY, Transfer(size, file_name=name)).file_name == name

    metadata = aws.s3.head_object(Bucket=bucket, Key=KEY)["Metadata"]
    assert sum(len(key) + len(value) for key, value in metadata.items()) <= 2048
    stored = files.find(KEY)
    assert stored is not None
    assert name.endswith(stored.file_name)
    assert stored.file_name.endswith(f"{letter}.mp3")


def test_a_missing_bucket_is_a_store_unavailable_error(aws: Aws) -> None:
    files = S3RecordingFiles(client=lambda: aws.s3, bucket="no-such-bucket", part_bytes=PART)

    for size in (1, PART + 1):
        with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
            files.store(KEY, Transfer(size))


def test_a_link_expires_and_names_the_file(files: S3RecordingFiles) -> None:
    url = files.url(files.store(KEY, Transfer(1)), expires_in=timedelta(minutes=15))

    assert "Expires=" in url
    assert "%25E9%258C%25B2%25E9%259F%25B3" in url


class _Sink:
    """An S3 that reads every part and stores nothing."""

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


def _measure_peak(size: int) -> int:
    sink = _Sink()
    files = S3RecordingFiles(client=lambda: cast("Any", sink), bucket="any")
    tracemalloc.start()
    try:
        files.store(KEY, Transfer(size))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_depend_on_the_size_of_a_file() -> None:
    """A file of 1 GiB, with the memory of the process, is measured in benchmarks/recordings.py."""
    small, large = _measure_peak(16 * 2**20), _measure_peak(160 * 2**20)

    assert large < 16 * 2**20
    assert large < small + 2**20
    assert PART_BYTES == 8 * 2**20
