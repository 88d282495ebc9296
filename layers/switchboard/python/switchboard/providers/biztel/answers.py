"""Read BIZTEL's error in answer to a request for a recording."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from switchboard.domain.errors import DownloadFailedError, ProviderError, RateLimitedError
from switchboard.providers.biztel.response_codes import ERROR_STATUSES, ERROR_TYPES, PROVIDER

MAX_ERROR_BYTES: Final = 8192
"""The most bytes that are read of an error's body; the document's example has about 250."""

LEAST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 3600.0
_MAX_TYPE_LENGTH: Final = 64


def build_error(status: int, headers: Mapping[str, str], body: bytes, *, operation: str) -> ProviderError:
    """Build the error that an answer other than 200 stands for. `headers` have lower-case names.

    The body's `type` decides (section 3.7), else the HTTP status (3.4). An answer in neither table is a
    DownloadFailedError: it may be a gateway's, and reading again does no harm.
    """
    code = _find_type(body)
    kind = ERROR_TYPES.get(code or "") or ERROR_STATUSES.get(status, DownloadFailedError)
    message = f"{PROVIDER} gave no recording ({code if code in ERROR_TYPES else f'HTTP {status}'})"
    if kind is RateLimitedError:
        return RateLimitedError(
            message,
            provider=PROVIDER,
            operation=operation,
            http_status=status,
            provider_code=code,
            retry_after_s=_parse_pause_s(headers),
        )
    return kind(message, provider=PROVIDER, operation=operation, http_status=status, provider_code=code)


def _find_type(body: bytes) -> str | None:
    """Return the `type` of a JSON error body, or None if it has no usable one."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    value = parsed.get("type") if isinstance(parsed, dict) else None
    if not isinstance(value, str):
        return None
    code = value.strip()
    usable = 0 < len(code) <= _MAX_TYPE_LENGTH and code.isascii() and code.replace("_", "").isalnum()
    return code if usable else None


def _parse_pause_s(headers: Mapping[str, str]) -> float:
    """Parse Retry-After, a number or a time, into seconds: at least one second, at most an hour.

    A time is compared with the answer's own Date, so that our clock does not matter.
    """
    retry_after = headers.get("retry-after", "").strip()
    if retry_after.isascii() and retry_after.isdigit():
        pause_s = float(retry_after[:9])
    else:
        try:
            pause = parsedate_to_datetime(retry_after) - parsedate_to_datetime(headers.get("date", ""))
        except (ValueError, TypeError):  # TypeError: only one of them has a zone
            pause = timedelta()
        pause_s = pause.total_seconds()
    return min(max(pause_s, LEAST_PAUSE_S), _LONGEST_PAUSE_S)
