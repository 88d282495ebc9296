"""A text that passes the preflight is never cut. Any other text gets its problems with their positions."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.sms.requests import MAX_PROBLEMS, Preflight, SmsRequest, SmsRules, compose, preflight
from switchboard.domain.sms.texts import DOMESTIC_CARRIERS, MAX_CODE_POINTS, Carrier, normalise
from tests.strategies import any_text, sendable_text

EVERY_CHOICE = [None, *Carrier]


def shift_jis_repertoire() -> frozenset[str]:
    """Return every character that one or two bytes of Shift_JIS stand for, by the decoder, not the encoder."""
    characters: set[str] = set()
    for lead in range(0x100):
        for sequence in [bytes([lead]), *(bytes([lead, trail]) for trail in range(0x40, 0xFD))]:
            try:
                decoded = sequence.decode("shift_jis")
            except UnicodeDecodeError:
                continue
            characters.update(decoded)
    return frozenset(characters)


REPERTOIRE = shift_jis_repertoire()
# The normalisation table, typed by hand from the facts beside the MediaSMS document.
SAME_CHARACTER = {
    "\uff5e": "\u301c",
    "\uff0d": "\u2212",
    "\u2225": "\u2016",
    "\uffe0": "\u00a2",
    "\uffe1": "\u00a3",
    "\uffe2": "\u00ac",
    "\u2014": "\u2015",
    "\u00a5": "\uffe5",
    "\u00c5": "\u212b",  # not among the facts: NFC turns the sign of Shift_JIS into a letter that it lacks
    "\u00a0": " ",
    "\t": " ",
    "\r": "\n",
}


def is_cut(sent: str, *, carrier: Carrier, long_sms: bool) -> bool:
    """Apply the document's rule in its strictest reading: a newline is two, and half-width kana are not ASCII."""
    on_the_wire = sent.replace("\n", "\r\n")
    size = len(on_the_wire.encode("shift_jis"))
    characters = len(on_the_wire)
    if long_sms and carrier is not Carrier.OVERSEAS:
        return characters > (670 if carrier is Carrier.AU else 660) or size > 1340
    if size > 140:
        return True
    return carrier is not Carrier.AU and not sent.isascii() and characters > 70


def codes(result: Preflight) -> list[str]:
    return [problem.code for problem in result.problems]


# --- never cut (I17) ---------------------------------------------------------------------------------------------


@given(st.one_of(any_text(), sendable_text()), st.booleans(), st.sampled_from(EVERY_CHOICE))
def test_a_text_that_fits_survives_shift_jis_and_is_not_cut(text: str, long_sms: bool, carrier: Carrier | None) -> None:
    if not preflight(text, long_sms=long_sms, carrier=carrier).fits:
        return
    sent = normalise(text)
    assert sent.encode("shift_jis").decode("shift_jis") == sent
    for receiving_carrier in [carrier] if carrier else DOMESTIC_CARRIERS:
        assert not is_cut(sent, carrier=receiving_carrier, long_sms=long_sms)


@given(sendable_text(), st.booleans(), st.sampled_from([None, *DOMESTIC_CARRIERS]))
def test_sendable_text_is_refused_only_if_it_would_be_cut(text: str, long_sms: bool, carrier: Carrier | None) -> None:
    result = preflight(text, long_sms=long_sms, carrier=carrier)
    receiving_carriers = [carrier] if carrier else DOMESTIC_CARRIERS
    cut = [is_cut(text, carrier=receiving_carrier, long_sms=long_sms) for receiving_carrier in receiving_carriers]
    assert result.fits is not any(cut)
    assert codes(result) == (["too_long"] if any(cut) else [])


@given(sendable_text(max_size=800), st.booleans())
def test_a_text_for_any_carrier_fits_if_it_fits_all_four(text: str, long_sms: bool) -> None:
    views = preflight(text, long_sms=long_sms).carriers
    assert list(views) == list(DOMESTIC_CARRIERS)
    for carrier in DOMESTIC_CARRIERS:
        assert views[carrier].fits is preflight(text, long_sms=long_sms, carrier=carrier).fits
    assert preflight(text, long_sms=long_sms).fits is all(view.fits for view in views.values())


def test_a_basic_plane_character_is_sent_if_shift_jis_has_it() -> None:
    wrong = []
    for code_point in range(0x10000):
        text = chr(code_point)
        sent = unicodedata.normalize("NFC", text) if text not in SAME_CHARACTER else SAME_CHARACTER[text]
        sent = SAME_CHARACTER.get(sent, sent)
        printable = not any(unicodedata.category(character) == "Cc" for character in sent)
        expected = printable and bool(sent.strip()) and set(sent) <= REPERTOIRE
        result = preflight(text)
        if result.fits is not expected or (expected and normalise(text) != sent):
            wrong.append(f"U+{code_point:04X}")
    assert wrong == []


# --- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "carrier", "long_sms", "fits"),
    [
        pytest.param("a" * 140, None, False, True, id="140 ASCII"),
        pytest.param("a" * 141, None, False, False, id="141 ASCII"),
        pytest.param("a" * 69 + "あ", None, False, True, id="69 ASCII and one Japanese"),
        pytest.param("a" * 70 + "あ", None, False, False, id="70 ASCII and one Japanese"),
        pytest.param("あ" * 70, None, False, True, id="70 Japanese"),
        pytest.param("あ" * 71, None, False, False, id="71 Japanese"),
        pytest.param("ｱ" * 70, None, False, True, id="70 half-width kana"),
        pytest.param("ｱ" * 71, None, False, False, id="71 half-width kana"),
        pytest.param("a" * 70 + "あ", Carrier.AU, False, True, id="au, 72 bytes"),
        pytest.param("a" * 138 + "あ", Carrier.AU, False, True, id="au, 140 bytes"),
        pytest.param("a" * 139 + "あ", Carrier.AU, False, False, id="au, 141 bytes"),
        pytest.param("あ" * 71, Carrier.AU, False, False, id="au, 142 bytes"),
        pytest.param("ｱ" * 140, Carrier.AU, False, True, id="au, 140 half-width kana"),
        pytest.param("ｱ" * 141, Carrier.AU, False, False, id="au, 141 half-width kana"),
        pytest.param("a" * 70 + "あ", Carrier.DOCOMO, False, False, id="docomo, 71 characters"),
        pytest.param("a" * 70 + "あ", Carrier.SOFTBANK, False, False, id="SoftBank, 71 characters"),
        pytest.param("a" * 70 + "あ", Carrier.YMOBILE, False, False, id="Y!mobile, 71 characters"),
        pytest.param("あ" * 660, None, True, True, id="long, 660 Japanese"),
        pytest.param("あ" * 661, None, True, False, id="long, 661 Japanese"),
        pytest.param("a" * 660, None, True, True, id="long, 660 ASCII"),
        pytest.param("a" * 661, None, True, False, id="long, 661 ASCII"),
        pytest.param("あ" * 670, Carrier.AU, True, True, id="long au, 670 Japanese"),
        pytest.param("あ" * 671, Carrier.AU, True, False, id="long au, 671 Japanese"),
        pytest.param("あ" * 661, Carrier.DOCOMO, True, False, id="long docomo, 661 Japanese"),
        pytest.param("a" * 138 + "\n", None, False, True, id="138 ASCII and a newline"),
        pytest.param("a" * 139 + "\n", None, False, False, id="139 ASCII and a newline"),
        pytest.param("あ" * 68 + "\n", None, False, True, id="68 Japanese and a newline"),
        pytest.param("あ" * 69 + "\n", None, False, False, id="69 Japanese and a newline"),
        pytest.param("あ" * 69 + "\n", Carrier.AU, False, True, id="au, 69 Japanese and a newline"),
        pytest.param("a" * 138 + "\n", Carrier.AU, False, True, id="au, 138 ASCII and a newline"),
        pytest.param("a" * 139 + "\n", Carrier.AU, False, False, id="au, 139 ASCII and a newline"),
        pytest.param("a" * 140, Carrier.OVERSEAS, False, True, id="overseas, 140 ASCII"),
        pytest.param("a" * 139 + "{", Carrier.OVERSEAS, False, False, id="overseas, 141 with an escaped character"),
        pytest.param("a" * 138 + "{", Carrier.OVERSEAS, False, True, id="overseas, 140 with an escaped character"),
        pytest.param("a" * 70 + "`", Carrier.OVERSEAS, False, False, id="overseas, outside the GSM alphabet"),
        pytest.param("あ" * 70, Carrier.OVERSEAS, True, True, id="overseas, 70 Japanese"),
        pytest.param("あ" * 71, Carrier.OVERSEAS, True, False, id="overseas, 71 Japanese"),
    ],
)
def test_limits_are_met_exactly(text: str, carrier: Carrier | None, long_sms: bool, fits: bool) -> None:
    result = preflight(text, long_sms=long_sms, carrier=carrier)
    assert result.fits is fits
    assert codes(result) == ([] if fits else ["too_long"])
    receiving_carriers = [carrier] if carrier else DOMESTIC_CARRIERS
    assert all(result.carriers[receiving_carrier].fits for receiving_carrier in receiving_carriers) is fits


@pytest.mark.parametrize(
    ("text", "carrier", "long_sms", "limit"),
    [
        pytest.param("hello", None, False, 140, id="ASCII"),
        pytest.param("hello\n", None, False, 140, id="ASCII and a newline"),
        pytest.param("こんにちは", None, False, 70, id="Japanese"),
        pytest.param("ｺﾝﾆﾁﾊ", None, False, 70, id="half-width kana"),
        pytest.param("こんにちは", Carrier.AU, False, 140, id="au, bytes"),
        pytest.param("hello", None, True, 660, id="long"),
        pytest.param("こんにちは", Carrier.AU, True, 670, id="long au"),
    ],
)
def test_text_and_carrier_decide_the_limit(text: str, carrier: Carrier | None, long_sms: bool, limit: int) -> None:
    assert preflight(text, long_sms=long_sms, carrier=carrier).limit == limit


def test_counts_are_utf16_units_and_bytes_with_newlines_as_two() -> None:
    result = preflight("abあｱ\r\n")
    assert (result.characters, result.bytes_sjis) == (6, 7)
    assert preflight("😀").characters == 2


@pytest.mark.parametrize(
    ("length", "parts"),
    [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4), (603, 9), (604, 10), (660, 10)],
)
def test_a_long_text_has_parts_of_67_units(length: int, parts: int) -> None:
    assert preflight("あ" * length, long_sms=True).parts == parts


def test_a_short_text_has_one_part() -> None:
    assert preflight("あ" * 70).parts == 1
    assert preflight("a" * 140, long_sms=True).parts == 1
    assert preflight("a" * 141, long_sms=True).parts == 3


# --- normalisation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "sent"),
    [pytest.param(written, sent, id=f"U+{ord(written):04X}") for written, sent in SAME_CHARACTER.items()],
)
def test_look_alikes_have_one_spelling(written: str, sent: str) -> None:
    assert normalise(f"a{written}b") == f"a{sent}b"


def test_newlines_are_line_feeds_and_kana_are_composed() -> None:
    assert normalise("a\r\nb\rc\nd\n\re") == "a\nb\nc\nd\n\ne"
    assert normalise("か\u3099は\u309a") == "がぱ"
    assert normalise("ｶﾞ①㈱") == "ｶﾞ①㈱"


@given(any_text())
@example("\u2225\u0338")
@example("A\u0301\u030a")
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(st.characters(exclude_characters="".join(SAME_CHARACTER) + "\n", exclude_categories=["Cs"])))
def test_normalising_keeps_canonical_equivalence_outside_its_table(text: str) -> None:
    assert unicodedata.normalize("NFD", normalise(text)) == unicodedata.normalize("NFD", text)


# --- problems ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("character", "code"),
    [
        pytest.param(character, code, id=f"{code} U+{ord(character):04X}")
        for code, characters in {
            "nec_special_character": "①Ⅰ㈱№㎜㍻∑℡",
            "ibm_extension_character": "ⅰ髙﨑￤纊",
            "gaiji": "\ue000\uf8ff\U000f0000",
            "emoji": "😀❤☺⌚\ufe0f\u200d🇯",
            "not_in_shift_jis": "㋿©®™한简𠮷é‾\u200b\u2028\ufeff\ufffd\u3099",
            "control_character": "\x00\x07\x0b\x1b\x7f\x80\x85",
            "lone_surrogate": "\ud800\udfff",
        }.items()
        for character in characters
    ],
)
def test_an_unsendable_character_is_reported_with_code_and_position(character: str, code: str) -> None:
    (problem,) = preflight(f"お名前{character}様").problems
    assert (problem.code, problem.character, problem.position) == (code, character, 3)
    assert f"U+{ord(character):04X}" in problem.message


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        pytest.param("か\u3099①", [("①", 2)], id="after a composed pair"),
        pytest.param("\r\n\r\n①", [("①", 4)], id="after two newlines"),
        pytest.param("e\u0301", [("é", 0)], id="composed by NFC"),
        pytest.param("xe\u0301\u0301①", [("é", 1), ("\u0301", 3), ("①", 4)], id="mark repeated after composing"),
        pytest.param("あ\u3099", [("\u3099", 1)], id="mark that does not compose"),
        pytest.param("か\u3099\u3099", [("\u3099", 2)], id="mark repeated"),
        pytest.param("\u3099か", [("\u3099", 0)], id="mark first"),
        pytest.param("か\u0323\u3099", [("\u0323", 1)], id="mark between base and mark"),
        pytest.param("❤\ufe0f", [("❤", 0), ("\ufe0f", 1)], id="emoji with variation selector"),
        pytest.param("\u0958", [("\u0958", 0)], id="taken apart by NFC"),
        pytest.param("\U0001f600a\U0001f600", [("😀", 0), ("😀", 2)], id="two emoji"),
    ],
)
def test_positions_refer_to_the_text_before_normalising(text: str, positions: list[tuple[str, int]]) -> None:
    assert [(problem.character, problem.position) for problem in preflight(text).problems] == positions


@given(any_text())
def test_a_position_holds_the_character_or_its_base(text: str) -> None:
    for problem in preflight(text).problems:
        if problem.position is None or problem.character is None:
            continue
        character = text[problem.position]
        assert unicodedata.normalize("NFD", character)[0] == unicodedata.normalize("NFD", problem.character)[0]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(" ", id="space"),
        pytest.param("\u3000", id="ideographic space"),
        pytest.param("\n\n", id="newlines"),
        pytest.param("\r\n", id="CR LF"),
        pytest.param("\t \u00a0", id="tab and no-break space"),
        pytest.param(" \n\u3000", id="mixed"),
    ],
)
def test_blank_texts_are_refused(text: str) -> None:
    result = preflight(text)
    assert codes(result) == ["empty"]
    assert not any(view.fits for view in result.carriers.values())


def test_problems_beyond_the_maximum_are_only_counted() -> None:
    result = preflight("①" * 5_000)
    assert len(result.problems) == MAX_PROBLEMS
    assert result.problem_count == 5_001
    assert codes(result)[:2] == ["too_long", "nec_special_character"]
    problems = result.as_json()["problems"]
    assert isinstance(problems, list)
    assert problems[-1] == {"code": "more_problems", "message": f"{5_001 - MAX_PROBLEMS} more problem(s), not listed"}
    assert len(problems) == len(result.field_problems()) == MAX_PROBLEMS + 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a" * (MAX_CODE_POINTS + 1), id="one code point too many"),
        pytest.param("\U0001f600\ud800\x00" * 400_000, id="over a million code points"),
    ],
)
def test_a_text_far_too_long_is_refused_unexamined(text: str) -> None:
    result = preflight("ok", text_au=text, long_sms=True)
    assert codes(result) == ["too_long"]
    result = preflight(text)
    assert codes(result) == ["too_long"]
    assert not result.fits
    with pytest.raises(InvalidRequestError):
        normalise(text)


@given(any_text(), any_text(), st.booleans(), st.sampled_from(EVERY_CHOICE))
def test_every_string_gets_an_answer_that_json_can_hold(
    text: str, text_au: str, long_sms: bool, carrier: Carrier | None
) -> None:
    result = preflight(text, text_au=text_au, long_sms=long_sms, carrier=carrier)
    assert result.fits is (result.problem_count == 0)
    assert json.dumps(result.as_json(), ensure_ascii=False).encode()
    messages = "".join(problem.message for problem in result.field_problems())
    assert not any(0xD800 <= ord(character) <= 0xDFFF for character in messages)


def test_messages_do_not_quote_the_text() -> None:
    error = InvalidRequestError(*preflight("秘密のコードは①です" * 9).field_problems())
    assert not any(character in str(error) for character in "秘密コード①")
    assert {problem.field for problem in error.problems} == {"text"}


def test_the_json_has_the_fields_of_the_contract() -> None:
    assert preflight("あ①").as_json() == {
        "characters": 2,
        "bytes_sjis": 4,
        "parts": 1,
        "limit": 70,
        "fits": False,
        "carriers": {
            carrier: {
                "characters": 2,
                "bytes_sjis": 4,
                "used": 4 if carrier == "au" else 2,
                "limit": 140 if carrier == "au" else 70,
                "unit": "bytes_sjis" if carrier == "au" else "characters",
                "parts": 1,
                "fits": False,
            }
            for carrier in ("docomo", "softbank", "au", "ymobile")
        },
        "problems": [
            {
                "code": "nec_special_character",
                "message": "U+2460 at position 1 is a NEC special character, which depends on the phone",
                "character": "①",
                "position": 1,
            }
        ],
    }


# --- au's own text -----------------------------------------------------------------------------------------------


def test_text_au_replaces_the_text_for_au_alone() -> None:
    result = preflight("あ" * 660, text_au="い" * 670, long_sms=True)
    assert result.fits
    assert result.carriers[Carrier.AU].characters == 670
    assert result.carriers[Carrier.DOCOMO].characters == result.characters == 660


def test_problems_of_text_au_name_that_field() -> None:
    result = preflight("あ", text_au="い①" + "い" * 669, long_sms=True)
    assert [(problem.field, problem.code) for problem in result.problems] == [
        ("text_au", "too_long"),
        ("text_au", "nec_special_character"),
    ]
    assert result.carriers[Carrier.DOCOMO].fits
    assert not result.carriers[Carrier.AU].fits
    assert {problem.field for problem in result.field_problems()} == {"text_au"}
    assert codes(preflight("あ", text_au="", long_sms=True)) == ["empty"]


def test_both_texts_must_fit_if_au_is_the_carrier() -> None:
    assert preflight("あ" * 670, text_au="い", long_sms=True, carrier=Carrier.AU).fits
    assert codes(preflight("あ" * 671, text_au="い", long_sms=True, carrier=Carrier.AU)) == ["too_long"]
    assert codes(preflight("あ", text_au="い" * 671, long_sms=True, carrier=Carrier.AU)) == ["too_long"]


@pytest.mark.parametrize(
    ("long_sms", "carrier"),
    [
        pytest.param(False, None, id="any carrier, short"),
        pytest.param(False, Carrier.AU, id="au, short"),
        pytest.param(True, Carrier.OVERSEAS, id="overseas, long"),
    ],
)
def test_text_au_without_effect_is_a_problem(long_sms: bool, carrier: Carrier | None) -> None:
    result = preflight("あ", text_au="い", long_sms=long_sms, carrier=carrier)
    assert [(problem.field, problem.code) for problem in result.problems] == [("text_au", "text_au_not_applicable")]


def test_overseas_has_one_view_in_gsm_characters() -> None:
    views = preflight("{price}", carrier=Carrier.OVERSEAS).carriers
    assert list(views) == [Carrier.OVERSEAS]
    assert (views[Carrier.OVERSEAS].used, views[Carrier.OVERSEAS].unit) == (9, "gsm_characters")


def test_code_points_beyond_the_basic_plane_are_refused() -> None:
    sample = range(0x10000, sys.maxunicode + 1, 257)
    assert not any(preflight(chr(code_point)).fits for code_point in sample)


# --- the request -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({}, ("text", "required")),
        ({"text": "a", "template_id": "1"}, ("template_id", "exclusive")),
        ({"text_au": "a", "template_id": "1"}, ("text_au", "exclusive")),
    ],
    ids=["nothing", "text and template", "au's text and template"],
)
def test_content_that_is_missing_or_doubled_is_refused(content: dict[str, Any], problem: tuple[str, str]) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        compose(SmsRequest(to="090-0000-0001", **content), rules=SmsRules())

    assert [(fault.field, fault.code) for fault in refused.value.problems] == [problem]


@pytest.mark.parametrize(
    ("to", "carrier"),
    [("090-0000-0001", Carrier.OVERSEAS), ("+1 202 555 0100", Carrier.DOCOMO)],
    ids=["overseas carrier for Japan", "carrier of Japan for a number outside"],
)
def test_a_carrier_of_another_country_is_refused(to: str, carrier: Carrier) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        compose(SmsRequest(to=to, text="a", carrier=carrier), rules=SmsRules(overseas_prefixes=("+1",)))

    assert [(fault.field, fault.code) for fault in refused.value.problems] == [("carrier", "carrier_mismatch")]


def test_a_number_outside_japan_is_sent_by_the_overseas_carrier() -> None:
    request = SmsRequest(to="+1 202 555 0100", text="a")

    assert compose(request, rules=SmsRules(overseas_prefixes=("+1",))).content.carrier is Carrier.OVERSEAS
