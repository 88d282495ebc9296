"""Make conversations with numbers in them from tests/specs/redaction_*.csv, without the code that redacts them."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from switchboard.domain.recording.facts import Channel
from switchboard.domain.recording.words import Word

SPECS = Path(__file__).parents[2] / "specs"
CUSTOMER, OPERATOR = Channel.LEFT, Channel.RIGHT


def read_rows(name: str) -> list[dict[str, str]]:
    with (SPECS / f"redaction_{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


DIGITS = {
    (row["language"], row["form"]): [row[str(digit)].split() for digit in range(10)] for row in read_rows("digits")
}
BETWEEN = {(row["language"], row["place"]): row["texts"].split() for row in read_rows("between")}


@dataclass(slots=True)
class Part:
    """One thing that was said: its channel, its words, and what must become of it.

    `kind` is empty if the words must survive.
    """

    channel: Channel
    words: list[Word]
    kind: str = ""
    secrets: list[Word] = field(default_factory=list)


class Speaker:
    """A generator of conversations in one language."""

    def __init__(self, language: str, seed: int) -> None:
        self.language = language
        self._random = random.Random(seed)
        self._clock = 0
        self.forms = [form for name, form in DIGITS if name == language]

    def say(self, channel: Channel, text: str, *, pause_ms: int = 200) -> list[Word]:
        """Return words for a text, cut as one of several kinds of recognisers would cut them."""
        self._clock += pause_ms
        words = []
        for piece in self._cut(text):
            length = 60 + 90 * len(piece)
            words.append(Word(start_ms=self._clock, end_ms=self._clock + length, text=piece))
            self._clock += length + self._random.choice((0, 0, 40, 200))
        return words

    def _cut(self, text: str) -> list[str]:
        if self.language == "en":
            return text.split()
        pieces = re.findall(r"[0-9A-Za-z.@]+|[^0-9A-Za-z.@\s]+", text)
        style = self._random.randrange(3)
        if style == 0:
            return pieces
        if style == 1:  # every character on its own, as in recognisers that know no words
            return [character for piece in pieces for character in (piece if not piece.isascii() else [piece])]
        return [part for piece in pieces for part in re.findall(r"[0-9A-Za-z.@]+|.{1,3}", piece)]

    def wait(self, milliseconds: int) -> None:
        """Let time pass."""
        self._clock += milliseconds

    def spell(self, digits: str, form: str) -> str:
        """Return digits in one form."""
        spoken = [self._random.choice(DIGITS[self.language, form][int(digit)]) for digit in digits]
        if form == "words":
            text = " ".join(spoken)
            return re.sub(r"\b(\w+) \1 \1\b", r"triple \1", re.sub(r"\b(\w+) \1\b(?! \1)", r"double \1", text))
        return "".join(spoken)

    def number(self, groups: list[str], *, fillers: bool = True) -> str:
        """Return the groups of a number, with separators or fillers between them."""
        form = self._random.choice(self.forms)
        separator = self._random.choice([*BETWEEN[self.language, "separator"], "", " "])
        parts = [self.spell(group, form) for group in groups]
        if form == "words" or self.language == "en":
            separator = f" {separator} "
        text = parts[0]
        for part in parts[1:]:
            filler = ""
            if fillers and self._random.random() < 0.2:
                filler = f" {self._random.choice(BETWEEN[self.language, 'filler'])} "
            text += separator + filler + part
        return re.sub(" +", " ", text)

    def digits(self, count: int) -> str:
        """Return random digits."""
        return "".join(self._random.choice("0123456789") for _ in range(count))

    def telephone(self) -> list[str]:
        """Return the groups of a telephone number of the language's countries."""
        if self.language == "zh":
            return self._random.choice(
                [["1" + self._random.choice("3456789") + self.digits(1), self.digits(4), self.digits(4)]]
            )
        if self.language == "en" and self._random.random() < 0.5:
            return ["5" + self.digits(2), "5" + self.digits(2), self.digits(4)]
        lengths = self._random.choice([("090", 4, 4), ("080", 4, 4), ("03", 4, 4), ("011", 3, 4), ("0120", 3, 3)])
        return [lengths[0], *(self.digits(length) for length in lengths[1:])]

    def secret(self, kind: str) -> str:
        """Return something of this kind, as it is said."""
        if kind == "telephone":
            return self.number(self.telephone())
        if kind == "card":
            shape = self._random.choice([(4, 4, 4, 4), (4, 6, 5), (4, 6, 4)])
            return self.number(["4" + self.digits(shape[0] - 1), *(self.digits(length) for length in shape[1:])])
        if kind == "code":
            return self.number([self.digits(self._random.randint(4, 8))])
        rows = read_rows({"birth_date": "birth_dates", "mail": "mail"}[kind])
        said = self._random.choice([row["said"] for row in rows if row["language"] == self.language])
        return self._fill(said)

    def _fill(self, text: str) -> str:
        values: dict[str, Callable[[], str]] = {
            "year": lambda: str(self._random.randint(1930, 1999)),
            "y2": lambda: str(self._random.randint(10, 63)),
            "y1": lambda: str(self._random.randint(2, 20)),
            "m": lambda: str(self._random.randint(1, 12)),
            "d": lambda: str(self._random.randint(1, 28)),
            "n4": lambda: self._random.choice("123456789") + self.digits(3),
            "n8": lambda: self._random.choice("123456789") + self.digits(7),
            "n12": lambda: self._random.choice("123456789") + self.digits(11),
        }
        return re.sub(r"\{(\w+)\}", lambda match: values[match[1]](), text)

    def sentence(self) -> Iterator[Part]:
        """Yield a sentence with something to remove, and the question before it."""
        rows = [row for row in read_rows("sentences") if row["language"] == self.language]
        row = self._random.choice(rows)
        if row["question"]:
            yield Part(OPERATOR, self.say(OPERATOR, row["question"], pause_ms=1000))
        before = self.say(CUSTOMER, row["before"], pause_ms=900) if row["before"] else []
        secrets = self.say(CUSTOMER, self.secret(row["kind"]))
        after = self.say(CUSTOMER, row["after"]) if row["after"] else []
        yield Part(CUSTOMER, [*before, *secrets, *after], row["kind"], secrets)

    def survivor(self) -> Iterator[Part]:
        """Yield a sentence that must survive, and the question before it."""
        row = self._random.choice([row for row in read_rows("survivors") if row["language"] == self.language])
        if row["question"]:
            yield Part(OPERATOR, self.say(OPERATOR, row["question"], pause_ms=1000))
        channel = self._random.choice([CUSTOMER, OPERATOR]) if not row["question"] else CUSTOMER
        yield Part(channel, self.say(channel, self._fill(row["said"]), pause_ms=1000))

    def number_across_turns(self) -> Iterator[Part]:
        """Yield a number in pieces, which the other party acknowledges or reads back piece by piece."""
        groups = self._random.choice([self.telephone(), ["4" + self.digits(3), *(self.digits(4) for _ in range(3))]])
        kind = "card" if len(groups) == 4 and len(groups[0]) == 4 else "telephone"
        form = self._random.choice(self.forms)
        reads_back = self._random.random() < 0.5
        secrets: list[Word] = []
        read_back: list[Word] = []
        answers: list[Word] = []
        for group in groups:
            secrets += self.say(CUSTOMER, self.spell(group, form), pause_ms=self._random.randint(300, 1500))
            self.wait(self._random.randint(200, 900))
            if reads_back:
                read_back += self.say(OPERATOR, self.spell(group, "ascii"))
            answers += self.say(OPERATOR, self._random.choice(BETWEEN[self.language, "answer"]))
        yield Part(CUSTOMER, secrets, kind, secrets)
        if reads_back:
            yield Part(OPERATOR, sorted([*read_back, *answers], key=lambda word: word.start_ms), kind, read_back)
        else:
            yield Part(OPERATOR, answers)
        self.wait(1500)


def conversation_of(parts: list[Part]) -> dict[Channel, tuple[Word, ...]]:
    """Return the words of each channel in their order."""
    return {
        channel: tuple(
            sorted(
                (word for part in parts if part.channel is channel for word in part.words),
                key=lambda word: word.start_ms,
            )
        )
        for channel in (CUSTOMER, OPERATOR)
    }
