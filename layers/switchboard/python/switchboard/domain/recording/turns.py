"""Form the turns of a conversation from the recognised words of each channel.

Only the times of words count. A recogniser's own segments are not used: one of them can hold several turns.
The work grows linearly with the number of words, apart from sorting the utterances.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from switchboard.domain.recording.facts import Channel, Role
from switchboard.domain.recording.words import ChannelWords, Word

MAX_PAUSE_MS: Final = 800
"""The longest pause inside an utterance."""

MAX_GAP_MS: Final = 3_000
"""The longest gap between two utterances of one turn."""

MAX_BACKCHANNEL_MS: Final = 1_000

_ACKNOWLEDGEMENTS: Final = re.compile(
    r"(?:(?:はい|ハイ|え[えー]|エエ|うん|ウン|あ[あー]|はあ|ほう|へえ|そうです[ねか]?|そう|なるほど"
    r"|嗯|对|是的?|好的?|哦|啊"
    r"|yes|yeah|yep|okay|ok|right|sure|i see|uh-huh|mhm|mm-?hmm|hmm|mm)[\s、。，．,.!?！？…・]*)++",
    re.IGNORECASE,
)

# Characters of scripts that are written without blanks begin here: radicals, kana, ideographs, full-width forms.
# Korean is written with blanks.
_FIRST_UNSPACED: Final = "\u2e80"
_HANGUL: Final = ("\uac00", "\ud7a3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """The words of one speaker between two pauses. Times are in milliseconds from the start of the recording."""

    channel: Channel
    start_ms: int
    end_ms: int
    words: tuple[Word, ...]

    @property
    def speaker(self) -> tuple[Channel, str]:
        """The channel, and the recogniser's label if the channel holds several speakers."""
        return self.channel, self.words[0].speaker

    @property
    def duration_ms(self) -> int:
        """The length in milliseconds."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Utterances of one speaker that no other speaker cuts.

    `overlap` is True if another speaker speaks at the same time; a backchannel does not count as such speech.
    `backchannel` is True for a short answer inside another speaker's turn. `speaker` is the recogniser's label on a
    channel with several speakers, otherwise empty.
    """

    role: Role
    channel: Channel
    speaker: str
    utterances: tuple[Utterance, ...]
    overlap: bool = False
    backchannel: bool = False

    @property
    def start_ms(self) -> int:
        """The start of the first word."""
        return self.utterances[0].start_ms

    @property
    def end_ms(self) -> int:
        """The end of the last word."""
        return self.utterances[-1].end_ms

    @property
    def words(self) -> tuple[Word, ...]:
        """The words in their order."""
        return tuple(word for utterance in self.utterances for word in utterance.words)

    @property
    def text(self) -> str:
        """The words as one text."""
        return join_words(self.words)

    @property
    def confidence(self) -> float | None:
        """The mean confidence of the words to three decimals, or None if the recogniser gives none."""
        values = [word.confidence for word in self.words if word.confidence is not None]
        return round(sum(values) / len(values), 3) if values else None


def build_turns(words: ChannelWords, *, roles: Mapping[Channel, Role]) -> tuple[Turn, ...]:
    """Return the turns of a conversation, in the order of start, end and channel.

    Echo words are left out. A turn holds utterances that follow each other within MAX_GAP_MS in the order of all
    utterances. A backchannel is a turn of its own and cuts no other turn. `roles` names the role of each channel.
    """
    utterances = find_utterances(words)
    backchannels = _find_backchannels(utterances)
    own = [utterance for index, utterance in enumerate(utterances) if index not in backchannels]
    overlapping = _find_overlaps(own)
    turns = []
    for group in _group_neighbours(own):
        members = [own[index] for index in group]
        turns.append(_build_turn(members, roles, overlap=any(index in overlapping for index in group)))
    for index in backchannels:
        turn = _build_turn([utterances[index]], roles, overlap=backchannels[index])
        turns.append(replace(turn, backchannel=True))
    return tuple(sorted(turns, key=lambda turn: (turn.start_ms, turn.end_ms, turn.channel)))


def find_utterances(words: ChannelWords) -> list[Utterance]:
    """Return the utterances of all channels, in the order of start, end and channel, without echo words."""
    utterances = [
        utterance for channel, channel_words in words.items() for utterance in _cut_at_pauses(channel, channel_words)
    ]
    return sorted(utterances, key=lambda utterance: (utterance.start_ms, utterance.end_ms, utterance.channel))


def join_words(words: Iterable[Word]) -> str:
    """Return the words as one text.

    A blank stands between two words only if neither touching character is CJK, kana or full width.
    """
    parts: list[str] = []
    previous = ""
    for word in words:
        text = word.text
        if not text:
            continue
        if previous and not touches_without_blank(previous[-1], text[0]):
            parts.append(" ")
        parts.append(text)
        previous = text
    return "".join(parts)


def touches_without_blank(left: str, right: str) -> bool:
    """Return if no blank belongs between a word that ends with `left` and one that begins with `right`."""
    return _is_unspaced(left) or _is_unspaced(right)


def _is_unspaced(character: str) -> bool:
    return character >= _FIRST_UNSPACED and not _HANGUL[0] <= character <= _HANGUL[1]


def _cut_at_pauses(channel: Channel, words: Sequence[Word]) -> Iterator[Utterance]:
    """Yield the utterances of one channel. A change of the speaker's label also ends an utterance."""
    members: list[Word] = []
    start_ms = end_ms = 0
    for word in words:
        if word.echo:
            continue
        if members and (word.start_ms - end_ms > MAX_PAUSE_MS or word.speaker != members[-1].speaker):
            yield Utterance(channel=channel, start_ms=start_ms, end_ms=end_ms, words=tuple(members))
            members = []
        if not members:
            start_ms = end_ms = word.start_ms
        members.append(word)
        end_ms = max(end_ms, word.end_ms)
    if members:
        yield Utterance(channel=channel, start_ms=start_ms, end_ms=end_ms, words=tuple(members))


def _find_backchannels(utterances: Sequence[Utterance]) -> dict[int, bool]:
    """Return the positions of the backchannels, and if each one overlaps the speech of another speaker.

    A short utterance is a backchannel if it lies inside a longer utterance of another speaker. In a pause of another
    speaker's turn only an acknowledgement is one: any other short utterance there may be an answer.
    """
    by_speaker: dict[tuple[Channel, str], list[Utterance]] = {}
    for utterance in utterances:
        if not _is_acknowledgement(utterance):
            by_speaker.setdefault(utterance.speaker, []).append(utterance)
    starts = {speaker: [member.start_ms for member in members] for speaker, members in by_speaker.items()}
    found = {}
    for index, utterance in enumerate(utterances):
        if utterance.duration_ms > MAX_BACKCHANNEL_MS:
            continue
        for speaker, members in by_speaker.items():
            at = bisect_right(starts[speaker], utterance.start_ms) - 1
            if speaker == utterance.speaker or at < 0:
                continue
            if members[at].end_ms >= utterance.end_ms and members[at].duration_ms > utterance.duration_ms:
                found[index] = True
            elif _is_acknowledgement(utterance) and _is_inside_pause(utterance, members[at : at + 2]):
                own = bisect_right(starts.get(utterance.speaker, []), members[at].start_ms)
                # An acknowledgement before or behind other words of its speaker is the begin or end of an answer.
                if own == bisect_right(starts.get(utterance.speaker, []), members[at + 1].start_ms):
                    found[index] = _overlaps_any(utterance, members[at : at + 2])
    return found


def _is_acknowledgement(utterance: Utterance) -> bool:
    if utterance.duration_ms > MAX_BACKCHANNEL_MS or len(utterance.words) > 4:
        return False
    return bool(_ACKNOWLEDGEMENTS.fullmatch(join_words(utterance.words)))


def _is_inside_pause(utterance: Utterance, around: Sequence[Utterance]) -> bool:
    """Return if another speaker pauses for a moment between the two utterances `around`, and no later goes on."""
    if len(around) < 2:
        return False
    before, after = around
    return after.start_ms - before.end_ms <= MAX_GAP_MS and utterance.end_ms <= after.end_ms


def _overlaps_any(utterance: Utterance, others: Sequence[Utterance]) -> bool:
    return any(other.end_ms > utterance.start_ms and other.start_ms < utterance.end_ms for other in others)


def _find_overlaps(utterances: Sequence[Utterance]) -> set[int]:
    """Return the positions of the utterances during which another speaker speaks."""
    found = set()
    latest: dict[tuple[Channel, str], int] = {}
    for index, utterance in enumerate(utterances):
        for speaker, other in latest.items():
            if speaker != utterance.speaker and utterances[other].end_ms > utterance.start_ms:
                found |= {index, other}
        latest[utterance.speaker] = index
    return found


def _group_neighbours(utterances: Sequence[Utterance]) -> Iterator[list[int]]:
    """Yield the positions of the utterances of each turn."""
    if not utterances:
        return
    group = [0]
    for index, (before, after) in enumerate(pairwise(utterances), start=1):
        if before.speaker != after.speaker or after.start_ms - before.end_ms > MAX_GAP_MS:
            yield group
            group = []
        group.append(index)
    yield group


def _build_turn(utterances: Sequence[Utterance], roles: Mapping[Channel, Role], *, overlap: bool) -> Turn:
    channel, speaker = utterances[0].speaker
    role = roles[channel]
    return Turn(role=role, channel=channel, speaker=speaker, utterances=tuple(utterances), overlap=overlap)
