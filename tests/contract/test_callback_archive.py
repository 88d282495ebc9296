"""What every CallbackVault does: it keeps what came until it can be acted on, and what nobody could read as it was."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.verification.verifications import VerificationMode
from switchboard.domain.voice_calls import CallResult
from switchboard.ports.callbacks import CallbackVault, HeldReport, News, RawCallback
from switchboard.storage.callbacks import S3CallbackVault
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


def _held(vault: CallbackVault, *, limit: int = 100) -> list[HeldReport]:
    return [replace(held, handle="") for held in vault.held(limit=limit)]


def test_nothing_is_held_at_first(vault: CallbackVault) -> None:
    assert _held(vault) == []


def test_what_is_held_comes_back_oldest_first(vault: CallbackVault) -> None:
    reports = [HeldReport(a_report(str(number)), START + number * MINUTE) for number in (2, 0, 1)]
    for report in reports:
        vault.hold(report)
    assert _held(vault) == [reports[1], reports[2], reports[0]]


def test_no_more_comes_back_than_asked_for(vault: CallbackVault) -> None:
    reports = [HeldReport(a_report("1", f"sms{number}"), START + number * MINUTE) for number in range(3)]
    for report in reports:
        vault.hold(report)
    assert _held(vault, limit=2) == reports[:2]


NEWS: tuple[News, ...] = (
    a_report("1", recipient=None),
    a_report("圏外・OFF"),
    a_report("1", "x" * 50),
    a_notice(),
    a_notice(smsid="sms1", mode=VerificationMode.SMS_AND_CALL_IN),
    CallResult("c1", "answered"),
    CallResult("!~" * 64, "呼损"),
)


@pytest.mark.parametrize("report", NEWS)
def test_news_of_any_kind_comes_back_as_it_was(vault: CallbackVault, report: News) -> None:
    held = HeldReport(report, START)
    vault.hold(held)
    assert _held(vault) == [held]


def test_whatever_comes_in_one_moment_is_held(vault: CallbackVault) -> None:
    for report in NEWS:
        vault.hold(HeldReport(report, START))
    assert {held.report for held in _held(vault)} == set(NEWS)


def test_a_report_held_twice_because_the_answer_was_lost_is_held_once(vault: CallbackVault) -> None:
    for _ in range(2):
        vault.hold(HeldReport(a_report("1"), START))
    assert len(_held(vault)) == 1


def test_what_is_let_go_of_is_held_no_longer_and_the_rest_is(vault: CallbackVault) -> None:
    for status in ("14", "1"):
        vault.hold(HeldReport(a_report(status), START))
    first, second = vault.held(limit=10)
    for _ in range(2):
        vault.release(first)
    assert _held(vault) == [replace(second, handle="")]


def test_what_is_quarantined_is_not_held(vault: CallbackVault) -> None:
    vault.quarantine(RAW, reason="no smsid", at=START)
    assert _held(vault) == []


def test_what_is_quarantined_is_kept_byte_for_byte_with_why(aws: Aws, bucket: str, s3_vault: S3CallbackVault) -> None:
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
    aws: Aws, bucket: str, s3_vault: S3CallbackVault, body: bytes
) -> None:
    aws.s3.put_object(Bucket=bucket, Key="held/0", Body=body)
    s3_vault.hold(HeldReport(a_report("1"), START))
    unreadable, readable = s3_vault.held(limit=10)
    assert unreadable.report == RawCallback("held", "", "held/0", "application/json", body)
    assert readable.report == a_report("1")
    s3_vault.release(unreadable)
    assert _held(s3_vault) == [replace(readable, handle="")]


def test_what_was_held_before_there_were_kinds_is_a_delivery_report(
    aws: Aws, bucket: str, s3_vault: S3CallbackVault
) -> None:
    body = b'{"report": {"recipient": null, "smsid": "sms1", "status": "1"}, "seen_at": "2026-11-22T03:04:05.678Z"}'
    aws.s3.put_object(Bucket=bucket, Key="held/0", Body=body)
    assert _held(s3_vault) == [HeldReport(a_report("1", recipient=None), START)]


def test_a_bucket_that_does_not_answer_is_said_so(aws: Aws) -> None:
    nowhere = S3CallbackVault(client=lambda: aws.s3, bucket="there-is-none")
    for call in (
        lambda: nowhere.quarantine(RAW, reason="", at=START),
        lambda: nowhere.hold(HeldReport(a_report("1"), START)),
        lambda: list(nowhere.held(limit=1)),
        lambda: nowhere.release(HeldReport(a_report("1"), START, "held/x")),
    ):
        with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
            call()
