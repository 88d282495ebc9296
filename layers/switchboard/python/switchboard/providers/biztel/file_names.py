"""The names of recordings' files: as a Content-Disposition header gives them, and what the naming rule says by them."""

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
_CHANNELS: Final = {"l": Channel.LEFT, "r": Channel.RIGHT}


def file_name_in(content_disposition: str, *, default: str) -> str:
    """The name that a Content-Disposition header proposes (RFC 6266), made safe to keep, or `default`.

    Takes a token, a quoted string with escapes, and `filename*` (RFC 8187), which goes first. Raw UTF-8 in the
    header, which HTTP libraries show as Latin-1, is put right. Folders and control characters are dropped.
    """
    plain = extended = ""
    for found in _PARAMETER.finditer(content_disposition[:_MAX_HEADER_LENGTH]):
        name, quoted = found["name"].lower(), found["quoted"]
        if name == "filename*" and not extended:
            extended = _safe(_extended(quoted if quoted is not None else found["token"].strip()))
        elif name == "filename" and not plain:
            value = found["token"].strip().strip('"') if quoted is None else re.sub(r"(?s)\\(.)", r"\1", quoted)
            plain = _safe(_as_utf8(value))
    return extended or plain or default


def parse_file_name(name: str) -> RecordingFileName:
    """What the name of a split recording's file says (section 4: `yyyymmddhhmmss-FROM-TO-ID-(SRC|DST)_(l|r).mp3`).

    The time is Japan's. FROM and TO may be anything without a hyphen, also nothing; with a hyphen in one of them
    nobody can say where it ends and where the id begins. Folders before the name are ignored. Raises
    UnreadableFileNameError, whose `reason` is `form`, `time`, `ambiguous`, `id` or `unprintable`.
    """
    name = name.rpartition("/")[2]
    found = _RULE.fullmatch(name)
    if not found or len(name) > MAX_FILE_NAME_LENGTH:
        raise _unreadable("does not follow the naming rule", "form")
    if not name.isprintable():
        raise _unreadable("holds an unprintable character", "unprintable")
    parts = found["middle"].split("-")
    if len(parts) < 3:
        raise _unreadable("has fewer parts than the naming rule", "form")
    if len(parts) > 3:
        raise _unreadable("has a hyphen within one of its parts", "ambiguous")
    from_number, to_number, recording_id = parts
    if not is_recording_id(recording_id):
        raise _unreadable("holds what can be no id", "id")
    return RecordingFileName(
        started_at=_started_at(found["time"]),
        from_number=from_number,
        to_number=to_number,
        recording_id=recording_id,
        side=Side(found["side"].upper()),
        channel=_CHANNELS[found["channel"].lower()],
    )


def _started_at(digits: str) -> datetime:
    try:
        local = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=JAPAN)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _unreadable("begins with what is no time", "time") from None


def _unreadable(problem: str, reason: str) -> UnreadableFileNameError:
    return UnreadableFileNameError(f"a recording file's name {problem}", reason=reason)


def _extended(value: str) -> str:
    """The text of an RFC 8187 value; empty where it is none."""
    found = _EXTENDED.fullmatch(value)
    if not found or found["charset"].lower() not in _EXTENDED_CHARSETS:
        return ""
    try:
        return unquote_to_bytes(found["value"]).decode(found["charset"])
    except UnicodeDecodeError:
        return ""


def _as_utf8(value: str) -> str:
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _safe(name: str) -> str:
    """The last part of a path, without control characters, of bounded length; empty where nothing is left."""
    base = re.split(r"[/\\]", name)[-1]
    shown = "".join(each for each in base if unicodedata.category(each)[0] != "C" and each not in "\u2028\u2029")
    cut = shown.strip()[:MAX_FILE_NAME_LENGTH].strip()
    return "" if cut in {".", ".."} else cut
