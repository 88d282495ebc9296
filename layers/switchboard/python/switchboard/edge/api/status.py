"""Reads the request to `GET /v1/status` and writes its JSON: states and counts, never a number, a text or a secret."""

from __future__ import annotations

from typing import Any

from switchboard.domain.timestamps import to_rfc3339
from switchboard.edge.api.pagination import parse_single_values
from switchboard.edge.http import InboundRequest
from switchboard.ports.status import QueueDepth
from switchboard.ports.usage_limits import QuotaUsage
from switchboard.usecases.operations.query_status import ProviderStatus, SystemStatus


def parse_filter(request: InboundRequest) -> None:
    """Check that the request has no parameter.

    Raises:
        InvalidRequestError: with a problem for each parameter.
    """
    parse_single_values(request.query, allowed=())


def to_json(status: SystemStatus) -> dict[str, Any]:
    """Write the whole status. A part that gave no answer is null and is named in `unavailable`."""
    return {
        "at": to_rfc3339(status.at),
        "providers": {name: provider and _provider_to_json(provider) for name, provider in status.providers.items()},
        "month_quotas": {name: usage and _usage_to_json(usage) for name, usage in status.month_quotas.items()},
        "oldest_pending_deadline": to_rfc3339(status.oldest_pending_deadline)
        if status.oldest_pending_deadline
        else None,
        "queues": {name: depth and _depth_to_json(depth) for name, depth in status.queues.items()},
        "unavailable": list(status.unavailable),
    }


def _provider_to_json(provider: ProviderStatus) -> dict[str, Any]:
    return {
        "circuit": "open" if provider.open_because else "closed",
        "open_because": provider.open_because,
        "consecutive_401s": provider.consecutive_401s,
        "requests_per_s": provider.requests_per_s,
        "slots_ahead_s": round(provider.slots_ahead_s, 3),
        "in_flight": provider.in_flight,
        "in_flight_limit": provider.in_flight_limit,
    }


def _usage_to_json(usage: QuotaUsage) -> dict[str, Any]:
    return {
        "month": usage.month,
        "used": usage.used,
        "limit": usage.limit,
        "reserve": usage.reserve,
        "used_percent": round(usage.used_percent, 1),
        "exhausted_on": usage.exhausted_on.isoformat() if usage.exhausted_on else None,
    }


def _depth_to_json(depth: QueueDepth) -> dict[str, int]:
    return {"waiting": depth.waiting, "delayed": depth.delayed, "under_way": depth.under_way}
