"""MediaSMS' tables agree with the document's, row by row and in both directions."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    OutcomeUnknownError,
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    RefusedError,
    UnexpectedAnswerError,
)
from switchboard.domain.sms.delivery import DeliveryMeaning
from switchboard.ports.providers import Receipt
from switchboard.providers.mediasms.answers import read_receipt
from switchboard.providers.mediasms.response_codes import (
    ACCEPTED_CODE,
    DELIVERY_STATUSES,
    REFUSALS,
    status_code_of,
)

SPECS = Path(__file__).parents[3] / "specs"
OTHERS = "その他"


def rows(name: str) -> list[dict[str, str]]:
    with (SPECS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


RESPONSES = {row["code"]: row["class"] for row in rows("mediasms_response_codes.csv")}
STATUSES = {row["code"] or OTHERS: row for row in rows("mediasms_delivery_statuses.csv")}
LISTED_RESPONSES = {code for code in RESPONSES if code != OTHERS}
LISTED_STATUSES = {code: row for code, row in STATUSES.items() if code != OTHERS}

CLASSES: dict[str, type[ProviderError]] = {
    "authentication_failed": AuthenticationFailedError,
    "quota_exceeded": QuotaExceededError,
    "refused": RefusedError,
    "rate_limited": RateLimitedError,
    "address_blocked": AddressBlockedError,
    "unexplained": UnexpectedAnswerError,
}


def outcome(status: int, body: bytes) -> type[object]:
    """Return the class of the receipt or of the error."""
    try:
        return type(read_receipt(status, body, delimited=True, operation="try"))
    except ProviderError as error:
        return type(error)


def test_the_response_table_has_the_documents_codes_and_no_others() -> None:
    assert set(REFUSALS) | {ACCEPTED_CODE} == LISTED_RESPONSES


@pytest.mark.parametrize("code", sorted(LISTED_RESPONSES))
def test_a_listed_code_means_its_class_in_body_and_status(code: str) -> None:
    if RESPONSES[code] == "accepted":
        assert outcome(200, code.encode()) is Receipt
        return
    expected = CLASSES[RESPONSES[code]]
    assert outcome(200, code.encode()) is expected
    assert outcome(int(code), code.encode()) is expected
    assert outcome(int(code), b"") is expected


def test_an_unlisted_code_has_an_unknown_outcome_and_is_kept() -> None:
    for code in {str(number) for number in range(100, 1000)} - LISTED_RESPONSES:
        assert outcome(200, code.encode()) is CLASSES[RESPONSES[OTHERS]]
        with pytest.raises(OutcomeUnknownError) as unexplained:
            read_receipt(200, code.encode(), delimited=True, operation="try")
        assert unexplained.value.provider_code == code


def test_the_status_table_has_the_documents_rows_and_no_others() -> None:
    assert {code: row["name"] for code, row in LISTED_STATUSES.items()} == {
        code: status.name for code, status in DELIVERY_STATUSES.rows.items()
    }
    assert all(code == status.code for code, status in DELIVERY_STATUSES.rows.items())


@pytest.mark.parametrize("row", LISTED_STATUSES.values(), ids=LISTED_STATUSES)
def test_a_status_has_the_meaning_of_its_row(row: dict[str, str]) -> None:
    assert DELIVERY_STATUSES[row["code"]].meaning == row["meaning"]


def test_an_unlisted_status_is_kept() -> None:
    assert STATUSES[OTHERS]["meaning"] == "unlisted"
    for text in ("99", "楽天圏外・OFF", "constructor"):
        status = DELIVERY_STATUSES[status_code_of(text)]
        assert (status.meaning, status.code, status.name) == (DeliveryMeaning.UNLISTED, text, text)


@pytest.mark.parametrize("row", LISTED_STATUSES.values(), ids=LISTED_STATUSES)
def test_a_status_is_recognised_by_number_and_by_name(row: dict[str, str]) -> None:
    assert status_code_of(row["code"]) == row["code"]
    assert status_code_of(row["name"]) == row["code"]
    assert status_code_of("\u3000".join(row["name"])) == row["code"]


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("１", "1"),
        (" 14\n", "14"),
        ("３３", "33"),
        ("au 圏外・OFF", "10"),
        ("ＡＵ圏外･ＯＦＦ", "10"),
        ("Au圏外·off", "10"),
        ("au 自 NW 障害", "11"),
        ("ﾄﾞｺﾓ圏外･OFF", "18"),
        ("ドコモ圏 外・OFF", "18"),
        ("ト\u3099コモ自ＮＷ障害", "19"),
        ("ﾄﾞｺﾓ他NW障害", "20"),
        ("01", "1"),
        ("0018", "18"),
        ("00", "0"),
        ("1.0", "1"),
        ("10.00", "10"),
        ("14.", "14"),
        ("01.0", "1"),
        ("１．０", "1"),
        ("1e0", "1"),
        ("1.0E+0", "1"),
        ("+1", "1"),
        ("1 送信済", "1"),
        ("1:送信済", "1"),
        ("送信済（１）", "1"),
        ("[18] ドコモ圏外・OFF", "18"),
        ("ドコモ圏外OFF", "18"),
    ],
)
def test_width_spacing_case_dots_and_zeros_do_not_matter(spelling: str, code: str) -> None:
    assert status_code_of(spelling) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("  9 9 ", "9 9"),
        ("x" * 100, "x" * 64),
        ("", ""),
        ("099", "099"),
        ("1 0", "1 0"),
        ("1(0)", "1(0)"),
        ("1,8", "1,8"),
        ("1.8", "1.8"),
        ("-1", "-1"),
        ("0x1", "0x1"),
        ("1e1", "1e1"),
        ("10e-1", "10e-1"),
        ("1 失敗", "1 失敗"),
        ("1送信", "1送信"),
        ("・", "・"),
        ("1" + "0" * 63, "1" + "0" * 63),
    ],
)
def test_an_unlisted_status_is_collapsed_and_bounded(text: str, code: str) -> None:
    assert status_code_of(text) == code
