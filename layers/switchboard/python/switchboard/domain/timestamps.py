"""Read and write instants as the API and the tables hold them: RFC 3339, UTC, `Z`, milliseconds.

The order of these texts is the order of the instants.
Japan's time zone and the Unix microseconds of the limits table are here too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError

JAPAN: Final = timezone(timedelta(hours=9), "JST")
"""Japan's time zone, which has no daylight saving time."""

_MAX_LENGTH: Final = 40
_SPACED_OFFSET: Final = re.compile(r"(?<=[0-9]) ([0-9]{2}:[0-9]{2})\Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_rfc3339(instant: datetime) -> str:
    """Write an aware instant in the form `2026-11-22T03:04:05.678Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """Read an instant that `to_rfc3339` wrote.

    Raises:
        ValueError: the text is no instant, or has no offset.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant without an offset")
    return instant


def from_optional_rfc3339(text: str | None) -> datetime | None:
    """Read an instant that `to_rfc3339` wrote, or return None if there is none yet."""
    return from_rfc3339(text) if text else None


def parse_timestamp(text: str, *, field: str) -> datetime:
    """Read a caller's RFC 3339 time, which may have any offset.

    In a query the plus sign of an offset becomes a space, unless the caller escapes it. Such a time is read as well.

    Raises:
        InvalidRequestError: naming `field`, if `text` is not such a time.
    """
    try:
        if len(text) > _MAX_LENGTH or not text.isascii():
            raise ValueError
        # RFC 3339, section 5.6: `T` and `Z` may be lower case.
        instant = datetime.fromisoformat(_SPACED_OFFSET.sub(r"+\1", text.upper()))
        if instant.tzinfo is None or "T" not in text.upper():
            raise ValueError
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        problem = FieldProblem(field=field, message="must be an RFC 3339 time with an offset", code="invalid_time")
        raise InvalidRequestError(problem) from None


def to_us(span: timedelta) -> int:
    """Return the whole microseconds of `span`."""
    return span // _MICROSECOND


def to_unix_us(instant: datetime) -> int:
    """Return the microseconds from 1970 to `instant`, which must be aware."""
    return to_us(instant - _EPOCH)


def from_unix_us(unix_us: int) -> datetime:
    """Return the instant that `to_unix_us` counted, in UTC."""
    return _EPOCH + unix_us * _MICROSECOND
