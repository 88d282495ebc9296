"""`GET /v1/sms`, `GET /v1/verifications`, `GET /v1/calls` and one of each: read a caller's own orders."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.query import application
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger, metrics
from switchboard.edge.resource_kinds import find_resource_kind


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    """Answer with one order, or with one page of a list."""
    kind = find_resource_kind(request.route, application())
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
