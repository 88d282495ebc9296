"""Holds the document's tables: the kinds of recording (3.3), and every error with its body (3.4, 3.6, 3.7)."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Channel(StrEnum):
    """A kind of recording (録音ファイルの種別), as in `content_type`."""

    MONAURAL = "monaural"
    LEFT = "left"
    """The other party."""
    RIGHT = "right"
    """The operator."""


REASONS: Final[dict[int, str]] = {
    200: "Successful Operation",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
}
"""The statuses of 3.4 and 422: the document does not give the status of VALIDATE_ERROR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One row of 3.7."""

    status: int
    name: str
    type: str
    message: str

    def body(self, *, field: str | None, exception_id: str | None) -> bytes:
        """Return the JSON of 3.6.

        With an `exception_id` the members that may be null are filled, otherwise they are null.
        """
        messages = {field or "request": [self.message]} if exception_id is not None else None
        answer = {
            "name": self.name,
            "type": self.type,
            "exception_id": exception_id,
            "message": self.message,
            "messages": messages,
            "reason": self.message,
        }
        return json.dumps(answer, ensure_ascii=False).encode()


_UNAUTHORIZED: Final = "This action is unauthorized."

NOT_FOUND: Final = Refusal(status=404, name="EntityNotFoundException", type="NOT_FOUND", message="対象が存在しません")
NO_API_LICENCE: Final = Refusal(status=403, name="AuthenticationException", type="FORBIDDEN", message=_UNAUTHORIZED)
NO_RECORDING_LICENCE: Final = NO_API_LICENCE
BURST: Final = Refusal(
    status=429,
    name="AuthenticationException",
    type="REQUEST_BURST_LIMIT_EXCEEDED",
    message="exceptions.AccessLimitException.",
)
NO_TOKEN: Final = Refusal(
    status=401,
    name="AuthenticationException",
    type="UNAUTHENTICATED",
    message="Unauthenticated: method=personal_token, cause=invalid request",
)
WRONG_TOKEN: Final = Refusal(
    status=401,
    name="AuthenticationException",
    type="UNAUTHENTICATED",
    message="Unauthenticated: method=personal_token, cause=invalid token.",
)
WRONG_CHANNEL: Final = Refusal(
    status=422,
    name="ValidateException",
    type="VALIDATE_ERROR",
    message="選択されたmonitor log monitor typeは正しくありません",
)
NO_SPLIT_LICENCE: Final = Refusal(status=403, name="AuthorizationException", type="FORBIDDEN", message=_UNAUTHORIZED)
API_DISABLED: Final = NO_SPLIT_LICENCE
NO_RIGHT: Final = NO_SPLIT_LICENCE
"""The refusal of a recording to which the account has no right.

3.4 has its status and 3.7 no row: it is taken as the other 403s of its kind.
"""

# Not in 3.7: the document mentions the month's limit and the status of a broken system, and shows neither's body.
MONTH_USED_UP: Final = Refusal(
    status=429,
    name="AuthenticationException",
    type="REQUEST_LIMIT_EXCEEDED",
    message="exceptions.AccessLimitException.",
)
BROKEN: Final = Refusal(
    status=500, name="ServerErrorException", type="INTERNAL_SERVER_ERROR", message="Internal Server Error"
)
