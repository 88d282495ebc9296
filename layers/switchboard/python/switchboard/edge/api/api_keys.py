"""The JSON of an API key: what it may do, and what its client has used."""

from __future__ import annotations

from typing import Any

from switchboard.domain.api_keys import ApiKey
from switchboard.ports.usage_limits import ClientUsage


def to_json(key: ApiKey, usage: ClientUsage) -> dict[str, Any]:
    """Write a key with complete limits. A limit that does not exist is null, and so is its usage."""
    return {
        "client": key.client,
        "name": key.name,
        "test": key.test,
        "scopes": sorted(key.scopes),
        "limits": {"per_hour": key.limits.per_hour or None, "per_day": key.limits.per_day or None},
        "used": {"per_hour": usage.per_hour, "per_day": usage.per_day},
    }
