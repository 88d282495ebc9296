"""Builds the application of `functions/watch_limits`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.components.status import query_status
from switchboard.config import WatchLimitsSettings
from switchboard.storage import aws
from switchboard.storage.circuits import DynamoDbCircuitStore
from switchboard.usecases.operations.query_status import QueryStatus
from switchboard.usecases.operations.record_circuits import RecordCircuits


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLimitsApplication:
    """The use cases of the function."""

    query_status: QueryStatus
    record_circuits: RecordCircuits


@cache
def application() -> WatchLimitsApplication:
    """Build the use cases once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = WatchLimitsSettings.load()
    dynamodb = aws.dynamodb(timeout_s=settings.store_timeout_s)
    return WatchLimitsApplication(
        query_status=query_status(settings),
        record_circuits=RecordCircuits(circuits=DynamoDbCircuitStore(client=dynamodb, table=settings.state_table)),
    )
