"""Read spoken and written digits in a text, and tell by their number which of them are telephone or card numbers.

The text has ASCII for full-width characters, lower case, and hiragana for katakana. A line end stands for a pause.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from switchboard.domain.recording import redaction_table as table
from switchboard.domain.recording.redaction_table import RedactedKind


def _any_of(texts: Iterable[str]) -> str:
    return "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))


_KANJI: Final = "".join(table.KANJI_DIGITS)
_KANA_DIGIT: Final = f"(?:{_any_of(table.KANA_DIGITS)})ー*+"
_ENGLISH_DIGIT: Final = f"\\b(?:(?:{_any_of(table.REPEATS)}) )?+(?:{_any_of(table.ENGLISH_DIGITS)}|(?<=[el] )[0-9])\\b"
_WEAK_WORDS: Final = f"{_any_of(table.SEPARATOR_WORDS)}|\\b(?:{_any_of(table.ENGLISH_SEPARATORS)})\\b"
_WEAK_MARKS: Final = f"[{re.escape(table.SEPARATOR_MARKS)}]"
_STRONG: Final = f"[{re.escape(table.BREAK_MARKS)}]|{_any_of(table.FILLERS)}|\\b(?:{_any_of(table.ENGLISH_FILLERS)})\\b"
# はいふん comes before はい.
BETWEEN: Final = f"(?:{_WEAK_WORDS}|{_STRONG}|{_WEAK_MARKS})*+"
"""The part of a regular expression for all that may stand between the digits of one number."""

# A single numeral beside another ideograph is part of a word, such as 一応 or 三日.
_KANJI_RUN: Final = f"[{_KANJI}]{{2,}}+|(?<![一-鿿])[{_KANJI}](?![一-鿿つ])"
_MORE_KANA: Final = f"{{{table.MIN_KANA_DIGITS - 1},}}+"
_MORE_ENGLISH: Final = f"{{{table.MIN_ENGLISH_DIGITS - 1},}}+"
_DIGITS: Final = (
    f"(?:[0-9]++|{_KANJI_RUN}|{_KANA_DIGIT}(?:{BETWEEN}{_KANA_DIGIT}){_MORE_KANA}"
    f"|{_ENGLISH_DIGIT}(?:{BETWEEN}{_ENGLISH_DIGIT}){_MORE_ENGLISH})"
)
_FIRST: Final = "".join(sorted({text[0] for text in (*table.KANA_DIGITS, *table.ENGLISH_DIGITS, *table.REPEATS)}))
_RUN: Final = re.compile(f"(?=[0-9{_KANJI}{_FIRST}]){_DIGITS}(?:{BETWEEN}{_DIGITS})*+")
_TOKEN: Final = re.compile(
    f"{_WEAK_WORDS}|(?P<english>{_ENGLISH_DIGIT})|(?P<strong>{_STRONG})|(?P<kana>{_KANA_DIGIT})|(?P<plain>[0-9{_KANJI}]+)"
    f"|{_WEAK_MARKS}"
)

UNIT: Final = re.compile(f"(?:[、,]?[0-9{_KANJI}])?(?:{table.UNITS})")

_TELEPHONE: Final = re.compile(
    "0[5-9]0[0-9]{8}|0(?!0|[5-9]0)[0-9]{9}|(?:0?10|00)?81[1-9][0-9]{8,9}|(?:00)?861[3-9][0-9]{9}"
)
_CHINESE_TELEPHONE: Final = re.compile("1[3-9][0-9]{9}|0(?!0)[0-9]{9,11}")
_AMERICAN_SHAPES: Final = frozenset({(3, 3, 4), (1, 3, 3, 4)})
# Recognisers double and lose digits, and invent some before a number.
_ROUGH_TELEPHONE: Final = re.compile("0[0-9]{9,12}|[1-9]{1,2}0[5-9]0[0-9]{7,9}")
_CARD: Final = re.compile("[0-9]{14,16}|62[0-9]{15,17}")
_CARD_SHAPES: Final = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4)})
_MIN_DIGITS: Final = 10
_MAX_DIGITS: Final = 19


@dataclass(frozen=True, slots=True)
class Digits:
    """Digits at a place of the text. `follows_break` is True if a filler, a full stop or a pause stands before them."""

    start: int
    end: int
    value: str
    follows_break: bool


@dataclass(frozen=True, slots=True)
class Number:
    """Digits that belong together. `kind` is None if their number tells nothing.

    A filler or a pause stands between two of the `parts`.
    """

    kind: RedactedKind | None
    parts: tuple[Digits, ...]

    @property
    def value(self) -> str:
        """All digits."""
        return _join(self.parts)


def find_numbers(text: str, *, language: str, is_cut: Callable[[int, int], bool]) -> Iterator[Number]:
    """Yield all digits of the text as numbers, in their order. `language` is `ja`, `zh`, `en` or any other.

    Digits that are written or spoken without a break are looked at first, and then those that fillers part. No number
    goes on from one place to another between which `is_cut`, and none contains a quantity such as `10時`.
    """
    for run in _RUN.finditer(text):
        digits = _read_digits(run)
        quantity = [digits.pop()] if UNIT.match(text, run.end()) else []
        # 2、3分: the figures before a quantity of one figure belong to it.
        while quantity and digits and len(digits[-1].value) == len(quantity[-1].value) == 1:
            quantity.append(digits.pop())
        for part in _split(digits, lambda before, after: after.follows_break and is_cut(before.end, after.start)):
            yield from _classify(part, language)
        for member in quantity:
            yield Number(None, (member,))


def _read_digits(run: re.Match[str]) -> list[Digits]:
    """Return the digits of a run. Digits with nothing between them are one element."""
    found: list[Digits] = []
    follows_break = False
    for token in _TOKEN.finditer(run.string, *run.span()):
        if token.lastgroup == "strong":
            follows_break = True
        elif token.lastgroup is not None:
            # Behind a number に is more often a particle than a 2.
            is_particle = token.group() == "に" and token.end() == run.end()
            if found and found[-1].end == token.start() and not is_particle:
                last = found.pop()
                found.append(Digits(last.start, token.end(), last.value + _read_value(token), last.follows_break))
            else:
                found.append(Digits(token.start(), token.end(), _read_value(token), follows_break or is_particle))
            follows_break = False
    return found


def _read_value(token: re.Match[str]) -> str:
    text = token.group()
    if token.lastgroup == "plain":
        return "".join(table.KANJI_DIGITS.get(character, character) for character in text)
    if token.lastgroup == "kana":
        short = text.rstrip("ー")
        return table.KANA_DIGITS.get(short) or table.KANA_DIGITS[short + "ー"]
    repeat, _, digit = text.rpartition(" ")
    return table.ENGLISH_DIGITS.get(digit, digit) * table.REPEATS.get(repeat, 1)


def _split(digits: Sequence[Digits], ends: Callable[[Digits, Digits], bool]) -> Iterator[list[Digits]]:
    """Yield the digits in groups. A group ends between two elements for which `ends` is true."""
    group: list[Digits] = []
    for member in digits:
        if group and ends(group[-1], member):
            yield group
            group = []
        group.append(member)
    if group:
        yield group


def _classify(digits: Sequence[Digits], language: str) -> Iterator[Number]:
    """Yield exact forms without a break first, and then what fillers part."""
    items = [
        Number(kind, (_merge(members),))
        for group in _split(digits, lambda _, after: after.follows_break)
        for kind, members in _take_exact(group, language)
    ]
    for is_left_over, numbers in groupby(items, key=lambda number: number.kind is None):
        if is_left_over:
            yield from _classify_left_over([part for number in numbers for part in number.parts], language)
        else:
            yield from numbers


def _classify_left_over(digits: Sequence[Digits], language: str) -> Iterator[Number]:
    """Yield exact forms in several parts first, then rough forms of all that is left, then rough forms of its parts."""
    for kind, members in _take_exact(digits, language):
        rough_kind = kind or _tell_roughly(members)
        if rough_kind is not None:
            yield Number(rough_kind, tuple(members))
            continue
        for card, rest in _take(members, lambda parts, _: _tell_card(parts)):
            rough_kinds = [_tell_roughly([part]) for part in rest]
            if card is None and any(rough_kinds):
                yield from (Number(rough, (part,)) for rough, part in zip(rough_kinds, rest, strict=True))
            else:
                yield Number(card, tuple(rest))


_Tell = Callable[[Sequence[Digits], bool], RedactedKind | None]


def _take(digits: Sequence[Digits], tell: _Tell) -> Iterator[tuple[RedactedKind | None, list[Digits]]]:
    """Yield neighbouring digits to which `tell` gives a kind, the longest first, and what is left between them."""
    rest: list[Digits] = []
    start = 0
    while start < len(digits):
        end, length = start, 0
        while end < len(digits) and length + len(digits[end].value) <= _MAX_DIGITS:
            length += len(digits[end].value)
            end += 1
        kind = None
        while end > start and length >= _MIN_DIGITS:
            kind = tell(digits[start:end], end - start == len(digits))
            if kind is not None:
                break
            end -= 1
            length -= len(digits[end].value)
        if kind is None:
            rest.append(digits[start])
            start += 1
            continue
        if rest:
            yield None, rest
            rest = []
        yield kind, list(digits[start:end])
        start = end
    if rest:
        yield None, rest


def _take_exact(digits: Sequence[Digits], language: str) -> Iterator[tuple[RedactedKind | None, list[Digits]]]:
    return _take(digits, lambda members, whole: _tell_kind(members, language, whole=whole))


def _tell_kind(members: Sequence[Digits], language: str, *, whole: bool) -> RedactedKind | None:
    """Return the kind of digits that have exactly the form of a number, or None.

    Digits that are spoken one by one are a number only as a whole: anywhere among them such a form appears by chance.
    """
    shape = tuple(len(member.value) for member in members)
    if shape in _CARD_SHAPES:
        return RedactedKind.CARD
    value = _join(members)
    if not whole and len(shape) * 2 > len(value):
        return None
    if _TELEPHONE.fullmatch(value) or (language == "en" and shape in _AMERICAN_SHAPES):
        return RedactedKind.TELEPHONE
    if language == "zh" and _CHINESE_TELEPHONE.fullmatch(value):
        return RedactedKind.TELEPHONE
    return None


def _tell_card(members: Sequence[Digits]) -> RedactedKind | None:
    value = _join(members)
    return RedactedKind.CARD if len(members) * 2 <= len(value) and _CARD.fullmatch(value) else None


def _tell_roughly(members: Sequence[Digits]) -> RedactedKind | None:
    """Return the kind of digits that are all that stands together, with a digit more or less or said twice."""
    value = _join(members)
    half = value[: len(value) // 2]
    if len(value) > _MAX_DIGITS and half * 2 == value:
        value = half
    if _CARD.fullmatch(value):
        return RedactedKind.CARD
    if _ROUGH_TELEPHONE.fullmatch(value):
        return RedactedKind.TELEPHONE
    return None


def _merge(members: Sequence[Digits]) -> Digits:
    return Digits(members[0].start, members[-1].end, _join(members), members[0].follows_break)


def _join(members: Sequence[Digits]) -> str:
    return "".join(member.value for member in members)
