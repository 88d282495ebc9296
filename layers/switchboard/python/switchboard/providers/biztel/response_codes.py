"""The tables of the BIZTEL document (ステレオ録音API, 録音ファイル取得API): the meaning of each error."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from switchboard.domain.errors import (
    AuthenticationFailedError,
    DownloadFailedError,
    ForbiddenError,
    ProviderError,
    ProviderNotFoundError,
    RateLimitedError,
    RefusedError,
)
from switchboard.domain.recording.facts import Channel

PROVIDER: Final = "biztel"

ERROR_TYPES: Final[Mapping[str, type[ProviderError]]] = MappingProxyType(
    {
        "UNAUTHENTICATED": AuthenticationFailedError,
        "FORBIDDEN": ForbiddenError,
        "NOT_FOUND": ProviderNotFoundError,
        "REQUEST_BURST_LIMIT_EXCEEDED": RateLimitedError,
        "VALIDATE_ERROR": RefusedError,
    }
)
"""Section 3.7, column `type`. The column `name` distinguishes less: too many requests and a missing licence are both an
AuthenticationException there."""

ERROR_STATUSES: Final[Mapping[int, type[ProviderError]]] = MappingProxyType(
    {
        401: AuthenticationFailedError,
        403: ForbiddenError,
        404: ProviderNotFoundError,
        429: RateLimitedError,
        500: DownloadFailedError,
    }
)
"""Section 3.4. It decides if an answer's body names no type of 3.7; VALIDATE_ERROR has no status there."""

CONTENT_TYPES: Final[Mapping[Channel, str]] = MappingProxyType(
    {Channel.MONAURAL: "monaural", Channel.LEFT: "left", Channel.RIGHT: "right"}
)
"""Section 3.3: left is the other party, right the operator."""
