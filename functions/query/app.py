"""`GET /v1/sms`, `/v1/verifications`, `/v1/calls`, one of each, and `/v1/keys/self`: read what is the caller's own."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.query import api_keys, application
from switchboard.domain.api_keys import Scope
from switchboard.edge.api.api_keys import to_json
from switchboard.edge.endpoint import client_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics
from switchboard.edge.resource_kinds import find_resource

app = application()

SCOPES = {"sms": Scope.SMS, "verifications": Scope.VERIFY, "calls": Scope.CALLS, "keys": None}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@client_endpoint(api_keys, scope=lambda request: find_resource(request.route, SCOPES))
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with one order, with one page of a list, or with the caller's own API key."""
    if request.route == "/keys/self":
        count(Metric.KEYS_QUERIED)
        key = request.require_key()
        return Reply(HTTPStatus.OK, to_json(key, app.usage(key)))
    kind = find_resource(request.route, app.kinds)
    count(kind.metric)
    order_id = request.path_params.get(kind.id_name)
    if order_id is not None:
        view = kind.query.one(order_id, client=request.client)
        logger.info("queried", extra={**view.order.names, "state": view.status.state})
        return Reply(HTTPStatus.OK, kind.to_json(view))
    order_filter, limit, position = kind.parse_filter(request)
    page = kind.query.many(order_filter, client=request.client, limit=limit, position=position)
    if page.unreadable:
        count(Metric.POISON_ENTRIES, page.unreadable)
    logger.info("listed", count=len(page.items), resource=request.route)
    return Reply(HTTPStatus.OK, kind.page_to_json(page))
