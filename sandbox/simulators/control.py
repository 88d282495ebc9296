"""Dispatches control requests, JSON from this machine, by routes, and holds the routes that every simulator has."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sandbox.simulators.account import Account
from sandbox.simulators.json_readers import WrongJsonError

PREFIX: Final = "/control/"

Json = dict[str, Any]
AnyAccount = Account[Any, Any, Any]
P = TypeVar("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequest:
    """A control request as a route gets it."""

    query: Mapping[str, str]
    body: Any
    """The decoded JSON, an empty object if the request had no body."""
    control_url: str
    """The address of all control requests, with its final slash."""


Route = Callable[[P, ControlRequest], object]
"""A function of the provider and a request.

It returns an object as JSON can carry it, or another object that the simulator's server can answer with. It raises
ValueError for a request that it cannot use.
"""
Routes = Mapping[tuple[str, str], Route[P]]
"""Routes by HTTP method and path without the prefix."""


def handle(
    routes: Routes[P], provider: P, *, origin: str, method: str, path: str, query: Mapping[str, str], body: bytes
) -> tuple[int, object]:
    """Return the HTTP status and the answer to one control request; `path` is without the prefix."""
    route = routes.get((method, path.rstrip("/")))
    if route is None:
        return 404, {"error": "no such control request", "routes": [f"{m} {PREFIX}{p}" for m, p in routes]}
    try:
        decoded = json.loads(body) if body else {}
        return 200, route(provider, ControlRequest(query=query, body=decoded, control_url=origin + PREFIX))
    except ValueError as problem:
        return 400, {"error": str(problem)}


def read_object(body: Any) -> Json:
    """Return `body` if it is a JSON object.

    Raises:
        WrongJsonError: when it is anything else.
    """
    if not isinstance(body, dict):
        raise WrongJsonError("the body must be an object")
    return body


def get_faults(account: AnyAccount, _: ControlRequest) -> Json:
    """Return the faults that are still to come."""
    return {"faults": account.pending_faults()}


def create_fault_route(read: Callable[[object], object]) -> Route[AnyAccount]:
    """Return the route that scripts one fault or a list of them, all or none; `read` reads each from decoded JSON."""

    def add_faults(account: AnyAccount, request: ControlRequest) -> Json:
        body = request.body
        for fault in [read(item) for item in (body if isinstance(body, list) else [body])]:
            account.add_fault(fault)
        return get_faults(account, request)

    return add_faults


def get_config(account: AnyAccount, _: ControlRequest) -> Json:
    """Return the settings in force."""
    return dict(account.config.to_json())


def change_config(account: AnyAccount, request: ControlRequest) -> Json:
    """Change settings, all or none of them, and return those in force."""
    account.configure(read_object(request.body))
    return get_config(account, request)


def reset(account: AnyAccount, _: ControlRequest) -> Json:
    """Reset the provider."""
    account.reset()
    return {}
