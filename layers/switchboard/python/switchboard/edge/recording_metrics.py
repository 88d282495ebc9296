"""Counts and logs the results of fetching recordings."""

from __future__ import annotations

from typing import Final

from switchboard.domain.recording.facts import FetchEnd
from switchboard.domain.recording.status import ChannelState
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count
from switchboard.usecases.recording.fetch import FetchResult

_END_METRICS: Final[dict[FetchEnd, Metric]] = {
    FetchEnd.STORED: Metric.CHANNELS_STORED,
    FetchEnd.QUARANTINED: Metric.CHANNELS_FAILED,
    FetchEnd.TOO_LARGE: Metric.CHANNELS_REFUSED,
    FetchEnd.NOT_FOUND: Metric.CHANNELS_NOT_FOUND,
    FetchEnd.FORBIDDEN: Metric.CHANNELS_FORBIDDEN,
    FetchEnd.REFUSED: Metric.CHANNELS_REFUSED,
    FetchEnd.FAILED: Metric.CHANNELS_FAILED,
    FetchEnd.QUOTA_EXHAUSTED: Metric.CHANNELS_QUOTA_EXHAUSTED,
}
_STATE_METRICS: Final[dict[ChannelState, Metric]] = {
    ChannelState.LOST: Metric.CHANNELS_LOST,
    ChannelState.QUARANTINED: Metric.CHANNELS_QUARANTINED,
}


def log_fields(result: FetchResult) -> dict[str, object]:
    """Return the members of the log line of one look at a recording.

    The line names the recording once BIZTEL has given us a file of it: until then the id may be invented.
    """
    channels = result.status.channels.values() if result.status else ()
    is_stored = any(channel.state is ChannelState.STORED for channel in channels)
    return {
        "recording_id": result.recording_id if is_stored else None,
        "state": result.status.state if result.status else None,
        "ends": result.ends,
        "requeue_reason": result.requeue_reason,
        "parked": result.parked,
    }


def count_fetch(result: FetchResult) -> None:
    """Count how each attempt ended, what was requeued and, once the recording closes, which channels are missing."""
    for end in result.ends.values():
        count(_END_METRICS[end])
    if result.requeue_reason is not None:
        count(Metric.RECORDINGS_REQUEUED)
    if result.job_quarantined:
        count(Metric.JOBS_QUARANTINED)
    if result.parked is not None:
        count(Metric.RECORDINGS_PARKED)
    if result.account_rejected:
        count(Metric.PROVIDER_CONFIGURATION_REFUSED)
    if result.closed and result.status is not None:
        states = [channel.state for channel in result.status.channels.values()]
        count(Metric.RECORDINGS_CLOSED)
        for state, metric in _STATE_METRICS.items():
            if state in states:
                count(metric, states.count(state))
