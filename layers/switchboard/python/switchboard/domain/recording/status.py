"""Derive the status of a recording and of its channels from the facts, the channels to fetch and the time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from switchboard.domain.recording.facts import SPLIT, Channel, FetchEnd, FetchOutcome, Recording, Role, StoredFile

_TIME_AFTER_PARKING: Final = timedelta(hours=6)
"""The time before the fetch deadline at which every parked recording is brought out. At 10 requests a second it
suffices for 200,000 requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDeadlines:
    """The periods during which a recording may be fetched, and the waits in between.

    The provider keeps the split channels for `split_retention` after the call. They are fetched until
    `split_give_up_margin` before that, and for at least `min_fetch_time` after the ready fact. `monaural_fetch_time` is
    our own limit, counted from the ready fact. From `not_ready_time` after the ready fact on, a missing file counts as
    lost. An attempt without an outcome after `attempt_timeout` counts as ended. A recording that has no attempt
    `attempt_timeout` after the ready fact is looked at again.
    """

    split_retention: timedelta = timedelta(days=7)
    split_give_up_margin: timedelta = timedelta(hours=1)
    min_fetch_time: timedelta = timedelta(hours=1)
    monaural_fetch_time: timedelta = timedelta(days=30)
    not_ready_time: timedelta = timedelta(hours=1)
    attempt_timeout: timedelta = timedelta(minutes=16)

    @property
    def split_fetch_time(self) -> timedelta:
        """The time after the call for which the split channels are fetched."""
        return self.split_retention - self.split_give_up_margin

    @property
    def longest_parking(self) -> timedelta:
        """The time after its announcement at which a parked recording is brought out, whatever the limits say."""
        return max(self.split_fetch_time - _TIME_AFTER_PARKING, self.split_fetch_time / 2)


class ChannelState(StrEnum):
    """The states of one channel.

    `announced` has no attempt yet. `fetching` has one, and attempts go on until the channel is decided. `quarantined`
    has no recording, but something that the provider gave in its place.
    """

    ANNOUNCED = "announced"
    FETCHING = "fetching"
    STORED = "stored"
    QUARANTINED = "quarantined"
    LOST = "lost"
    FORBIDDEN = "forbidden"

    @property
    def final(self) -> bool:
        """True if no attempt follows. Only a late success can still change the state."""
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
    """The status of one channel at one moment.

    `problem` is the end of the last attempt, or `not_fetched` if no attempt ended in time. It is None if the channel is
    stored, or if no attempt has ended yet.
    """

    channel: Channel
    role: Role
    state: ChannelState
    attempts: int
    fetch_deadline: datetime
    file: StoredFile | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStatus:
    """The status of a recording at one moment, and that of each channel to fetch."""

    state: RecordingState
    channels: Mapping[Channel, ChannelStatus] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """True if no channel is left to fetch. Only a late success can still change the status."""
        return all(channel.state.final for channel in self.channels.values())

    @property
    def fetch_deadline(self) -> datetime | None:
        """The earliest of the channels' deadlines."""
        return min((channel.fetch_deadline for channel in self.channels.values()), default=None)


def fetch_deadline(recording: Recording, channel: Channel, *, deadlines: RecordingDeadlines) -> datetime:
    """Return until when the channel may be fetched.

    A call cannot be later than its ready fact. A later time of the call is replaced by that of the ready fact. Of
    several times the latest counts: a forged one can make the deadline later, and never earlier. A recording that was
    parked is fetched as long as if the call had just ended, so that it is always asked for.
    """
    announced_at = recording.announced_at
    if channel not in SPLIT:
        return announced_at + deadlines.monaural_fetch_time
    called_at = min(recording.latest_called_at or announced_at, announced_at)
    if recording.parked_at is not None:
        called_at = announced_at
    given_up_at = called_at + deadlines.split_fetch_time
    return max(given_up_at, announced_at + deadlines.min_fetch_time)


def status_of(
    recording: Recording, *, channels: Collection[Channel], deadlines: RecordingDeadlines, now: datetime
) -> RecordingStatus:
    """Derive the status of the recording at `now`, from the `channels` to fetch and every other channel with a file."""
    stored_channels = {outcome.channel for outcome in recording.outcomes if outcome.end is FetchEnd.STORED}
    statuses = {
        channel: channel_status(recording, channel, deadlines=deadlines, now=now)
        for channel in Channel
        if channel in channels or channel in stored_channels
    }
    return RecordingStatus(state=_combine_states({status.state for status in statuses.values()}), channels=statuses)


def _combine_states(states: set[ChannelState]) -> RecordingState:
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
    """Derive the status of one channel at `now`.

    A stored channel stays stored, and a forbidden one stays forbidden. Otherwise the attempts and the time decide. A
    channel without a recording is quarantined rather than lost if an attempt brought anything at all.
    """
    starts, outcomes = attempts_on_channel(recording, channel)
    deadline = fetch_deadline(recording, channel, deadlines=deadlines)
    stored = min((outcome for outcome in outcomes if outcome.file), key=_time_and_id, default=None)
    last_outcome = max(outcomes, key=_time_and_id, default=None)

    if stored is not None:
        state = ChannelState.STORED
    elif any(outcome.end is FetchEnd.FORBIDDEN for outcome in outcomes):
        state = ChannelState.FORBIDDEN
    elif _came_twice(outcomes):
        state = ChannelState.QUARANTINED
    elif _is_given_up(outcomes, not_found_until=recording.announced_at + deadlines.not_ready_time):
        state = ChannelState.LOST
    elif any(now < start + deadlines.attempt_timeout for start in unfinished_attempts(starts, outcomes).values()):
        state = ChannelState.FETCHING
    elif now >= deadline:
        state = ChannelState.LOST
    else:
        state = ChannelState.FETCHING if starts else ChannelState.ANNOUNCED
    if state is ChannelState.LOST and any(outcome.unrecognised for outcome in outcomes):
        state = ChannelState.QUARANTINED
    return ChannelStatus(
        channel=channel,
        role=recording.role_of(channel),
        state=state,
        attempts=len(starts),
        fetch_deadline=deadline,
        file=stored.file if stored else None,
        problem=_describe_problem(state, last_outcome),
    )


def attempts_on_channel(recording: Recording, channel: Channel) -> tuple[dict[str, datetime], list[FetchOutcome]]:
    """Return the start of each attempt at the channel, by the attempt's id, and the outcomes of those that ended.

    An outcome may come without its attempt. Such an attempt began, at the latest, when it ended.
    """
    outcomes = [outcome for outcome in recording.outcomes if outcome.channel is channel]
    times = [(attempt.id, attempt.at) for attempt in recording.attempts if attempt.channel is channel]
    times += [(outcome.id, outcome.at) for outcome in outcomes]
    starts: dict[str, datetime] = {}
    for id_, at in times:
        starts[id_] = min(starts.get(id_, at), at)
    return starts, outcomes


def unfinished_attempts(starts: Mapping[str, datetime], outcomes: Collection[FetchOutcome]) -> dict[str, datetime]:
    """Return the starts of the attempts that have no outcome."""
    finished = {outcome.id for outcome in outcomes}
    return {id_: start for id_, start in starts.items() if id_ not in finished}


def _time_and_id(outcome: FetchOutcome) -> tuple[datetime, str]:
    return outcome.at, outcome.id


def _is_given_up(outcomes: Collection[FetchOutcome], *, not_found_until: datetime) -> bool:
    return any(
        outcome.end in (FetchEnd.REFUSED, FetchEnd.TOO_LARGE, FetchEnd.QUOTA_EXHAUSTED)
        or (outcome.end is FetchEnd.NOT_FOUND and outcome.at >= not_found_until)
        for outcome in outcomes
    )


def _came_twice(outcomes: Collection[FetchOutcome]) -> bool:
    """Return whether the same whole unrecognised bytes came twice, so that they will again. Pages may go away."""
    files = [outcome.unrecognised for outcome in outcomes if outcome.unrecognised]
    hashes = [file.sha256 for file in files if not file.is_text and not file.is_cut]
    return len(hashes) > len(set(hashes))


def _describe_problem(state: ChannelState, last_outcome: FetchOutcome | None) -> str | None:
    if state is ChannelState.STORED:
        return None
    if last_outcome is not None:
        return last_outcome.end.value
    return "not_fetched" if state is ChannelState.LOST else None
