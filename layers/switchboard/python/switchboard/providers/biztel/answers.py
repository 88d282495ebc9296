"""Reads BIZTEL's answer to a request for a recording: why there is none, or whether it is one at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from switchboard.domain.errors import DownloadFailedError, NotAudioError, ProviderError, RateLimitedError
from switchboard.providers.biztel.response_codes import ERROR_STATUSES, ERROR_TYPES, PROVIDER

MAX_ERROR_BYTES: Final = 8192
"""Of an error's body no more is read; the document's example has about 250 bytes."""

LEAST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 3600.0
_MAX_TYPE_LENGTH: Final = 64
_AUDIO: Final = "audio/mpeg"


def error_for(status: int, headers: Mapping[str, str], body: bytes, *, operation: str) -> ProviderError:
    """The error that an answer other than 200 stands for; `headers` have lower-case names.

    The body's `type` decides (section 3.7), else the HTTP status (3.4). What is in neither table is a
    DownloadFailedError: it may be a gateway's, and reading again does no harm.
    """
    code = _type_in(body)
    kind = ERROR_TYPES.get(code or "") or ERROR_STATUSES.get(status, DownloadFailedError)
    message = f"{PROVIDER} gave no recording ({code if code in ERROR_TYPES else f'HTTP {status}'})"
    if kind is RateLimitedError:
        return RateLimitedError(
            message,
            provider=PROVIDER,
            operation=operation,
            http_status=status,
            provider_code=code,
            retry_after_s=_pause_s(headers),
        )
    return kind(message, provider=PROVIDER, operation=operation, http_status=status, provider_code=code)


def not_audio(problem: str, *, operation: str, body: bytes) -> NotAudioError:
    """An answer with HTTP 200 that holds no recording, and why not. The `type` that its body may name is told, and
    decides nothing: an error does not come with 200 in the document."""
    return NotAudioError(
        f"{PROVIDER} answered with something that is no recording ({problem})",
        provider=PROVIDER,
        operation=operation,
        http_status=200,
        provider_code=_type_in(body[:MAX_ERROR_BYTES]),
    )


def audio_type(content_type: str) -> str | None:
    """The media type to keep for a body that begins like an MP3, or None where its Content-Type says that it is a
    page or a document. The document names no type: a missing or a general one is taken for audio/mpeg."""
    essence = content_type.partition(";")[0].strip().lower()
    kind, _, detail = essence.partition("/")
    if kind in {"text", "image", "video", "multipart", "message", "font", "model"}:
        return None
    if detail.rpartition("+")[2] in {"json", "xml"} or "html" in detail:
        return None
    return essence if kind == "audio" and essence.isascii() and 6 < len(essence) <= 64 else _AUDIO


def _type_in(body: bytes) -> str | None:
    """The `type` of a JSON error body where it has one that can be a type, or None."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = parsed.get("type") if isinstance(parsed, dict) else None
    if not isinstance(found, str):
        return None
    found = found.strip()
    usable = 0 < len(found) <= _MAX_TYPE_LENGTH and found.isascii() and found.replace("_", "").isalnum()
    return found if usable else None


def _pause_s(headers: Mapping[str, str]) -> float:
    """Retry-After in seconds, as a number or as a time; at least one second, at most an hour. A time is compared
    with the answer's own Date, so that our clock does not matter."""
    given = headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        pause_s = float(given[:9])
    else:
        try:
            pause = parsedate_to_datetime(given) - parsedate_to_datetime(headers.get("date", ""))
        except (ValueError, TypeError):  # the latter where only one of them has a zone
            pause = timedelta()
        pause_s = pause.total_seconds()
    return min(max(pause_s, LEAST_PAUSE_S), _LONGEST_PAUSE_S)
