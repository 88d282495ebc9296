"""The sandbox's dialogue, from its files and words to what is stored and shown: echo, redaction, turns and figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from switchboard.domain.recording.facts import ROLES, Channel, Role
from switchboard.domain.recording.figures import measure_activity, measure_figures
from switchboard.domain.recording.loudness import activity, mark_echo, measure_loudness
from switchboard.domain.recording.plain_text import to_plain_text
from switchboard.domain.recording.redaction import redact
from switchboard.domain.recording.transcript_document import TranscriptDocument
from switchboard.domain.recording.turns import build_turns
from switchboard.domain.recording.words import Word

DIALOGUE = Path(__file__).parents[3] / "sandbox/simulators/biztel/dialogue"
SIDES = (Channel.LEFT, Channel.RIGHT)
ALL_WORDS = {
    Channel(content["channel"]): tuple(
        Word(start_ms=start, end_ms=end, text=text) for start, end, text in content["words"]
    )
    for content in json.loads(DIALOGUE.joinpath("words.json").read_text(encoding="utf-8")).values()
}
WORDS = {channel: ALL_WORDS[channel] for channel in SIDES}
LOUDNESS = {
    channel: loudness
    for channel in SIDES
    if (loudness := measure_loudness([DIALOGUE.joinpath(f"{channel}.mp3").read_bytes()])) is not None
}
MARKED = mark_echo(WORDS, LOUDNESS)
REDACTED = redact(MARKED, language="ja-JP")
DURATION_MS = 51_984
CONVERSATION = """\
[00:00:00] オペレーター: お電話ありがとうございます。サンプル商店、佐藤でございます。
[00:00:04] 顧客: もしもし、山田と申します。先日注文した商品が、まだ届かないんですけれども。
[00:00:07] オペレーター: (はい。)
[00:00:10] オペレーター: 申し訳ございません。ご注文番号をお願いいたします。
[00:00:14] 顧客: 注文番号は1042です。
[00:00:16] オペレーター: 1042ですね。ご本人確認のため、生年月日をお願いいたします。
[00:00:21] 顧客: [birth_date]です。
[00:00:23] オペレーター: では、折り返しのお電話番号をお願いいたします。
[00:00:27] 顧客: [telephone]の[telephone]です。
[00:00:29] オペレーター: (はい。)
[00:00:32] オペレーター: [telephone]ですね。承知いたしました。
[00:00:36] 顧客: いつごろ届きますか。
[00:00:38] オペレーター: はい、通常ですと二、三日でお届けできるかと思いますが
[00:00:40] 顧客: 急いでいるんですけど、明日までにお願いできませんか。
[00:00:44] オペレーター: かしこまりました。明日の10時までにお届けいたします。
[00:00:48] 顧客: お願いします。失礼します。
[00:00:50] オペレーター: ありがとうございました。
"""


def test_the_echo_is_found_and_no_other_word_is_taken_for_one() -> None:
    echo = [word.text for channel in SIDES for word in MARKED[channel] if word.echo]

    assert echo == ["もしもし、", "山田", "と", "申します。", "注文番号", "は", "1042", "です。"]


def test_the_turns_of_the_dialogue_read_like_the_conversation() -> None:
    turns = build_turns(REDACTED.words, roles=ROLES)

    assert to_plain_text(turns, language="ja-JP") == CONVERSATION
    assert REDACTED.removed == {"birth_date": 1, "telephone": 2}
    assert [turn.text for turn in turns if turn.overlap and not turn.backchannel] == [
        "はい、通常ですと二、三日でお届けできるかと思いますが",
        "急いでいるんですけど、明日までにお願いできませんか。",
    ]


def test_the_mix_of_both_sides_hides_the_same_parts() -> None:
    redacted = redact({Channel.MONAURAL: ALL_WORDS[Channel.MONAURAL]}, language="ja-JP")

    assert redacted.removed == REDACTED.removed
    assert "1042" in {word.text for word in redacted.words[Channel.MONAURAL]}


def test_loudness_alone_gives_nearly_the_figures_of_the_words() -> None:
    document = TranscriptDocument(language="ja-JP", words=REDACTED.words, duration_ms=DURATION_MS)

    by_words = measure_figures(document, roles=ROLES).activity
    speech = {channel: activity(LOUDNESS[channel]) for channel in SIDES}
    by_loudness = measure_activity(speech, roles=ROLES, duration_ms=DURATION_MS)

    for role in (Role.CUSTOMER, Role.OPERATOR):
        assert by_loudness.talk[role].share == pytest.approx(by_words.talk[role].share, abs=0.05)
    assert by_loudness.silence_share == pytest.approx(by_words.silence_share, abs=0.1)
