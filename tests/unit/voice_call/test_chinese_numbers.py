"""Chinese numbers are read as people in China write them, and another country's only after a plus sign."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.chinese_numbers import chinese_national_form, parse_chinese_number
from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.phone_numbers import PhoneNumber
from tests.strategies import any_text


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("13000000001", id="plain"),
        pytest.param("130-0000-0001", id="hyphens"),
        pytest.param("130 0000\u30000001", id="blanks"),
        pytest.param("１３０－００００－０００１", id="full width"),
        pytest.param("013000000001", id="trunk zero"),
        pytest.param("+8613000000001", id="international"),
        pytest.param("+86 130 0000 0001", id="international with blanks"),
        pytest.param("＋８６ １３０ ００００ ０００１", id="full width international"),
        pytest.param("+86 (0)130-0000-0001", id="international with trunk zero"),
        pytest.param("0086 130 0000 0001", id="dialling prefix 0086"),
        pytest.param("tel:+86-130-0000-0001", id="URI"),
        pytest.param("\u202d130\u20110000\u20110001\u202c\n", id="as an address book copies it"),
        pytest.param("130.0000.0001", id="dots"),
    ],
)
def test_each_usual_spelling_of_a_mobile_number_is_read(written: str) -> None:
    assert parse_chinese_number(written).e164 == "+8613000000001"


@pytest.mark.parametrize(
    ("written", "e164"),
    [
        pytest.param("010-00000001", "+861000000001", id="Beijing"),
        pytest.param("(010) 0000 0001", "+861000000001", id="Beijing in parentheses"),
        pytest.param("+86 10 0000 0001", "+861000000001", id="Beijing international"),
        pytest.param("+86 010 0000 0001", "+861000000001", id="Beijing with trunk zero"),
        pytest.param("0086-021-00000001", "+862100000001", id="Shanghai with dialling prefix"),
        pytest.param("0310-0000001", "+863100000001", id="7 digits after the area code"),
        pytest.param("0755-00000001", "+8675500000001", id="8 digits after the area code"),
    ],
)
def test_a_landline_is_read_with_its_area_code(written: str, e164: str) -> None:
    assert parse_chinese_number(written).e164 == e164


@pytest.mark.parametrize(
    ("written", "e164"),
    [
        pytest.param("+1 200 000 0001", "+12000000001", id="United States"),
        pytest.param("+81 90 0000 0001", "+819000000001", id="Japan"),
        pytest.param("+999 0000 0001", "+99900000001", id="unassigned country code"),
    ],
)
def test_another_countrys_number_needs_a_plus_sign(written: str, e164: str) -> None:
    assert parse_chinese_number(written).e164 == e164
    for without_plus in (written.replace("+", "00", 1), written.removeprefix("+")):
        with pytest.raises(InvalidRequestError):
            parse_chinese_number(without_plus)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="empty"),
        pytest.param("+", id="plus alone"),
        pytest.param("110", id="police"),
        pytest.param("12000000001", id="mobile with second digit 2"),
        pytest.param("1300000000", id="mobile, a digit missing"),
        pytest.param("130000000011", id="mobile, a digit too many"),
        pytest.param("01300000000", id="mobile with trunk zero, a digit missing"),
        pytest.param("0100000001", id="Beijing, a digit missing"),
        pytest.param("010000000011", id="Beijing, a digit too many"),
        pytest.param("02000000", id="landline too short"),
        pytest.param("0755000000011", id="landline too long"),
        pytest.param("4000000001", id="400 service"),
        pytest.param("04000000001", id="400 service with trunk zero"),
        pytest.param("+864000000001", id="400 service international"),
        pytest.param("8000000001", id="800 service"),
        pytest.param("+8600", id="country code and 00"),
        pytest.param("+86", id="country code alone"),
        pytest.param("0086", id="dialling prefix alone"),
        pytest.param("+0086 130 0000 0001", id="plus before the dialling prefix"),
        pytest.param("+81110", id="Japanese police"),
        pytest.param("+1234567", id="overseas, too short"),
        pytest.param("130x0000001", id="letter"),
        pytest.param("١٣٠٠٠٠٠٠٠٠١", id="Arabic digits"),
        pytest.param("1" * 65, id="too long"),
    ],
)
def test_any_other_text_is_refused_and_not_repeated(written: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_chinese_number(written, field="number")
    assert [problem.field for problem in refused.value.problems] == ["number"]
    assert len(written) < 7 or written not in str(refused.value)


@pytest.mark.parametrize(
    ("e164", "national"),
    [
        pytest.param("+8613000000001", "13000000001", id="mobile 130"),
        pytest.param("+8619900000001", "19900000001", id="mobile 199"),
        pytest.param("+861000000001", "01000000001", id="Beijing"),
        pytest.param("+862100000001", "02100000001", id="Shanghai"),
        pytest.param("+8675500000001", "075500000001", id="Shenzhen"),
    ],
)
def test_a_chinese_number_has_a_national_form(e164: str, national: str) -> None:
    assert chinese_national_form(PhoneNumber(e164=e164)) == national


@pytest.mark.parametrize(
    "e164",
    [
        pytest.param("+819000000001", id="Japan"),
        pytest.param("+15550000001", id="United States"),
        pytest.param("+8612000000001", id="mobile with second digit 2"),
        pytest.param("+864000000001", id="400 service"),
    ],
)
def test_a_number_that_is_not_chinese_has_no_national_form(e164: str) -> None:
    with pytest.raises(InvalidRequestError):
        chinese_national_form(PhoneNumber(e164=e164))


@given(st.from_regex(r"\A(1[3-9][0-9]{9}|010[0-9]{8}|0[2-9][0-9]{8,10})\Z"))
def test_the_national_form_reads_back_as_the_same_number(national: str) -> None:
    try:
        number = parse_chinese_number(national)
    except InvalidRequestError:
        assert national[:4] in {"0400", "0800"}
        return
    assert chinese_national_form(number) == national
    assert parse_chinese_number(number.e164) == number


@given(any_text(max_size=40))
def test_every_string_is_either_read_or_refused(written: str) -> None:
    try:
        number = parse_chinese_number(written)
    except InvalidRequestError:
        return
    assert number.e164.startswith("+")
