"""Parse BIZTEL's コールアクション. This module imports nothing that a webhook's cold start does not need."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from urllib.parse import unquote

from switchboard.domain.errors import WebhookUnreadableError
from switchboard.domain.recording.facts import RecordingReady, is_recording_id
from switchboard.domain.timestamps import JAPAN
from switchboard.ports.callbacks import CallbackParams

ID_MISSING: Final = "id_missing"
ID_UNUSABLE: Final = "id_unusable"
MAX_TEL_LENGTH: Final = 128
MAX_DATE_LENGTH: Final = 64

_ZONE: Final = r"(?:0[0-9]|1[0-4]):?[0-5][0-9]"
_DATE: Final = re.compile(
    # 20210616200333, 20210616T2003
    r"(?P<year>20[0-9]{2})(?:(?P<compact>[0-9]{4}[ T]?[0-9]{4}(?:[0-9]{2})?)|"
    # 2021-06-16 20:03:33, 2021/6/16 20:03, 2021年6月16日(水)20時3分33秒
    r" ?[-/.年] ?(?P<month>[0-9]{1,2}) ?[-/.月] ?(?P<day>[0-9]{1,2})"
    r"(?: ?日)?(?: ?\([月火水木金土日]\))?[ T+]*(?<![0-9])"
    r"(?P<hour>[0-9]{1,2}) ?[:時] ?(?P<minute>[0-9]{1,2})(?: ?[:分] ?(?P<second>[0-9]{1,2}) ?秒?| ?分)?)(?:[.,][0-9]+)?"
    # The plus sign of a zone becomes a space in a form.
    rf"(?: *(?P<zone>Z|[-+]{_ZONE})| +(?P<spaced_zone>{_ZONE}))?",
    re.IGNORECASE,
)


def parse_call_action(params: CallbackParams) -> RecordingReady:
    """Parse a call action's parameters `ID`, `TEL` and `DATE` (section 2.1).

    The customer types the names into BIZTEL's setting. These are the document's names; other names are not read. Only
    the ID decides. TEL is kept unchanged. DATE is Japan's time; an unreadable DATE is kept and is no error.

    Raises:
        WebhookUnreadableError: the ID is unusable. The error's text is a code for the answer: `id_missing`,
            `id_unusable`, `id_unreadable` or `id_ambiguous`.
    """
    recording_id = params.find_only("id")
    if not recording_id:
        raise WebhookUnreadableError(ID_MISSING)
    if not is_recording_id(recording_id):
        raise WebhookUnreadableError(ID_UNUSABLE)
    date = _clean(params.find_first("date"), MAX_DATE_LENGTH)
    return RecordingReady(
        recording_id=recording_id,
        tel=_clean(params.find_first("tel"), MAX_TEL_LENGTH),
        date=date,
        called_at=parse_date(date),
    )


def parse_date(text: str) -> datetime | None:
    """Parse DATE into UTC, or return None if it is not a time.

    It is Japan's time if it names no zone. Date and time may be digits alone, or be separated as in RFC 3339, with
    slashes or with 年月日時分秒, in any width. 24:00 is the next day's 00:00. Seconds since 1970 are not read.
    BIZTEL escapes a value when it expands it, and in JSON or a form of its own that escaping is still there.
    """
    match = _DATE.fullmatch(" ".join(unicodedata.normalize("NFKC", unquote(text)).split()))
    if not match:
        return None
    zone = match["zone"] or (f"+{match['spaced_zone']}" if match["spaced_zone"] else "")
    numbers = (
        _split_compact(match["compact"])
        if match["compact"]
        else match.group("month", "day", "hour", "minute", "second")
    )
    month, day, hour, minute, second = (int(number or 0) for number in numbers)
    is_midnight_after = (hour, minute, second) == (24, 0, 0)
    try:
        # The document's times name no zone; its example's unique id and file name agree on Japan's.
        local = datetime(
            int(match["year"]),
            month,
            day,
            0 if is_midnight_after else hour,
            minute,
            second,
            tzinfo=_parse_zone(zone) if zone else JAPAN,
        )
    except ValueError:
        return None
    return (local + timedelta(days=is_midnight_after)).astimezone(UTC)


def _split_compact(text: str) -> tuple[str, ...]:
    digits = re.sub("[^0-9]", "", text)
    return digits[:2], digits[2:4], digits[4:6], digits[6:8], digits[8:]


def _parse_zone(text: str) -> timezone:
    if text in "Zz":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _clean(text: str, limit: int) -> str:
    """Return at most `limit` printable characters. Any white space counts as a space."""
    spaced = (" " if character.isspace() else character for character in text[: 4 * limit])
    return "".join(character for character in spaced if character.isprintable())[:limit]
