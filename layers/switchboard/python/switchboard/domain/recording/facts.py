"""A recording is the facts about it; what a caller sees is a function of them, of what is wanted and of the time.

Facts are only ever added, as members of sets: an ready_fact that comes twice, an outcome that overtakes the start
of its attempt, two workers that fetch the same channel - no order and no repetition leads to another status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError

_RECORDING_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


class Channel(StrEnum):
    """One of the files of a call. `left` is the other party's side, `right` the operator's, `monaural` both mixed."""

    LEFT = "left"
    RIGHT = "right"
    MONAURAL = "monaural"


class Role(StrEnum):
    """Who is heard."""

    CUSTOMER = "customer"
    OPERATOR = "operator"
    MIXED = "mixed"


class Side(StrEnum):
    """The naming rule's SRC or DST. The document gives one example of each and explains neither."""

    SRC = "SRC"
    DST = "DST"


ROLES: Final[Mapping[Channel, Role]] = MappingProxyType(
    {Channel.LEFT: Role.CUSTOMER, Channel.RIGHT: Role.OPERATOR, Channel.MONAURAL: Role.MIXED}
)
"""Who is heard where nobody has corrected it. After transfers the provider may have them the wrong way round."""

MAX_CORRECTIONS: Final = 100
"""Of who is who on one recording. All of them are kept beside what the worker writes, and that room has an end."""

SPLIT: Final = frozenset({Channel.LEFT, Channel.RIGHT})
"""The channels that the provider keeps for days only."""


def is_recording_id(text: str) -> bool:
    """Whether it can be a recording's id: 1 to 64 of letters, digits, `.`, `_` and `-`, a letter or digit first, and
    no two dots in a row. It goes into paths and keys as it is, and no meaning is read from it."""
    return bool(_RECORDING_ID.fullmatch(text)) and ".." not in text


def too_many_corrections() -> InvalidRequestError:
    """What a correction beyond MAX_CORRECTIONS is answered with."""
    return InvalidRequestError(
        FieldProblem("recording_id", "has been corrected as often as may be", "too_many_corrections")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingReady:
    """A provider's news that the recording of a call can be fetched.

    `tel` is the other party as the provider writes it: digits, masked digits, `anonymous`, or empty. `date` is its
    time as it came, `called_at` the same in UTC, or None where it could not be read as one.
    """

    recording_id: str
    tel: str = ""
    date: str = ""
    called_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFileName:
    """What the name of a split recording's file says. `from_number` and `to_number` are as written, and may be
    empty; `started_at` is UTC."""

    started_at: datetime
    from_number: str
    to_number: str
    recording_id: str
    side: Side
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A channel's file, whole and in its place. `seconds` is None where the file does not tell its length."""

    key: str
    bytes: int
    sha256: str
    content_type: str
    file_name: str
    seconds: float | None = None


class FetchEnd(StrEnum):
    """How one attempt to fetch a channel ended."""

    STORED = "stored"
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    FAILED = "failed"
    QUOTA_EXHAUSTED = "quota_exhausted"
    """It was not asked for: the provider's month will not do, and the channel will be gone before the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyFact:
    """That such a notice came, and when it came first. With `by_file` no notice came but a file itself, so that there
    is nothing to be asked for."""

    tel: str
    date: str
    called_at: datetime | None
    at: datetime
    by_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchAttempt:
    """That a worker began to fetch a channel. `id` ties its outcome to it."""

    id: str
    channel: Channel
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOutcome:
    """How the attempt with the same id ended. `file` is there exactly for `stored`."""

    id: str
    channel: Channel
    at: datetime
    end: FetchEnd
    file: StoredFile | None = None
    provider_code: str | None = None

    def __post_init__(self) -> None:
        if (self.file is not None) is not (self.end is FetchEnd.STORED):
            raise ValueError("an outcome has a file exactly if something was stored")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCorrection:
    """That somebody said who is who, and when."""

    at: datetime
    left: Role
    right: Role


RecordingFact = ReadyFact | FetchAttempt | FetchOutcome | RoleCorrection


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The facts about one recording, in no order. `closed_at` is when somebody wrote down that its time is up."""

    recording_id: str
    ready_facts: frozenset[ReadyFact]
    attempts: frozenset[FetchAttempt] = frozenset()
    outcomes: frozenset[FetchOutcome] = frozenset()
    corrections: frozenset[RoleCorrection] = frozenset()
    closed_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.ready_facts:
            raise ValueError("a recording has been announced")

    @property
    def announced_at(self) -> datetime:
        return min(each.at for each in self.ready_facts)

    @property
    def called_at(self) -> datetime | None:
        """As first announced, or None where no ready_fact gives a readable time."""
        given = [(each.at, each.called_at) for each in self.ready_facts if each.called_at]
        return min(given)[1] if given else None

    @property
    def tel(self) -> str:
        """As first announced; an ready_fact that names somebody goes before one that doesn't."""
        return min(self.ready_facts, key=lambda each: (not each.tel, each.at, each.tel)).tel

    @property
    def updated_at(self) -> datetime:
        facts: frozenset[RecordingFact] = self.ready_facts | self.attempts | self.outcomes | self.corrections
        return max(each.at for each in facts)

    def role_of(self, channel: Channel) -> Role:
        """Who is heard on the channel: as last corrected, or else as the document says."""
        if channel not in SPLIT or not self.corrections:
            return ROLES[channel]
        latest = max(self.corrections, key=lambda each: (each.at, each.left, each.right))
        return latest.left if channel is Channel.LEFT else latest.right

    def with_fact(self, fact: RecordingFact) -> Recording:
        """The recording with one fact more. The same fact again changes nothing; the same ready_fact at another
        time counts as it first came."""
        if isinstance(fact, ReadyFact):
            same = {each for each in self.ready_facts if replace(each, at=fact.at) == fact}
            first = min(same | {fact}, key=lambda each: each.at)
            return replace(self, ready_facts=(self.ready_facts - same) | {first})
        if isinstance(fact, FetchAttempt):
            return replace(self, attempts=self.attempts | {fact})
        if isinstance(fact, FetchOutcome):
            return replace(self, outcomes=self.outcomes | {fact})
        return replace(self, corrections=self.corrections | {fact})
