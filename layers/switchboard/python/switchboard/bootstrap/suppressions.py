"""Builds the application of `functions/suppressions`."""

from __future__ import annotations

from functools import cache

from switchboard.bootstrap.components.guards import api_keys
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.config import SuppressionsSettings
from switchboard.storage import aws
from switchboard.storage.retrying import SUPPRESSIONS, retrying
from switchboard.storage.suppressions import DynamoDbSuppressionStore
from switchboard.usecases.operations.suppress import SuppressNumbers

__all__ = ["api_keys", "application"]


@cache
def application() -> SuppressNumbers:
    """Build the use cases once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = SuppressionsSettings.load()
    store = DynamoDbSuppressionStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.state_table
    )
    return SuppressNumbers(suppressions=retrying(store, *SUPPRESSIONS), clock=CLOCK)
