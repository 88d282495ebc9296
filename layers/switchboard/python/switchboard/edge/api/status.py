"""The JSON of `GET /v1/status`: states and counts, and never a number, a text or a secret."""

from __future__ import annotations

from typing import Any

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.timestamps import to_rfc3339
from switchboard.edge.http import ClientUnknownError, InboundRequest
from switchboard.ports.status import QueueDepth
from switchboard.ports.usage_limits import QuotaUsage
from switchboard.usecases.operations.query_status import ProviderStatus, SystemStatus


def check_status_request(request: InboundRequest) -> None:
    """It needs an API key and takes no parameter. Raises ClientUnknownError, InvalidRequestError."""
    if not request.api_key_id:
        raise ClientUnknownError("no API key")
    if request.query:
        unknown = [
            FieldProblem(name[:50], "is not a parameter of this route", "unknown_parameter") for name in request.query
        ]
        raise InvalidRequestError(*unknown)


def status_json(status: SystemStatus) -> dict[str, Any]:
    """The whole answer. A part that could not be asked is null, and named in `unavailable`."""
    return {
        "at": to_rfc3339(status.at),
        "providers": {name: provider and _provider_json(provider) for name, provider in status.providers.items()},
        "month_quotas": {name: usage and _usage_json(usage) for name, usage in status.month_quotas.items()},
        "oldest_pending_deadline": to_rfc3339(status.oldest_pending_deadline)
        if status.oldest_pending_deadline
        else None,
        "queues": {name: depth and _depth_json(depth) for name, depth in status.queues.items()},
        "unavailable": list(status.unavailable),
    }


def _provider_json(provider: ProviderStatus) -> dict[str, Any]:
    return {
        "circuit": "open" if provider.open_because else "closed",
        "open_because": provider.open_because,
        "consecutive_401s": provider.consecutive_401s,
        "requests_per_s": provider.requests_per_s,
        "slots_ahead_s": round(provider.slots_ahead_s, 3),
        "in_flight": provider.in_flight,
        "in_flight_limit": provider.in_flight_limit,
    }


def _usage_json(usage: QuotaUsage) -> dict[str, Any]:
    return {
        "month": usage.month,
        "used": usage.used,
        "limit": usage.limit,
        "reserve": usage.reserve,
        "used_percent": round(usage.used_percent, 1),
        "exhausted_on": usage.exhausted_on.isoformat() if usage.exhausted_on else None,
    }


def _depth_json(depth: QueueDepth) -> dict[str, int]:
    return {"waiting": depth.waiting, "delayed": depth.delayed, "under_way": depth.under_way}
