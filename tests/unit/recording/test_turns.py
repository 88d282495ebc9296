"""Turns from words: pauses, neighbours, backchannels, overlaps, echo and blanks. (transcripts.md, "Words to turns")"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.recording.facts import ROLES, Channel, Role
from switchboard.domain.recording.turns import Turn, build_turns, join_words
from switchboard.domain.recording.words import Word

LEFT, RIGHT, MONAURAL = Channel.LEFT, Channel.RIGHT, Channel.MONAURAL


def say(text: str, start_ms: int, end_ms: int, **members: object) -> Word:
    return Word(start_ms=start_ms, end_ms=end_ms, text=text, **members)  # type: ignore[arg-type]


def turns_of(left: list[Word], right: list[Word] | None = None) -> list[tuple[Role, int, int, str]]:
    turns = build_turns({LEFT: tuple(left), RIGHT: tuple(right or [])}, roles=ROLES)
    return [(turn.role, turn.start_ms, turn.end_ms, turn.text) for turn in turns]


def flags_of(left: list[Word], right: list[Word]) -> dict[str, tuple[bool, bool]]:
    turns = build_turns({LEFT: tuple(left), RIGHT: tuple(right)}, roles=ROLES)
    return {turn.text: (turn.overlap, turn.backchannel) for turn in turns}


def test_two_sides_take_turns_in_the_order_of_time() -> None:
    left = [say("もしもし。", 2000, 2600), say("田中", 2600, 3000), say("です。", 3000, 3400)]
    right = [say("お電話", 0, 500), say("ありがとうございます。", 500, 1800), say("田中様ですね。", 4000, 5200)]

    assert turns_of(left, right) == [
        (Role.OPERATOR, 0, 1800, "お電話ありがとうございます。"),
        (Role.CUSTOMER, 2000, 3400, "もしもし。田中です。"),
        (Role.OPERATOR, 4000, 5200, "田中様ですね。"),
    ]


@pytest.mark.parametrize(
    ("gap_ms", "turns"), [(3000, 1), (3001, 2)], ids=["three_seconds_apart_is_one", "further_apart_is_two"]
)
def test_neighbours_of_one_speaker_are_one_turn_up_to_a_gap(gap_ms: int, turns: int) -> None:
    assert len(turns_of([say("一つ目。", 0, 500), say("二つ目。", 500 + gap_ms, 2000 + gap_ms)])) == turns


@pytest.mark.parametrize(("pause_ms", "turns"), [(800, 2), (801, 3)], ids=["short_pause_joins", "long_pause_cuts"])
def test_another_speaker_cuts_only_at_a_pause_between_words(pause_ms: int, turns: int) -> None:
    left = [say("こちらの", 0, 1000), say("商品です", 1000 + pause_ms, 3000 + pause_ms)]
    right = [say("その商品の色は何色ですか", 1100, 3900)]

    assert len(turns_of(left, right)) == turns


def test_corrected_roles_change_the_roles_and_nothing_else() -> None:
    words = {LEFT: (say("a", 0, 10),), RIGHT: (say("b", 5000, 5010),)}
    swapped = {LEFT: Role.OPERATOR, RIGHT: Role.CUSTOMER}

    before, after = (build_turns(words, roles=roles) for roles in (ROLES, swapped))

    assert [turn.role for turn in before] == [Role.CUSTOMER, Role.OPERATOR]
    assert [turn.role for turn in after] == [Role.OPERATOR, Role.CUSTOMER]
    assert [(turn.text, turn.start_ms) for turn in before] == [(turn.text, turn.start_ms) for turn in after]


def test_labels_of_a_monaural_file_are_the_speakers() -> None:
    words = (
        say("はい。", 0, 300, speaker="spk_0"),
        say("山田です。", 300, 1200, speaker="spk_1"),
        say("どうも。", 1200, 1800, speaker="spk_0"),
    )

    turns = build_turns({MONAURAL: words}, roles=ROLES)

    assert [(turn.role, turn.speaker, turn.text) for turn in turns] == [
        (Role.MIXED, "spk_0", "はい。"),
        (Role.MIXED, "spk_1", "山田です。"),
        (Role.MIXED, "spk_0", "どうも。"),
    ]


def test_a_backchannel_in_a_pause_does_not_cut() -> None:
    left = [say("090の", 0, 900), say("0000の", 2500, 3400), say("0001です。", 5000, 6400)]
    right = [say("はい", 1300, 1600), say("はい。", 3800, 4100)]

    assert turns_of(left, right) == [
        (Role.CUSTOMER, 0, 6400, "090の0000の0001です。"),
        (Role.OPERATOR, 1300, 1600, "はい"),
        (Role.OPERATOR, 3800, 4100, "はい。"),
    ]
    assert flags_of(left, right)["はい"] == (False, True)


def test_any_short_words_during_a_longer_utterance_are_backchannel() -> None:
    left = [say("昨日届いた商品なんですけれども", 0, 4000)]
    right = [say("承知", 1000, 1700)]

    assert flags_of(left, right) == {"昨日届いた商品なんですけれども": (False, False), "承知": (True, True)}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([say("二つです。", 1300, 2000)], id="words_with_content"),
        pytest.param([say("はい。", 1300, 1700), say("二つです。", 1700, 2300)], id="yes_and_content"),
        pytest.param([say("はい。", 1300, 1600), say("二つです。", 2500, 3300)], id="yes_pause_and_content"),
        pytest.param([say("はい。", 1000, 2100)], id="longer_than_a_second"),
    ],
)
def test_a_short_answer_between_two_utterances_is_a_turn(answer: list[Word]) -> None:
    right = [say("おいくつですか。", 0, 1000), say("承知いたしました。", 3500, 5000)]

    assert not any(backchannel for _, backchannel in flags_of(answer, right).values())
    assert len(turns_of(answer, right)) == 3


def test_acknowledgements_of_both_sides_are_not_backchannels_of_each_other() -> None:
    flags = flags_of([say("はい", 0, 300), say("ええ", 1600, 1900)], [say("うん", 800, 1100)])

    assert flags == {"はい": (False, False), "うん": (False, False), "ええ": (False, False)}


def test_short_words_of_equal_length_at_one_time_are_not_backchannels() -> None:
    assert flags_of([say("三つ", 0, 500)], [say("四つ", 0, 500)]) == {"三つ": (True, False), "四つ": (True, False)}


def test_overlapping_turns_are_kept_and_flagged() -> None:
    left = [say("その件なんですが実は", 0, 3000), say("以上です", 9000, 11000)]
    right = [say("恐れ入りますが先に確認させてください", 2500, 6000)]

    assert flags_of(left, right) == {
        "その件なんですが実は": (True, False),
        "恐れ入りますが先に確認させてください": (True, False),
        "以上です": (False, False),
    }


def test_echo_words_are_left_out_and_cut_nothing() -> None:
    left = [say("住所は", 0, 1000), say("確認します", 1200, 1800, echo=True), say("東京です", 1700, 3000)]

    assert turns_of(left) == [(Role.CUSTOMER, 0, 3000, "住所は東京です")]


def test_the_confidence_of_a_turn_is_the_mean_of_its_words() -> None:
    words = (say("a", 0, 1, confidence=0.5), say("b", 1, 2, confidence=1.0), say("c", 2, 3))

    (turn,) = build_turns({LEFT: words}, roles=ROLES)
    (unknown,) = build_turns({LEFT: words[2:]}, roles=ROLES)

    assert (turn.confidence, unknown.confidence) == (0.75, None)


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        (["田中", "です", "。"], "田中です。"),
        (["注文番号", "1042", "です"], "注文番号1042です"),
        (["order", "number", "1042."], "order number 1042."),
        (["你好,", "我", "是", "张"], "你好,我是张"),
        (["Wi-Fi", "の", "router", "no", "一番"], "Wi-Fiのrouter no一番"),
        (["ＡＢ", "cd", "ｶﾅ", "ef"], "ＡＢcdｶﾅef"),
        (["안녕하세요", "네"], "안녕하세요 네"),
        (["", "a", "", "b"], "a b"),
        ([], ""),
    ],
    ids=["japanese", "digits", "english", "chinese", "mixed", "widths", "korean", "empty_words", "nothing"],
)
def test_a_blank_stands_only_between_words_of_spaced_scripts(texts: list[str], text: str) -> None:
    assert join_words(say(word, 0, 1) for word in texts) == text


_WORDS = st.lists(
    st.tuples(
        st.sampled_from([LEFT, RIGHT]), st.integers(0, 20_000), st.integers(0, 2_500), st.booleans(), st.booleans()
    ),
    max_size=25,
)


@given(_WORDS)
def test_no_word_is_lost_or_doubled_and_turns_are_ordered(drawn: list[tuple[Channel, int, int, bool, bool]]) -> None:
    channels: dict[Channel, list[Word]] = {LEFT: [], RIGHT: []}
    for number, (channel, start, length, echo, short) in enumerate(drawn):
        text = "はい" if short else f"語{number}"
        channels[channel].append(say(text, start, start + length, echo=echo, confidence=number / 100))
    words = {channel: tuple(sorted(members, key=lambda word: word.start_ms)) for channel, members in channels.items()}

    turns = build_turns(words, roles=ROLES)

    for channel, members in words.items():
        spoken = [word for turn in turns if turn.channel is channel for word in turn.words]
        assert Counter(spoken) == Counter(word for word in members if not word.echo)
    assert [_place(turn) for turn in turns] == sorted(_place(turn) for turn in turns)


def _place(turn: Turn) -> tuple[int, int, str]:
    return turn.start_ms, turn.end_ms, turn.channel
