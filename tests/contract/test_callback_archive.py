"""Test what every CallbackArchive does: spool events until they can be recorded, and quarantine callbacks unchanged."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import StoreUnavailableError
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.ports.callbacks import CallbackArchive, CallbackEvent, RawCallback, SpooledEvent
from switchboard.ports.listing import UnreadableItem
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
EVENTS: dict[str, CallbackEvent] = {
    "report without a number": a_report("1", recipient=None),
    "report with an unlisted status": a_report("圏外・OFF"),
    "report with the longest id": a_report("1", "x" * 50),
    "call without an id": a_notice(),
    "call with an id": a_notice(smsid="sms1", mode=VerificationMode.SMS_AND_CALL_IN),
    "result": CallResult("c1", "answered"),
    "result with the longest id": CallResult("!~" * 64, "呼损"),
}


def _spooled(archive: CallbackArchive, *, limit: int = 100) -> list[SpooledEvent]:
    return [replace(spooled, handle="") for spooled in _events(archive, limit=limit)]


def _events(archive: CallbackArchive, *, limit: int = 100) -> list[SpooledEvent]:
    return [spooled for spooled in archive.spooled(limit=limit) if isinstance(spooled, SpooledEvent)]


def test_a_new_archive_has_no_spooled_event(archive: CallbackArchive) -> None:
    assert _spooled(archive) == []


def test_spooled_events_come_back_oldest_first(archive: CallbackArchive) -> None:
    events = [SpooledEvent(a_report(str(number)), START + number * MINUTE) for number in (2, 0, 1)]
    for event in events:
        archive.spool(event)
    assert _spooled(archive) == [events[1], events[2], events[0]]


def test_spooled_events_come_back_page_by_page(archive: CallbackArchive) -> None:
    events = [SpooledEvent(a_report("1", f"sms{number}"), START + number * MINUTE) for number in range(3)]
    for event in events:
        archive.spool(event)
    assert _spooled(archive, limit=2) == events


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_a_spooled_event_of_any_kind_comes_back_unchanged(archive: CallbackArchive, event: CallbackEvent) -> None:
    spooled = SpooledEvent(event, START)
    archive.spool(spooled)
    assert _spooled(archive) == [spooled]


def test_events_of_the_same_moment_are_all_spooled(archive: CallbackArchive) -> None:
    for event in EVENTS.values():
        archive.spool(SpooledEvent(event, START))
    assert {spooled.event for spooled in _spooled(archive)} == set(EVENTS.values())


def test_an_event_spooled_again_after_a_lost_answer_is_there_once(archive: CallbackArchive) -> None:
    for _ in range(2):
        archive.spool(SpooledEvent(a_report("1"), START))
    assert len(_spooled(archive)) == 1


def test_a_removed_event_is_gone_and_the_others_stay(archive: CallbackArchive) -> None:
    for status in ("14", "1"):
        archive.spool(SpooledEvent(a_report(status), START))
    first, second = _events(archive)
    for _ in range(2):
        archive.remove(first)
    assert _spooled(archive) == [replace(second, handle="")]


def test_a_quarantined_callback_is_no_spooled_event(archive: CallbackArchive) -> None:
    archive.quarantine(RAW, reason="no smsid", at=START)
    assert _spooled(archive) == []


def test_a_quarantined_callback_is_stored_byte_for_byte_with_its_reason(
    aws: Aws, bucket: str, s3_archive: S3CallbackArchive
) -> None:
    for _ in range(2):
        s3_archive.quarantine(RAW, reason="no smsid", at=START)
    [entry] = aws.s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert entry["Key"].startswith("quarantine/mediasms/delivery/2026/11/22/2026-11-22T03:04:05.678Z-")
    content = json.load(aws.s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"])
    assert base64.b64decode(content.pop("body_base64")) == RAW.body
    assert content == {
        "route": "mediasms/delivery",
        "method": "POST",
        "query": "a=%ff",
        "content_type": "application/x-www-form-urlencoded",
        "reason": "no smsid",
        "received_at": "2026-11-22T03:04:05.678Z",
    }


REPORT = b'"event": {"recipient": null, "smsid": "sms1", "status": "1"}'
WRONG_MEMBERS: tuple[tuple[str, object], ...] = (
    ("smsid", 5),
    ("smsid", {"a": 1}),
    ("smsid", ""),
    ("smsid", None),
    ("smsid", "\ud800"),
    ("smsid", "x" * 3000),
    ("status", 1),
    ("status", ["1"]),
    ("status", ""),
    ("status", None),
    ("status", "s" * 20_000),
    ("recipient", 819000000001),
    ("recipient", ["+819000000001"]),
    ("recipient", ""),
)
_MEMBERS = {"recipient": None, "smsid": "sms1", "status": "1"}


def _with_member(name: str, value: object) -> bytes:
    return json.dumps(_MEMBERS | {name: value}).encode()


SEEN_AT = b'"seen_at": "2026-11-22T03:04:05.678Z"'


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="no members"),
        pytest.param(b'{"seen_at": 5, "kind": "delivery", ' + REPORT + b"}", id="a number as time"),
        pytest.param(b"{" + SEEN_AT + b", " + REPORT + b"}", id="no kind"),
        pytest.param(b"{" + SEEN_AT + b', "kind": "of a later version", ' + REPORT + b"}", id="unknown kind"),
        pytest.param(b"{" + SEEN_AT + b', "kind": ["call_result"], ' + REPORT + b"}", id="a list as kind"),
        pytest.param(b"{" + SEEN_AT + b', "kind": "call_result", "event": {"call_id": "c1"}}', id="no result"),
        pytest.param(b"{" + SEEN_AT + b', "kind": "ivr", "event": {"mode": "none"}}', id="unknown mode"),
        pytest.param(
            b'{"seen_at": "2026-11-22T03:04:05", "kind": "delivery", ' + REPORT + b"}", id="a time without an offset"
        ),
        pytest.param(
            b'{"seen_at": "0001-01-01T00:00:00+23:59", "kind": "delivery", ' + REPORT + b"}", id="a time before year 1"
        ),
        *(
            pytest.param(
                b"{"
                + SEEN_AT
                + b', "kind": "delivery", "event": '
                + json.dumps(_MEMBERS | {name: value}).encode()
                + b"}",
                id=f"{name} is {value!r:.12}",
            )
            for name, value in WRONG_MEMBERS
        ),
        pytest.param(
            b"{" + SEEN_AT + b', "kind": "call_result", "event": {"call_id": 5, "result": "x"}}', id="a number as id"
        ),
    ],
)
def test_an_unreadable_spooled_object_comes_back_raw_among_the_others(
    aws: Aws, bucket: str, s3_archive: S3CallbackArchive, body: bytes
) -> None:
    aws.s3.put_object(Bucket=bucket, Key="spool/0", Body=body)
    s3_archive.spool(SpooledEvent(a_report("1"), START))
    unreadable, readable = _events(s3_archive)
    assert unreadable.event == RawCallback("spool", "", "spool/0", "application/json", body)
    assert readable.event == a_report("1")
    s3_archive.remove(unreadable)
    assert _spooled(s3_archive) == [replace(readable, handle="")]


class OneObjectFails:
    """A client of S3 to which every object but one is readable."""

    def __init__(self, aws: Aws, key: str, code: str) -> None:
        self._s3: Any = aws.s3
        self._key = key
        self._code = code

    def list_objects_v2(self, **request: Any) -> Any:
        return self._s3.list_objects_v2(**request)

    def get_object(self, **request: Any) -> Any:
        if request["Key"] == self._key:
            raise ClientError({"Error": {"Code": self._code}}, "GetObject")
        return self._s3.get_object(**request)


def _with_failing_object(aws: Aws, bucket: str, s3_archive: S3CallbackArchive, code: str) -> S3CallbackArchive:
    """Spool two events, and return an archive that answers `code` for the first one's object."""
    for number in range(2):
        s3_archive.spool(SpooledEvent(a_report(str(number)), START + number * MINUTE))
    client: Any = OneObjectFails(aws, _events(s3_archive)[0].handle, code)
    return S3CallbackArchive(client=lambda: client, bucket=bucket)


def test_an_object_without_an_answer_hides_no_other_and_is_reported(
    aws: Aws, bucket: str, s3_archive: S3CallbackArchive
) -> None:
    found = []
    with pytest.raises(StoreUnavailableError):
        for spooled in _with_failing_object(aws, bucket, s3_archive, "InternalError").spooled(limit=10):
            found.append(spooled)
    assert found == _events(s3_archive)[1:]


def test_an_object_that_another_sweep_removed_is_passed_over(
    aws: Aws, bucket: str, s3_archive: S3CallbackArchive
) -> None:
    archive = _with_failing_object(aws, bucket, s3_archive, "NoSuchKey")
    assert _events(archive) == _events(s3_archive)[1:]


def test_an_object_larger_than_any_event_is_not_read(aws: Aws, bucket: str, s3_archive: S3CallbackArchive) -> None:
    aws.s3.put_object(Bucket=bucket, Key="spool/0", Body=b" " * 65_537)
    s3_archive.spool(SpooledEvent(a_report("1"), START))
    huge, readable = s3_archive.spooled(limit=10)
    assert huge == UnreadableItem("spool/0")
    assert isinstance(readable, SpooledEvent)


def test_a_missing_bucket_is_a_store_unavailable_error(aws: Aws) -> None:
    archive = S3CallbackArchive(client=lambda: aws.s3, bucket="there-is-none")
    for call in (
        lambda: archive.quarantine(RAW, reason="", at=START),
        lambda: archive.spool(SpooledEvent(a_report("1"), START)),
        lambda: list(archive.spooled(limit=1)),
        lambda: archive.remove(SpooledEvent(a_report("1"), START, "spool/x")),
    ):
        with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
            call()
