"""Counts the results of fetching recordings."""

from __future__ import annotations

from typing import Final

from switchboard.domain.recording.facts import FetchEnd
from switchboard.domain.recording.status import ChannelState
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count
from switchboard.usecases.recording.fetch import FetchResult

_END_METRICS: Final[dict[FetchEnd, Metric]] = {
    FetchEnd.STORED: Metric.CHANNELS_STORED,
    FetchEnd.NOT_FOUND: Metric.CHANNELS_NOT_FOUND,
    FetchEnd.FORBIDDEN: Metric.CHANNELS_FORBIDDEN,
    FetchEnd.REFUSED: Metric.CHANNELS_REFUSED,
    FetchEnd.FAILED: Metric.CHANNELS_FAILED,
    FetchEnd.QUOTA_EXHAUSTED: Metric.CHANNELS_QUOTA_EXHAUSTED,
}


def count_fetch(result: FetchResult) -> None:
    """Count how each attempt ended, what was requeued and, once the recording closes, which channels are lost."""
    for end in result.ends.values():
        count(_END_METRICS[end])
    if result.requeue_reason is not None:
        count(Metric.RECORDINGS_REQUEUED)
    if result.account_rejected:
        count(Metric.PROVIDER_CONFIGURATION_REFUSED)
    if result.closed and result.status is not None:
        lost = sum(channel.state is ChannelState.LOST for channel in result.status.channels.values())
        count(Metric.RECORDINGS_CLOSED)
        if lost:
            count(Metric.CHANNELS_LOST, lost)


def is_stored(result: FetchResult) -> bool:
    """Return True if a file of the recording is stored."""
    channels = result.status.channels.values() if result.status else ()
    return any(channel.state is ChannelState.STORED for channel in channels)
