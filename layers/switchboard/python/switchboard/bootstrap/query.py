"""The application of `functions/query`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from switchboard.bootstrap.components.sms import message_store, query
from switchboard.bootstrap.components.verifications import query_verifications
from switchboard.bootstrap.components.voice_calls import query_voice_calls
from switchboard.config import QuerySettings
from switchboard.domain.errors import ResourceNotFoundError
from switchboard.edge.api import sms as sms_api
from switchboard.edge.api import verifications as verification_api
from switchboard.edge.api import voice_calls as call_api
from switchboard.edge.http import InboundRequest
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage.retrying import retrying
from switchboard.usecases.query import OrderFilter, OrderList, OrderView, QueryOrders


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceKind:
    """One kind of orders: how it is asked for and shown. `id_name` is its id's name in the path."""

    query: QueryOrders[Any, Any]
    id_name: str
    metric: str
    parse_filter: Callable[[InboundRequest], tuple[OrderFilter, int, str | None]]
    one_json: Callable[[OrderView[Any, Any]], dict[str, Any]]
    list_json: Callable[[OrderList[Any, Any]], dict[str, Any]]


@cache
def application() -> Mapping[str, ResourceKind]:
    """What can be asked for, by the first part of its route. Built once a container. Raises ConfigurationError."""
    settings = QuerySettings.load()
    return {
        "sms": ResourceKind(
            query=query(settings, retrying(message_store(settings), "get")),
            id_name="smsid",
            metric="SmsQueried",
            parse_filter=sms_api.parse_filter,
            one_json=partial(sms_api.view_json, statuses=DELIVERY_STATUSES),
            list_json=partial(sms_api.list_json, statuses=DELIVERY_STATUSES),
        ),
        "verifications": ResourceKind(
            query=query_verifications(settings),
            id_name="verification_id",
            metric="VerificationsQueried",
            parse_filter=verification_api.parse_verification_filter,
            one_json=verification_api.verification_json,
            list_json=verification_api.verifications_json,
        ),
        "calls": ResourceKind(
            query=query_voice_calls(settings),
            id_name="call_id",
            metric="VoiceCallsQueried",
            parse_filter=call_api.parse_call_filter,
            one_json=call_api.call_json,
            list_json=call_api.calls_json,
        ),
    }


def kind_of(route: str) -> ResourceKind:
    """The kind that the first part of the route names. Raises ResourceNotFoundError."""
    try:
        return application()[route.strip("/").partition("/")[0]]
    except KeyError:
        raise ResourceNotFoundError("there is no such resource") from None
