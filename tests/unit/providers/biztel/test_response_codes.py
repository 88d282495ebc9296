"""BIZTEL's tables agree with the document's, row by row and in both directions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import (
    AuthenticationFailedError,
    DownloadFailedError,
    ForbiddenError,
    ProviderError,
    ProviderNotFoundError,
    RateLimitedError,
    RefusedError,
)
from switchboard.providers.biztel.answers import build_error
from switchboard.providers.biztel.response_codes import CONTENT_TYPES, ERROR_STATUSES, ERROR_TYPES
from tests.ids import describe_row

SPECS = Path(__file__).parents[3] / "specs"
CLASSES: dict[str, type[ProviderError]] = {
    "authentication_failed": AuthenticationFailedError,
    "forbidden": ForbiddenError,
    "not_found": ProviderNotFoundError,
    "rate_limited": RateLimitedError,
    "refused": RefusedError,
    "download_failed": DownloadFailedError,
}


def rows(name: str) -> list[dict[str, str]]:
    with (SPECS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


ERRORS = rows("biztel_errors.csv")
STATUSES = {int(row["status"]): row["class"] for row in rows("biztel_statuses.csv")}


def body_of(row: dict[str, str]) -> bytes:
    """Write an error body as section 3.6 shows it."""
    body = {
        "name": row["name"],
        "type": row["type"],
        "exception_id": None,
        "message": row["message"],
        "messages": None,
        "reason": row["message"],
    }
    return json.dumps(body, ensure_ascii=False).encode()


def error_of(status: int, body: bytes = b"", **headers: str) -> ProviderError:
    error = build_error(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, body, operation="try"
    )
    assert (error.provider, error.operation, error.http_status) == ("biztel", "try", status)
    return error


def pause_of(**headers: str) -> float | None:
    error = error_of(429, b"", **headers)
    assert isinstance(error, RateLimitedError)
    return error.retry_after_s


def test_the_type_table_has_the_documents_types_and_no_others() -> None:
    assert {row["type"]: CLASSES[row["class"]] for row in ERRORS} == ERROR_TYPES


def test_the_status_table_has_the_documents_rows_and_no_others() -> None:
    assert {status: CLASSES[name] for status, name in STATUSES.items() if name != "success"} == ERROR_STATUSES


def test_the_content_types_are_the_documents() -> None:
    assert {row["content_type"]: row["channel"] for row in rows("biztel_content_types.csv")} == {
        text: channel.value for channel, text in CONTENT_TYPES.items()
    }


@pytest.mark.parametrize("status", [*STATUSES, 400, 422, 502])
@pytest.mark.parametrize("row", ERRORS, ids=[row["type"] for row in ERRORS])
def test_a_listed_type_decides_with_any_status_and_name(row: dict[str, str], status: int) -> None:
    error = error_of(status, body_of(row))
    assert type(error) is CLASSES[row["class"]]
    assert error.provider_code == row["type"]


@pytest.mark.parametrize("status", [status for status in STATUSES if status != 200])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>401 UNAUTHENTICATED</html>",
        b'{"type": "UNAUTHENTICATED"',
        b'{"name": "AuthenticationException"}',
        b'{"type": null}',
        b'{"type": ["NOT_FOUND"]}',
        b'["NOT_FOUND"]',
        b'{"type": "SOMETHING_NEW"}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
    ids=describe_row,
)
def test_the_status_decides_without_a_listed_type(status: int, body: bytes) -> None:
    assert type(error_of(status, body)) is CLASSES[STATUSES[status]]


@pytest.mark.parametrize("status", [204, 206, 302, 400, 422, 502, 503, 504])
def test_an_unlisted_status_is_a_failed_download(status: int) -> None:
    assert type(error_of(status, b"<h1>Bad Gateway</h1>")) is DownloadFailedError


def test_an_unlisted_type_is_kept_if_it_has_the_form_of_one() -> None:
    assert error_of(418, b'{"type": " SOMETHING_NEW "}').provider_code == "SOMETHING_NEW"
    for text in ("", " ", "x" * 65, "a b", "対象", "090-0000-0001", "a\x00"):
        assert error_of(418, json.dumps({"type": text}).encode()).provider_code is None


def test_the_outcome_of_a_refused_download_is_always_known() -> None:
    assert all(kind.outcome_known for kind in CLASSES.values())


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("0", 1.0), ("1", 1.0), ("7", 7.0), (" 30 ", 30.0), ("999999999999", 3600.0), ("-5", 1.0), ("1.5", 1.0),
     ("soon", 1.0), ("", 1.0), ("٣", 1.0)],
)  # fmt: skip
def test_retry_after_in_seconds_is_bounded(retry_after: str, seconds: float) -> None:
    assert pause_of(retry_after=retry_after) == seconds


def test_retry_after_as_a_time_counts_from_the_answers_date() -> None:
    date = "Sun, 22 Nov 2026 03:04:05 GMT"
    assert pause_of(retry_after="Sun, 22 Nov 2026 03:04:17 GMT", date=date) == 12.0
    assert pause_of(retry_after="Sun, 22 Nov 2026 03:04:17", date=date) == 1.0
    assert pause_of(retry_after="Sun, 22 Nov 2026 03:04:17 GMT") == 1.0
    assert pause_of() == 1.0


@given(body=st.binary(max_size=200), status=st.integers(100, 999), text=st.text(max_size=40))
def test_any_answer_has_an_error(body: bytes, status: int, text: str) -> None:
    assert isinstance(error_of(status, body, retry_after=text, date=text), ProviderError)


@pytest.mark.parametrize("row", ERRORS, ids=[row["type"] for row in ERRORS])
def test_no_error_quotes_the_providers_message(row: dict[str, str]) -> None:
    canary = "canary 09000000001"
    error = error_of(500, body_of(row | {"message": canary, "name": canary}))
    assert canary not in str(error) + repr(vars(error))
