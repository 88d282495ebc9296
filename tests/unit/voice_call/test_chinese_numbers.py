"""Chinese numbers are parsed in the spellings of China, and never taken for those of another country."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.chinese_numbers import chinese_national_form, parse_chinese_number
from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.phone_numbers import PhoneNumber
from tests.strategies import any_text


@pytest.mark.parametrize(
    "text",
    [
        "13000000001",
        "130-0000-0001",
        "130 0000\u30000001",
        "１３０－００００－０００１",
        "013000000001",
        "+8613000000001",
        "+86 130 0000 0001",
        "＋８６ １３０ ００００ ０００１",
        "+86 (0)130-0000-0001",
        "0086 130 0000 0001",
    ],
)
def test_common_spellings_of_a_mobile_number_are_parsed(text: str) -> None:
    assert parse_chinese_number(text).e164 == "+8613000000001"


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("010-00000001", "+861000000001"),
        ("(010) 0000 0001", "+861000000001"),
        ("+86 10 0000 0001", "+861000000001"),
        ("+86 010 0000 0001", "+861000000001"),
        ("0086-021-00000001", "+862100000001"),
        ("0310-0000001", "+863100000001"),
        ("0755-00000001", "+8675500000001"),
    ],
)
def test_a_land_line_with_its_area_code_is_parsed(text: str, e164: str) -> None:
    assert parse_chinese_number(text).e164 == e164


@pytest.mark.parametrize(
    ("text", "e164"),
    [("+1 200 000 0001", "+12000000001"), ("+81 90 0000 0001", "+819000000001"), ("+999 0000 0001", "+99900000001")],
)
def test_another_country_is_parsed_only_after_a_plus_sign(text: str, e164: str) -> None:
    assert parse_chinese_number(text).e164 == e164
    for other in (text.replace("+", "00", 1), text.removeprefix("+")):
        with pytest.raises(InvalidRequestError):
            parse_chinese_number(other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "110",
        "12000000001",
        "1300000000",
        "130000000011",
        "01300000000",
        "0100000001",
        "010000000011",
        "02000000",
        "0755000000011",
        "4000000001",
        "04000000001",
        "+864000000001",
        "8000000001",
        "+8600",
        "+86",
        "0086",
        "+0086 130 0000 0001",
        "+81110",
        "+1234567",
        "130x0000001",
        "١٣٠٠٠٠٠٠٠٠١",
        "1" * 65,
    ],
)
def test_an_invalid_number_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_chinese_number(text, field="number")
    assert [problem.field for problem in refused.value.problems] == ["number"]
    assert len(text) < 7 or text not in str(refused.value)


@pytest.mark.parametrize(
    ("e164", "national"),
    [
        ("+8613000000001", "13000000001"),
        ("+8619900000001", "19900000001"),
        ("+861000000001", "01000000001"),
        ("+862100000001", "02100000001"),
        ("+8675500000001", "075500000001"),
    ],
)
def test_a_chinese_number_has_its_national_form(e164: str, national: str) -> None:
    assert chinese_national_form(PhoneNumber(e164=e164)) == national


@pytest.mark.parametrize("e164", ["+819000000001", "+15550000001", "+8612000000001", "+864000000001"])
def test_a_foreign_number_has_no_national_form(e164: str) -> None:
    with pytest.raises(InvalidRequestError):
        chinese_national_form(PhoneNumber(e164=e164))


@given(st.from_regex(r"\A(1[3-9][0-9]{9}|010[0-9]{8}|0[2-9][0-9]{8,10})\Z"))
def test_the_national_form_parses_back_to_the_number(national: str) -> None:
    try:
        number = parse_chinese_number(national)
    except InvalidRequestError:
        assert national[:4] in {"0400", "0800"}
        return
    assert chinese_national_form(number) == national
    assert parse_chinese_number(number.e164) == number


@given(any_text(max_size=40))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    try:
        number = parse_chinese_number(text)
    except InvalidRequestError:
        return
    assert number.e164.startswith("+")
