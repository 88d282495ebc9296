"""Finds what belongs to the resource that a route reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from switchboard.domain.errors import ResourceNotFoundError
from switchboard.edge.http import InboundRequest
from switchboard.edge.metrics import Metric
from switchboard.usecases.query import OrderFilter, QueryOrders

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceKind:
    """One kind of orders: its query, and its module of `edge/api`. `id_name` is the id's name in the path."""

    query: QueryOrders[Any, Any]
    id_name: str
    metric: Metric
    parse_filter: Callable[[InboundRequest], tuple[OrderFilter, int, str | None]]
    to_json: Callable[[Any], dict[str, Any]]
    page_to_json: Callable[[Any], dict[str, Any]]


def find_resource(route: str, resources: Mapping[str, T]) -> T:
    """Return the entry that the first part of the route names.

    Raises:
        ResourceNotFoundError: no entry has this name.
    """
    try:
        return resources[route.strip("/").partition("/")[0]]
    except KeyError:
        raise ResourceNotFoundError("No route has this path") from None
