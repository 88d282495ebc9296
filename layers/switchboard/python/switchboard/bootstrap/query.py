"""The application of `functions/query`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from switchboard.bootstrap.messages import message_store, query
from switchboard.config import QuerySettings
from switchboard.domain.delivery import StatusTable
from switchboard.providers.mediasms.codes import DELIVERY_STATUSES
from switchboard.usecases.query_sms import QuerySms


@dataclass(frozen=True, slots=True)
class QueryApplication:
    """What the handler calls."""

    query: QuerySms
    statuses: StatusTable


@cache
def application() -> QueryApplication:
    """Built once a container. Raises ConfigurationError."""
    settings = QuerySettings.load()
    return QueryApplication(query=query(settings, message_store(settings)), statuses=DELIVERY_STATUSES)
