"""Read the names of recordings' files from a Content-Disposition header, and parse them by the naming rule."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Final
from urllib.parse import unquote_to_bytes

from switchboard.domain.errors import UnreadableFileNameError
from switchboard.domain.recording.facts import Channel, RecordingFileName, Side, is_recording_id
from switchboard.domain.timestamps import JAPAN

MAX_FILE_NAME_LENGTH: Final = 255

_MAX_HEADER_LENGTH: Final = 4096
_FOLD: Final = re.compile(r"\r?\n(?=[ \t])")
_PARAMETER: Final = re.compile(
    r"""(?:^|[;\s])\s*
    (?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*
    (?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^;]*))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED: Final = re.compile(r'\\(["\\])')
_EXTENDED: Final = re.compile(r"(?P<charset>[^']*)'[^']*'(?P<value>(?:[^%]|%[0-9A-Fa-f]{2})*)", re.DOTALL)
_EXTENDED_CHARSETS: Final = frozenset({"utf-8", "iso-8859-1", "shift_jis", "cp932", "windows-31j"})
_RULE: Final = re.compile(
    r"(?P<time>[0-9]{14})-(?P<middle>.*)-(?P<side>SRC|DST)_(?P<channel>[lr])\.mp3", re.IGNORECASE | re.DOTALL
)
_OTHER_EXTENSION: Final = re.compile(r"\.(?:mp[12]|wav|aac|ogg)$", re.IGNORECASE)
"""The extension of a recording that came in another format than MP3."""
_PARAMETERS: Final = ("filename*", "filename", "name")
"""The parameters that name the file, the best first."""

_AROUND_NAMES: Final = " \t\"'"
_CHANNELS: Final = {"l": Channel.LEFT, "r": Channel.RIGHT}


def find_file_name(content_disposition: str, *, default: str) -> str:
    """Return the name that a Content-Disposition header proposes (RFC 6266), made safe to keep, or `default`.

    `filename*` (RFC 8187) goes before `filename`, and that before `name`. The name may be a token, also with spaces, a
    quoted string with escapes, in single quotes, or hold encoded words (RFC 2047). The header's type may be missing. A
    part of the header that follows the naming rule is a name without any parameter, too. Raw UTF-8 or Shift_JIS, which
    HTTP libraries decode as Latin-1, is repaired. Folders and control characters are dropped.
    """
    header = _FOLD.sub("", _repair_charset(content_disposition[:_MAX_HEADER_LENGTH]))
    names = dict.fromkeys(_PARAMETERS, "")
    for match in _PARAMETER.finditer(header):
        name = match["name"].lower()
        if names.get(name) == "":
            names[name] = _make_safe(_read_value(name, quoted=match["quoted"], token=match["token"]))
    return next(filter(None, names.values()), "") or _find_name_by_the_rule(header) or default


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


def _find_name_by_the_rule(header: str) -> str:
    """Return the first part of a header, or of one of its parameters, that is a name by the naming rule, or nothing."""
    parts = (part.strip(_AROUND_NAMES) for part in re.split("[;=]", header))
    return next((name for name in map(_make_safe, parts) if find_side(name) is not None), "")


def _parse_started_at(digits: str) -> datetime:
    try:
        local = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=JAPAN)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _build_error("begins with an impossible time", "time") from None


def _build_error(problem: str, reason: str) -> UnreadableFileNameError:
    return UnreadableFileNameError(f"a recording file's name {problem}", reason=reason)


def _read_value(name: str, *, quoted: str | None, token: str | None) -> str:
    if quoted is not None:
        value = _ESCAPED.sub(r"\1", quoted)
    else:
        value = (token or "").strip().strip('"')
        if len(value) > 1 and value[0] == value[-1] == "'":
            value = value[1:-1]
    if name.endswith("*"):
        return _decode_extended(value)
    return _decode_words(value) if "=?" in value else value


def _decode_extended(value: str) -> str:
    """Decode an RFC 8187 value, or return an empty text if it is none."""
    match = _EXTENDED.fullmatch(value)
    if not match or match["charset"].lower() not in _EXTENDED_CHARSETS:
        return ""
    try:
        return unquote_to_bytes(match["value"]).decode(match["charset"])
    except UnicodeDecodeError:
        return ""


def _decode_words(value: str) -> str:
    """Decode the encoded words of RFC 2047 in a value, or return it unchanged."""
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):
        return value


def _repair_charset(header: str) -> str:
    """Decode again what was decoded as Latin-1: from UTF-8, or else from Shift_JIS, or else not at all."""
    for charset in () if header.isascii() else ("utf-8", "cp932"):
        try:
            return header.encode("latin-1").decode(charset)
        except UnicodeError:
            continue
    return header


def _make_safe(name: str) -> str:
    """Return the last part of a path without control characters, of bounded length, or an empty text."""
    base = re.split(r"[/\\]", name)[-1]
    printable = "".join(character for character in base if _is_printable(character))
    safe = printable.strip()[:MAX_FILE_NAME_LENGTH].strip()
    return "" if safe in {".", ".."} else safe


def _is_printable(character: str) -> bool:
    return unicodedata.category(character)[0] != "C" and character not in "\u2028\u2029"
