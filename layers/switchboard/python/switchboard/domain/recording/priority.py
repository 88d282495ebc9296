"""Decide which recordings are asked for first.

A call action is easily forged, and BIZTEL's requests are few. Recordings that are likely to exist therefore go first.
The date in an id orders the work and decides no outcome: an id of any form is asked for in the end.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final

from switchboard.domain.recording.facts import ParkingReason, Recording
from switchboard.domain.timestamps import JAPAN

_REQUEST_ID: Final = re.compile(r"(?P<year>[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})[0-9]{14}")
_UNIQUE_ID: Final = re.compile(r"(?P<unix_s>[0-9]{9,10})\.[0-9]+")
_NEAR: Final = timedelta(days=1)


def find_date(recording_id: str) -> date | None:
    """Return the date in Japan that an id begins with, or None if the id has none.

    A request id has 20 digits, the first six of which are the date. A unique id is `epoch.sequence`.
    """
    if match := _REQUEST_ID.fullmatch(recording_id):
        try:
            return date(2000 + int(match["year"]), int(match["month"]), int(match["day"]))
        except ValueError:
            return None
    match = _UNIQUE_ID.fullmatch(recording_id)
    return datetime.fromtimestamp(int(match["unix_s"]), JAPAN).date() if match else None


def is_dated_near(recording_id: str, at: datetime) -> bool:
    """Return whether the id's date is at most one day from the date of `at` in Japan."""
    day = find_date(recording_id)
    return day is not None and abs(day - at.astimezone(JAPAN).date()) <= _NEAR


def is_likely(recording: Recording) -> bool:
    """Return whether the recording goes before others: its id is of the day of its announcement, and no 404 came."""
    return is_dated_near(recording.recording_id, recording.announced_at) and not recording.is_doubtful


def parking_reason(recording_id: str, at: datetime) -> ParkingReason:
    """Return the reason for which a recording announced `at` is parked if too many are announced."""
    return ParkingReason.DATED_NEAR if is_dated_near(recording_id, at) else ParkingReason.OTHER_DATE
