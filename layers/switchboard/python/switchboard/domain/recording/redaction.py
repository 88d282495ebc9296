"""Replace telephone and card numbers, codes, birth dates and mail addresses in recognised words.

The rules stand in `redaction_table.py`. They are applied to all words of a channel as one text, because a number comes
in pieces. A keyword on either channel decides about a doubtful number, and a number that is removed on one channel is
also removed if the other channel repeats a part of it. The work grows linearly with the words.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from switchboard.domain.recording import redaction_table as table
from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.redaction_numbers import BETWEEN, UNIT, Digits, Number, find_numbers
from switchboard.domain.recording.redaction_table import RedactedKind
from switchboard.domain.recording.turns import MAX_PAUSE_MS, touches_without_blank
from switchboard.domain.recording.words import ChannelWords, Word

# One character becomes one character, so that each place in the text stays the same.
_WIDTHS: Final = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **{code: code - 0xFEE0 + 32 for code in range(0xFF21, 0xFF3B)},
    **{code: code + 32 for code in range(ord("A"), ord("Z") + 1)},
    0x3000: 0x20,
}
_TO_HIRAGANA: Final = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
_END_OF_NUMBER: Final = "\x00"
"""The mark for a pause that is too long for a number."""

_KEYWORD: Final = re.compile("|".join(f"(?P<{kind}>{words})" for kind, words in table.KEYWORDS.items()))
# A kana digit behind other hiragana than a particle: わたくしに has three of them.
_INSIDE_A_WORD: Final = re.compile("(?![はがでのをもと])[ぁ-ん][ぁ-ん]$")
_ERA_BEFORE: Final = re.compile(f"(?:{table.ERAS})の?$")
_OTHER_NUMBER_BEFORE: Final = re.compile(f"(?:{table.KEYWORDS['other']})[^0-9。?!\n]{{0,8}}$")
_OTHER_DATE_BEFORE: Final = re.compile(f"(?:{table.OTHER_DATES})[^。?!\n]{{0,8}}$")
_OTHER_DATE_BEHIND: Final = re.compile(f"[^。?!\n]{{0,4}}?(?:{table.OTHER_DATES})")
_MAX_WORDS_BETWEEN: Final = 28

_NUMBER: Final = "(?:[0-9]{1,4}|[〇零一二三四五六七八九十]{1,5}|元)"
_DATE: Final = re.compile(
    f"(?=[0-9〇零一二三四五六七八九十元明大昭平令])(?:(?:(?P<era>{table.ERAS}){BETWEEN})?(?P<year>{_NUMBER})年"
    f"(?:{BETWEEN}(?P<month>{_NUMBER})月(?:{BETWEEN}{_NUMBER}[日号]?)?)?|{_NUMBER}月{BETWEEN}{_NUMBER}[日号])"
)
_ENGLISH_DATE: Final = re.compile(
    f"\\b(?:(?P<month>{table.MONTHS}) (?:the )?(?:{table.ORDINALS})|(?:{table.ORDINALS}) (?:of )?(?:{table.MONTHS}))\\b"
    f"(?:,? (?:of |in )?(?P<year>{table.YEARS})\\b)?"
)
# A year from 32 to 99 is one of 昭和, which recognisers often mishear.
_PAST_YEAR: Final = re.compile(
    "19[0-9]{2}|一九[〇零一二三四五六七八九]{2}|nineteen.*|3[2-9]|[4-9][0-9]|[四五六七八九]十[一二三四五六七八九]?"
)
_LATEST_ERA: Final = table.ERAS.rpartition("|")[2]

_LABEL: Final = "(?:[a-z0-9-]{1,63}|(?:(?!ドット)[ァ-ヴー]){1,20})"
_DOMAIN: Final = re.compile(
    f"[ 、,\n]{{0,2}}{_LABEL}(?: {_LABEL}){{0,2}}?(?:[ 、,\n]?(?:{table.DOTS})[ 、,\n]?{_LABEL}){{1,4}}"
)
_FIRST_LABEL: Final = re.compile(f"[ 、,\n]{{0,2}}{_LABEL}")
_AT: Final = re.compile(f"(?P<sure>{table.AT_SIGNS})|{table.PLAIN_AT}")
_LOCAL_PART: Final = re.compile(f"[a-z0-9]+|[ァ-ヴー]+|{'|'.join(map(re.escape, table.CONNECTORS))}")
_MAX_LOCAL: Final = 80
_MAX_LETTER_NAME: Final = 5
_MAX_NUMBERS_NEAR: Final = 100
"""More removed numbers than are spoken within a minute. It bounds the work if the times are wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedWords:
    """The words with placeholders, and the number of removed parts of each kind. Echo words are not counted."""

    words: ChannelWords
    removed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Span:
    """A number, date or address to remove: its kind, the places of its parts in the text, and its digits."""

    kind: RedactedKind
    parts: tuple[tuple[int, int], ...]
    digits: str = ""


@dataclass(slots=True)
class _Stream:
    """The words of one channel that are all echo, or all its own, as one text. `plain` has ASCII and lower case."""

    words: Sequence[Word]
    text: str
    starts: list[int]
    plain: str
    spans: list[_Span] = field(default_factory=list)
    left_over: list[Digits] = field(default_factory=list)
    """Digits that no rule removed."""

    def time_of(self, start: int, end: int) -> tuple[int, int]:
        """Return the time of the words from the place `start` to the place `end`, in milliseconds."""
        return self.words[self.word_at(start)].start_ms, self.words[self.word_at(end - 1)].end_ms

    def word_at(self, place: int) -> int:
        """Return the number of the word at this place of the text."""
        return bisect_right(self.starts, place) - 1


def redact(words: ChannelWords, *, language: str) -> RedactedWords:
    """Replace what must not be stored by placeholders such as `[telephone]`.

    The words of a replaced part become one word with the time from the first one's start to the last one's end. Words
    between two parts of a number, such as `はい`, stay. `language` is a tag such as `ja-JP`.
    """
    streams = {
        (channel, echo): _build_stream([word for word in channel_words if word.echo is echo])
        for channel, channel_words in words.items()
        for echo in (False, True)
    }
    keywords = _Keywords(streams.values())
    for stream in streams.values():
        _find_spans(stream, keywords, language.partition("-")[0].lower())
    _find_repetitions(streams.values())
    redacted: dict[Channel, tuple[Word, ...]] = {}
    removed: Counter[str] = Counter()
    for channel in words:
        own, echo = streams[channel, False], streams[channel, True]
        removed.update(span.kind.value for span in own.spans)
        merged = [*_replace(own), *_replace(echo)]
        redacted[channel] = tuple(sorted(merged, key=lambda word: word.start_ms) if echo.words else merged)
    return RedactedWords(words=redacted, removed=dict(removed))


def _build_stream(words: Sequence[Word]) -> _Stream:
    """Return the text of the words. A pause or another speaker is a line end, and a very long pause ends a number."""
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    previous: Word | None = None
    for word in words:
        text = word.text or " "
        if previous is not None:
            pause_ms = word.start_ms - previous.end_ms
            if pause_ms > MAX_PAUSE_MS or word.speaker != previous.speaker:
                parts.append(_END_OF_NUMBER if pause_ms > table.MAX_PAUSE_IN_NUMBER_MS else "\n")
                length += 1
            elif not touches_without_blank(parts[-1][-1], text[0]):
                parts.append(" ")
                length += 1
        starts.append(length)
        parts.append(text)
        length += len(text)
        previous = word
    text = "".join(parts)
    return _Stream(words=words, text=text, starts=starts, plain=text.translate(_WIDTHS))


class _Keywords:
    """The times of the keywords on all channels."""

    def __init__(self, streams: Iterable[_Stream]) -> None:
        self._times: dict[str, list[int]] = {kind: [] for kind in table.KEYWORDS}
        for stream in streams:
            for match in _KEYWORD.finditer(stream.plain):
                self._times[match.lastgroup or ""].append(stream.time_of(*match.span())[0])
        for times in self._times.values():
            times.sort()
        self._all_times = sorted(time_ms for times in self._times.values() for time_ms in times)

    def is_any_between(self, start_ms: int, end_ms: int) -> bool:
        """Return if a keyword begins between two times."""
        at = bisect_left(self._all_times, start_ms)
        return at < len(self._all_times) and self._all_times[at] < end_ms

    def is_near(self, kind: str, time: tuple[int, int], *, before_ms: int) -> bool:
        """Return if a keyword of this kind begins up to `before_ms` before, or shortly behind, a part at `time`."""
        times = self._times[kind]
        at = bisect_left(times, time[0] - before_ms)
        return at < len(times) and times[at] <= time[1] + table.NEAR_AFTER_MS

    def kind_at(self, time: tuple[int, int], kinds: Iterable[str]) -> str:
        """Return which of `kinds` the last keyword before a number tells, else the one behind it, or nothing.

        The keywords of other numbers, such as order numbers, tell `other`.
        """
        latest = max((self._last_before(kind, time[0]), kind) for kind in (*kinds, "other"))
        if latest[0] >= time[0] - table.NEAR_BEFORE_MS:
            return latest[1]
        return next((kind for kind in kinds if self.is_near(kind, time, before_ms=0)), "")

    def _last_before(self, kind: str, time_ms: int) -> int:
        at = bisect_right(self._times[kind], time_ms)
        return self._times[kind][at - 1] if at else -table.NEAR_BEFORE_MS - 1


def _find_spans(stream: _Stream, keywords: _Keywords, language: str) -> None:
    """Find what is to be removed, and the digits that are left over."""
    hiragana = stream.plain.translate(_TO_HIRAGANA)
    spans = sorted([*_find_mail(stream, keywords), *_find_dates(stream, keywords)], key=lambda span: span.parts)
    starts = [span.parts[0][0] for span in spans]
    stream.spans += spans

    def is_cut(end: int, start: int) -> bool:
        """Return if a question for another number is asked between two places."""
        return keywords.is_any_between(stream.time_of(end - 1, end)[1], stream.time_of(start, start + 1)[0])

    for number in find_numbers(hiragana, language=language, is_cut=is_cut):
        at = bisect_left(starts, number.parts[-1].end) - 1
        if at >= 0 and spans[at].parts[-1][1] > number.parts[0].start:
            continue
        if number.kind is not None:
            stream.spans.append(_build_span(number.kind, number.parts))
        elif (kind := _tell_in_context(stream, number.parts, keywords)) is not None:
            stream.spans.append(_build_span(kind, number.parts))
        else:
            for part in number.parts:
                kind = _tell_in_context(stream, [part], keywords) if len(number.parts) > 1 else None
                if kind is None:
                    stream.left_over.append(part)
                else:
                    stream.spans.append(_build_span(kind, [part]))


def _build_span(kind: RedactedKind, parts: Sequence[Digits]) -> _Span:
    return _Span(kind, tuple((part.start, part.end) for part in parts), Number(kind, tuple(parts)).value)


def _tell_in_context(stream: _Stream, parts: Sequence[Digits], keywords: _Keywords) -> RedactedKind | None:
    """Return the kind of a number by the words near it, or None."""
    start, end, length = parts[0].start, parts[-1].end, sum(len(part.value) for part in parts)
    if UNIT.match(stream.plain, end) or _INSIDE_A_WORD.search(stream.plain[max(0, start - 1) : start + 1]):
        return None
    if length in range(3, 9) and _ERA_BEFORE.search(stream.plain[max(0, start - 4) : start]):
        return RedactedKind.BIRTH_DATE
    lengths = {"security_code": (3, 4), "code": (4, 8), "birth_date": (5, 8), "telephone": (9, 13), "card": (13, 19)}
    kinds = [kind for kind, (shortest, longest) in lengths.items() if shortest <= length <= longest]
    if any(len(after.value) == 1 and before.end < after.start for before, after in pairwise(parts)):
        kinds = []
    kind = keywords.kind_at(stream.time_of(start, end), kinds) if kinds else ""
    if kind in ("", "other"):
        return None
    return RedactedKind.CODE if kind == "security_code" else RedactedKind(kind)


def _find_dates(stream: _Stream, keywords: _Keywords) -> Iterator[_Span]:
    """Yield the birth dates. A date needs a keyword near it, unless its year is long past."""
    for pattern in (_DATE, _ENGLISH_DATE):
        for match in pattern.finditer(stream.plain):
            era, year, month = (match.groupdict().get(name) for name in ("era", "year", "month"))
            is_past = bool(year and ((era and era != _LATEST_ERA) or _PAST_YEAR.fullmatch(year)))
            is_whole = not year or bool(month) or pattern is _ENGLISH_DATE
            if not is_past and _is_other_date(stream.plain, *match.span()):
                continue
            near = keywords.is_near("birth_date", stream.time_of(*match.span()), before_ms=table.NEAR_DATE_MS)
            if (is_past and is_whole) or (near and (is_past or is_whole)):
                yield _Span(RedactedKind.BIRTH_DATE, (match.span(),))


def _is_other_date(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - _MAX_WORDS_BETWEEN) : start]
    return bool(_OTHER_DATE_BEFORE.search(before) or _OTHER_DATE_BEHIND.match(text, end))


def _find_mail(stream: _Stream, keywords: _Keywords) -> Iterator[_Span]:
    """Yield the mail addresses, from the part before @ to the last part of the domain."""
    text = stream.plain
    for match in _AT.finditer(text):
        domain = _DOMAIN.match(text, match.end())
        if match["sure"] is None:
            time = stream.time_of(*match.span())
            last_word = text[max(0, match.start() - _MAX_LOCAL) : match.start()].rpartition(" ")[2]
            if domain is None or last_word in table.NO_MAILBOXES:
                continue
            if not keywords.is_near("mail", time, before_ms=table.NEAR_BEFORE_MS):
                continue
        end = domain or _FIRST_LABEL.match(text, match.end()) or match
        yield _Span(RedactedKind.MAIL, ((_find_local_part(stream, match.start()), end.end()),))


def _find_local_part(stream: _Stream, at_sign: int) -> int:
    """Return the place where the address begins whose @ is at this place.

    One word belongs to it, and more words if a word such as `dot` connects them or if they are spelled letters.
    """
    base = max(0, at_sign - _MAX_LOCAL)
    before = stream.plain[base:at_sign]
    place = len(before)
    later: str | None = None
    for part in reversed(list(_LOCAL_PART.finditer(before))):
        between = before[part.end() : place]
        if between.strip(" 、,\n._+-"):
            break
        text = part.group()
        is_joined = not between or between.strip(" 、,\n") or {text, later} & table.CONNECTORS
        if later is not None and not is_joined and not (_is_letter(text) and _is_letter(later)):
            break
        place, later = part.start(), text
    if later is None and at_sign:
        return stream.starts[stream.word_at(at_sign - 1)]
    return base + place


def _is_letter(text: str) -> bool:
    """Return if this may be one spelled letter or digit, or the name of a letter in kana."""
    return len(text) == 1 or text.isdigit() or (not text.isascii() and len(text) <= _MAX_LETTER_NAME)


def _find_repetitions(streams: Iterable[_Stream]) -> None:
    """Remove digits that are a part of a number which was removed shortly before or behind them, on any channel."""
    removed = sorted(
        (stream.time_of(*span.parts[0])[0], span.digits, span.kind)
        for stream in streams
        for span in stream.spans
        if len(span.digits) >= table.MIN_READ_BACK_DIGITS
    )
    times = [time_ms for time_ms, _, _ in removed]
    for stream in streams:
        for part in stream.left_over:
            before = stream.plain[max(0, part.start - _MAX_WORDS_BETWEEN) : part.start]
            is_other = UNIT.match(stream.plain, part.end) or _OTHER_NUMBER_BEFORE.search(before)
            if len(part.value) < table.MIN_READ_BACK_DIGITS or is_other:
                continue
            time_ms = stream.time_of(part.start, part.end)[0]
            first = bisect_left(times, time_ms - table.READ_BACK_MS)
            last = min(bisect_right(times, time_ms + table.READ_BACK_MS), first + _MAX_NUMBERS_NEAR)
            kind = next((kind for _, digits, kind in removed[first:last] if part.value in digits), None)
            if kind is not None:
                stream.spans.append(_build_span(kind, [part]))


def _replace(stream: _Stream) -> list[Word]:
    """Return the words of a stream with placeholders for its spans."""
    parts = sorted((start, end, span.kind) for span in stream.spans for start, end in span.parts)
    words: list[Word] = []
    done = 0  # the number of words that are in `words` or replaced
    at = 0
    while at < len(parts):
        first = stream.word_at(parts[at][0])
        last = stream.word_at(parts[at][1] - 1)
        place = stream.starts[first]
        text = ""
        while at < len(parts) and stream.word_at(parts[at][0]) <= last:
            start, end, kind = parts[at]
            last = max(last, stream.word_at(end - 1))
            text += f"{stream.text[place:start]}[{kind}]"
            place = end
            at += 1
        text += stream.text[place : stream.starts[last] + len(stream.words[last].text)]
        words += stream.words[done:first]
        words.append(_merge_words(stream.words[first : last + 1], text))
        done = last + 1
    return [*words, *stream.words[done:]]


def _merge_words(words: Sequence[Word], text: str) -> Word:
    confidences = [word.confidence for word in words if word.confidence is not None]
    return Word(
        start_ms=words[0].start_ms,
        end_ms=max(word.end_ms for word in words),
        text=text,
        confidence=min(confidences, default=None),
        speaker=words[0].speaker,
        echo=words[0].echo,
    )
