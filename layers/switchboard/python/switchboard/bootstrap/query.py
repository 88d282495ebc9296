"""The application of `functions/query`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.messages import message_store, query
from switchboard.bootstrap.voice_calls import query_calls
from switchboard.config import QuerySettings
from switchboard.domain.delivery import StatusTable
from switchboard.domain.messages import Message, SmsStanding
from switchboard.providers.mediasms.codes import DELIVERY_STATUSES
from switchboard.usecases.query_calls import QueryCalls
from switchboard.usecases.query_orders import QueryOrders


@dataclass(frozen=True, slots=True)
class QueryApplication:
    """What the handler calls."""

    query: QueryOrders[Message, SmsStanding]
    statuses: StatusTable
    calls: QueryCalls


@cache
def application() -> QueryApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = QuerySettings.load()
    return QueryApplication(
        query=query(settings, message_store(settings)),
        statuses=DELIVERY_STATUSES,
        calls=query_calls(settings),
    )
