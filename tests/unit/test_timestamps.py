"""Timestamps are read in every RFC 3339 spelling and written in one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.timestamps import JAPAN, from_unix_us, parse_timestamp, to_rfc3339, to_unix_us, to_us


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("2026-11-22T03:04:05.678Z", id="UTC"),
        pytest.param("2026-11-22t03:04:05.678z", id="lower case"),
        pytest.param("2026-11-22T12:04:05.678+09:00", id="offset of Japan"),
        pytest.param("2026-11-21T18:04:05.6780000-09:00", id="more fraction digits"),
        pytest.param("2026-11-22T12:04:05.678 09:00", id="plus sign that became a space"),
    ],
)
def test_every_spelling_of_rfc_3339_is_read(written: str) -> None:
    assert to_rfc3339(parse_timestamp(written, field="since")) == "2026-11-22T03:04:05.678Z"


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="empty"),
        pytest.param("2026-11-22", id="date alone"),
        pytest.param("2026-11-22T03:04:05", id="no offset"),
        pytest.param("2026-11-22 03:04", id="no offset but a space before the time"),
        pytest.param("2026-11-22T03:04:05  09:00", id="two spaces before the offset"),
        pytest.param("2026-11-22T03:04:60Z", id="leap second"),
        pytest.param("２０２６-11-22T03:04:05Z", id="full width"),
        pytest.param("0001-01-01T00:00:00+09:00", id="before year 1 in UTC"),
        pytest.param("9999-12-31T23:59:59-09:00", id="after year 9999 in UTC"),
        pytest.param("2026-11-22T03:04:05." + "0" * 40 + "Z", id="too long"),
    ],
)
def test_a_text_that_is_no_time_with_an_offset_is_refused(written: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_timestamp(written, field="since")
    assert [(problem.field, problem.code) for problem in refused.value.problems] == [("since", "invalid_time")]


def test_a_time_is_written_in_utc_and_whole_milliseconds() -> None:
    assert to_rfc3339(datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=UTC)) == "2026-01-02T03:04:05.999Z"


def test_unix_microseconds_count_from_1970_in_any_time_zone() -> None:
    instant = datetime(2001, 9, 9, 10, 46, 40, 1, tzinfo=JAPAN)

    assert to_unix_us(instant) == 1_000_000_000_000_001
    assert from_unix_us(1_000_000_000_000_001) == instant
    assert from_unix_us(1_000_000_000_000_001).tzinfo is UTC


def test_a_span_has_whole_microseconds() -> None:
    assert to_us(timedelta(seconds=1, milliseconds=75)) == 1_075_000
