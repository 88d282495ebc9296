"""The transcript as WebVTT, as plain text and as the stored object."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.recording.facts import ROLES, Channel
from switchboard.domain.recording.plain_text import to_plain_text
from switchboard.domain.recording.transcript_document import (
    TranscriptDocument,
    decode_document,
    encode_document,
    merge_documents,
)
from switchboard.domain.recording.turns import build_turns
from switchboard.domain.recording.webvtt import to_webvtt
from switchboard.domain.recording.words import Word

LEFT, RIGHT, MONAURAL = Channel.LEFT, Channel.RIGHT, Channel.MONAURAL


def say(text: str, start_ms: int, end_ms: int, **members: object) -> Word:
    return Word(start_ms=start_ms, end_ms=end_ms, text=text, **members)  # type: ignore[arg-type]


def vtt_of(words: Sequence[Word], *, channel: Channel = LEFT, language: str = "ja-JP") -> str:
    return to_webvtt(build_turns({channel: tuple(words)}, roles=ROLES), language=language)


DIALOGUE = {
    LEFT: (say("もしもし。", 3_600_000, 3_600_900), say("田中です。", 3_600_900, 3_601_800)),
    RIGHT: (say("お電話ありがとうございます。", 500, 3000), say("はい", 3_600_300, 3_600_600)),
}


def test_webvtt_has_a_cue_with_a_voice_for_each_turn() -> None:
    assert to_webvtt(build_turns(DIALOGUE, roles=ROLES), language="ja-JP") == (
        "WEBVTT\n\n"
        "00:00:00.500 --> 00:00:03.000\n<v オペレーター>お電話ありがとうございます。\n\n"
        "01:00:00.000 --> 01:00:01.800\n<v 顧客>もしもし。田中です。\n\n"
        "01:00:00.300 --> 01:00:00.600\n<v オペレーター>はい\n"
    )


def test_plain_text_has_a_line_for_each_turn() -> None:
    assert to_plain_text(build_turns(DIALOGUE, roles=ROLES), language="ja-JP") == (
        "[00:00:00] オペレーター: お電話ありがとうございます。\n"
        "[01:00:00] 顧客: もしもし。田中です。\n"
        "[01:00:00] オペレーター: (はい)\n"
    )


def test_a_transcript_without_words_is_a_file_without_cues() -> None:
    assert (vtt_of([]), to_plain_text([], language="ja-JP")) == ("WEBVTT\n", "")


@pytest.mark.parametrize(
    ("language", "channel", "name"),
    [
        ("ja-JP", LEFT, "顧客"),
        ("ja-JP", RIGHT, "オペレーター"),
        ("ja-JP", MONAURAL, "話者"),
        ("zh-CN", LEFT, "客户"),
        ("zh-TW", RIGHT, "客服"),
        ("en-US", LEFT, "Customer"),
        ("fr-FR", RIGHT, "Operator"),
    ],
)
def test_the_language_decides_the_names_of_speakers(language: str, channel: Channel, name: str) -> None:
    assert f"<v {name}>" in vtt_of([say("a", 0, 1)], channel=channel, language=language)


def test_a_label_of_the_recogniser_is_the_name() -> None:
    assert "<v spk_1>" in vtt_of([say("a", 0, 1, speaker="spk_1")], channel=MONAURAL)


def test_marks_of_webvtt_in_words_and_labels_are_escaped() -> None:
    vtt = vtt_of([say("<b>A&B</b>\n-->\n", 0, 1000, speaker="a<1>&")], channel=MONAURAL)

    assert vtt.splitlines()[3] == "<v a&lt;1&gt;&amp;>&lt;b&gt;A&amp;B&lt;/b&gt; --&gt;"


@pytest.mark.parametrize(
    ("words", "cues"),
    [
        pytest.param(
            [say("あ" * 20 + "。", 0, 2000), say("い" * 15, 2000, 4000), say("う" * 10, 4000, 6000)],
            ["あ" * 20 + "。", "い" * 15 + "う" * 10],
            id="behind_punctuation",
        ),
        pytest.param(
            [say("あ" * 20 + "。", 0, 1000), *(say("い" * 15, 1000 * at, 1000 * at + 1000) for at in (1, 2, 3))],
            ["あ" * 20 + "。", "い" * 30, "い" * 15],
            id="and_counts_on_behind_the_cut",
        ),
        pytest.param(
            [say("あ" * 20, 0, 2000), say("い" * 10, 3000, 4000), say("う" * 15, 4000, 6000)],
            ["あ" * 20, "い" * 10 + "う" * 15],
            id="at_a_pause",
        ),
        pytest.param(
            [say("あ" * 20, 0, 2000), say("い" * 20, 2000, 4000), say("う", 4000, 6000)],
            ["あ" * 20 + "い" * 20, "う"],
            id="at_forty_full_width_characters",
        ),
        pytest.param(
            [say("あ", 0, 2000), say("い", 2500, 7000), say("う", 7000, 7100)], ["あい", "う"], id="at_seven_seconds"
        ),
        pytest.param([say("あ" * 50, 0, 9000), say("い", 9000, 9100)], ["あ" * 50, "い"], id="one_word_stays_whole"),
    ],
)
def test_a_long_turn_is_cut_into_cues(words: list[Word], cues: list[str]) -> None:
    assert [cue.text for cue in webvtt.from_buffer(io.StringIO(vtt_of(words))).captions] == cues


def test_cues_of_overlapping_turns_are_in_the_order_of_their_start() -> None:
    words = {
        LEFT: (say("あ" * 30 + "。", 0, 4000), say("い" * 30, 4000, 8000)),
        RIGHT: (say("失礼ですが先に確認します", 2000, 5000),),
    }
    vtt = to_webvtt(build_turns(words, roles=ROLES), language="ja-JP")

    assert [cue.text[:2] for cue in webvtt.from_buffer(io.StringIO(vtt)).captions] == ["ああ", "失礼", "いい"]


_SPOKEN = st.lists(
    st.tuples(
        st.integers(0, 4000),
        st.integers(0, 2500),
        st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=30),
    ),
    min_size=1,
    max_size=40,
)


@given(_SPOKEN, st.sampled_from([LEFT, RIGHT]))
def test_a_parser_reads_every_cue_in_order_within_the_bounds(
    spoken: list[tuple[int, int, str]], channel: Channel
) -> None:
    words, clock = [], 0
    for pause, length, text in spoken:
        words.append(say(text, clock + pause, clock + pause + length))
        clock += pause + length

    vtt = vtt_of(words, channel=channel)
    cues = webvtt.from_buffer(io.StringIO(vtt)).captions

    assert not vtt.startswith("\ufeff")
    assert "\r" not in vtt
    assert len(cues) == vtt.count(" --> ")
    assert [cue.start_in_seconds for cue in cues] == sorted(cue.start_in_seconds for cue in cues)
    assert all(cue.voice and cue.start < cue.end for cue in cues)
    spoken_text = "".join(word.text for word in words)
    shown = "".join(line.partition(">")[2] for line in vtt.split("\n") if line.startswith("<v "))
    for mark, escape in {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.items():
        shown = shown.replace(escape, mark)
    assert "".join(shown.split()) == "".join(spoken_text.split())


DOCUMENT = TranscriptDocument(
    language="ja-JP",
    words={
        LEFT: (say("もしもし。", 0, 900, confidence=0.98), say("はい", 900, 1000)),
        RIGHT: (say("も", 10, 800, confidence=0.5, echo=True), say("え", 2000, 2100, speaker="spk_0")),
    },
    duration_ms=65_432,
    removed={"telephone": 2, "code": 1},
    rules="1",
    speech={LEFT: ((0, 1000),), RIGHT: ()},
)


def test_the_stored_object_is_read_as_it_was_written() -> None:
    assert decode_document(encode_document(DOCUMENT)) == DOCUMENT


def test_the_stored_object_has_this_form() -> None:
    assert encode_document(DOCUMENT).decode() == (
        '{"format":1,"language":"ja-JP","duration_ms":65432,"rules":"1","removed":{"code":1,"telephone":2},'
        '"speech":{"left":[[0,1000]],"right":[]},'
        '"words":{"left":[[0,900,"もしもし。",0.98],[900,1000,"はい"]],'
        '"right":[[10,800,"も",0.5,"",1],[2000,2100,"え",null,"spk_0"]]}}'
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"format":2}',
        b'{"format":1}',
        encode_document(DOCUMENT).replace(b"left", b"up"),
        encode_document(DOCUMENT).replace(b"[900,1000,", b"[900,"),
        encode_document(DOCUMENT)[:-1],
    ],
    ids=["empty", "bytes", "array", "bare", "format", "members", "channel", "word", "cut"],
)
def test_other_bytes_are_no_stored_object(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode_document(data)


def test_documents_of_two_channels_become_one() -> None:
    left = TranscriptDocument(
        language="ja-JP", words={LEFT: DIALOGUE[LEFT]}, duration_ms=5, removed={"card": 1}, speech={LEFT: ((0, 5),)}
    )
    right = TranscriptDocument(
        language="ja-JP", words={RIGHT: DIALOGUE[RIGHT]}, duration_ms=9, removed={"card": 2, "code": 1}
    )

    merged = merge_documents([left, right], language="en-US")

    assert (merged.language, merged.words, merged.duration_ms) == ("ja-JP", DIALOGUE, 9)
    assert (merged.removed, merged.speech) == ({"card": 3, "code": 1}, {LEFT: ((0, 5),)})


def test_no_documents_become_an_empty_one() -> None:
    merged = merge_documents([], language="en-US")
    assert (merged.language, merged.words, merged.duration_ms) == ("en-US", {}, 0)
