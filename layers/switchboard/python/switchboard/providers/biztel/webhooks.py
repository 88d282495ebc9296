"""Parse BIZTEL's コールアクション. This module imports nothing that a webhook's cold start does not need."""

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
    """Parse a call action's parameters `ID`, `TEL` and `DATE` (section 2.1), with names in any case.

    The customer types the names into BIZTEL's setting. These are the document's names; other names are not read. TEL is
    kept unchanged. DATE is Japan's time; an unreadable DATE is kept and is no error.

    Raises:
        WebhookUnreadableError: the ID is unusable. The error's text is a code for the answer: `id_missing`,
            `id_unusable` or `id_ambiguous`.
    """
    ids = _find_values(params, "id")
    if len(ids) > 1:
        raise WebhookUnreadableError(ID_AMBIGUOUS)
    recording_id = next(iter(ids), "")
    if not recording_id:
        raise WebhookUnreadableError(ID_MISSING)
    if not is_recording_id(recording_id):
        raise WebhookUnreadableError(ID_UNUSABLE)
    date = _clean(_find_values(params, "date"), MAX_DATE_LENGTH)
    return RecordingReady(
        recording_id=recording_id,
        tel=_clean(_find_values(params, "tel"), MAX_TEL_LENGTH),
        date=date,
        called_at=parse_date(date),
    )


def parse_date(text: str) -> datetime | None:
    """Parse DATE into UTC, or return None if it is not a time.

    It is Japan's time if it names no zone. A space, `+` or `T` may stand before the time of day, and hyphens or slashes
    in the date.
    """
    match = _DATE.fullmatch(text.strip())
    if not match:
        return None
    year, month, day, hour, minute = (int(digits) for digits in match.groups()[:5])
    zone = match[7]
    try:
        # The document's times name no zone; its example's unique id and file name agree on Japan's.
        local = datetime(
            year, month, day, hour, minute, int(match[6] or 0), tzinfo=_parse_zone(zone) if zone else JAPAN
        )
    except ValueError:
        return None
    return local.astimezone(UTC)


def _parse_zone(text: str) -> timezone:
    if text in "Zz":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _find_values(params: Mapping[str, str], name: str) -> list[str]:
    """Return the different values of this name, without surrounding white space, in their order."""
    return list(dict.fromkeys(value.strip() for key, value in params.items() if key.strip().lower() == name))


def _clean(values: list[str], limit: int) -> str:
    """Return at most `limit` printable characters of the first value, or an empty text if there is none."""
    text = values[0][: 4 * limit] if values else ""
    return "".join(character for character in text if character.isprintable())[:limit]
