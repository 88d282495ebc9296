"""Which channels are wanted of a recording, and what to do about one whose time is up: this deployment's choices."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import datetime

from switchboard.domain.recording.facts import SPLIT, Channel, Recording
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
    """`channels` are fetched of each recording that was announced. With `monaural_instead` a recording one of whose
    split channels is lost or forbidden is fetched as the one file that the provider keeps for longer."""

    channels: frozenset[Channel]
    monaural_instead: bool
    deadlines: RecordingDeadlines = field(default_factory=RecordingDeadlines)

    def wanted(self, recording: Recording, *, now: datetime) -> frozenset[Channel]:
        """Nothing is asked for where only files came."""
        if all(each.by_file for each in recording.ready_facts):
            return frozenset()
        gone = {ChannelState.LOST, ChannelState.FORBIDDEN}
        missing = any(
            channel_status(recording, channel, deadlines=self.deadlines, now=now).state in gone
            for channel in self.channels & SPLIT
        )
        return self.channels | {Channel.MONAURAL} if missing and self.monaural_instead else self.channels

    def status(self, recording: Recording, *, now: datetime) -> RecordingStatus:
        """Where it stands, as callers see it."""
        return status_of(recording, wanted=self.wanted(recording, now=now), deadlines=self.deadlines, now=now)

    def due(self, recording: Recording, *, now: datetime) -> datetime | None:
        """When it is to be looked at again, apart from what was put back; None where nothing is awaited."""
        wanted = self.wanted(recording, now=now)
        # What is lost by the time is due no more: its own moment has passed, and the others' are still to come.
        statuses = status_of(recording, wanted=wanted, deadlines=self.deadlines, now=now).channels
        return self._due(recording, frozenset(channel for channel in wanted if not statuses[channel].state.final))

    def may_try(self, recording: Recording, channel: Channel, *, now: datetime) -> bool:
        """Whether an attempt at the channel may begin: none is under way, and the pause after the last is over."""
        if channel not in self.wanted(recording, now=now):
            return False
        if channel_status(recording, channel, deadlines=self.deadlines, now=now).state.final:
            return False
        begun = any(each.channel is channel for each in recording.attempts | recording.outcomes)
        due = self._due(recording, frozenset({channel}))
        return not begun or (due is not None and due <= now)

    def _due(self, recording: Recording, wanted: frozenset[Channel]) -> datetime | None:
        # The same for every look at one recording, and spread over many.
        jitter = zlib.crc32(recording.recording_id.encode()) / 2**32
        return next_due(recording, wanted=wanted, deadlines=self.deadlines, jitter=jitter)
