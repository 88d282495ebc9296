"""An SMS text that passes the preflight is never cut, and one that fails it has a reason and a position."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switchboard.domain.errors import InvalidRequestError
from switchboard.domain.sms.carriers import DOMESTIC_CARRIERS, Carrier
from switchboard.domain.sms.preflight import MAX_PROBLEMS, Preflight, preflight
from switchboard.domain.sms.shift_jis import MAX_CODE_POINTS, normalise
from tests.ids import describe_row
from tests.strategies import any_text, sendable_text

EVERY_CHOICE = [None, *Carrier]


def describe_text(value: object) -> str | None:
    """Describe a text by its length and its last character."""
    return f"{len(value)} to {value[-1]!a}" if type(value) is str else None


def shift_jis_repertoire() -> frozenset[str]:
    """Collect every character that one or two bytes of Shift_JIS decode to."""
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
    "\u00c5": "\u212b",  # not among the facts: NFC turns the character of Shift_JIS into one that Shift_JIS lacks
    "\u00a0": " ",
    "\t": " ",
    "\r": "\n",
}


def is_cut(sent: str, *, carrier: Carrier, long_sms: bool) -> bool:
    """Apply the document's rule as strictly as possible: a newline is two characters, half-width kana are not ASCII."""
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
def test_a_fitting_text_is_encodable_and_not_cut(text: str, long_sms: bool, carrier: Carrier | None) -> None:
    if not preflight(text, long_sms=long_sms, carrier=carrier).fits:
        return
    sent = normalise(text)
    assert sent.encode("shift_jis").decode("shift_jis") == sent
    for recipient_carrier in [carrier] if carrier else DOMESTIC_CARRIERS:
        assert not is_cut(sent, carrier=recipient_carrier, long_sms=long_sms)


@given(sendable_text(), st.booleans(), st.sampled_from([None, *DOMESTIC_CARRIERS]))
def test_a_sendable_text_is_refused_only_if_it_would_be_cut(text: str, long_sms: bool, carrier: Carrier | None) -> None:
    result = preflight(text, long_sms=long_sms, carrier=carrier)
    carriers = [carrier] if carrier else DOMESTIC_CARRIERS
    cut = any(is_cut(text, carrier=recipient_carrier, long_sms=long_sms) for recipient_carrier in carriers)
    assert result.fits is not cut
    assert codes(result) == (["too_long"] if cut else [])


@given(sendable_text(max_size=800), st.booleans())
def test_a_text_for_any_carrier_fits_if_it_fits_every_carrier(text: str, long_sms: bool) -> None:
    views = preflight(text, long_sms=long_sms).carriers
    assert list(views) == list(DOMESTIC_CARRIERS)
    for carrier in DOMESTIC_CARRIERS:
        assert views[carrier].fits is preflight(text, long_sms=long_sms, carrier=carrier).fits
    assert preflight(text, long_sms=long_sms).fits is all(view.fits for view in views.values())


def test_a_basic_plane_character_is_sendable_if_shift_jis_has_it() -> None:
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
        ("a" * 140, None, False, True),
        ("a" * 141, None, False, False),
        ("a" * 69 + "あ", None, False, True),
        ("a" * 70 + "あ", None, False, False),
        ("あ" * 70, None, False, True),
        ("あ" * 71, None, False, False),
        ("ｱ" * 70, None, False, True),
        ("ｱ" * 71, None, False, False),
        ("a" * 70 + "あ", Carrier.AU, False, True),
        ("a" * 138 + "あ", Carrier.AU, False, True),
        ("a" * 139 + "あ", Carrier.AU, False, False),
        ("あ" * 71, Carrier.AU, False, False),
        ("ｱ" * 140, Carrier.AU, False, True),
        ("ｱ" * 141, Carrier.AU, False, False),
        ("a" * 70 + "あ", Carrier.DOCOMO, False, False),
        ("a" * 70 + "あ", Carrier.SOFTBANK, False, False),
        ("a" * 70 + "あ", Carrier.YMOBILE, False, False),
        ("あ" * 660, None, True, True),
        ("あ" * 661, None, True, False),
        ("a" * 660, None, True, True),
        ("a" * 661, None, True, False),
        ("あ" * 670, Carrier.AU, True, True),
        ("あ" * 671, Carrier.AU, True, False),
        ("あ" * 661, Carrier.DOCOMO, True, False),
        ("a" * 138 + "\n", None, False, True),
        ("a" * 139 + "\n", None, False, False),
        ("あ" * 68 + "\n", None, False, True),
        ("あ" * 69 + "\n", None, False, False),
        ("あ" * 69 + "\n", Carrier.AU, False, True),
        ("a" * 138 + "\n", Carrier.AU, False, True),
        ("a" * 139 + "\n", Carrier.AU, False, False),
        ("a" * 140, Carrier.OVERSEAS, False, True),
        ("a" * 139 + "{", Carrier.OVERSEAS, False, False),
        ("a" * 138 + "{", Carrier.OVERSEAS, False, True),
        ("a" * 70 + "`", Carrier.OVERSEAS, False, False),
        ("あ" * 70, Carrier.OVERSEAS, True, True),
        ("あ" * 71, Carrier.OVERSEAS, True, False),
    ],
    ids=describe_text,
)
def test_a_text_at_the_limit_fits_and_one_above_does_not(
    text: str, carrier: Carrier | None, long_sms: bool, fits: bool
) -> None:
    result = preflight(text, long_sms=long_sms, carrier=carrier)
    assert result.fits is fits
    assert codes(result) == ([] if fits else ["too_long"])
    carriers = [carrier] if carrier else DOMESTIC_CARRIERS
    assert all(result.carriers[recipient_carrier].fits for recipient_carrier in carriers) is fits


@pytest.mark.parametrize(
    ("text", "carrier", "long_sms", "limit"),
    [
        ("hello", None, False, 140),
        ("hello\n", None, False, 140),
        ("こんにちは", None, False, 70),
        ("ｺﾝﾆﾁﾊ", None, False, 70),
        ("こんにちは", Carrier.AU, False, 140),
        ("hello", None, True, 660),
        ("こんにちは", Carrier.AU, True, 670),
    ],
)
def test_the_limit_depends_on_text_and_carrier(text: str, carrier: Carrier | None, long_sms: bool, limit: int) -> None:
    assert preflight(text, long_sms=long_sms, carrier=carrier).limit == limit


def test_a_text_is_counted_in_utf16_units_and_shift_jis_bytes() -> None:
    result = preflight("abあｱ\r\n")
    assert (result.characters, result.bytes_sjis) == (6, 7)
    assert preflight("😀").characters == 2


@pytest.mark.parametrize(
    ("length", "parts"),
    [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4), (603, 9), (604, 10), (660, 10)],
)
def test_a_long_text_has_parts_of_67_characters(length: int, parts: int) -> None:
    assert preflight("あ" * length, long_sms=True).parts == parts


def test_a_text_without_the_long_option_has_one_part() -> None:
    assert preflight("あ" * 70).parts == 1
    assert preflight("a" * 140, long_sms=True).parts == 1
    assert preflight("a" * 141, long_sms=True).parts == 3


# --- normalisation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spelling", "normal"), SAME_CHARACTER.items())
def test_look_alike_characters_have_one_spelling(spelling: str, normal: str) -> None:
    assert normalise(f"a{spelling}b") == f"a{normal}b"


def test_normalising_unifies_newlines_and_composes_kana() -> None:
    assert normalise("a\r\nb\rc\nd\n\re") == "a\nb\nc\nd\n\ne"
    assert normalise("か\u3099は\u309a") == "がぱ"
    assert normalise("ｶﾞ①㈱") == "ｶﾞ①㈱"


@given(any_text())
@example("\u2225\u0338")
@example("A\u0301\u030a")
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(st.characters(exclude_characters="".join(SAME_CHARACTER) + "\n", exclude_categories=["Cs"])))
def test_normalising_other_characters_is_canonical_equivalence(text: str) -> None:
    assert unicodedata.normalize("NFD", normalise(text)) == unicodedata.normalize("NFD", text)


# --- problems ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("character", "code"),
    [(character, "nec_special_character") for character in "①Ⅰ㈱№㎜㍻∑℡"]
    + [(character, "ibm_extension_character") for character in "ⅰ髙﨑￤纊"]
    + [(character, "gaiji") for character in "\ue000\uf8ff\U000f0000"]
    + [(character, "emoji") for character in "😀❤☺⌚\ufe0f\u200d🇯"]
    + [(character, "not_in_shift_jis") for character in "㋿©®™한简𠮷é‾\u200b\u2028\ufeff\ufffd\u3099"]
    + [(character, "control_character") for character in "\x00\x07\x0b\x1b\x7f\x80\x85"]
    + [(character, "lone_surrogate") for character in "\ud800\udfff"],
)
def test_a_refused_character_is_named_with_its_class_and_position(character: str, code: str) -> None:
    (problem,) = preflight(f"お名前{character}様").problems
    assert (problem.code, problem.character, problem.position) == (code, character, 3)
    assert f"U+{ord(character):04X}" in problem.message


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("か\u3099①", [("①", 2)]),
        ("\r\n\r\n①", [("①", 4)]),
        ("e\u0301", [("é", 0)]),
        ("xe\u0301\u0301①", [("é", 1), ("\u0301", 3), ("①", 4)]),
        ("あ\u3099", [("\u3099", 1)]),
        ("か\u3099\u3099", [("\u3099", 2)]),
        ("\u3099か", [("\u3099", 0)]),
        ("か\u0323\u3099", [("\u0323", 1)]),
        ("❤\ufe0f", [("❤", 0), ("\ufe0f", 1)]),
        ("\u0958", [("\u0958", 0)]),
        ("\U0001f600a\U0001f600", [("😀", 0), ("😀", 2)]),
    ],
    ids=describe_row,
)
def test_positions_refer_to_the_unnormalised_text(text: str, refused: list[tuple[str, int]]) -> None:
    assert [(problem.character, problem.position) for problem in preflight(text).problems] == refused


@given(any_text())
def test_a_position_points_at_the_character_or_its_composition(text: str) -> None:
    for problem in preflight(text).problems:
        if problem.position is None or problem.character is None:
            continue
        character = text[problem.position]
        assert unicodedata.normalize("NFD", character)[0] == unicodedata.normalize("NFD", problem.character)[0]


@pytest.mark.parametrize("text", ["", " ", "\u3000", "\n\n", "\r\n", "\t \u00a0", " \n\u3000"])
def test_a_blank_text_is_refused(text: str) -> None:
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
    assert problems[-1] == {"code": "more_problems", "message": f"and {5_001 - MAX_PROBLEMS} more"}
    assert len(problems) == len(result.field_problems()) == MAX_PROBLEMS + 1


@pytest.mark.parametrize(
    "text",
    ["a" * (MAX_CODE_POINTS + 1), "\U0001f600\ud800\x00" * 400_000],
    ids=["one too many", "emoji and surrogates"],
)
def test_a_far_too_long_text_is_refused_unexamined(text: str) -> None:
    result = preflight("ok", text_au=text, long_sms=True)
    assert codes(result) == ["too_long"]
    result = preflight(text)
    assert codes(result) == ["too_long"]
    assert not result.fits
    with pytest.raises(InvalidRequestError):
        normalise(text)


@given(any_text(), any_text(), st.booleans(), st.sampled_from(EVERY_CHOICE))
def test_any_string_gives_a_serialisable_answer(
    text: str, text_au: str, long_sms: bool, carrier: Carrier | None
) -> None:
    result = preflight(text, text_au=text_au, long_sms=long_sms, carrier=carrier)
    assert result.fits is (result.problem_count == 0)
    assert json.dumps(result.as_json(), ensure_ascii=False).encode()
    messages = "".join(problem.message for problem in result.field_problems())
    assert not any(0xD800 <= ord(character) <= 0xDFFF for character in messages)


def test_problem_messages_do_not_quote_the_text() -> None:
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


def test_au_gets_its_own_text_and_the_others_the_common_one() -> None:
    result = preflight("あ" * 660, text_au="い" * 670, long_sms=True)
    assert result.fits
    assert result.carriers[Carrier.AU].characters == 670
    assert result.carriers[Carrier.DOCOMO].characters == result.characters == 660


def test_a_problem_of_the_au_text_names_its_field() -> None:
    result = preflight("あ", text_au="い①" + "い" * 669, long_sms=True)
    assert [(problem.field, problem.code) for problem in result.problems] == [
        ("text_au", "too_long"),
        ("text_au", "nec_special_character"),
    ]
    assert result.carriers[Carrier.DOCOMO].fits
    assert not result.carriers[Carrier.AU].fits
    assert {problem.field for problem in result.field_problems()} == {"text_au"}
    assert codes(preflight("あ", text_au="", long_sms=True)) == ["empty"]


def test_with_carrier_au_both_texts_must_fit() -> None:
    assert preflight("あ" * 670, text_au="い", long_sms=True, carrier=Carrier.AU).fits
    assert codes(preflight("あ" * 671, text_au="い", long_sms=True, carrier=Carrier.AU)) == ["too_long"]
    assert codes(preflight("あ", text_au="い" * 671, long_sms=True, carrier=Carrier.AU)) == ["too_long"]


@pytest.mark.parametrize(("long_sms", "carrier"), [(False, None), (False, Carrier.AU), (True, Carrier.OVERSEAS)])
def test_an_au_text_without_a_meaning_is_a_problem(long_sms: bool, carrier: Carrier | None) -> None:
    result = preflight("あ", text_au="い", long_sms=long_sms, carrier=carrier)
    assert [(problem.field, problem.code) for problem in result.problems] == [("text_au", "text_au_not_applicable")]


def test_an_overseas_text_has_only_the_overseas_view() -> None:
    view = preflight("{price}", carrier=Carrier.OVERSEAS).carriers
    assert list(view) == [Carrier.OVERSEAS]
    assert (view[Carrier.OVERSEAS].used, view[Carrier.OVERSEAS].unit) == (9, "gsm_characters")


def test_every_code_point_beyond_the_basic_plane_is_refused() -> None:
    sample = range(0x10000, sys.maxunicode + 1, 257)
    assert not any(preflight(chr(code_point)).fits for code_point in sample)
