"""Test that bulk files that cannot be used are quarantined, whatever their name."""

from __future__ import annotations

import pytest

from switchboard.storage.recording.bulk_files import S3BulkFiles
from tests.contract.conftest import Aws
from tests.fakes import START


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a.mp3", id="ASCII"),
        pytest.param("録音 1.mp3", id="Japanese with a space"),
        pytest.param("録" * 335 + ".mp3", id="long Japanese"),
        pytest.param("%" * 1_010 + ".mp3", id="long and all encoded"),
    ],
)
def test_a_file_with_any_name_is_quarantined_under_a_valid_key(aws: Aws, bucket: str, name: str) -> None:
    key = f"bulk/{name}"
    aws.s3.put_object(Bucket=bucket, Key=key, Body=b"<html>")
    files = S3BulkFiles(client=lambda: aws.s3, bucket=bucket, quarantine_bucket=bucket)

    files.quarantine(key, reason="form", at=START)

    [entry] = aws.s3.list_objects_v2(Bucket=bucket, Prefix="quarantine/")["Contents"]
    assert entry["Key"].startswith("quarantine/bulk/2026/11/22/")
    assert entry["Key"].endswith(".mp3")
    assert entry["Key"].isascii()
    assert len(entry["Key"]) <= 1024
    assert aws.s3.head_object(Bucket=bucket, Key=entry["Key"])["Metadata"] == {"reason": "form"}


def test_a_quarantined_file_does_not_take_its_tags_along(aws: Aws, bucket: str) -> None:
    """Copying tags takes rights that the worker does not have, so a file with tags would never be quarantined."""
    aws.s3.put_object(Bucket=bucket, Key="bulk/a.mp3", Body=b"<html>", Tagging="team=calls")
    files = S3BulkFiles(client=lambda: aws.s3, bucket=bucket, quarantine_bucket=bucket)

    files.quarantine("bulk/a.mp3", reason="form", at=START)

    assert aws.s3.get_object_tagging(Bucket=bucket, Key="quarantine/bulk/2026/11/22/a.mp3")["TagSet"] == []
