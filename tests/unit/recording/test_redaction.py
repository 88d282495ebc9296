"""Redaction: literal examples, the table beside its specification, and recall and precision over a generated set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.recording import redaction_table as table
from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.redaction import RedactedWords, redact
from switchboard.domain.recording.turns import join_words
from switchboard.domain.recording.words import Word
from tests.unit.recording.spoken_numbers import (
    CUSTOMER,
    DIGITS,
    OPERATOR,
    Part,
    Speaker,
    conversation_of,
    read_rows,
)

LANGUAGES = {"ja": "ja-JP", "zh": "zh-CN", "en": "en-US"}
CONVERSATIONS = 100
SENTENCES = 8


def spoken(*texts: str, start_ms: int = 0, echo: bool = False) -> tuple[Word, ...]:
    return tuple(
        Word(start_ms=start_ms + 300 * at, end_ms=start_ms + 300 * at + 300, text=text, echo=echo)
        for at, text in enumerate(texts)
    )


def text_of(redacted: RedactedWords, channel: Channel = CUSTOMER) -> str:
    return join_words(redacted.words[channel])


@pytest.mark.parametrize("row", read_rows("examples"), ids=lambda row: row["said"])
def test_an_example_becomes_what_the_table_says(row: dict[str, str]) -> None:
    redacted = redact({CUSTOMER: spoken(*row["said"].split())}, language=LANGUAGES[row["language"]])

    assert text_of(redacted) == row["stored"]


def _to_hiragana(text: str) -> str:
    return "".join(chr(ord(character) - 0x60) if "ァ" <= character <= "ヶ" else character for character in text)


def test_the_spoken_digits_of_the_specification_are_in_the_table() -> None:
    known = {**table.KANJI_DIGITS, **table.KANA_DIGITS, **table.ENGLISH_DIGITS}
    for (language, form), digits in DIGITS.items():
        if form in ("ascii", "full_width"):
            continue
        for digit, texts in enumerate(digits):
            for text in texts:
                kana = _to_hiragana(text)
                value = known.get(kana) or known.get(kana.rstrip("ー"))
                assert value == str(digit), (language, form, text)


def _generate(language: str, make: Callable[[Speaker], Iterator[Part]], seed: int) -> list[Part]:
    speaker = Speaker(language, seed)
    parts: list[Part] = []
    for _ in range(SENTENCES):
        parts += make(speaker)
        speaker.wait(1200)
    return parts


def _mixed(speaker: Speaker) -> Iterator[Part]:
    yield from speaker.sentence()
    speaker.wait(900)
    yield from speaker.survivor()


def _judge(redacted: RedactedWords, parts: list[Part]) -> Iterator[tuple[Part, str]]:
    """Yield what became of each part: `removed`, `left`, `kept` or `damaged`."""
    for part in parts:
        start, end = part.words[0].start_ms, part.words[-1].end_ms
        stored = [word for word in redacted.words[part.channel] if start <= word.start_ms and word.end_ms <= end]
        if part.kind:
            secret_times = {word.start_ms for word in part.secrets}
            digits = [word for word in stored if word.start_ms in secret_times and any(map(str.isalnum, word.text))]
            left = [word for word in digits if word in part.secrets and not _is_between(word.text)]
            yield part, "left" if left or not any(f"[{part.kind}]" in word.text for word in stored) else "removed"
        else:
            yield part, "kept" if join_words(stored) == join_words(part.words) else "damaged"


def _is_between(text: str) -> bool:
    fillers = {text for row in read_rows("between") for text in row["texts"].split()}
    return text in fillers or all(character in "".join(fillers) for character in text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_recall_and_precision_reach_their_goals(language: str) -> None:
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in range(CONVERSATIONS):
        parts = _generate(language, _mixed, seed)
        for part, end in _judge(redact(conversation_of(parts), language=LANGUAGES[language]), parts):
            ends[end] += 1
            if end in ("left", "damaged"):
                wrong.append(f"{end} {part.kind}: {join_words(part.words)}")

    assert ends["removed"] / (ends["removed"] + ends["left"]) >= 0.99, wrong
    assert ends["removed"] / (ends["removed"] + ends["damaged"]) >= 0.97, wrong


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_in_pieces_across_turns_are_removed(language: str) -> None:
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in range(CONVERSATIONS):
        parts = _generate(language, Speaker.number_across_turns, seed)
        for part, end in _judge(redact(conversation_of(parts), language=LANGUAGES[language]), parts):
            ends[end] += 1
            if end in ("left", "damaged"):
                wrong.append(f"{end} {part.kind}: {join_words(part.words)}")

    assert ends["removed"] / (ends["removed"] + ends["left"]) >= 0.95, wrong


def test_a_removed_number_keeps_its_times_and_the_words_between_its_parts() -> None:
    said = (
        Word(start_ms=0, end_ms=300, text="番号は", confidence=0.9),
        Word(start_ms=300, end_ms=900, text="090", confidence=0.8),
        Word(start_ms=900, end_ms=1500, text="0000の", confidence=0.7),
        Word(start_ms=2900, end_ms=3200, text="はい", confidence=0.6),
        Word(start_ms=4100, end_ms=4700, text="0001です。", confidence=0.5),
    )

    redacted = redact({CUSTOMER: said}, language="ja-JP")

    assert redacted.words[CUSTOMER] == (
        said[0],
        Word(start_ms=300, end_ms=1500, text="[telephone]の", confidence=0.7),
        said[3],
        Word(start_ms=4100, end_ms=4700, text="[telephone]です。", confidence=0.5),
    )
    assert redacted.removed == {"telephone": 1}


def test_a_part_that_the_other_channel_reads_back_is_removed() -> None:
    customer = spoken("090の0000の1234です。")
    operator = spoken("下四桁が", "1234", "ですね。", "ご注文番号は", "1234", "で", "1234", "円です。", start_ms=3000)

    redacted = redact({CUSTOMER: customer, OPERATOR: operator}, language="ja-JP")

    assert text_of(redacted, OPERATOR) == "下四桁が[telephone]ですね。ご注文番号は1234で1234円です。"
    assert redacted.removed == {"telephone": 2}


def test_a_keyword_on_the_other_channel_makes_a_number_a_code() -> None:
    question = spoken("暗証番号を", "どうぞ")
    later = spoken("4821", start_ms=table.NEAR_BEFORE_MS)
    too_late = spoken("4821", start_ms=table.NEAR_BEFORE_MS + 1)

    near, far = (redact({OPERATOR: question, CUSTOMER: said}, language="ja-JP") for said in (later, too_late))

    assert (text_of(near), text_of(far)) == ("[code]", "4821")


def test_a_number_ends_at_a_question_for_another_one() -> None:
    customer = (*spoken("0900000です。"), *spoken("0001", start_ms=6000))
    question, answer = spoken("ご注文番号は", start_ms=3000), spoken("はい", start_ms=3000)

    asked, answered = (
        text_of(redact({CUSTOMER: customer, OPERATOR: operator}, language="ja-JP")) for operator in (question, answer)
    )

    assert (asked, answered) == ("0900000です。0001", "[telephone]です。[telephone]")


@pytest.mark.parametrize(("pause_ms", "removed"), [(10_000, 1), (10_001, 0)], ids=["long_pause", "too_long"])
def test_a_number_goes_on_behind_a_pause_of_up_to_ten_seconds(pause_ms: int, removed: int) -> None:
    said = (*spoken("0900000"), *spoken("0001", start_ms=300 + pause_ms))

    assert redact({CUSTOMER: said}, language="ja-JP").removed.get("telephone", 0) == removed


def test_echo_is_redacted_and_not_counted() -> None:
    words = (*spoken("090", "0000", "0001", echo=True), *spoken("承知しました", start_ms=100))

    redacted = redact({OPERATOR: words}, language="ja-JP")

    assert [(word.text, word.echo) for word in redacted.words[OPERATOR]] == [
        ("[telephone]", True),
        ("承知しました", False),
    ]
    assert redacted.removed == {}


_PIECES = st.sampled_from(
    [
        *"0123456789の、。 はい一二三〇年月日円えにー",
        *(
            "ぜろ",
            "いち",
            "０９０",
            "090-0000-0001",
            "double",
            "oh",
            "four",
            "at",
            "dot",
            "アットマーク",
            "ドット",
            "com",
        ),
        *("昭和", "生年月日", "暗証番号", "注文番号", "email", "ＰＩＮ", "か゚", ""),
    ]
)


@given(
    st.lists(st.tuples(_PIECES, st.integers(0, 12_000), st.booleans()), max_size=60),
    st.sampled_from(["ja", "zh-CN", "en"]),
)
def test_words_outside_removed_parts_stay_as_they_are(said: list[tuple[str, int, bool]], language: str) -> None:
    words, clock = [], 0
    for text, pause_ms, echo in said:
        words.append(Word(start_ms=clock, end_ms=clock + 200, text=text, confidence=0.5, echo=echo))
        clock += 200 + (pause_ms if pause_ms > 6000 else 0)

    redacted = redact({CUSTOMER: tuple(words)}, language=language).words[CUSTOMER]

    kept = [word for word in redacted if "[" not in word.text]
    assert kept == [word for word in words if word in kept]
    covered = sum(word.end_ms - word.start_ms for word in redacted)
    assert covered >= sum(word.end_ms - word.start_ms for word in words)
    assert [word.start_ms for word in redacted] == sorted(word.start_ms for word in redacted)
