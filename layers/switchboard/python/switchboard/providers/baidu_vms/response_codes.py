"""The error tables of the Baidu VMS document: the meaning of each code, and of each message under a shared code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from switchboard.domain.errors import (
    AuthenticationFailedError,
    OutcomeUnknownError,
    ProviderBusyError,
    ProviderError,
    QuotaExceededError,
    RefusedError,
)

EXPIRED_CODE: Final = "RequestExpired"
"""The request was refused for its signature's age, and so not accepted: the client signs it once more."""


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One row. `message` is None if the code has only one meaning, or its message holds a variable part."""

    code: str
    message: str | None
    http_status: int
    kind: type[ProviderError]


ERROR_ROWS: Final = (
    # 实名认证
    ErrorRow("QualifyNotPass", None, 403, QuotaExceededError),
    # 公共错误码
    # The key is good and lacks a right, which other credentials would not mend. So it does not count for the lock-out.
    ErrorRow("AccessDenied", None, 403, QuotaExceededError),
    ErrorRow("InappropriateJSON", None, 400, RefusedError),
    # The document calls it "all other errors that are not defined". The call may have been placed before the error.
    ErrorRow("InternalError", None, 500, OutcomeUnknownError),
    ErrorRow("InvalidAccessKeyId", None, 403, AuthenticationFailedError),
    ErrorRow("InvalidHTTPAuthHeader", None, 400, AuthenticationFailedError),
    ErrorRow("InvalidHTTPRequest", None, 400, RefusedError),
    ErrorRow("InvalidURI", None, 400, RefusedError),
    ErrorRow("MalformedJSON", None, 400, RefusedError),
    ErrorRow("InvalidVersion", None, 404, RefusedError),
    ErrorRow("OptInRequired", None, 403, QuotaExceededError),
    ErrorRow("PreconditionFailed", None, 412, RefusedError),
    # The clocks differ: neither the caller's request nor the credentials are wrong.
    ErrorRow(EXPIRED_CODE, None, 400, ProviderError),
    ErrorRow("IdempotentParameterMismatch", None, 403, RefusedError),
    ErrorRow("SignatureDoesNotMatch", None, 400, AuthenticationFailedError),
    # VMS错误码
    ErrorRow("NotImplemented", None, 501, RefusedError),
    ErrorRow("VerifyFailed", "Company verify failed. Please check your user type.", 403, QuotaExceededError),
    ErrorRow("VerifyFailed", "Whitelist verify failed.", 403, QuotaExceededError),
    ErrorRow("VerifyFailed", "Template has not been verified.", 403, RefusedError),
    ErrorRow("VerifyFailed", "Content is illegal.", 403, RefusedError),
    ErrorRow("RequestFailed", "Sql injection was detected.", 400, RefusedError),
    ErrorRow("RequestFailed", "Request failed. Template does not exist or invalid.", 400, RefusedError),
    ErrorRow("RequestFailed", "Request failed. Please check your request parameters.", 400, RefusedError),
    ErrorRow("RequestFailed", "Request failed. Please check input template parameters.", 400, RefusedError),
    # The callback address is the account's setting, not part of a request.
    ErrorRow("RequestFailed", "Request failed. Please check your callback url.", 400, QuotaExceededError),
    ErrorRow("ExceedLimit", None, 403, QuotaExceededError),
    ErrorRow("QueueFull", None, 429, ProviderBusyError),
    ErrorRow("IllegalNumber", None, 400, RefusedError),
)
"""Sections 实名认证, 公共错误码 and VMS错误码, in their order. QuotaExceededError stands for every problem of the
account or its contract: sending again mends none of them, and none counts towards a lock-out."""

REFUSING_STATUSES: Final = frozenset({400, 403, 404, 412})
"""The HTTP statuses with which the document refuses a request for good. 429 is left out: only QueueFull has it."""


def find_row(code: str, message: str, http_status: int) -> ErrorRow | None:
    """Find the row that an answer stands for, or return None.

    The HTTP status has to be of the row's class (4xx or 5xx): a contradiction is in no row. The message
    decides if a code has several meanings, whatever its letter case, spacing and full stop. A message that no row has
    is a RefusedError, like most of them.
    """
    rows = _ROWS_BY_CODE.get(code, ())
    if not rows or http_status // 100 != rows[0].http_status // 100:
        return None
    if len(rows) == 1:
        return rows[0]
    normal = _normalise(message)
    unlisted = ErrorRow(code, None, http_status, RefusedError)
    return next((row for row in rows if _normalise(row.message or "") == normal), unlisted)


def _normalise(message: str) -> str:
    return " ".join(message.split()).rstrip(". ").casefold()


def _group_by_code() -> Mapping[str, tuple[ErrorRow, ...]]:
    codes = dict.fromkeys(row.code for row in ERROR_ROWS)
    return MappingProxyType({code: tuple(row for row in ERROR_ROWS if row.code == code) for code in codes})


_ROWS_BY_CODE: Final = _group_by_code()
