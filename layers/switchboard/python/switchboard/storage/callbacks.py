"""Keep callbacks in a bucket: `quarantine/` for an operator to read, `spool/` until the state table answers again."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from switchboard.domain.call_results import CallResult
from switchboard.domain.errors import StoreError
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.timestamps import from_rfc3339, to_rfc3339
from switchboard.domain.verification.callbacks import CodeHash, IvrCallEvent, VerificationMode
from switchboard.ports.callbacks import CallbackEvent, RawCallback, SpooledEvent
from switchboard.storage.aws import error_code, store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from switchboard.ports.listing import UnreadableItem

_SPOOL: Final = "spool/"
_QUARANTINE: Final = "quarantine/"
_NO_SUCH_KEY: Final = "NoSuchKey"
_MAX_SPOOLED_BYTES: Final = 65_536
"""More than any event needs. A larger object is not ours, and might not find room in memory."""
_MAX_MEMBER_LENGTH: Final = 1_024


class S3CallbackArchive:
    """A CallbackArchive over one bucket.

    `client` is called only when it is needed, which for most callbacks is never.
    """

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

    def spool(self, spooled: SpooledEvent) -> None:
        content = {
            "kind": _KINDS[type(spooled.event)],
            "event": asdict(spooled.event),
            "seen_at": to_rfc3339(spooled.seen_at),
        }
        if spooled.code is not None:
            content["code"] = {"key": spooled.code.key_version, "digest": spooled.code.digest.hex()}
        self._put(f"{_SPOOL}{to_rfc3339(spooled.seen_at)}", content)

    def spooled(self, *, limit: int) -> Iterator[SpooledEvent | UnreadableItem]:
        # Only the sweep reads spooled events.
        from switchboard.ports.listing import UnreadableItem  # noqa: PLC0415

        failure: StoreError | None = None
        next_page: dict[str, Any] = {}
        while True:
            with store_errors("list spooled events"):
                listing = self._client().list_objects_v2(Bucket=self._bucket, Prefix=_SPOOL, MaxKeys=limit, **next_page)
            for entry in listing.get("Contents", []):
                if entry["Size"] > _MAX_SPOOLED_BYTES:
                    yield UnreadableItem(entry["Key"])
                    continue
                try:
                    spooled = self._read_spooled(entry["Key"], at=entry["LastModified"])
                except StoreError as error:
                    # One object that cannot be read now must not hide those behind it.
                    failure = failure or error
                    continue
                if spooled is not None:
                    yield spooled
            if not listing.get("IsTruncated"):
                break
            next_page = {"ContinuationToken": listing["NextContinuationToken"]}
        if failure is not None:
            raise failure

    def _read_spooled(self, key: str, *, at: datetime) -> SpooledEvent | None:
        """Return the event in this object, or None if another sweep has removed the object meanwhile."""
        with store_errors("read spooled event"):
            try:
                body = self._client().get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except ClientError as error:
                if error_code(error) != _NO_SUCH_KEY:
                    raise
                return None
        return _parse_spooled(body, handle=key) or _wrap_unreadable(body, handle=key, at=at)

    def remove(self, spooled: SpooledEvent) -> None:
        with store_errors("remove spooled event"):
            self._client().delete_object(Bucket=self._bucket, Key=spooled.handle)

    def _put(self, stem: str, content: Mapping[str, object]) -> None:
        body = json.dumps(content, sort_keys=True).encode()
        key = f"{stem}-{hashlib.sha256(body).hexdigest()[:16]}.json"
        with store_errors("archive callback"):
            self._client().put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")


def _build_ivr_call(*, mode: str, **members: Any) -> IvrCallEvent:
    return IvrCallEvent(mode=VerificationMode(mode), **members)


_KINDS: Final[Mapping[type[object], str]] = {DeliveryReport: "delivery", IvrCallEvent: "ivr", CallResult: "call_result"}
_BUILDERS: Final[Mapping[str, Callable[..., CallbackEvent]]] = {
    "delivery": DeliveryReport,
    "ivr": _build_ivr_call,
    "call_result": CallResult,
}
_OPTIONAL_MEMBERS: Final = {"delivery": "recipient", "ivr": "smsid"}


def _parse_spooled(body: bytes, *, handle: str) -> SpooledEvent | None:
    """Return the event in a spooled object, or None if this version cannot read it.

    An object of a later version is unreadable after a return to this one.
    """
    try:
        return _build_spooled(json.loads(body), handle=handle)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None


def _build_spooled(content: Mapping[str, Any], *, handle: str) -> SpooledEvent:
    seen_at, code = from_rfc3339(content["seen_at"]).astimezone(UTC), content.get("code")
    event = _BUILDERS[content["kind"]](**content["event"])
    for name, member in content["event"].items():
        if member is None and name == _OPTIONAL_MEMBERS.get(content["kind"]):
            continue
        if not 0 < len(member.encode()) <= _MAX_MEMBER_LENGTH:
            raise ValueError
    if code is None or not isinstance(event, DeliveryReport):
        return SpooledEvent(event=event, seen_at=seen_at, handle=handle)
    code_hash = CodeHash(
        key_version=code["key"], digest=bytes.fromhex(code["digest"]), at=seen_at, recipient=event.recipient
    )
    return SpooledEvent(event=event, seen_at=seen_at, handle=handle, code=code_hash)


def _wrap_unreadable(body: bytes, *, handle: str, at: datetime) -> SpooledEvent:
    callback = RawCallback("spool", method="", query=handle, content_type="application/json", body=body)
    return SpooledEvent(event=callback, seen_at=at, handle=handle)
