"""What is counted of recordings."""

from __future__ import annotations

from typing import Final

from aws_lambda_powertools.metrics import MetricUnit

from switchboard.domain.recording.facts import FetchEnd
from switchboard.domain.recording.status import ChannelState
from switchboard.edge.observability import metrics
from switchboard.usecases.recording.fetch import FetchResult

_ENDS: Final[dict[FetchEnd, str]] = {
    FetchEnd.STORED: "ChannelsStored",
    FetchEnd.NOT_FOUND: "ChannelsNotFound",
    FetchEnd.FORBIDDEN: "ChannelsForbidden",
    FetchEnd.REFUSED: "ChannelsRefused",
    FetchEnd.FAILED: "ChannelsFailed",
    FetchEnd.QUOTA_EXHAUSTED: "ChannelsQuotaExhausted",
}


def add_outcome(done: FetchResult) -> None:
    """How each attempt ended, what was put back, and what is lost for good: that once, with the last look."""
    for end in done.ends.values():
        metrics.add_metric(name=_ENDS[end], unit=MetricUnit.Count, value=1)
    if done.requeue_reason is not None:
        metrics.add_metric(name="RecordingsRequeued", unit=MetricUnit.Count, value=1)
    if done.account_rejected:
        metrics.add_metric(name="ProviderConfigurationRefused", unit=MetricUnit.Count, value=1)
    if done.closed and done.status is not None:
        lost = sum(each.state is ChannelState.LOST for each in done.status.channels.values())
        metrics.add_metric(name="RecordingsClosed", unit=MetricUnit.Count, value=1)
        if lost:
            metrics.add_metric(name="ChannelsLost", unit=MetricUnit.Count, value=lost)
