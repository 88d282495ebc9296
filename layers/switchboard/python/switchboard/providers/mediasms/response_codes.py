"""The tables of the MediaSMS document (認証用 API): what each response code and each delivery status means to us."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    RefusedError,
)
from switchboard.domain.sms.delivery import DeliveryMeaning, DeliveryStatus, StatusTable

ACCEPTED_CODE: Final = "200"

REFUSALS: Final[Mapping[str, type[ProviderError]]] = MappingProxyType(
    {
        "401": AuthenticationFailedError,
        "402": QuotaExceededError,
        "414": RefusedError,
        "503": RateLimitedError,
        "550": RefusedError,
        "555": AddressBlockedError,
        "556": RefusedError,
        "557": AddressBlockedError,
        "560": RefusedError,
        "561": RefusedError,
        "567": RefusedError,
        "568": RefusedError,
        "615": RefusedError,
        "616": RefusedError,
        "617": RefusedError,
    }
)
"""Section レスポンス一覧, all but the success: each says that nothing was accepted. Its その他 row names no code: one
that is missing here is unexplained. The vendor's other APIs use the same numbers differently: never merge them."""


@dataclass(frozen=True, slots=True)
class _Row:
    code: str
    name: str
    meaning: DeliveryMeaning
    pushed: bool


_STATUS_ROWS: Final = (
    _Row("1", "送信済", DeliveryMeaning.DELIVERED, pushed=True),
    _Row("0", "失敗", DeliveryMeaning.FAILED, pushed=True),
    _Row("2", "送信中", DeliveryMeaning.IN_PROGRESS, pushed=False),
    _Row("6", "未処理", DeliveryMeaning.IN_PROGRESS, pushed=False),
    _Row("30", "送信前", DeliveryMeaning.IN_PROGRESS, pushed=False),
    _Row("33", "無効", DeliveryMeaning.FAILED, pushed=False),
    _Row("14", "処理中", DeliveryMeaning.IN_PROGRESS, pushed=True),
    _Row("18", "ドコモ圏外・OFF", DeliveryMeaning.UNDELIVERED, pushed=True),
    _Row("19", "ドコモ自NW障害", DeliveryMeaning.UNDELIVERED, pushed=True),
    # Covers another carrier's phone, a refusal and a handset's failure: waiting does not help.
    _Row("20", "ドコモ他NW障害", DeliveryMeaning.FAILED, pushed=True),
    _Row("10", "au圏外・OFF", DeliveryMeaning.UNDELIVERED, pushed=True),
    _Row("11", "au自NW障害", DeliveryMeaning.UNDELIVERED, pushed=True),
)

DELIVERY_STATUSES: Final = StatusTable(
    MappingProxyType({row.code: DeliveryStatus(row.code, row.name, row.meaning) for row in _STATUS_ROWS})
)
"""Section 送達結果一覧. Only 送信済 is final for the provider, which retries the rest by itself."""

PUSHED_STATUSES: Final = frozenset(row.code for row in _STATUS_ROWS if row.pushed)
"""The rows marked `+`. The others are never notified, so that their silence has to be waited out."""

MAX_STATUS_LENGTH: Final = 64
"""Longer than any name in the table; what is longer is no status."""


def status_code_of(text: str) -> str:
    """The table's code for a status given as its number or as its Japanese name, else the text itself.

    The document lists both forms and does not say which is sent. Full or half width, letter case, the kind of
    middle dot and any spacing make no difference. What no row has is given back with its white space collapsed,
    cut to MAX_STATUS_LENGTH.
    """
    raw = " ".join(text[: 4 * MAX_STATUS_LENGTH].split())[:MAX_STATUS_LENGTH].rstrip()
    return _CODES_BY_SPELLING.get(_plain(raw), raw)


def _plain(text: str) -> str:
    """One spelling for all the ways to write a status. NFKC also widens half-width kana, narrows letters."""
    composed = unicodedata.normalize("NFKC", text).translate(_MIDDLE_DOTS)
    return "".join(composed.split()).casefold()


_MIDDLE_DOTS: Final = str.maketrans(dict.fromkeys("\u00b7\u2022\u2027\u22c5", "・"))
_CODES_BY_SPELLING: Final = {_plain(spelling): row.code for row in _STATUS_ROWS for spelling in (row.code, row.name)}
