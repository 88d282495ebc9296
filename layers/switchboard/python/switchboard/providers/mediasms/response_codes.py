"""The tables of the MediaSMS document (認証用 API): the meaning of each response code and each delivery status."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
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
"""Section レスポンス一覧 without the success: each code says that nothing was accepted. The section's その他 row names
no code, so that a code that is missing here is unexplained. The provider's other APIs use the same numbers
differently: never merge them."""

_STATUS_ROWS: Final = (
    DeliveryStatus("1", "送信済", DeliveryMeaning.DELIVERED),
    DeliveryStatus("0", "失敗", DeliveryMeaning.FAILED),
    DeliveryStatus("2", "送信中", DeliveryMeaning.IN_PROGRESS),
    DeliveryStatus("6", "未処理", DeliveryMeaning.IN_PROGRESS),
    DeliveryStatus("30", "送信前", DeliveryMeaning.IN_PROGRESS),
    DeliveryStatus("33", "無効", DeliveryMeaning.FAILED),
    DeliveryStatus("14", "処理中", DeliveryMeaning.IN_PROGRESS),
    DeliveryStatus("18", "ドコモ圏外・OFF", DeliveryMeaning.UNDELIVERED),
    DeliveryStatus("19", "ドコモ自NW障害", DeliveryMeaning.UNDELIVERED),
    # It covers another carrier's phone, a refusal and a handset's failure: waiting does not help.
    DeliveryStatus("20", "ドコモ他NW障害", DeliveryMeaning.FAILED),
    DeliveryStatus("10", "au圏外・OFF", DeliveryMeaning.UNDELIVERED),
    DeliveryStatus("11", "au自NW障害", DeliveryMeaning.UNDELIVERED),
)

DELIVERY_STATUSES: Final = StatusTable(MappingProxyType({status.code: status for status in _STATUS_ROWS}))
"""Section 送達結果一覧. Only 送信済 is final for the provider, which retries the rest by itself. The rows without a
`+` (2, 6, 30 and 33) are never reported, so that only a time-out ends them."""

MAX_STATUS_LENGTH: Final = 64
"""The maximum length of a status: longer than any name in the table."""


_NUMBER: Final = re.compile(r"\+?0*([0-9]+?)(?:\.0*)?(?:e[+-]?0+)?")


def plain_number(text: str) -> str | None:
    """Return the digits of a whole number, however a JSON library writes it: `01`, `1.0`, `1e0`, in any width.

    Return None for any other text.
    """
    match = _NUMBER.fullmatch(unicodedata.normalize("NFKC", text[:MAX_STATUS_LENGTH]).strip().casefold())
    return match[1] if match else None


def status_code_of(text: str) -> str:
    """Return the table's code for a status written as its number, as its Japanese name, or as both together.

    The document lists both forms and does not say which is sent. Full or half width, letter case, punctuation and any
    spacing of a name make no difference, nor do zeros before a number or after its point. A status that no row has is
    returned with its white space collapsed, cut to MAX_STATUS_LENGTH.
    """
    raw = " ".join(text[: 4 * MAX_STATUS_LENGTH].split())[:MAX_STATUS_LENGTH].rstrip()
    number = plain_number(raw)
    return _CODES_BY_SPELLING.get(number or _normalise(raw), raw)


def _normalise(text: str) -> str:
    """Return one spelling for all the ways to write a status' name, or an empty text if it has no letters.

    NFKC also widens half-width kana and narrows letters. Digits alone are no name: two numbers are not one.
    """
    composed = "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text))).casefold()
    return "" if composed.isdecimal() else composed


_CODES_BY_SPELLING: Final = {
    spelling: status.code
    for status in _STATUS_ROWS
    for spelling in (status.code, *map(_normalise, (status.name, status.code + status.name, status.name + status.code)))
}
