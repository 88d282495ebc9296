"""Carries out the requests to the subscription routes, by method and route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from switchboard.domain.errors import ResourceNotFoundError
from switchboard.edge.api.bodies.subscriptions import parse_body, parse_change_body, parse_recovery_body
from switchboard.edge.api.subscriptions import find_own_hosts, page_to_json, test_to_json, to_json
from switchboard.edge.http import InboundRequest, Reply
from switchboard.usecases.subscription.manage import ManageSubscriptions

Operation = Callable[[ManageSubscriptions, InboundRequest], Reply]


def read_subscription_id(request: InboundRequest) -> str:
    """Return the id in the path, empty if there is none."""
    return request.path_params.get("subscription_id", "")


def handle(app: ManageSubscriptions, request: InboundRequest) -> Reply:
    """Carry out the request.

    Raises:
        ResourceNotFoundError: no route has this path and method.
    """
    operation = _OPERATIONS.get((request.method, request.route.removeprefix("/subscriptions")))
    if operation is None:
        raise ResourceNotFoundError("No route has this path")
    return operation(app, request)


def _create(app: ManageSubscriptions, request: InboundRequest) -> Reply:
    created, secret = app.create(parse_body(request), key=request.require_key(), own_hosts=find_own_hosts(request))
    location = {"Location": f"/v1/subscriptions/{created.id}"}
    return Reply(HTTPStatus.CREATED, to_json(created, secret=secret), location)


def _list(app: ManageSubscriptions, request: InboundRequest) -> Reply:
    return Reply(HTTPStatus.OK, page_to_json(app.many(client=request.client)))


def _get(app: ManageSubscriptions, request: InboundRequest) -> Reply:
    return Reply(HTTPStatus.OK, to_json(app.one(read_subscription_id(request), client=request.client)))


def _change(app: ManageSubscriptions, request: InboundRequest) -> Reply:
    changes, key, own_hosts = parse_change_body(request), request.require_key(), find_own_hosts(request)
    changed = app.change(read_subscription_id(request), changes, key=key, own_hosts=own_hosts)
    return Reply(HTTPStatus.OK, to_json(changed))


def _delete(app: ManageSubscriptions, request: InboundRequest) -> Reply:
    app.delete(read_subscription_id(request), client=request.client)
    return Reply(HTTPStatus.OK, {"subscription_id": read_subscription_id(request), "deleted": True})


def _rotate(app: ManageSubscriptions, request: InboundRequest) -> Reply:
    rotated, secret = app.rotate(read_subscription_id(request), key=request.require_key())
    return Reply(HTTPStatus.OK, to_json(rotated, secret=secret))


def _test(app: ManageSubscriptions, request: InboundRequest) -> Reply:
    return Reply(HTTPStatus.OK, test_to_json(app.test(read_subscription_id(request), key=request.require_key())))


def _recover(app: ManageSubscriptions, request: InboundRequest) -> Reply:
    app.recover(read_subscription_id(request), since=parse_recovery_body(request), key=request.require_key())
    return Reply(HTTPStatus.ACCEPTED, {"subscription_id": read_subscription_id(request), "recovering": True})


_OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("POST", ""): _create,
    ("GET", ""): _list,
    ("GET", "/{subscription_id}"): _get,
    ("PATCH", "/{subscription_id}"): _change,
    ("DELETE", "/{subscription_id}"): _delete,
    ("POST", "/{subscription_id}/rotate"): _rotate,
    ("POST", "/{subscription_id}/test"): _test,
    ("POST", "/{subscription_id}/recover"): _recover,
}
