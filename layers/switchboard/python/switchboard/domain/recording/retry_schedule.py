"""Decide when a recording is fetched again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from switchboard.domain.recording.facts import Channel, Recording
from switchboard.domain.recording.status import (
    RecordingDeadlines,
    attempts_on_channel,
    channel_status,
    fetch_deadline,
    unfinished_attempts,
)

_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


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
        if channel in wanted and not channel_status(recording, channel, deadlines=deadlines, now=_EARLIEST).state.final
    ]
    return min(times, default=None)


def _channel_due(recording: Recording, channel: Channel, *, deadlines: RecordingDeadlines, jitter: float) -> datetime:
    begun, ended = attempts_on_channel(recording, channel)
    deadline = fetch_deadline(recording, channel, deadlines=deadlines)
    if not begun:
        return min(recording.announced_at + deadlines.attempt_lasts, deadline)
    last_at = max((each.at for each in ended), default=_EARLIEST)
    unheard_of = max(unfinished_attempts(begun, ended).values(), default=None)
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
