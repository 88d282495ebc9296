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
from switchboard.providers.mediasms.answers import find_code, read_receipt
from switchboard.providers.mediasms.response_codes import (
    ACCEPTED_CODE,
    DELIVERY_STATUSES,
    REFUSALS,
    status_code_of,
)
from tests.ids import describe_row

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


def outcome(status: int, body: bytes, *, delimited: bool = True, strict: bool = False) -> type[object] | bool:
    """Return the error's class, or the receipt's `verified`."""
    try:
        receipt = read_receipt(status, body, delimited=delimited, strict=strict, operation="try")
    except ProviderError as error:
        assert (error.provider, error.operation, error.http_status) == ("mediasms", "try", status)
        return type(error)
    assert receipt.provider_code == "200"
    return receipt.verified


def test_the_response_table_has_the_documents_codes_and_no_others() -> None:
    assert set(REFUSALS) | {ACCEPTED_CODE} == LISTED_RESPONSES


@pytest.mark.parametrize("code", sorted(LISTED_RESPONSES))
def test_a_listed_code_means_its_class_in_body_and_status(code: str) -> None:
    if RESPONSES[code] == "accepted":
        assert outcome(200, code.encode()) is True
        return
    expected = CLASSES[RESPONSES[code]]
    assert outcome(200, code.encode()) is expected
    assert outcome(int(code), code.encode()) is expected
    assert outcome(int(code), b"") is expected


def test_an_unlisted_code_has_an_unknown_outcome_and_is_kept() -> None:
    for code in {str(number) for number in range(100, 1000)} - LISTED_RESPONSES:
        assert outcome(200, code.encode()) is CLASSES[RESPONSES[OTHERS]]
        with pytest.raises(OutcomeUnknownError) as unexplained:
            read_receipt(200, code.encode(), delimited=True, strict=False, operation="try")
        assert unexplained.value.provider_code == code


@pytest.mark.parametrize(
    "body",
    [
        b"402",
        b" 402\r\n",
        b"\xef\xbb\xbf402\n",
        b"<html><head></head>\n<body>402</body></html>",
        b"<p\nclass='x'> 402 </p>",
        b'"402"',
        b'{"result": "402"}',
        b'{"result": 402, "more": []}',
    ],
)
def test_a_bare_code_is_found_in_every_known_wrapping(body: bytes) -> None:
    assert find_code(body) == "402"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"OK",
        b"20",
        b"2000",
        b"200 OK",
        b"200 402",
        b"402.0",
        b"-402",
        b"true",
        b"[402]",
        b'{"result": true}',
        b'{"result": [402]}',
        b'{"code": "402"}',
        b'{"result": "40',
        b"\xff\xfe4\x000\x002\x00",
        "４０２".encode(),
        "٤٠٢".encode(),
        b"[" * 4000,
        b" " * 5000 + b"402",
    ],
    ids=describe_row,
)
def test_any_other_body_has_no_code(body: bytes) -> None:
    assert find_code(body) is None


def test_http_200_without_a_code_is_unverified_unless_strict() -> None:
    assert outcome(200, b"<p>thank you</p>") is False
    assert outcome(200, b"<p>thank you</p>", strict=True) is UnexpectedAnswerError
    assert outcome(200, b"200", strict=True) is True


@pytest.mark.parametrize("status", [302, 401, 402, 404, 500, 503, 550])
def test_only_a_2xx_is_a_success(status: int) -> None:
    assert outcome(status, b"200") not in (True, False)


@pytest.mark.parametrize("status", [201, 202, 204])
def test_another_2xx_needs_the_code_200_in_its_body(status: int) -> None:
    assert outcome(status, b"200") is True
    assert outcome(status, b"") is UnexpectedAnswerError


@pytest.mark.parametrize("status", [301, 302, 400, 403, 404, 500, 502, 504, 599])
def test_a_gateways_answer_has_an_unknown_outcome(status: int) -> None:
    assert outcome(status, b"<h1>not for you</h1>") is UnexpectedAnswerError


def test_http_503_is_the_speed_limit_without_another_body() -> None:
    assert outcome(503, b"") is RateLimitedError
    assert outcome(503, b"<h1>Service Unavailable</h1>") is UnexpectedAnswerError
    assert outcome(503, b"", strict=True) is UnexpectedAnswerError
    assert outcome(503, b"503", strict=True) is RateLimitedError


def test_http_401_counts_for_the_lockout_unless_blocked() -> None:
    for body in (b"", b"<h1>Unauthorized</h1>", b"200", b"550", b"999"):
        assert outcome(401, body) is AuthenticationFailedError
    assert outcome(401, b"555") is AddressBlockedError


@pytest.mark.parametrize("status", [200, 402, 503, 550])
def test_an_undelimited_answer_without_a_code_is_unknown(status: int) -> None:
    for body in (b"", b"5", b"50"):
        assert outcome(status, body, delimited=False) is OutcomeUnknownError
    assert outcome(200, b"200", delimited=False) is True


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, AuthenticationFailedError), (555, AddressBlockedError), (557, AddressBlockedError)],
)
def test_an_undelimited_answer_can_stop_the_sending(status: int, expected: type[ProviderError]) -> None:
    assert outcome(status, b"", delimited=False) is expected


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
