"""Decide when a recording is fetched again: the pauses between attempts, and the next time to look at a recording."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from switchboard.domain.recording.facts import Channel, FetchEnd, Recording
from switchboard.domain.recording.status import (
    RecordingDeadlines,
    attempts_on_channel,
    channel_status,
    fetch_deadline,
    unfinished_attempts,
)

_FIRST_DELAY: Final = timedelta(seconds=5)
_GROWTH: Final = 3
_FIRST_DELAY_AFTER_404: Final = timedelta(seconds=10)
_GROWTH_AFTER_404: Final = 8
_MAX_DELAY: Final = timedelta(hours=6)
_MAX_GROWTH_STEPS: Final = 8  # 5 s * 3**8 is longer than the maximum delay
_SPREAD: Final = 0.2
_LAST_ATTEMPT_BEFORE_DEADLINE: Final = timedelta(minutes=10)


def next_attempt_after(attempts: int, *, now: datetime, deadline: datetime, jitter: float) -> datetime | None:
    """Return when to try again after `attempts` failed ones, the last of them `now`, or None if it is too late.

    The pauses are about 5, 15 and 45 s, then ever longer up to six hours. The last attempt is ten minutes before the
    `deadline`. `jitter` in [0, 1) spreads each pause by a fifth to either side.
    """
    if attempts < 1:
        return now if now < deadline else None
    delay = min(_FIRST_DELAY * _GROWTH ** min(attempts - 1, _MAX_GROWTH_STEPS), _MAX_DELAY)
    at = min(now + delay * (1 - _SPREAD + 2 * _SPREAD * jitter), deadline - _LAST_ATTEMPT_BEFORE_DEADLINE)
    return at if at > now else None


def next_attempt_after_404(answers: int, *, now: datetime, not_found_until: datetime, jitter: float) -> datetime | None:
    """Return when to try again after `answers` 404s, the last of them `now`, or None if a 404 is final.

    The pauses are about 10, 80 and 640 s. The last attempt is at `not_found_until`, from which on a 404 is final. A
    recording that does not exist thus costs five requests for its first channel.
    """
    if now >= not_found_until:
        return None
    growth: int = _GROWTH_AFTER_404 ** min(answers - 1, _MAX_GROWTH_STEPS)
    delay = _FIRST_DELAY_AFTER_404 * growth
    return min(now + delay * (1 - _SPREAD + 2 * _SPREAD * jitter), not_found_until)


_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)
"""A time before every fact and deadline. A channel that is final then is final by its facts alone."""


def next_due(
    recording: Recording, *, channels: Collection[Channel], deadlines: RecordingDeadlines, jitter: float = 0.5
) -> datetime | None:
    """Return when to look at the recording if no new fact is recorded, or None if nothing can be overdue any more.

    The reason is another attempt at one of the `channels`, an attempt that never ended, or a deadline. `jitter` is that
    of `next_attempt_after`.
    """
    if recording.closed_at is not None:
        return None
    times = [
        _next_due_of_channel(recording, channel, deadlines=deadlines, jitter=jitter)
        for channel in Channel
        if channel in channels
        and not channel_status(recording, channel, deadlines=deadlines, now=_BEFORE_ALL).state.final
    ]
    return min(times, default=None)


def _next_due_of_channel(
    recording: Recording, channel: Channel, *, deadlines: RecordingDeadlines, jitter: float
) -> datetime:
    starts, outcomes = attempts_on_channel(recording, channel)
    deadline = fetch_deadline(recording, channel, deadlines=deadlines)
    if not starts:
        return min(recording.announced_at + deadlines.attempt_timeout, deadline)
    last_end = max((outcome.at for outcome in outcomes), default=_BEFORE_ALL)
    last_unfinished = max(unfinished_attempts(starts, outcomes).values(), default=None)
    if last_unfinished is not None and last_unfinished + deadlines.attempt_timeout > last_end:
        return last_unfinished + deadlines.attempt_timeout
    answers = [outcome for outcome in outcomes if outcome.end is FetchEnd.NOT_FOUND]
    if answers and max(answer.at for answer in answers) == last_end:
        not_found_until = recording.announced_at + deadlines.not_ready_time
        after_404 = next_attempt_after_404(len(answers), now=last_end, not_found_until=not_found_until, jitter=jitter)
        return after_404 or max(deadline, last_end)
    next_attempt = next_attempt_after(len(starts), now=last_end, deadline=deadline, jitter=jitter)
    return next_attempt or max(deadline, last_end)
