"""Decide which channels of a recording to fetch, and when, by this deployment's choices."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile

from switchboard.domain.recording.facts import SPLIT, Channel, FetchEnd, Recording
from switchboard.domain.recording.retry_schedule import next_due
from switchboard.domain.recording.status import (
    ChannelState,
    RecordingDeadlines,
    RecordingStatus,
    channel_status,
    status_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPolicy:
    """This deployment's choices for recordings.

    `channels` are fetched of each recording that a provider reported. With `monaural_as_fallback` the mixed file, which
    the provider keeps for longer, is fetched too if a split channel is quarantined, lost or forbidden.
    """

    channels: frozenset[Channel]
    monaural_as_fallback: bool
    deadlines: RecordingDeadlines = field(default_factory=RecordingDeadlines)

    def channels_to_fetch(self, recording: Recording, *, now: datetime) -> frozenset[Channel]:
        """Return the channels to fetch, stored or not. A recording that came only as files has none."""
        if recording.came_as_files:
            return frozenset()
        split_channel_missing = any(
            channel_status(recording, channel, deadlines=self.deadlines, now=now).state
            in {ChannelState.QUARANTINED, ChannelState.LOST, ChannelState.FORBIDDEN}
            for channel in self.channels & SPLIT
        )
        needs_fallback = split_channel_missing and self.monaural_as_fallback
        return self.channels | {Channel.MONAURAL} if needs_fallback else self.channels

    def status(self, recording: Recording, *, now: datetime) -> RecordingStatus:
        """Return the status of the recording as callers see it."""
        channels = self.channels_to_fetch(recording, now=now)
        return status_of(recording, channels=channels, deadlines=self.deadlines, now=now)

    def next_due(self, recording: Recording, *, now: datetime) -> datetime | None:
        """Return when to look at the recording again, or None if no channel is awaited.

        A pause that a provider or the guard requires is not included.
        """
        channels = self.channels_to_fetch(recording, now=now)
        # A channel that is lost by now has passed its own deadline. Only the deadlines of the others are still to come.
        statuses = status_of(recording, channels=channels, deadlines=self.deadlines, now=now).channels
        open_channels = frozenset(
            channel
            for channel in channels
            if not statuses[channel].state.final and not self._waits_for_another(recording, channel, channels, now=now)
        )
        return self._next_due_of(recording, open_channels)

    def may_attempt(self, recording: Recording, channel: Channel, *, now: datetime) -> bool:
        """Return whether an attempt at the channel may begin: none is in progress, and the last one's pause is over.

        A channel waits for an earlier one that the provider does not have yet: one request tells whether it has any.
        """
        channels = self.channels_to_fetch(recording, now=now)
        if channel not in channels or self._waits_for_another(recording, channel, channels, now=now):
            return False
        if channel_status(recording, channel, deadlines=self.deadlines, now=now).state.final:
            return False
        if all(fact.channel is not channel for fact in recording.attempts | recording.outcomes):
            return True
        due = self._next_due_of(recording, frozenset({channel}))
        return due is not None and due <= now

    def _waits_for_another(
        self, recording: Recording, channel: Channel, channels: Collection[Channel], *, now: datetime
    ) -> bool:
        if not recording.is_doubtful:
            return False
        for earlier in takewhile(lambda candidate: candidate is not channel, Channel):
            status = channel_status(recording, earlier, deadlines=self.deadlines, now=now)
            if earlier in channels and not status.state.final and status.problem == FetchEnd.NOT_FOUND:
                return True
        return False

    def _next_due_of(self, recording: Recording, channels: frozenset[Channel]) -> datetime | None:
        # The same recording always has the same jitter, and many recordings are spread.
        jitter = zlib.crc32(recording.recording_id.encode()) / 2**32
        return next_due(recording, channels=channels, deadlines=self.deadlines, jitter=jitter)
