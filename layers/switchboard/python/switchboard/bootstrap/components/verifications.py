"""The components of the applications that read or write whole verifications."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import deadlines
from switchboard.config import StateSettings
from switchboard.domain.orders import Status
from switchboard.domain.verification.verifications import Verification, VerificationState, status_of
from switchboard.storage import aws
from switchboard.storage.retrying import retrying
from switchboard.storage.verification.store import DynamoDbVerificationStore
from switchboard.usecases.query import QueryOrders


def verification_store(settings: StateSettings) -> DynamoDbVerificationStore:
    """Build the store of the state table's verifications."""
    return DynamoDbVerificationStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s),
        table=settings.state_table,
        deadlines=deadlines(settings),
        grace=timedelta(minutes=settings.lease_grace_minutes),
        retention=settings.retention,
    )


def verification_status(settings: StateSettings) -> Callable[[Verification, datetime], Status[VerificationState]]:
    """Return the function that derives a verification's status."""
    times = deadlines(settings)
    return lambda verification, now: status_of(verification, deadlines=times, now=now)


def query_verifications(settings: StateSettings) -> QueryOrders[Verification, Status[VerificationState]]:
    """Build the query of verifications."""
    return QueryOrders(
        orders=retrying(verification_store(settings), "get"), clock=CLOCK, status_of=verification_status(settings)
    )
