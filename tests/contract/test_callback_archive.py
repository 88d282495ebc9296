"""What every CallbackArchive does: it keeps what came until it can be acted on, and what nobody could read as it
was."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.verification.verifications import VerificationMode
from switchboard.domain.voice_calls import CallResult
from switchboard.ports.callbacks import CallbackArchive, CallbackEvent, RawCallback, SpooledEvent
from switchboard.storage.callbacks import S3CallbackArchive
from tests.builders import MINUTE, a_notice, a_report
from tests.contract.conftest import Aws
from tests.fakes import START

RAW = RawCallback(
    route="mediasms/delivery",
    method="POST",
    query="a=%ff",
    content_type="application/x-www-form-urlencoded",
    body=b"\x00\xff\x83\x5c",
)


def _held(archive: CallbackArchive, *, limit: int = 100) -> list[SpooledEvent]:
    return [replace(held, handle="") for held in archive.spooled(limit=limit)]


def test_nothing_is_held_at_first(archive: CallbackArchive) -> None:
    assert _held(archive) == []


def test_what_is_held_comes_back_oldest_first(archive: CallbackArchive) -> None:
    reports = [SpooledEvent(a_report(str(number)), START + number * MINUTE) for number in (2, 0, 1)]
    for report in reports:
        archive.spool(report)
    assert _held(archive) == [reports[1], reports[2], reports[0]]


def test_no_more_comes_back_than_asked_for(archive: CallbackArchive) -> None:
    reports = [SpooledEvent(a_report("1", f"sms{number}"), START + number * MINUTE) for number in range(3)]
    for report in reports:
        archive.spool(report)
    assert _held(archive, limit=2) == reports[:2]


NEWS: tuple[CallbackEvent, ...] = (
    a_report("1", recipient=None),
    a_report("圏外・OFF"),
    a_report("1", "x" * 50),
    a_notice(),
    a_notice(smsid="sms1", mode=VerificationMode.SMS_AND_CALL_IN),
    CallResult("c1", "answered"),
    CallResult("!~" * 64, "呼损"),
)


@pytest.mark.parametrize("report", NEWS)
def test_news_of_any_kind_comes_back_as_it_was(archive: CallbackArchive, report: CallbackEvent) -> None:
    held = SpooledEvent(report, START)
    archive.spool(held)
    assert _held(archive) == [held]


def test_whatever_comes_in_one_moment_is_held(archive: CallbackArchive) -> None:
    for report in NEWS:
        archive.spool(SpooledEvent(report, START))
    assert {held.event for held in _held(archive)} == set(NEWS)


def test_a_report_held_twice_because_the_answer_was_lost_is_held_once(archive: CallbackArchive) -> None:
    for _ in range(2):
        archive.spool(SpooledEvent(a_report("1"), START))
    assert len(_held(archive)) == 1


def test_what_is_let_go_of_is_held_no_longer_and_the_rest_is(archive: CallbackArchive) -> None:
    for status in ("14", "1"):
        archive.spool(SpooledEvent(a_report(status), START))
    first, second = archive.spooled(limit=10)
    for _ in range(2):
        archive.remove(first)
    assert _held(archive) == [replace(second, handle="")]


def test_what_is_quarantined_is_not_held(archive: CallbackArchive) -> None:
    archive.quarantine(RAW, reason="no smsid", at=START)
    assert _held(archive) == []


def test_what_is_quarantined_is_kept_byte_for_byte_with_why(aws: Aws, bucket: str, s3_vault: S3CallbackArchive) -> None:
    for _ in range(2):
        s3_vault.quarantine(RAW, reason="no smsid", at=START)
    [entry] = aws.s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert entry["Key"].startswith("quarantine/mediasms/delivery/2026/11/22/2026-11-22T03:04:05.678Z-")
    kept = json.load(aws.s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"])
    assert base64.b64decode(kept.pop("body_base64")) == RAW.body
    assert kept == {
        "route": "mediasms/delivery",
        "method": "POST",
        "query": "a=%ff",
        "content_type": "application/x-www-form-urlencoded",
        "reason": "no smsid",
        "received_at": "2026-11-22T03:04:05.678Z",
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"seen_at": 5, "report": {}}',
        b'{"seen_at": "2026-11-22T03:04:05.678Z", "kind": "of a later version", "report": {}}',
        b'{"seen_at": "2026-11-22T03:04:05.678Z", "kind": ["call_result"], "report": {}}',
        b'{"seen_at": "2026-11-22T03:04:05.678Z", "kind": "call_result", "report": {"call_id": "c1"}}',
        b'{"seen_at": "2026-11-22T03:04:05.678Z", "kind": "ivr", "report": {"mode": "none"}}',
    ],
)
def test_what_is_held_and_nobody_can_read_comes_back_raw_among_the_rest(
    aws: Aws, bucket: str, s3_vault: S3CallbackArchive, body: bytes
) -> None:
    aws.s3.put_object(Bucket=bucket, Key="spool/0", Body=body)
    s3_vault.spool(SpooledEvent(a_report("1"), START))
    unreadable, readable = s3_vault.spooled(limit=10)
    assert unreadable.event == RawCallback("spool", "", "spool/0", "application/json", body)
    assert readable.event == a_report("1")
    s3_vault.remove(unreadable)
    assert _held(s3_vault) == [replace(readable, handle="")]


def test_a_bucket_that_does_not_answer_is_said_so(aws: Aws) -> None:
    nowhere = S3CallbackArchive(client=lambda: aws.s3, bucket="there-is-none")
    for call in (
        lambda: nowhere.quarantine(RAW, reason="", at=START),
        lambda: nowhere.spool(SpooledEvent(a_report("1"), START)),
        lambda: list(nowhere.spooled(limit=1)),
        lambda: nowhere.remove(SpooledEvent(a_report("1"), START, "spool/x")),
    ):
        with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
            call()
