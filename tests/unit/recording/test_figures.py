"""The figures of a conversation, from words and from intervals of speech alone. (transcripts.md, "Words to turns")"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.recording.facts import ROLES, Channel, Role
from switchboard.domain.recording.figures import (
    MIN_HOLD_MS,
    Figures,
    Monologue,
    Span,
    Talk,
    measure_activity,
    measure_figures,
)
from switchboard.domain.recording.transcript_document import TranscriptDocument
from switchboard.domain.recording.words import ChannelWords, Word

LEFT, RIGHT, MONAURAL = Channel.LEFT, Channel.RIGHT, Channel.MONAURAL
CUSTOMER, OPERATOR = Role.CUSTOMER, Role.OPERATOR


def say(text: str, start_ms: int, end_ms: int, *, echo: bool = False) -> Word:
    return Word(start_ms=start_ms, end_ms=end_ms, text=text, echo=echo)


def figures_of(words: ChannelWords, *, language: str = "ja-JP", duration_ms: int = 60_000) -> Figures:
    document = TranscriptDocument(language=language, words=words, duration_ms=duration_ms, removed={"code": 1})
    return measure_figures(document, roles=ROLES)


def test_intervals_of_speech_alone_give_talk_silence_and_overlap() -> None:
    speech = {LEFT: [(1_000, 4_000), (3_500, 5_000), (40_000, 46_000)], RIGHT: [(4_000, 10_000)]}

    activity = measure_activity(speech, roles=ROLES, duration_ms=50_000)

    assert activity.talk == {
        CUSTOMER: Talk(duration_ms=10_000, share=0.625),
        OPERATOR: Talk(duration_ms=6_000, share=0.375),
    }
    assert (activity.silence_ms, activity.silence_share) == (35_000, 0.7)
    assert activity.longest_silence == Span(start_ms=10_000, end_ms=40_000)
    assert activity.overlap_ms == 1_000
    assert activity.holds == (Span(start_ms=10_000, end_ms=40_000),)


@pytest.mark.parametrize(("silence_ms", "holds"), [(MIN_HOLD_MS, 0), (MIN_HOLD_MS + 1, 1)], ids=["pause", "hold"])
def test_a_hold_is_a_silence_of_more_than_twenty_seconds(silence_ms: int, holds: int) -> None:
    speech = {LEFT: [(0, 1_000)], RIGHT: [(1_000 + silence_ms, 2_000 + silence_ms)]}

    assert len(measure_activity(speech, roles=ROLES, duration_ms=2_000 + silence_ms).holds) == holds


def test_a_recording_without_speech_is_one_silence() -> None:
    activity = measure_activity({LEFT: [], RIGHT: []}, roles=ROLES, duration_ms=30_000)

    assert activity.talk == dict.fromkeys((CUSTOMER, OPERATOR), Talk(duration_ms=0, share=0.0))
    assert (activity.silence_share, activity.longest_silence) == (1.0, Span(start_ms=0, end_ms=30_000))


_INTERVALS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)).map(lambda pair: (pair[0], sum(pair))))


@given(_INTERVALS, _INTERVALS)
def test_the_figures_of_activity_agree_with_a_count_of_every_millisecond(
    left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    duration_ms = 500
    spoken = [{at for start, end in intervals for at in range(start, end)} for intervals in (left, right)]

    activity = measure_activity({LEFT: left, RIGHT: right}, roles=ROLES, duration_ms=duration_ms)

    assert [activity.talk[role].duration_ms for role in (CUSTOMER, OPERATOR)] == [len(times) for times in spoken]
    assert activity.overlap_ms == len(spoken[0] & spoken[1])
    assert activity.silence_ms == duration_ms - len(spoken[0] | spoken[1])


def test_corrected_roles_swap_the_figures() -> None:
    words = {LEFT: (say("はいどうぞ", 0, 3_000),), RIGHT: (say("いいえ", 5_000, 6_000),)}
    document = TranscriptDocument(language="ja-JP", words=words, duration_ms=10_000)

    swapped = measure_figures(document, roles={LEFT: OPERATOR, RIGHT: CUSTOMER})

    assert swapped.activity.talk[OPERATOR].duration_ms == 3_000
    assert swapped.longest_monologue == Monologue(role=OPERATOR, span=Span(start_ms=0, end_ms=3_000))


@pytest.mark.parametrize(
    ("right", "interruptions"),
    [
        pytest.param((2_000, 5_000), 1, id="speaks_on"),
        pytest.param((2_000, 3_900), 0, id="gives_way"),
        pytest.param((3_800, 6_000), 0, id="begins_at_the_end"),
        pytest.param((200, 6_000), 0, id="begins_at_the_same_time"),
        pytest.param((4_500, 6_000), 0, id="waits"),
    ],
)
def test_an_interruption_begins_in_the_midst_and_outlasts(right: tuple[int, int], interruptions: int) -> None:
    figures = figures_of({LEFT: (say("実はですね", 0, 4_000),), RIGHT: (say("先に確認を", *right),)})

    assert figures.interruptions == {CUSTOMER: 0, OPERATOR: interruptions}


def test_a_backchannel_over_the_end_of_an_utterance_is_no_interruption() -> None:
    words = {LEFT: (say("昨日の件", 0, 4_000), say("ですが", 5_000, 6_500)), RIGHT: (say("はい", 3_500, 4_200),)}

    assert figures_of(words).interruptions == {CUSTOMER: 0, OPERATOR: 0}


def test_echo_is_no_talk_and_has_a_share_of_the_words() -> None:
    words = {
        LEFT: (say("昨日の件です", 0, 4_000),),
        RIGHT: (say("はい", 3_500, 4_100), say("昨日の件です", 100, 4_100, echo=True), say("承知", 1_000, 1_500)),
    }

    figures = figures_of({**words, RIGHT: tuple(sorted(words[RIGHT], key=lambda word: word.start_ms))})

    assert figures.activity.talk[OPERATOR].duration_ms == 1_100
    assert figures.echo_share == 0.25


@pytest.mark.parametrize(
    ("language", "texts", "unit", "per_minute"),
    [
        ("ja-JP", ["お電話", "[telephone]です。"], "characters", 50.0),
        ("zh-CN", ["你好，", "我姓张。"], "characters", 50.0),
        ("en-US", ["my", "number", "is", "[telephone]", "-"], "words", 30.0),
    ],
)
def test_the_speed_counts_characters_or_words_by_language(
    language: str, texts: list[str], unit: str, per_minute: float
) -> None:
    words = tuple(say(text, 1_000 * at, 1_000 * at + 1_000) for at, text in enumerate(texts))
    stretched = (*words[:-1], say(texts[-1], words[-1].start_ms, 6_000))

    figures = figures_of({LEFT: stretched}, language=language)

    assert (figures.unit, figures.per_minute[CUSTOMER]) == (unit, per_minute)


def test_a_transcript_without_words_has_figures() -> None:
    figures = figures_of({LEFT: (), RIGHT: ()})

    assert figures.longest_monologue is None
    assert figures.per_minute == {CUSTOMER: 0.0, OPERATOR: 0.0}
    assert (figures.echo_share, figures.redacted) == (0.0, {"code": 1})


def test_a_monaural_file_has_the_figures_of_all_its_speakers() -> None:
    figures = figures_of({MONAURAL: (say("はい", 0, 1_000),)})

    assert figures.activity.talk == {Role.MIXED: Talk(duration_ms=1_000, share=1.0)}
    assert figures.activity.overlap_ms == 0
