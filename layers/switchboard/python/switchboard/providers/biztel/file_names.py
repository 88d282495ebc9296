"""Read the names of recordings' files from a Content-Disposition header, and parse them by the naming rule."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote_to_bytes

from switchboard.domain.errors import UnreadableFileNameError
from switchboard.domain.recording.facts import Channel, RecordingFileName, Side, is_recording_id
from switchboard.domain.timestamps import JAPAN

MAX_FILE_NAME_LENGTH: Final = 255

_MAX_HEADER_LENGTH: Final = 4096
_PARAMETER: Final = re.compile(
    r""";\s*
    (?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*
    (?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^;]*))""",
    re.VERBOSE | re.DOTALL,
)
_EXTENDED: Final = re.compile(r"(?P<charset>[^']*)'[^']*'(?P<value>(?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*)")
_EXTENDED_CHARSETS: Final = frozenset({"utf-8", "iso-8859-1"})
_RULE: Final = re.compile(
    r"(?P<time>[0-9]{14})-(?P<middle>.*)-(?P<side>SRC|DST)_(?P<channel>[lr])\.mp3", re.IGNORECASE | re.DOTALL
)
_OTHER_EXTENSION: Final = re.compile(r"\.(?:mp[12]|wav|aac|ogg)$", re.IGNORECASE)
"""The extension of a recording that came in another format than MP3."""
_CHANNELS: Final = {"l": Channel.LEFT, "r": Channel.RIGHT}


def find_file_name(content_disposition: str, *, default: str) -> str:
    """Return the name that a Content-Disposition header proposes (RFC 6266), made safe to keep, or `default`.

    The name may be a token, a quoted string with escapes, or `filename*` (RFC 8187), which goes first. Raw UTF-8 in the
    header, which HTTP libraries decode as Latin-1, is repaired. Folders and control characters are dropped.
    """
    plain = extended = ""
    for match in _PARAMETER.finditer(content_disposition[:_MAX_HEADER_LENGTH]):
        name, quoted = match["name"].lower(), match["quoted"]
        if name == "filename*" and not extended:
            extended = _make_safe(_decode_extended(quoted if quoted is not None else match["token"].strip()))
        elif name == "filename" and not plain:
            value = match["token"].strip().strip('"') if quoted is None else re.sub(r"(?s)\\(.)", r"\1", quoted)
            plain = _make_safe(_repair_utf8(value))
    return extended or plain or default


def parse_file_name(name: str) -> RecordingFileName:
    """Parse the name of a split recording's file (section 4: `yyyymmddhhmmss-FROM-TO-ID-(SRC|DST)_(l|r).mp3`).

    The time is Japan's. FROM and TO may be anything without a hyphen, also nothing. A hyphen in one of them makes the
    name ambiguous: its end and the beginning of the id are unknown. Folders before the name are ignored.

    Raises:
        UnreadableFileNameError: with the `reason` `form`, `time`, `ambiguous`, `id` or `unprintable`.
    """
    name = name.rpartition("/")[2]
    match = _RULE.fullmatch(name)
    if not match or len(name) > MAX_FILE_NAME_LENGTH:
        raise _build_error("does not follow the naming rule", "form")
    if not name.isprintable():
        raise _build_error("holds an unprintable character", "unprintable")
    parts = match["middle"].split("-")
    if len(parts) < 3:
        raise _build_error("has fewer parts than the naming rule", "form")
    if len(parts) > 3:
        raise _build_error("has a hyphen within one of its parts", "ambiguous")
    from_number, to_number, recording_id = parts
    if not is_recording_id(recording_id):
        raise _build_error("holds an impossible id", "id")
    return RecordingFileName(
        started_at=_parse_started_at(match["time"]),
        from_number=from_number,
        to_number=to_number,
        recording_id=recording_id,
        side=Side(match["side"].upper()),
        channel=_CHANNELS[match["channel"].lower()],
    )


def find_side(name: str) -> Side | None:
    """Return the side that a recording's name gives, None if the name does not follow the naming rule."""
    try:
        return parse_file_name(_OTHER_EXTENSION.sub(".mp3", name)).side
    except UnreadableFileNameError:
        return None


def _parse_started_at(digits: str) -> datetime:
    try:
        local = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=JAPAN)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _build_error("begins with an impossible time", "time") from None


def _build_error(problem: str, reason: str) -> UnreadableFileNameError:
    return UnreadableFileNameError(f"a recording file's name {problem}", reason=reason)


def _decode_extended(value: str) -> str:
    """Decode an RFC 8187 value, or return an empty text if it is none."""
    match = _EXTENDED.fullmatch(value)
    if not match or match["charset"].lower() not in _EXTENDED_CHARSETS:
        return ""
    try:
        return unquote_to_bytes(match["value"]).decode(match["charset"])
    except UnicodeDecodeError:
        return ""


def _repair_utf8(value: str) -> str:
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _make_safe(name: str) -> str:
    """Return the last part of a path without control characters, of bounded length, or an empty text."""
    base = re.split(r"[/\\]", name)[-1]
    printable = "".join(character for character in base if _is_printable(character))
    safe = printable.strip()[:MAX_FILE_NAME_LENGTH].strip()
    return "" if safe in {".", ".."} else safe


def _is_printable(character: str) -> bool:
    return unicodedata.category(character)[0] != "C" and character not in "\u2028\u2029"
