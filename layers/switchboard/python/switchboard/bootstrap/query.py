"""The application of `functions/query`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.messages import message_store, query
from switchboard.bootstrap.verifications import query_verifications
from switchboard.config import QuerySettings
from switchboard.domain.delivery import StatusTable
from switchboard.domain.messages import Message, SmsStanding
from switchboard.domain.orders import Standing
from switchboard.domain.verifications import Verification, VerificationState
from switchboard.providers.mediasms.codes import DELIVERY_STATUSES
from switchboard.usecases.query_orders import QueryOrders


@dataclass(frozen=True, slots=True)
class QueryApplication:
    """What the handler calls."""

    query: QueryOrders[Message, SmsStanding]
    statuses: StatusTable
    verifications: QueryOrders[Verification, Standing[VerificationState]]


@cache
def application() -> QueryApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = QuerySettings.load()
    return QueryApplication(
        query=query(settings, message_store(settings)),
        statuses=DELIVERY_STATUSES,
        verifications=query_verifications(settings),
    )
