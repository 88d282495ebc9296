"""The application of `functions/watch_limits`."""

from __future__ import annotations

from functools import cache

from switchboard.bootstrap.query_status import query_status
from switchboard.config import WatchLimitsSettings
from switchboard.usecases.operations.query_status import QueryStatus


@cache
def application() -> QueryStatus:
    """Built once a container. Raises ConfigurationError."""
    return query_status(WatchLimitsSettings.load())
