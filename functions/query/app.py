"""`GET /v1/sms`, `GET /v1/verifications`, `GET /v1/calls` and one of each: where what a caller asked for stands."""

from http import HTTPStatus

from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.query import kind_of
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import count, logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    kind = kind_of(request.route)
    count(kind.metric)
    asked = request.path_params.get(kind.id_name)
    if asked is not None:
        view = kind.query.one(asked, client=request.client)
        logger.info("queried", extra={**view.order.names, "state": view.status.state})
        return Reply(HTTPStatus.OK, kind.one_json(view))
    wanted, limit, position = kind.parse_filter(request)
    page = kind.query.many(wanted, client=request.client, limit=limit, position=position)
    logger.info("listed", count=len(page.items), resource=request.route)
    return Reply(HTTPStatus.OK, kind.list_json(page))
