"""Builds the application of `functions/query_status`."""

from __future__ import annotations

from functools import cache

from switchboard.bootstrap.components.guards import api_keys
from switchboard.bootstrap.components.status import query_status
from switchboard.config import QueryStatusSettings
from switchboard.usecases.operations.query_status import QueryStatus

__all__ = ["api_keys", "application"]


@cache
def application() -> QueryStatus:
    """Build the use case once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    return query_status(QueryStatusSettings.load())
