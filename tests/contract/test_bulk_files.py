"""Files that came in bulk and cannot be used are kept apart, whatever they are called."""

from __future__ import annotations

import pytest

from switchboard.storage.recording.bulk_files import S3BulkFiles
from tests.contract.conftest import Aws
from tests.fakes import START


@pytest.mark.parametrize("name", ["a.mp3", "録音 1.mp3", "録" * 335 + ".mp3", "%" * 1_010 + ".mp3"])
def test_a_file_goes_to_quarantine_under_a_key_that_s3_takes(aws: Aws, bucket: str, name: str) -> None:
    key = f"bulk/{name}"
    aws.s3.put_object(Bucket=bucket, Key=key, Body=b"<html>")
    files = S3BulkFiles(client=lambda: aws.s3, bucket=bucket, quarantine_bucket=bucket)

    files.quarantine(key, reason="form", at=START)

    [kept] = aws.s3.list_objects_v2(Bucket=bucket, Prefix="quarantine/")["Contents"]
    assert kept["Key"].startswith("quarantine/bulk/2026/11/22/")
    assert kept["Key"].endswith(".mp3")
    assert kept["Key"].isascii()
    assert len(kept["Key"]) <= 1024
    assert aws.s3.head_object(Bucket=bucket, Key=kept["Key"])["Metadata"] == {"reason": "form"}


def test_the_tags_of_whoever_dropped_it_stay_behind(aws: Aws, bucket: str) -> None:
    """Copying them takes rights that the worker does not have, and a file with tags would never get here."""
    aws.s3.put_object(Bucket=bucket, Key="bulk/a.mp3", Body=b"<html>", Tagging="team=calls")
    files = S3BulkFiles(client=lambda: aws.s3, bucket=bucket, quarantine_bucket=bucket)

    files.quarantine("bulk/a.mp3", reason="form", at=START)

    assert aws.s3.get_object_tagging(Bucket=bucket, Key="quarantine/bulk/2026/11/22/a.mp3")["TagSet"] == []
