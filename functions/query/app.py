"""`GET /v1/sms`, `GET /v1/calls` and one of each: where what a caller asked for stands."""

from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from switchboard.bootstrap.query import QueryApplication, application
from switchboard.edge.call_api import call_json, calls_json, parse_call_filter
from switchboard.edge.endpoint import http_endpoint
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.observability import logger, metrics
from switchboard.edge.sms_api import list_json, parse_filter, view_json


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@http_endpoint
def lambda_handler(request: InboundRequest, context: LambdaContext) -> Reply:
    app = application()
    if request.route.startswith("/calls"):
        metrics.add_metric(name="CallsQueried", unit=MetricUnit.Count, value=1)
        return _calls(app, request)
    metrics.add_metric(name="SmsQueried", unit=MetricUnit.Count, value=1)
    return _messages(app, request)


def _messages(app: QueryApplication, request: InboundRequest) -> Reply:
    smsid = request.path_params.get("smsid")
    if smsid is not None:
        view = app.query.one(smsid, client=request.client)
        logger.info("sms queried", smsid=view.order.smsid, state=view.standing.state)
        return Reply(HTTPStatus.OK, view_json(view, statuses=app.statuses))
    wanted, limit, position = parse_filter(request)
    page = app.query.many(wanted, client=request.client, limit=limit, position=position)
    logger.info("sms listed", count=len(page.items))
    return Reply(HTTPStatus.OK, list_json(page, statuses=app.statuses))


def _calls(app: QueryApplication, request: InboundRequest) -> Reply:
    asked = request.path_params.get("call_id")
    if asked is not None:
        view = app.calls.one(asked, client=request.client)
        logger.info("call queried", token=view.order.token, state=view.standing.state)
        return Reply(HTTPStatus.OK, call_json(view))
    wanted, limit, position = parse_call_filter(request)
    page = app.calls.many(wanted, client=request.client, limit=limit, position=position)
    logger.info("calls listed", count=len(page.items))
    return Reply(HTTPStatus.OK, calls_json(page))
