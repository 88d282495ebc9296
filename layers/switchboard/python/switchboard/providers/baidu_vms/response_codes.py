"""The error tables of the Baidu VMS document: what each code, and each message under a shared code, means to us."""

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
"""Refused for its signature's age, and by that not accepted: it is signed anew."""


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One row. `message` is None where the code has one meaning only (or its message holds a variable part)."""

    code: str
    message: str | None
    http_status: int
    kind: type[ProviderError]


ERROR_ROWS: Final = (
    # 实名认证
    ErrorRow("QualifyNotPass", None, 403, QuotaExceededError),
    # 公共错误码
    # The key is good and lacks a right, which other credentials would not mend: hence no part of the lock-out.
    ErrorRow("AccessDenied", None, 403, QuotaExceededError),
    ErrorRow("InappropriateJSON", None, 400, RefusedError),
    # "All other errors that are not defined": it says nothing about what had been done by then.
    ErrorRow("InternalError", None, 500, OutcomeUnknownError),
    ErrorRow("InvalidAccessKeyId", None, 403, AuthenticationFailedError),
    ErrorRow("InvalidHTTPAuthHeader", None, 400, AuthenticationFailedError),
    ErrorRow("InvalidHTTPRequest", None, 400, RefusedError),
    ErrorRow("InvalidURI", None, 400, RefusedError),
    ErrorRow("MalformedJSON", None, 400, RefusedError),
    ErrorRow("InvalidVersion", None, 404, RefusedError),
    ErrorRow("OptInRequired", None, 403, QuotaExceededError),
    ErrorRow("PreconditionFailed", None, 412, RefusedError),
    # A matter of clocks: neither the caller's request nor the credentials are wrong.
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
"""Sections 实名认证, 公共错误码 and VMS错误码, in their order. QuotaExceededError stands for all that is wrong with the
account or its contract: none of it is mended by sending again, and none of it counts towards a lock-out."""

REFUSING_STATUSES: Final = frozenset({400, 403, 404, 412})
"""The HTTP statuses with which the document refuses a request for good. 429 is left out: only QueueFull is named."""


def row_for(code: str, message: str, http_status: int) -> ErrorRow | None:
    """The row that an answer stands for, or None.

    Its HTTP status has to be of the row's class (4xx or 5xx): a contradiction is no row of the document. The message
    decides where a code has several meanings, whatever its letter case, spacing and full stop; one that none of them
    has is a RefusedError like most of them.
    """
    rows = _ROWS_BY_CODE.get(code, ())
    if not rows or http_status // 100 != rows[0].http_status // 100:
        return None
    if len(rows) == 1:
        return rows[0]
    said = _plain(message)
    other = ErrorRow(code, None, http_status, RefusedError)
    return next((row for row in rows if _plain(row.message or "") == said), other)


def _plain(message: str) -> str:
    return " ".join(message.split()).rstrip(". ").casefold()


def _by_code() -> Mapping[str, tuple[ErrorRow, ...]]:
    codes = dict.fromkeys(row.code for row in ERROR_ROWS)
    return MappingProxyType({code: tuple(row for row in ERROR_ROWS if row.code == code) for code in codes})


_ROWS_BY_CODE: Final = _by_code()
