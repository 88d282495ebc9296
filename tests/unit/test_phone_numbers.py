"""Telephone numbers are read in every usual spelling, sorted by kind, and never shown whole."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.phone_numbers import (
    MAX_WRITTEN_LENGTH,
    NumberKind,
    PhoneNumber,
    check_sms_recipient,
    parse_phone_number,
    plain_digits,
)
from tests.strategies import any_text, mobile_numbers, written_forms

ORACLE_KINDS = {
    phonenumbers.PhoneNumberType.MOBILE: NumberKind.MOBILE,
    phonenumbers.PhoneNumberType.VOIP: NumberKind.IP_PHONE,
    phonenumbers.PhoneNumberType.FIXED_LINE: NumberKind.FIXED,
}
NEVER_ACCEPTED = {phonenumbers.PhoneNumberType.TOLL_FREE, phonenumbers.PhoneNumberType.PREMIUM_RATE}


def oracle_type(national: str) -> int | None:
    """Return the type of a national number by the plan's public metadata, or None if the number is not valid."""
    try:
        number = phonenumbers.parse(national, "JP")
    except phonenumbers.NumberParseException:  # such as 010 without a country code
        return None
    japanese = number.country_code == 81  # 010 and a country code is a call abroad
    return phonenumbers.number_type(number) if japanese and phonenumbers.is_valid_number(number) else None


def kind_or_none(written: str) -> NumberKind | None:
    try:
        return parse_phone_number(written).kind
    except InvalidRequestError:
        return None


def problem_code(written: str) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        parse_phone_number(written)
    return caught.value.problems[0].code


@given(st.data(), mobile_numbers())
def test_every_way_of_writing_a_number_reads_as_the_same_number(data: st.DataObject, national: str) -> None:
    number = parse_phone_number(data.draw(written_forms(national)))
    assert number.e164 == "+81" + national[1:]
    assert number.national == national
    assert number.is_japanese


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("09000000001", id="plain"),
        pytest.param("090-0000-0001", id="hyphens"),
        pytest.param("090\u20100000\u20130001", id="Unicode hyphens"),
        pytest.param("090\u22120000\u30fc0001", id="minus sign and long vowel mark"),
        pytest.param("090 0000\u30000001", id="blanks"),
        pytest.param("(090)0000-0001", id="parentheses"),
        pytest.param("（０９０）００００－０００１", id="full width"),
        pytest.param("+81 90 0000 0001", id="international with blanks"),
        pytest.param("+81-(0)90-0000-0001", id="international with trunk zero"),
        pytest.param("＋８１９００００００００１", id="full width international"),
        pytest.param("819000000001", id="country code without plus"),
        pytest.param("tel:+81-90-0000-0001", id="URI"),
        pytest.param("TEL://09000000001", id="URI with slashes"),
        pytest.param("tel：\u3000０９０－００００－０００１", id="full width after a label"),
        pytest.param("ＴＥＬ：０９０－００００－０００１", id="full width throughout"),
        pytest.param("ｔｅｌ:09000000001", id="full-width label, ASCII number"),
        pytest.param("090\uff0e0000\uff0e0001.", id="full-width dots and a full stop"),
        pytest.param("090\u30fb0000\uff650001", id="middle dots"),
        pytest.param("\u202a+81\xa090\u20110000\u20110001\u202c\r\n", id="as an address book copies it"),
    ],
)
def test_each_usual_spelling_is_read(written: str) -> None:
    assert parse_phone_number(written) == PhoneNumber(e164="+819000000001")


MARKS = {
    "spaces": " \t\n\r\x0b\x0c\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))),
    "hyphens": "-\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u2500\u30fc\ufe58\ufe63\uff0d\uff70",
    "dots": ".\xb7\u2022\u2024\u2027\u22c5\u30fb\uff0e\uff65",
    "parentheses": "()\uff08\uff09",
    "directions": "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    "invisible": "\xad\u034f\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\u2065\ufeff",
    "fillers": "\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\ufff9\ufffa\ufffb",
    "selectors": "\ufe00\ufe01\ufe0e\ufe0f",
}


@pytest.mark.parametrize(
    "mark",
    [pytest.param(mark, id=f"{kind}-{ord(mark):04x}") for kind, marks in MARKS.items() for mark in marks],
)
def test_a_mark_in_a_pasted_number_is_left_out(mark: str) -> None:
    for written in (f"090{mark}0000{mark}0001", f"{mark}09000000001{mark}", f"+81{mark}90{mark}{mark}00000001"):
        assert parse_phone_number(written).e164 == "+819000000001"


@given(
    st.text(alphabet="".join(MARKS.values()), min_size=1, max_size=3), st.sampled_from(["09000000001", "15550000001"])
)
def test_marks_never_change_the_digits(marks: str, digits: str) -> None:
    assert plain_digits(marks.join([digits[:3], digits[3:7], digits[7:]])) == digits


@given(st.from_regex(r"\A0[6-9]0[1-9][0-9]{7}\Z"))
def test_the_numbering_plan_agrees_on_every_mobile_number(national: str) -> None:
    assert oracle_type(national) == phonenumbers.PhoneNumberType.MOBILE
    assert kind_or_none(national) is NumberKind.MOBILE


@given(st.one_of(st.from_regex(r"\A0[1-9][0-9]{8,9}\Z"), st.from_regex(r"\A0[1256789]0[0-9]{7,8}\Z")))
def test_a_kind_never_contradicts_the_numbering_plan(national: str) -> None:
    ours, theirs = kind_or_none(national), oracle_type(national)
    if theirs in ORACLE_KINDS:
        # The metadata knows no fixed line in 020-090, so nothing is lost by refusing ten digits there.
        assert ours is ORACLE_KINDS[theirs]
    if theirs in NEVER_ACCEPTED:
        assert ours is None
    if ours is NumberKind.MOBILE and national[3] != "0":
        assert theirs == phonenumbers.PhoneNumberType.MOBILE


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("060-0000-0001", NumberKind.MOBILE),
        ("070-0000-0001", NumberKind.MOBILE),
        ("080-1000-0001", NumberKind.MOBILE),
        ("020-1000-0001", NumberKind.M2M),
        ("050-0000-0001", NumberKind.IP_PHONE),
        ("03-0000-0001", NumberKind.FIXED),
        ("0460-00-0001", NumberKind.FIXED),
        ("+1 202 555 0100", NumberKind.OVERSEAS),
        ("+999 0000 0001", NumberKind.OVERSEAS),
    ],
)
def test_the_digits_decide_the_kind(written: str, kind: NumberKind) -> None:
    assert parse_phone_number(written).kind is kind


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("110", id="police"),
        pytest.param("119", id="ambulance"),
        pytest.param("118", id="coast guard"),
        pytest.param("0120-000-001", id="0120"),
        pytest.param("0120-00-0001", id="0120 in another grouping"),
        pytest.param("0800-000-0001", id="0800"),
        pytest.param("0570-000-001", id="0570"),
        pytest.param("0990-000-001", id="0990"),
        pytest.param("+81 120 000 001", id="0120 international"),
        pytest.param("020-4000-0001", id="pager"),
        pytest.param("020-0000-0001", id="0200 with 11 digits"),
        pytest.param("0200-0000-00-0001", id="0200 with 14 digits"),
    ],
)
def test_emergency_service_and_pager_numbers_are_not_supported(written: str) -> None:
    assert problem_code(written) == "number_not_supported"


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="empty"),
        pytest.param(" ", id="blank"),
        pytest.param("+", id="plus alone"),
        pytest.param("-", id="hyphen alone"),
        pytest.param("090-0000-000", id="mobile, a digit missing"),
        pytest.param("090-0000-00001", id="mobile, a digit too many"),
        pytest.param("03-0000-000", id="fixed, a digit missing"),
        pytest.param("9000000001", id="no leading zero"),
        pytest.param("0081-90-0000-0001", id="dialling prefix 00"),
        pytest.param("010-81-90-0000-0001", id="dialling prefix 010"),
        pytest.param("+0 90 0000 0001", id="country code 0"),
        pytest.param("+1 202", id="overseas, too short"),
        pytest.param("+1234567890123456", id="overseas, too long"),
        pytest.param("+81", id="country code alone"),
        pytest.param("++819000000001", id="two plus signs"),
        pytest.param("+81+9000000001", id="second plus sign"),
        pytest.param("090-0000-0001 ext 2", id="extension"),
        pytest.param("O90-0000-0001", id="letter O"),
        pytest.param("tel:+819000000001;ext=1", id="URI with an extension"),
        pytest.param("tel:09000000001;phone-context=+86", id="URI with a context"),
        pytest.param("tel:", id="URI without a number"),
        pytest.param("tel:tel:09000000001", id="two URI schemes"),
        pytest.param("sip:09000000001", id="another URI"),
        pytest.param("Tel 090-0000-0001", id="letters without a colon"),
        pytest.param("819000000001.0", id="decimal"),
        pytest.param("+12025550100.0", id="overseas decimal"),
        pytest.param("+12025550100.00", id="overseas decimal with two zeros"),
        pytest.param("+12025550100.0\u202c ", id="overseas decimal and an invisible mark"),
        pytest.param("8.19000000001E+11", id="exponent"),
        pytest.param("090-0000-0001/2", id="slash"),
        pytest.param("090-0000-0001,2", id="comma"),
        pytest.param("09000000001\n09000000002", id="two numbers on two lines"),
        pytest.param("+12025550100 +12025550101", id="two overseas numbers"),
        pytest.param("090-0000-0001\x00", id="NUL"),
        pytest.param("090-0000-0001\ud800", id="lone surrogate"),
        pytest.param("\u0660\u0669\u0660-0000-0001", id="Arabic digits"),
        pytest.param("\u096609000000001", id="Devanagari digit"),
        pytest.param("09000000\u00b9001", id="superscript digit"),
        pytest.param("\U0001d7ce9000000001", id="mathematical digit"),
    ],
)
def test_any_other_text_is_no_telephone_number(written: str) -> None:
    assert problem_code(written) == "invalid_phone_number"


def test_a_text_beyond_the_longest_spelling_is_refused() -> None:
    padding = MAX_WRITTEN_LENGTH - len("09000000001")
    assert parse_phone_number(" " * padding + "09000000001").national == "09000000001"
    assert problem_code(" " * (padding + 1) + "09000000001") == "invalid_phone_number"
    assert problem_code("0" * 1_000_000) == "invalid_phone_number"


@given(any_text(max_size=80))
def test_every_string_is_either_read_or_refused(raw: str) -> None:
    try:
        number = parse_phone_number(raw)
    except InvalidRequestError:
        return
    assert number == PhoneNumber(e164=number.e164) == parse_phone_number(number.e164)


@given(st.text("0123456789+", max_size=20))
def test_a_refusal_does_not_repeat_the_input(raw: str) -> None:
    try:
        parse_phone_number(raw, field="messages.3.to")
    except InvalidRequestError as error:
        assert error.problems[0].field == "messages.3.to"
        if len(raw) > 3:
            assert raw not in str(error)


@pytest.mark.parametrize(
    "e164",
    [
        pytest.param("", id="empty"),
        pytest.param("+", id="plus alone"),
        pytest.param("819000000001", id="no plus"),
        pytest.param("+8109000000001", id="trunk zero"),
        pytest.param("+0900", id="country code 0"),
        pytest.param("+81 9000000001", id="blank"),
        pytest.param("+\u0661234567890", id="Arabic digit"),
    ],
)
def test_a_phone_number_is_not_built_from_malformed_e164(e164: str) -> None:
    with pytest.raises(InvalidRequestError):
        PhoneNumber(e164=e164)


@pytest.mark.parametrize("written", ["090-0000-0187", "+1 202 555 0187", "+12345678"])
def test_a_number_prints_with_three_digits_at_most(written: str) -> None:
    number = parse_phone_number(written)
    for printed in (repr(number), str(number), f"{number}", f"{[number]}", number.masked):
        assert sum(character.isdigit() for character in printed) == 3
        assert printed.count(number.e164[-3:]) == 1


@pytest.mark.parametrize("written", ["060-0000-0001", "090-0000-0001", "020-1000-0001"])
def test_mobile_and_machine_numbers_take_sms(written: str) -> None:
    check_sms_recipient(parse_phone_number(written), overseas_prefixes=())


@pytest.mark.parametrize(
    ("written", "overseas_prefixes", "code"),
    [
        pytest.param("03-0000-0001", ("+",), "not_sms_capable", id="fixed line"),
        pytest.param("050-0000-0001", ("+",), "not_sms_capable", id="IP telephone"),
        pytest.param("+1 202 555 0100", (), "overseas_not_allowed", id="no prefix allowed"),
        pytest.param("+1 202 555 0100", ("+86", "+1203"), "overseas_not_allowed", id="another prefix allowed"),
        pytest.param("+99 0000 0001", ("+99",), "invalid_phone_number", id="too short"),
    ],
)
def test_numbers_that_cannot_receive_sms_are_refused(
    written: str, overseas_prefixes: tuple[str, ...], code: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_sms_recipient(parse_phone_number(written), overseas_prefixes=overseas_prefixes, field="recipient")
    (problem,) = caught.value.problems
    assert (problem.field, problem.code) == ("recipient", code)


def test_an_overseas_number_of_eleven_digits_takes_sms() -> None:
    check_sms_recipient(parse_phone_number("+99 0000 00001"), overseas_prefixes=("+99",))


@pytest.mark.parametrize(
    "prefixes",
    [
        pytest.param(("+1",), id="country code"),
        pytest.param(("+86", "+1202"), id="area code"),
    ],
)
def test_an_overseas_number_with_an_allowed_prefix_takes_sms(prefixes: tuple[str, ...]) -> None:
    check_sms_recipient(parse_phone_number("+1 202 555 0100"), overseas_prefixes=prefixes)
