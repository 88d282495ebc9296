"""Derive the status of a recording and of its channels from the facts, the requested channels and the time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from switchboard.domain.recording.facts import SPLIT, Channel, FetchEnd, FetchOutcome, Recording, Role, StoredFile


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDeadlines:
    """How long a recording may be fetched, and how long to wait for what.

    The split channels are kept `split_kept` from the call; they are fetched until `margin` before that, and for at
    least `least` after the ready_fact. `monaural_kept` is our own patience, counted from the ready_fact.
    `not_found_for` after the ready_fact a missing file counts as lost. An attempt that has not ended after
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
class ChannelStatus:
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
class RecordingStatus:
    """Where a recording stands at one moment, and each channel that is wanted."""

    state: RecordingState
    channels: Mapping[Channel, ChannelStatus] = field(default_factory=dict)

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

    A call cannot be later than its ready_fact: a time that says so is not believed.
    """
    announced_at = recording.announced_at
    if channel not in SPLIT:
        return announced_at + deadlines.monaural_kept
    called_at = min(recording.called_at or announced_at, announced_at)
    return max(called_at + deadlines.split_kept - deadlines.margin, announced_at + deadlines.least)


def status_of(
    recording: Recording, *, wanted: Collection[Channel], deadlines: RecordingDeadlines, now: datetime
) -> RecordingStatus:
    """Where the recording stands at `now`, of the `wanted` channels and of every other that was stored."""
    stored = {each.channel for each in recording.outcomes if each.end is FetchEnd.STORED}
    channels = {
        channel: channel_status(recording, channel, deadlines=deadlines, now=now)
        for channel in Channel
        if channel in wanted or channel in stored
    }
    return RecordingStatus(state=_state_of({each.state for each in channels.values()}), channels=channels)


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


def channel_status(
    recording: Recording, channel: Channel, *, deadlines: RecordingDeadlines, now: datetime
) -> ChannelStatus:
    """Where one channel stands at `now`. What was stored stays stored; what is forbidden is so for good; the rest is
    decided by the last attempt and by the time."""
    begun, ended = attempts_on_channel(recording, channel)
    deadline = fetch_deadline(recording, channel, deadlines=deadlines)
    file = min((each for each in ended if each.file), key=lambda each: (each.at, each.id), default=None)
    last = max(ended, key=lambda each: (each.at, each.id), default=None)

    if file is not None:
        state = ChannelState.STORED
    elif any(each.end is FetchEnd.FORBIDDEN for each in ended):
        state = ChannelState.FORBIDDEN
    elif _given_up(ended, not_found_until=recording.announced_at + deadlines.not_found_for):
        state = ChannelState.LOST
    elif any(now < at + deadlines.attempt_lasts for at in unfinished_attempts(begun, ended).values()):
        state = ChannelState.FETCHING
    elif now >= deadline:
        state = ChannelState.LOST
    else:
        state = ChannelState.FETCHING if begun else ChannelState.ANNOUNCED
    return ChannelStatus(
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


def attempts_on_channel(recording: Recording, channel: Channel) -> tuple[dict[str, datetime], list[FetchOutcome]]:
    """When each attempt at the channel began, by id, and how those that ended did. An outcome whose beginning was
    not kept began, at the latest, when it ended."""
    ended = [each for each in recording.outcomes if each.channel is channel]
    begun: dict[str, datetime] = {}
    times = [(each.id, each.at) for each in recording.attempts if each.channel is channel]
    times += [(each.id, each.at) for each in ended]
    for id_, at in times:
        begun[id_] = min(begun.get(id_, at), at)
    return begun, ended


def unfinished_attempts(begun: Mapping[str, datetime], ended: Collection[FetchOutcome]) -> dict[str, datetime]:
    over = {each.id for each in ended}
    return {id_: at for id_, at in begun.items() if id_ not in over}


def _given_up(ended: Collection[FetchOutcome], *, not_found_until: datetime) -> bool:
    return any(
        each.end in (FetchEnd.REFUSED, FetchEnd.QUOTA_EXHAUSTED)
        or (each.end is FetchEnd.NOT_FOUND and each.at >= not_found_until)
        for each in ended
    )
