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
from switchboard.domain.recording.facts import QuarantinedFile, StoredFile
from switchboard.storage.recording.files import PART_BYTES, S3RecordingFiles
from tests.contract.conftest import Aws
from tests.mpeg import KINDS, MUSIC, TELEPHONE, id3v2

PART: Final = 5 * 1024 * 1024
"""S3's minimum size of a part that is not the last."""
NAME: Final = "recordings/2026/11/22/1563433858.66/left"
KEY: Final = f"{NAME}.mp3"
QUARANTINE_KEY: Final = "quarantine/recordings/2026/11/22/1563433858.66/left/attempt"
SIZES: Final = (300, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1)
CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Transfer:
    """A download of `size` bytes: `head`, then `loop` over and over. With `cut` it breaks off after that many bytes."""

    size: int
    cut: int | None = None
    head: bytes = b""
    loop: bytes = TELEPHONE * 1
    file_name: str = "録音 1.mp3"
    end_is_certain: bool = True

    def content(self) -> bytes:
        return (self.head + self.loop * (self.size // len(self.loop) + 1))[: self.size]

    def chunks(self) -> Iterator[bytes]:
        end = self.size if self.cut is None else self.cut
        block = self.loop * (CHUNK // len(self.loop) + 2)
        for at in range(0, end, CHUNK):
            begin = (at - len(self.head)) % len(self.loop)
            chunk = block[begin : begin + CHUNK] if at >= len(self.head) else (self.head[at:] + block)[:CHUNK]
            yield chunk[: end - at]
        if self.cut is not None:
            raise DownloadFailedError("cut", provider="biztel", operation="download_recording")


@pytest.fixture
def files(aws: Aws, bucket: str) -> S3RecordingFiles:
    return S3RecordingFiles(client=lambda: aws.s3, bucket=bucket, quarantine_bucket=bucket, part_bytes=PART)


def store(files: S3RecordingFiles, transfer: Transfer) -> StoredFile:
    """Store a transfer that is a recording."""
    stored = files.store(NAME, transfer, quarantine_key=QUARANTINE_KEY)
    assert isinstance(stored, StoredFile)
    return stored


def list_keys(aws: Aws, bucket: str) -> tuple[list[str], list[str]]:
    """Return the keys of the objects, and those of the open uploads."""
    objects = aws.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    uploads = aws.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return [entry["Key"] for entry in objects], [upload["Key"] for upload in uploads]


@pytest.mark.parametrize("size", SIZES, ids="{} bytes".format)
def test_a_whole_transfer_is_stored_unchanged(aws: Aws, bucket: str, files: S3RecordingFiles, size: int) -> None:
    transfer = Transfer(size)
    stored = store(files, transfer)

    answer = aws.s3.get_object(Bucket=bucket, Key=KEY)
    assert answer["Body"].read() == transfer.content()
    assert (stored.bytes, stored.sha256) == (size, sha256(transfer.content()).hexdigest())
    assert stored.seconds == pytest.approx(size // 144 * 0.072, abs=0.001)
    assert answer["ContentType"] == "audio/mpeg"
    assert files.find(NAME) == stored
    assert list_keys(aws, bucket) == ([KEY], [])


@pytest.mark.parametrize("cut", [0, *SIZES], ids="cut after {} bytes".format)
def test_a_transfer_that_breaks_off_leaves_nothing(aws: Aws, bucket: str, files: S3RecordingFiles, cut: int) -> None:
    with pytest.raises(DownloadFailedError):
        store(files, Transfer(2 * PART + 2, cut))

    assert list_keys(aws, bucket) == ([], [])


@pytest.mark.parametrize("size", [400, PART + 3], ids=["one part", "two parts"])
def test_an_existing_file_is_not_overwritten(aws: Aws, bucket: str, files: S3RecordingFiles, size: int) -> None:
    first = store(files, Transfer(300))

    assert store(files, Transfer(size)) == first
    assert aws.s3.get_object(Bucket=bucket, Key=KEY)["ContentLength"] == 300
    assert list_keys(aws, bucket) == ([KEY], [])


def test_an_upload_left_open_by_a_dead_worker_is_aborted(aws: Aws, bucket: str, files: S3RecordingFiles) -> None:
    aws.s3.create_multipart_upload(Bucket=bucket, Key=KEY)

    store(files, Transfer(PART + 1))

    assert list_keys(aws, bucket) == ([KEY], [])


def test_a_missing_file_is_not_found(files: S3RecordingFiles) -> None:
    assert files.find(NAME) is None


@pytest.mark.parametrize("size", [300, PART + 1], ids=["one part", "two parts"])
@pytest.mark.parametrize("letter", ["a", "録", "𠮷"], ids=["1 byte", "3 bytes", "4 bytes"])
def test_a_file_name_of_any_length_fits_into_the_metadata(
    aws: Aws, bucket: str, files: S3RecordingFiles, letter: str, size: int
) -> None:
    """S3 refuses metadata of more than 2 KB at every attempt, so the recording would be lost because of its name."""
    name = letter * 251 + ".mp3"

    assert store(files, Transfer(size, file_name=name)).file_name == name

    metadata = aws.s3.head_object(Bucket=bucket, Key=KEY)["Metadata"]
    assert sum(len(key) + len(value) for key, value in metadata.items()) <= 2048
    stored = files.find(NAME)
    assert stored is not None
    assert name.endswith(stored.file_name)
    assert stored.file_name.endswith(f"{letter}.mp3")


def test_a_missing_bucket_is_a_store_unavailable_error(aws: Aws) -> None:
    files = S3RecordingFiles(client=lambda: aws.s3, bucket="no-such-bucket", quarantine_bucket="any", part_bytes=PART)

    for size in (300, PART + 1):
        with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
            store(files, Transfer(size))


def test_a_link_expires_and_names_the_file(files: S3RecordingFiles) -> None:
    url = files.url(store(files, Transfer(300)), expires_in=timedelta(minutes=15))

    assert "Expires=" in url
    assert "%25E9%258C%25B2%25E9%259F%25B3" in url


PAGE: Final = b"<html>Service Unavailable</html>"


@pytest.mark.parametrize(
    ("head", "loop", "extension", "content_type", "name"),
    [
        pytest.param(b"", MUSIC * 1, "mp3", "audio/mpeg", "a.mp3", id="MP3"),
        pytest.param(bytes(136), MUSIC * 1, "mp3", "audio/mpeg", "a.mp3", id="zeros before an MP3"),
        pytest.param(id3v2(80_000) * 2, MUSIC * 1, "mp3", "audio/mpeg", "a.mp3", id="large tags"),
        pytest.param(id3v2(PART + 5), MUSIC * 1, "mp3", "audio/mpeg", "a.mp3", id="tag of more than one part"),
        pytest.param(bytes(PART), MUSIC * 1, "mp3", "audio/mpeg", "a.mp3", id="zeros of one part"),
        pytest.param(
            b"", KINDS["MPEG 1 layer II, 44.1 kHz, 192 kbit/s"] * 1, "mp2", "audio/mpeg", "a.mp2", id="layer II"
        ),
        pytest.param(b"RIFF\x00\x00\x00\x00WAVE", b"\x01", "wav", "audio/wav", "a.wav", id="WAV"),
        pytest.param(b"OggS\x00\x02" + bytes(22) + b"OpusHead", b"\x01", "ogg", "audio/ogg", "a.ogg", id="Ogg"),
    ],
)
@pytest.mark.parametrize("more", [5_000, PART], ids=["small", "large"])
def test_a_recording_is_stored_as_what_its_bytes_are(  # noqa: PLR0917
    aws: Aws,
    bucket: str,
    files: S3RecordingFiles,
    head: bytes,
    loop: bytes,
    extension: str,
    content_type: str,
    name: str,
    more: int,
) -> None:
    transfer = Transfer(len(head) + more, head=head, loop=loop, file_name="a.mp3")

    stored = store(files, transfer)

    assert (stored.key, stored.content_type, stored.file_name) == (f"{NAME}.{extension}", content_type, name)
    answer = aws.s3.get_object(Bucket=bucket, Key=stored.key)
    assert (answer["ContentType"], answer["Body"].read()) == (content_type, transfer.content())
    assert files.find(NAME) == stored


@pytest.mark.parametrize(
    ("head", "is_text"),
    [
        pytest.param(PAGE, True, id="page"),
        pytest.param(b'{"type": "NOT_FOUND"}', True, id="JSON"),
        pytest.param(id3v2(1000) + PAGE, True, id="page behind a tag"),
        pytest.param(id3v2(PART + 5) + PAGE, True, id="page behind a tag of more than one part"),
        pytest.param(b"fLaC\x00\x00\x00\x22", False, id="FLAC"),
    ],
)
@pytest.mark.parametrize("more", [0, 2 * PART], ids=["small", "large"])
def test_what_is_no_recording_lies_whole_in_quarantine(  # noqa: PLR0917
    aws: Aws, bucket: str, files: S3RecordingFiles, head: bytes, is_text: bool, more: int
) -> None:
    transfer = Transfer(len(head) + more, head=head, loop=b"a\n")

    unrecognised = files.store(NAME, transfer, quarantine_key=QUARANTINE_KEY)

    assert unrecognised == QuarantinedFile(
        key=QUARANTINE_KEY,
        bytes=transfer.size,
        sha256=sha256(transfer.content()).hexdigest(),
        is_text=is_text,
    )
    answer = aws.s3.get_object(Bucket=bucket, Key=QUARANTINE_KEY)
    assert answer["Body"].read() == transfer.content()
    assert (answer["ContentType"], answer["Metadata"]) == ("application/octet-stream", {"reason": "not_audio"})
    assert list_keys(aws, bucket) == ([QUARANTINE_KEY], [])


def test_a_recording_that_may_be_cut_lies_in_quarantine(aws: Aws, bucket: str, files: S3RecordingFiles) -> None:
    transfer = Transfer(1000, end_is_certain=False)

    assert isinstance(files.store(NAME, transfer, quarantine_key=QUARANTINE_KEY), QuarantinedFile)
    answer = aws.s3.get_object(Bucket=bucket, Key=QUARANTINE_KEY)
    assert (answer["Body"].read(), answer["Metadata"]) == (transfer.content(), {"reason": "no_length"})


@pytest.mark.parametrize("tag", [b"", id3v2(PART + 5)], ids=["audio first", "large tag first"])
@pytest.mark.parametrize("cut", [1, 300, PART, PART + 1, 2 * PART + 1], ids="cut after {} bytes".format)
def test_what_came_of_a_transfer_that_breaks_off_can_be_kept(
    aws: Aws, bucket: str, files: S3RecordingFiles, cut: int, tag: bytes
) -> None:
    transfer = Transfer(3 * PART, cut, head=tag)
    content = transfer.content()[:cut]

    kept = files.store(NAME, transfer, quarantine_key=QUARANTINE_KEY, keep_cut=True)

    assert kept == QuarantinedFile(
        key=QUARANTINE_KEY, bytes=cut, sha256=sha256(content).hexdigest(), is_text=False, is_cut=True
    )
    answer = aws.s3.get_object(Bucket=bucket, Key=QUARANTINE_KEY)
    assert (answer["Body"].read(), answer["Metadata"]) == (content, {"reason": "cut"})
    assert list_keys(aws, bucket) == ([QUARANTINE_KEY], [])


def test_a_transfer_without_a_byte_leaves_nothing_to_keep(aws: Aws, bucket: str, files: S3RecordingFiles) -> None:
    with pytest.raises(DownloadFailedError):
        files.store(NAME, Transfer(300, cut=0), quarantine_key=QUARANTINE_KEY, keep_cut=True)

    assert list_keys(aws, bucket) == ([], [])


@pytest.mark.parametrize("size", SIZES, ids="{} bytes".format)
def test_a_whole_transfer_is_a_recording_also_if_a_cut_one_is_kept(
    aws: Aws, bucket: str, files: S3RecordingFiles, size: int
) -> None:
    """A large one lies in quarantine until its end, which shows that it is whole, and is copied then."""
    transfer = Transfer(size)

    stored = files.store(NAME, transfer, quarantine_key=QUARANTINE_KEY, keep_cut=True)

    assert isinstance(stored, StoredFile)
    assert aws.s3.get_object(Bucket=bucket, Key=KEY)["Body"].read() == transfer.content()
    assert files.find(NAME) == stored
    assert list_keys(aws, bucket)[1] == []


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
        store(files, Transfer(size))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_depend_on_the_size_of_a_file() -> None:
    """A file of 1 GiB, with the memory of the process, is measured in benchmarks/recordings.py."""
    small, large = _measure_peak(16 * 2**20), _measure_peak(160 * 2**20)

    assert large < 16 * 2**20
    assert large < small + 2**20
    assert PART_BYTES == 8 * 2**20
