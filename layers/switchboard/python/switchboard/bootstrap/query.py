"""Builds the application of `functions/query`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial

from switchboard.bootstrap.components.guards import api_keys
from switchboard.bootstrap.components.shared import CLOCK
from switchboard.bootstrap.components.sms import message_store, query
from switchboard.bootstrap.components.verifications import query_verifications
from switchboard.bootstrap.components.voice_calls import query_voice_calls
from switchboard.config import QuerySettings
from switchboard.edge.api import sms, verifications, voice_calls
from switchboard.edge.metrics import Metric
from switchboard.edge.resource_kinds import ResourceKind
from switchboard.guard.usage.client_usage import ReadClientUsage
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage import aws
from switchboard.storage.limits import DynamoDbCounterStore
from switchboard.storage.retrying import retrying

__all__ = ["api_keys", "application"]


@dataclass(frozen=True, slots=True)
class QueryApplication:
    """The kinds of orders, by the first part of their routes, and the reader of a client's usage."""

    kinds: Mapping[str, ResourceKind]
    usage: ReadClientUsage


@cache
def application() -> QueryApplication:
    """Build the application once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = QuerySettings.load()
    kinds = {
        "sms": ResourceKind(
            query=query(settings, retrying(message_store(settings), "get")),
            id_name="smsid",
            metric=Metric.SMS_QUERIED,
            parse_filter=sms.parse_filter,
            to_json=partial(sms.to_json, statuses=DELIVERY_STATUSES),
            page_to_json=partial(sms.page_to_json, statuses=DELIVERY_STATUSES),
        ),
        "verifications": ResourceKind(
            query=query_verifications(settings),
            id_name="verification_id",
            metric=Metric.VERIFICATIONS_QUERIED,
            parse_filter=verifications.parse_filter,
            to_json=verifications.to_json,
            page_to_json=verifications.page_to_json,
        ),
        "calls": ResourceKind(
            query=query_voice_calls(settings),
            id_name="call_id",
            metric=Metric.VOICE_CALLS_QUERIED,
            parse_filter=voice_calls.parse_filter,
            to_json=voice_calls.to_json,
            page_to_json=voice_calls.page_to_json,
        ),
    }
    counters = DynamoDbCounterStore(
        client=aws.dynamodb(timeout_s=settings.store_timeout_s), table=settings.limits_table
    )
    return QueryApplication(kinds=kinds, usage=ReadClientUsage(counters=counters, clock=CLOCK))
