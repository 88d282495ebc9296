"""Reads what BIZTEL's コールアクション tells us. Imports nothing that a webhook's cold start does not need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from switchboard.domain.errors import WebhookUnreadableError
from switchboard.domain.recording.facts import RecordingReady, is_recording_id
from switchboard.domain.timestamps import JAPAN

ID_MISSING: Final = "id_missing"
ID_UNUSABLE: Final = "id_unusable"
ID_AMBIGUOUS: Final = "id_ambiguous"
MAX_TEL_LENGTH: Final = 128
MAX_DATE_LENGTH: Final = 64

_DATE: Final = re.compile(
    r"(20[0-9]{2})[-/]([0-9]{1,2})[-/]([0-9]{1,2})[ T+]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?:\.[0-9]+)?"
    r" *(Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.IGNORECASE,
)


def parse_call_action(params: Mapping[str, str]) -> RecordingReady:
    """The notice in one call action's parameters `ID`, `TEL` and `DATE` (section 2.1), names in any case.

    The names are whatever the customer typed into the setting; these are the document's, and others are not looked
    at. TEL is kept as it came. DATE is Japan's time; one that cannot be read is kept and is no error. Raises
    WebhookUnreadableError for an ID that cannot be one; its text is a code for the answer: `id_missing`,
    `id_unusable`, `id_ambiguous`.
    """
    given = _values(params, "id")
    if len(given) > 1:
        raise WebhookUnreadableError(ID_AMBIGUOUS)
    recording_id = next(iter(given), "")
    if not recording_id:
        raise WebhookUnreadableError(ID_MISSING)
    if not is_recording_id(recording_id):
        raise WebhookUnreadableError(ID_UNUSABLE)
    date = _shown(_values(params, "date"), MAX_DATE_LENGTH)
    return RecordingReady(
        recording_id=recording_id,
        tel=_shown(_values(params, "tel"), MAX_TEL_LENGTH),
        date=date,
        called_at=parse_date(date),
    )


def parse_date(text: str) -> datetime | None:
    """DATE in UTC, or None where it is no time. Japan's where it names no zone, with a space, `+` or `T` before the
    time of day and hyphens or slashes in the date."""
    found = _DATE.fullmatch(text.strip())
    if not found:
        return None
    year, month, day, hour, minute = (int(each) for each in found.groups()[:5])
    zone = found[7]
    try:
        # The document's times name no zone; its example's unique id and file name agree on Japan's.
        local = datetime(year, month, day, hour, minute, int(found[6] or 0), tzinfo=_zone(zone) if zone else JAPAN)
    except ValueError:
        return None
    return local.astimezone(UTC)


def _zone(text: str) -> timezone:
    if text in "Zz":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _values(params: Mapping[str, str], name: str) -> list[str]:
    """The different values given under the name, without surrounding white space, in order."""
    return list(dict.fromkeys(value.strip() for key, value in params.items() if key.strip().lower() == name))


def _shown(values: list[str], limit: int) -> str:
    """The first value's printable characters, of bounded number; empty where there is none."""
    text = values[0][: 4 * limit] if values else ""
    return "".join(each for each in text if each.isprintable())[:limit]
