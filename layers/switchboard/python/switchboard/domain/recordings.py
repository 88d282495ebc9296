"""A recording is the facts about it; what a caller sees is a function of them, of what is wanted and of the time.

Facts are only ever added, as members of sets: an announcement that comes twice, an outcome that overtakes the start
of its attempt, two workers that fetch the same channel - no order and no repetition leads to another standing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError

_RECORDING_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


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
class RecordingNotice:
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
    MONTH_SPENT = "month_spent"
    """It was not asked for: the provider's month will not do, and the channel will be gone before the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
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


RecordingFact = Announcement | FetchAttempt | FetchOutcome | RoleCorrection


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The facts about one recording, in no order. `closed_at` is when somebody wrote down that its time is up."""

    recording_id: str
    announcements: frozenset[Announcement]
    attempts: frozenset[FetchAttempt] = frozenset()
    outcomes: frozenset[FetchOutcome] = frozenset()
    corrections: frozenset[RoleCorrection] = frozenset()
    closed_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.announcements:
            raise ValueError("a recording has been announced")

    @property
    def announced_at(self) -> datetime:
        return min(each.at for each in self.announcements)

    @property
    def called_at(self) -> datetime | None:
        """As first announced, or None where no announcement gives a readable time."""
        given = [(each.at, each.called_at) for each in self.announcements if each.called_at]
        return min(given)[1] if given else None

    @property
    def tel(self) -> str:
        """As first announced; an announcement that names somebody goes before one that doesn't."""
        return min(self.announcements, key=lambda each: (not each.tel, each.at, each.tel)).tel

    @property
    def updated_at(self) -> datetime:
        facts: frozenset[RecordingFact] = self.announcements | self.attempts | self.outcomes | self.corrections
        return max(each.at for each in facts)

    def role_of(self, channel: Channel) -> Role:
        """Who is heard on the channel: as last corrected, or else as the document says."""
        if channel not in SPLIT or not self.corrections:
            return ROLES[channel]
        latest = max(self.corrections, key=lambda each: (each.at, each.left, each.right))
        return latest.left if channel is Channel.LEFT else latest.right

    def with_fact(self, fact: RecordingFact) -> Recording:
        """The recording with one fact more. The same fact again changes nothing; the same announcement at another
        time counts as it first came."""
        if isinstance(fact, Announcement):
            same = {each for each in self.announcements if replace(each, at=fact.at) == fact}
            first = min(same | {fact}, key=lambda each: each.at)
            return replace(self, announcements=(self.announcements - same) | {first})
        if isinstance(fact, FetchAttempt):
            return replace(self, attempts=self.attempts | {fact})
        if isinstance(fact, FetchOutcome):
            return replace(self, outcomes=self.outcomes | {fact})
        return replace(self, corrections=self.corrections | {fact})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDeadlines:
    """How long a recording may be fetched, and how long to wait for what.

    The split channels are kept `split_kept` from the call; they are fetched until `margin` before that, and for at
    least `least` after the announcement. `monaural_kept` is our own patience, counted from the announcement.
    `not_found_for` after the announcement a missing file counts as lost. An attempt that has not ended after
    `attempt_lasts` never will; a recording that nobody has begun to fetch by then is looked at again.
    """

    split_kept: timedelta = timedelta(days=7)
    margin: timedelta = timedelta(hours=1)
    least: timedelta = timedelta(hours=1)
    monaural_kept: timedelta = timedelta(days=30)
    not_found_for: timedelta = timedelta(hours=1)
    attempt_lasts: timedelta = timedelta(minutes=16)


class ChannelState(StrEnum):
    """Where one channel stands. `announced`: not yet tried; `fetching`: tried, and to be tried until it is decided."""

    ANNOUNCED = "announced"
    FETCHING = "fetching"
    STORED = "stored"
    LOST = "lost"
    FORBIDDEN = "forbidden"

    @property
    def final(self) -> bool:
        return self not in (ChannelState.ANNOUNCED, ChannelState.FETCHING)


class RecordingState(StrEnum):
    """The contract's states."""

    ANNOUNCED = "announced"
    FETCHING = "fetching"
    STORED = "stored"
    PARTIAL = "partial"
    LOST = "lost"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStanding:
    """Where one channel stands at one moment. `problem` is how the last attempt ended, or `not_fetched` where none
    ended in time; None where the channel is stored, or where there is nothing to say yet."""

    channel: Channel
    role: Role
    state: ChannelState
    attempts: int
    fetch_deadline: datetime
    file: StoredFile | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStanding:
    """Where a recording stands at one moment, and each channel that is wanted."""

    state: RecordingState
    channels: Mapping[Channel, ChannelStanding] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """Nothing is left to be fetched. Only a late success can still change it."""
        return all(each.state.final for each in self.channels.values())

    @property
    def fetch_deadline(self) -> datetime | None:
        """The earliest of the channels' deadlines."""
        return min((each.fetch_deadline for each in self.channels.values()), default=None)


def fetch_deadline(recording: Recording, channel: Channel, *, deadlines: RecordingDeadlines) -> datetime:
    """Until when fetching the channel makes sense.

    A call cannot be later than its announcement: a time that says so is not believed.
    """
    announced_at = recording.announced_at
    if channel not in SPLIT:
        return announced_at + deadlines.monaural_kept
    called_at = min(recording.called_at or announced_at, announced_at)
    return max(called_at + deadlines.split_kept - deadlines.margin, announced_at + deadlines.least)


def standing_of(
    recording: Recording, *, wanted: Collection[Channel], deadlines: RecordingDeadlines, now: datetime
) -> RecordingStanding:
    """Where the recording stands at `now`, of the `wanted` channels and of every other that was stored."""
    stored = {each.channel for each in recording.outcomes if each.end is FetchEnd.STORED}
    channels = {
        channel: channel_standing(recording, channel, deadlines=deadlines, now=now)
        for channel in Channel
        if channel in wanted or channel in stored
    }
    return RecordingStanding(state=_state_of({each.state for each in channels.values()}), channels=channels)


def _state_of(states: set[ChannelState]) -> RecordingState:
    if states <= {ChannelState.ANNOUNCED}:
        return RecordingState.ANNOUNCED
    if not all(state.final for state in states):
        return RecordingState.FETCHING
    if states == {ChannelState.STORED}:
        return RecordingState.STORED
    if ChannelState.STORED in states:
        return RecordingState.PARTIAL
    if states == {ChannelState.FORBIDDEN}:
        return RecordingState.FORBIDDEN
    return RecordingState.LOST


def channel_standing(
    recording: Recording, channel: Channel, *, deadlines: RecordingDeadlines, now: datetime
) -> ChannelStanding:
    """Where one channel stands at `now`. What was stored stays stored; what is forbidden is so for good; the rest is
    decided by the last attempt and by the time."""
    begun, ended = _attempts_at(recording, channel)
    deadline = fetch_deadline(recording, channel, deadlines=deadlines)
    file = min((each for each in ended if each.file), key=lambda each: (each.at, each.id), default=None)
    last = max(ended, key=lambda each: (each.at, each.id), default=None)

    if file is not None:
        state = ChannelState.STORED
    elif any(each.end is FetchEnd.FORBIDDEN for each in ended):
        state = ChannelState.FORBIDDEN
    elif _given_up(ended, not_found_until=recording.announced_at + deadlines.not_found_for):
        state = ChannelState.LOST
    elif any(now < at + deadlines.attempt_lasts for at in _under_way(begun, ended).values()):
        state = ChannelState.FETCHING
    elif now >= deadline:
        state = ChannelState.LOST
    else:
        state = ChannelState.FETCHING if begun else ChannelState.ANNOUNCED
    return ChannelStanding(
        channel=channel,
        role=recording.role_of(channel),
        state=state,
        attempts=len(begun),
        fetch_deadline=deadline,
        file=file.file if file else None,
        problem=_problem_of(state, last),
    )


def _problem_of(state: ChannelState, last: FetchOutcome | None) -> str | None:
    if state is ChannelState.STORED:
        return None
    if last is not None:
        return last.end.value
    return "not_fetched" if state is ChannelState.LOST else None


def next_due(
    recording: Recording, *, wanted: Collection[Channel], deadlines: RecordingDeadlines, jitter: float = 0.5
) -> datetime | None:
    """When the recording must be looked at again if nothing more is heard: for another attempt, for one that never
    ended, or because its time is up. None when nothing can be overdue any more. `jitter`: see `next_attempt_after`."""
    if recording.closed_at is not None:
        return None
    times = [
        _channel_due(recording, channel, deadlines=deadlines, jitter=jitter)
        for channel in Channel
        if channel in wanted
        and not channel_standing(recording, channel, deadlines=deadlines, now=_EARLIEST).state.final
    ]
    return min(times, default=None)


def _channel_due(recording: Recording, channel: Channel, *, deadlines: RecordingDeadlines, jitter: float) -> datetime:
    begun, ended = _attempts_at(recording, channel)
    deadline = fetch_deadline(recording, channel, deadlines=deadlines)
    if not begun:
        return min(recording.announced_at + deadlines.attempt_lasts, deadline)
    last_at = max((each.at for each in ended), default=_EARLIEST)
    unheard_of = max(_under_way(begun, ended).values(), default=None)
    if unheard_of is not None and unheard_of + deadlines.attempt_lasts > last_at:
        return unheard_of + deadlines.attempt_lasts
    return next_attempt_after(len(begun), now=last_at, deadline=deadline, jitter=jitter) or max(deadline, last_at)


_FIRST_DELAY: Final = timedelta(seconds=5)
_GROWTH: Final = 3
_LONGEST_DELAY: Final = timedelta(hours=6)
_LAST_CALL: Final = timedelta(minutes=10)
_STEPS: Final = 8  # 5 s * 3**8 is past the longest delay
_SPREAD: Final = 0.2


def next_attempt_after(attempts: int, *, now: datetime, deadline: datetime, jitter: float) -> datetime | None:
    """When to try again after `attempts` of them failed, the last one just `now`; None when it is too late for it.

    About 5, 15 and 45 s, then ever longer up to six hours, and once more ten minutes before the `deadline`.
    `jitter` in [0, 1) spreads each delay by a fifth to either side.
    """
    if attempts < 1:
        return now if now < deadline else None
    delay = min(_FIRST_DELAY * _GROWTH ** min(attempts - 1, _STEPS), _LONGEST_DELAY)
    at = min(now + delay * (1 - _SPREAD + 2 * _SPREAD * jitter), deadline - _LAST_CALL)
    return at if at > now else None


def _attempts_at(recording: Recording, channel: Channel) -> tuple[dict[str, datetime], list[FetchOutcome]]:
    """When each attempt at the channel began, by id, and how those that ended did. An outcome whose beginning was
    not kept began, at the latest, when it ended."""
    ended = [each for each in recording.outcomes if each.channel is channel]
    begun: dict[str, datetime] = {}
    times = [(each.id, each.at) for each in recording.attempts if each.channel is channel]
    times += [(each.id, each.at) for each in ended]
    for id_, at in times:
        begun[id_] = min(begun.get(id_, at), at)
    return begun, ended


def _under_way(begun: Mapping[str, datetime], ended: Collection[FetchOutcome]) -> dict[str, datetime]:
    over = {each.id for each in ended}
    return {id_: at for id_, at in begun.items() if id_ not in over}


def _given_up(ended: Collection[FetchOutcome], *, not_found_until: datetime) -> bool:
    return any(
        each.end in (FetchEnd.REFUSED, FetchEnd.MONTH_SPENT)
        or (each.end is FetchEnd.NOT_FOUND and each.at >= not_found_until)
        for each in ended
    )
