"""Callbacks kept in a bucket: `quarantine/` for a person to read, `held/` until the table answers again."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.domain.verification.verifications import IvrNotice, ReadOutCode, VerificationMode
from switchboard.domain.voice_calls import CallResult
from switchboard.ports.callbacks import HeldReport, News, RawCallback
from switchboard.storage.aws import store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_HELD = "held/"
_QUARANTINE = "quarantine/"
_KINDS: Final[Mapping[type[object], str]] = {DeliveryReport: "delivery", IvrNotice: "ivr", CallResult: "call_result"}


class S3CallbackVault:
    """A CallbackVault over one bucket. `client` is called when first used: most callbacks never need it."""

    def __init__(self, *, client: Callable[[], S3Client], bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def quarantine(self, callback: RawCallback, *, reason: str, at: datetime) -> None:
        content = {
            "route": callback.route,
            "method": callback.method,
            "query": callback.query,
            "content_type": callback.content_type,
            "body_base64": base64.b64encode(callback.body).decode(),
            "reason": reason,
            "received_at": to_rfc3339(at),
        }
        self._put(f"{_QUARANTINE}{callback.route}/{at:%Y/%m/%d}/{to_rfc3339(at)}", content)

    def hold(self, held: HeldReport) -> None:
        content = {
            "kind": _KINDS[type(held.report)],
            "report": asdict(held.report),
            "seen_at": to_rfc3339(held.seen_at),
        }
        if held.code is not None:
            content["code"] = {"salt": held.code.salt.hex(), "digest": held.code.digest.hex()}
        self._put(f"{_HELD}{to_rfc3339(held.seen_at)}", content)

    def held(self, *, limit: int) -> Iterator[HeldReport]:
        with store_errors("list held reports"):
            listing = self._client().list_objects_v2(Bucket=self._bucket, Prefix=_HELD, MaxKeys=limit)
        for entry in listing.get("Contents", []):
            key = entry["Key"]
            with store_errors("read held report"):
                body = self._client().get_object(Bucket=self._bucket, Key=key)["Body"].read()
            yield _held(body, handle=key) or _unreadable(body, handle=key, since=entry["LastModified"])

    def release(self, held: HeldReport) -> None:
        with store_errors("release held report"):
            self._client().delete_object(Bucket=self._bucket, Key=held.handle)

    def _put(self, stem: str, content: Mapping[str, object]) -> None:
        body = json.dumps(content, sort_keys=True).encode()
        key = f"{stem}-{hashlib.sha256(body).hexdigest()[:16]}.json"
        with store_errors("keep callback"):
            self._client().put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")


def _notice(*, mode: str, **told: Any) -> IvrNotice:
    return IvrNotice(mode=VerificationMode(mode), **told)


_READERS: Final[Mapping[str, Callable[..., News]]] = {
    "delivery": DeliveryReport,
    "ivr": _notice,
    "call_result": CallResult,
}


def _held(body: bytes, *, handle: str) -> HeldReport | None:
    """None where nothing that this version writes looks so, as after going back to it from a later one."""
    try:
        return _read(json.loads(body), handle=handle)
    except (ValueError, TypeError, KeyError):
        return None


def _unreadable(body: bytes, *, handle: str, since: datetime) -> HeldReport:
    raw = RawCallback("held", method="", query=handle, content_type="application/json", body=body)
    return HeldReport(report=raw, seen_at=since, handle=handle)


def _read(content: Mapping[str, Any], *, handle: str) -> HeldReport:
    seen_at, code = from_rfc3339(content["seen_at"]), content.get("code")
    # What was held before there was another kind names none.
    report = _READERS[content.get("kind", "delivery")](**content["report"])
    if code is None or not isinstance(report, DeliveryReport):
        return HeldReport(report=report, seen_at=seen_at, handle=handle)
    salt, digest = bytes.fromhex(code["salt"]), bytes.fromhex(code["digest"])
    kept = ReadOutCode(salt=salt, digest=digest, at=seen_at, recipient=report.recipient)
    return HeldReport(report=report, seen_at=seen_at, handle=handle, code=kept)
