"""`/v1/subscriptions` and everything below it: register, show, change, delete, rotate, test and recover."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.manage_subscriptions import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.domain.errors import ResourceNotFoundError
from switchboard.edge.api.bodies.subscriptions import parse_body, parse_change_body, parse_recovery_body
from switchboard.edge.api.subscriptions import find_own_hosts, page_to_json, test_to_json, to_json
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics

app = application()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@client_endpoint(api_keys, scope=Scope.SUBSCRIPTIONS)
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with one subscription, with all of the client's, or with the result of an action."""
    reply = handle(request)
    if request.method == "GET":
        count(Metric.SUBSCRIPTIONS_QUERIED)
    else:
        logger.info("subscription", method=request.method, resource=request.route, id=subscription_id(request))
        created = request.route == "/subscriptions"
        count(Metric.SUBSCRIPTIONS_CREATED if created else Metric.SUBSCRIPTIONS_CHANGED)
    return reply


def handle(request: InboundRequest) -> Reply:
    """Carry out the request that method and route name."""
    key, name = request.require_key(), subscription_id(request)
    match request.method, request.route:
        case "POST", "/subscriptions":
            created, secret = app.create(parse_body(request), key=key, own_hosts=find_own_hosts(request))
            location = {"Location": f"/v1/subscriptions/{created.id}"}
            return Reply(HTTPStatus.CREATED, to_json(created, secret=secret), location)
        case "GET", "/subscriptions":
            return Reply(HTTPStatus.OK, page_to_json(app.many(client=key.client)))
        case "GET", "/subscriptions/{subscription_id}":
            return Reply(HTTPStatus.OK, to_json(app.one(name, client=key.client)))
        case "PATCH", "/subscriptions/{subscription_id}":
            changes = parse_change_body(request)
            return Reply(HTTPStatus.OK, to_json(app.change(name, changes, key=key, own_hosts=find_own_hosts(request))))
        case "DELETE", "/subscriptions/{subscription_id}":
            app.delete(name, client=key.client)
            return Reply(HTTPStatus.OK, {"subscription_id": name, "deleted": True})
        case "POST", "/subscriptions/{subscription_id}/rotate":
            rotated, secret = app.rotate(name, key=key)
            return Reply(HTTPStatus.OK, to_json(rotated, secret=secret))
        case "POST", "/subscriptions/{subscription_id}/test":
            return Reply(HTTPStatus.OK, test_to_json(app.test(name, key=key)))
        case "POST", "/subscriptions/{subscription_id}/recover":
            app.recover(name, since=parse_recovery_body(request), key=key)
            return Reply(HTTPStatus.ACCEPTED, {"subscription_id": name, "recovering": True})
    raise ResourceNotFoundError("No route has this path")


def subscription_id(request: InboundRequest) -> str:
    """Return the id in the path, empty if there is none."""
    return request.path_params.get("subscription_id", "")
