"""The control endpoint's plumbing: JSON requests from this machine, found in a table of routes."""

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
    """A control request as its route gets it."""

    query: Mapping[str, str]
    body: Any
    """Decoded JSON, an empty object if there was none."""
    control_url: str
    """The address under which the control requests are, with its final slash."""


Route = Callable[[P, ControlRequest], object]
"""Takes the provider and the request; raises ValueError for what it cannot use. Returns an object as JSON can carry it,
or what else the simulator's server can answer."""
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


def object_of(body: Any) -> Json:
    """Return the body if it is an object, else raise WrongJsonError."""
    if not isinstance(body, dict):
        raise WrongJsonError("the body must be an object")
    return body


def faults(account: AnyAccount, _: ControlRequest) -> Json:
    """Return the faults still to come."""
    return {"faults": account.pending_faults()}


def adding_faults(read: Callable[[object], object]) -> Route[AnyAccount]:
    """Return the route that scripts one fault or a list, all or none of them, each as `read` reads it."""

    def add(account: AnyAccount, request: ControlRequest) -> Json:
        body = request.body
        for fault in [read(item) for item in (body if isinstance(body, list) else [body])]:
            account.add_fault(fault)
        return faults(account, request)

    return add


def config(account: AnyAccount, _: ControlRequest) -> Json:
    """Return the settings in force."""
    return dict(account.config.shown())


def change_config(account: AnyAccount, request: ControlRequest) -> Json:
    """Change settings, all or none of them, and return those in force."""
    account.configure(object_of(request.body))
    return config(account, request)


def reset(account: AnyAccount, _: ControlRequest) -> Json:
    """Let the provider begin again."""
    account.reset()
    return {}
